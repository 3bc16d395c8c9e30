//! Unpacks the archive of a source: whole or not at all.
//!
//! What a file is, is told by its bytes and not by its name. A tar archive, compressed or not, and a zip archive are unpacked
//! into a folder of their own first; when all that came out is one folder, that folder becomes the target, else everything
//! does. What cannot be unpacked without a loss is an [`Error`] and never a part of the files: names that leave the folder,
//! kinds of files that have no place in a source, extensions that change what a file holds (sparse files of the pax format), a
//! missing end, data behind the end.
//!
//! Modes are kept but for setuid, setgid and sticky, times of files to the second. Owners and extended attributes are not.
//!
//! Archives may come from anywhere: entries, bytes and the memory of decompressors are limited, and no file is made outside
//! of the target's folder.

mod beneath;
mod error;
mod kind;
mod limits;
mod tar_archive;
mod zip_archive;

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub use error::Error;
use error::{Part, Problem, while_doing};
use kind::{Container, Kind};

/// Raised when an archive begins to come out otherwise than before: part of the id of every build that unpacks one.
pub const RULES: u32 = 1;

/// What became of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is no archive: nothing was made.
    NoArchive,
    /// Its files are in the target.
    Unpacked {
        /// Files, folders and links in the archive.
        entries: usize,
        /// The one folder that held everything else, which the target stands for.
        without: Option<OsString>,
    },
}

/// Unpacks `archive` into `target`, which must not exist; its parent must.
///
/// # Errors
/// The archive is damaged, or cannot be unpacked without a loss, or the target cannot be written. What was unpacked until
/// then lies beside the target, never in it.
pub fn unpack(archive: &Path, target: &Path) -> Result<Outcome, Error> {
    try_unpack(archive, target).map_err(|problem| Error::of(archive, problem))
}

fn try_unpack(archive: &Path, target: &Path) -> Part<Outcome> {
    let mut file = File::open(archive).map_err(while_doing("opening it"))?;
    let name = archive.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let container = match kind::of(&mut file, &name)? {
        Kind::NoArchive => return Ok(Outcome::NoArchive),
        Kind::Archive(container) => container,
    };
    let staging = staging_beside(target)?;
    let entries = match container {
        Container::Tar(compression) => tar_archive::unpack(file, compression, &staging)?,
        Container::Zip => zip_archive::unpack(file, &staging)?,
    };
    let without = place(&staging, target)?;
    Ok(Outcome::Unpacked { entries, without })
}

/// An empty folder on the file system of the target.
fn staging_beside(target: &Path) -> Part<PathBuf> {
    let mut name = OsString::from(".unpacking-");
    name.push(target.file_name().unwrap_or_default());
    let staging = target.with_file_name(name);
    fs::create_dir(&staging).map_err(while_doing("making a folder to unpack into"))?;
    Ok(staging)
}

/// Turns what was unpacked into the target: the only folder, when there is nothing else, or all of it.
fn place(staging: &Path, target: &Path) -> Part<Option<OsString>> {
    let looking = while_doing("looking at what was unpacked");
    let mut tops = Vec::new();
    // Two are enough to know.
    for entry in fs::read_dir(staging).map_err(&looking)?.take(2) {
        tops.push(entry.map_err(&looking)?);
    }
    let moving = while_doing("moving what was unpacked to its place");
    let (from, without) = match tops.as_slice() {
        [] => return Err(Problem::Lossy("has no files".into())),
        [only] if only.file_type().map_err(&looking)?.is_dir() => (only.path(), Some(only.file_name())),
        _ => (staging.to_path_buf(), None),
    };
    // A folder that may not be written to cannot get another parent; and the steps work here, whatever the archive says.
    fs::set_permissions(&from, fs::Permissions::from_mode(0o755)).map_err(&moving)?;
    fs::rename(&from, target).map_err(&moving)?;
    if without.is_some() {
        fs::remove_dir(staging).map_err(&moving)?;
    }
    Ok(without)
}
