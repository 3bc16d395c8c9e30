//! `lamina image cat`: one file out of an image.

use std::io::{self, Write};
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use verified_store::CheckedImage;

use super::image_name::{self, Named};
use crate::command::context::Context;
use crate::error::{Error, Result};
use crate::image::hash_tree;

/// Write a file of an image to standard output.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "cat",
    example = "lamina image cat e2fsprogs usr/sbin/mkfs.ext4 > mkfs.ext4",
    example = "lamina image cat ./site.sqfs etc/motd",
    note = "IMAGE is a file when it has a slash or ends in .sqfs or .erofs, or when no package has its name. Else it is a package: NAME, \
NAME@VERSION, NAME@ID (the first digits are enough), NAME+FEATURE or NAME+VARIANT. NAME alone is the build that the tree asks for, \
and without a tree the only one of the store."
)]
pub(super) struct Cat {
    /// the image, or the package
    #[argh(positional)]
    image: String,
    /// the path inside
    #[argh(positional)]
    path: String,
}

impl Cat {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let path = self.path.trim_start_matches('/');
        let bytes = match image_name::find(context, &self.image)? {
            Named::File(file) => {
                let image = hash_tree::open_alone(&file)?;
                let bytes = read(&image, &self.image, path)?;
                if let Some(told) = image.told() {
                    context.report.line(format_args!("warning: {told}"));
                }
                bytes
            }
            Named::Build(store, record) => {
                let image = store.open_image(&record.digest, record.verity.as_ref())?;
                let bytes = read(&image, &store.image_path(&record.digest).to_string_lossy(), path)?;
                store.finish_reading(&image, &record.digest, record.verity.as_ref(), &context.report);
                bytes
            }
        };
        match io::stdout().lock().write_all(&bytes) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Error::caused("standard output", error))
            }
            _ => Ok(ExitCode::SUCCESS),
        }
    }
}

fn read(image: &CheckedImage, file: &str, path: &str) -> Result<Vec<u8>> {
    image.image().read(path.as_bytes()).map_err(|error| {
        // It names the file and the path itself.
        Error::caused("", error).remedy(format!("`lamina image inspect {file} --files` lists what is in it"))
    })
}
