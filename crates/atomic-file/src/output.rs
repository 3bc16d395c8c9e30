//! What a command line names as the place of its result: a file, or something to write through.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::stat::SFlag;

use crate::error::{on, refusal};
use crate::place::Place;
use crate::{Error, UnnamedFile};

/// How a format is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Text, from its beginning to its end.
    Text,
    /// Bytes, from their beginning to their end, which are no good on a terminal.
    Stream,
    /// With going back and reading again: only a regular file will do.
    Seeking,
}

/// A result under the name that somebody gave for it.
///
/// | what has the name | what becomes of it |
/// |---|---|
/// | nothing, a regular file | the file appears there whole, in place of the other |
/// | a symbolic link | it stays, and its end is treated as if it had been named, also where nothing is there yet |
/// | a FIFO, a character device, `-` (standard output) | the result is written through it; refused for [`Form::Seeking`] |
/// | a block device, a socket, a folder | refused |
#[derive(Debug)]
pub enum Output {
    /// A file without a name so far.
    File(UnnamedFile),
    /// An open FIFO, character device or standard output.
    Through {
        /// Where the bytes go.
        file: File,
        /// What was named.
        name: PathBuf,
    },
}

impl Output {
    /// Opens the place `path` for a result of this form. A FIFO waits for its reader, as with every program (fifo(7)).
    ///
    /// # Errors
    /// What has the name is no place for it; its folder is missing or may not be written to; [`Form::Stream`] and a terminal.
    pub fn create(path: &Path, form: Form) -> Result<Output, Error> {
        let file = if path == Path::new("-") {
            refuse_seeking(path, "is standard output", form)?;
            standard_output().map_err(on(Path::new("standard output")))?
        } else {
            let place = Place::followed(path)?;
            match open_through(&place, form)? {
                Some(file) => file,
                None => return UnnamedFile::at(place).map(Output::File),
            }
        };
        if form == Form::Stream && file.is_terminal() {
            let cause = "is a terminal, and this is no text";
            return Err(refusal(path, cause, "give a file, or a pipe to a program"));
        }
        Ok(Output::Through { file, name: path.to_path_buf() })
    }

    /// A second descriptor to write through.
    ///
    /// # Errors
    /// This process has too many open files.
    pub fn handle(&self) -> Result<File, Error> {
        match self {
            Output::File(file) => file.handle(),
            Output::Through { file, name } => file.try_clone().map_err(on(name)),
        }
    }

    /// The result is complete: gives the file its name; what was written through is where it belongs already.
    ///
    /// # Errors
    /// Those of [`UnnamedFile::publish`].
    pub fn publish(self) -> Result<(), Error> {
        match self {
            Output::File(file) => file.publish(),
            Output::Through { .. } => Ok(()),
        }
    }

    /// Whether this is where the program's own words go as well: they would stand in the result.
    pub fn is_standard_output(&self) -> bool {
        let Output::Through { file, name } = self else { return false };
        let node = |file: &File| file.metadata().ok().filter(|found| found.file_type().is_fifo());
        let other = standard_output().ok().and_then(|file| node(&file));
        let same = node(file).zip(other).is_some_and(|(a, b)| (a.dev(), a.ino()) == (b.dev(), b.ino()));
        same || name == Path::new("-")
    }

    /// The real path of the folder in which the file will be; `None` when it is written through.
    pub fn folder(&self) -> Option<PathBuf> {
        match self {
            Output::File(file) => file.real_folder(),
            Output::Through { .. } => None,
        }
    }
}

fn standard_output() -> io::Result<File> {
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}

/// Opens what is no file of bytes; `None` for a regular file, or nothing.
fn open_through(place: &Place, form: Form) -> Result<Option<File>, Error> {
    let Some(found) = &place.found else { return Ok(None) };
    let kind = match found.kind {
        SFlag::S_IFREG => return Ok(None),
        SFlag::S_IFDIR => return Err(refusal(&place.shown, "is a folder", "give the name of a file")),
        SFlag::S_IFIFO => "is a FIFO",
        SFlag::S_IFCHR => "is a character device",
        SFlag::S_IFBLK => {
            let cause = "is a block device, and this command writes files";
            return Err(refusal(&place.shown, cause, "write a file, and copy that to the device"));
        }
        _ => {
            let cause = "is neither a file nor a FIFO nor a character device";
            return Err(refusal(&place.shown, cause, "give the name of a file"));
        }
    };
    refuse_seeking(&place.shown, kind, form)?;
    // The node that was looked at, and none that has its name by now.
    let opened = File::options().write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(found.link());
    opened.map(Some).map_err(on(&place.shown))
}

fn refuse_seeking(path: &Path, kind: &str, form: Form) -> Result<(), Error> {
    if form != Form::Seeking {
        return Ok(());
    }
    let cause = format!("{kind}, and this format is not written from its beginning to its end");
    Err(refusal(path, cause, "give the name of a file, and copy that"))
}
