//! `lamina image cat`: one file out of an image.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use profiles::Name;
use squashfs::Image;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::graph::{Graph, Request};

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
        let file = match self.image.contains('/') || self.image.ends_with(".sqfs") {
            true => PathBuf::from(&self.image),
            false => built(context, &self.image)?,
        };
        let bytes = read(&file, self.path.trim_start_matches('/'))?;
        match io::stdout().lock().write_all(&bytes) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Error::new("standard output", error))
            }
            _ => Ok(ExitCode::SUCCESS),
        }
    }
}

fn read(file: &Path, path: &str) -> Result<Vec<u8>> {
    // It names the file itself.
    let image = Image::open(file).map_err(Error::on(""))?;
    image.read(path.as_bytes()).map_err(|error| {
        // It names the file and the path itself.
        Error::new("", error)
            .remedy(format!("`lamina image inspect {} --files` lists what is in it", file.display()))
    })
}

/// The image of a package as the tree has it now.
fn built(context: &Context, name: &str) -> Result<PathBuf> {
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
    Ok(store.image_path(&record.digest))
}
