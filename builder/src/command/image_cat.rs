//! `lamina image cat`: one file out of an image.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use profiles::Name;

use crate::checked_image::CheckedImage;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::graph::{Graph, Request};
use crate::store::{BuildRecord, Store};

/// Write a file of an image to standard output.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "cat",
    example = "lamina image cat e2fsprogs usr/sbin/mkfs.ext4 > mkfs.ext4",
    note = "IMAGE is a file when it has a slash or ends in .sqfs, else a package, whose build with its defaults is taken."
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
        let bytes = match self.image.contains('/') || self.image.ends_with(".sqfs") {
            true => {
                let image = CheckedImage::open_alone(Path::new(&self.image))?;
                let bytes = read(&image, &self.image, path)?;
                if let Some(told) = image.told() {
                    context.report.line(format_args!("warning: {told}"));
                }
                bytes
            }
            false => {
                let (store, record) = built(context, &self.image)?;
                let image = store.open_image(&record.digest, record.verity.as_ref())?;
                let bytes = read(&image, &store.image_path(&record.digest).to_string_lossy(), path)?;
                store.finish_reading(&image, &record.digest, record.verity.as_ref(), &context.report);
                bytes
            }
        };
        match io::stdout().lock().write_all(&bytes) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Error::new("standard output", error))
            }
            _ => Ok(ExitCode::SUCCESS),
        }
    }
}

fn read(image: &CheckedImage, file: &str, path: &str) -> Result<Vec<u8>> {
    image.image().read(path.as_bytes()).map_err(|error| {
        // It names the file and the path itself.
        Error::new("", error).remedy(format!("`lamina image inspect {file} --files` lists what is in it"))
    })
}

/// The build of a package as the tree has it now.
fn built(context: &Context, name: &str) -> Result<(Store, BuildRecord)> {
    let parsed = Name::parse(name).map_err(|error| {
        Error::new(format!("'{name}'"), error)
            .remedy("give a package, or the path of an image, with a slash in it or .sqfs at its end")
    })?;
    let (graph, roots) = Graph::resolve(&context.recipes()?, &[Request::plain(parsed)])?;
    let store = context.store()?;
    let id = roots.first().map(|root| graph.packages()[*root].id);
    let record = id.map(|id| store.finished_build(&id)).transpose()?.flatten().ok_or_else(|| {
        Error::new(format!("package {name}"), "is not built")
            .remedy(format!("`lamina build {name}` builds it"))
    })?;
    Ok((store, record))
}
