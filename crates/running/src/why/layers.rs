//! The layers of the running system, and what stands in them.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use boot_report::reading::{Layer, Top};
use boot_report::{BootReport, paths};

use crate::System;

/// The folders that make up the root, top first.
pub(super) struct Layers {
    pub(super) folders: Vec<(Source, PathBuf)>,
    /// What could not be looked at.
    pub(super) notes: Vec<String>,
}

/// Who gave something.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// The writable top: it was made or changed in the running system.
    Top(Top),
    /// A layer.
    Layer(Layer),
}

/// What overlayfs knows of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file, with its size in bytes.
    File(u64),
    /// A folder; an opaque one hides those of the same name below it.
    Folder {
        /// Whether it is opaque.
        opaque: bool,
    },
    /// A symbolic link, with its target.
    Link(PathBuf),
    /// A character or block device, a FIFO or a socket.
    Special(&'static str),
    /// It hides what has its name below.
    Whiteout,
}

impl Layers {
    pub(super) fn of(system: &System, report: &BootReport) -> Layers {
        let mut layers = Layers { folders: Vec::new(), notes: Vec::new() };
        let top = &report.top;
        // Format 1 does not tell of the top: its tmpfs, if any, was always at the same place.
        let place = if top.path.is_empty() { paths::TOP } else { &top.path };
        let upper = system.path(place).join(stack::overlay::UPPER);
        if top.kind != "none" && (!top.kind.is_empty() || report.root.contains("tmpfs")) {
            layers.add(Source::Top(top.clone()), upper, "the writable top");
        }
        for layer in report.layers.iter().rev() {
            layers.add(Source::Layer(layer.clone()), system.path(&layer.path), &layer.name);
        }
        layers
    }

    fn add(&mut self, source: Source, folder: PathBuf, name: &str) {
        match fs::read_dir(&folder) {
            Ok(_) => self.folders.push((source, folder)),
            Err(error) => {
                let help = if may_not(&error) { ": run this as root" } else { "" };
                self.notes.push(format!("{name} was not looked at: {}: {error}{help}", folder.display()));
            }
        }
    }
}

fn may_not(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

impl Kind {
    /// What stands at a path of a layer; `None` when nothing does.
    pub(super) fn at(path: &Path) -> io::Result<Option<Kind>> {
        let found = match fs::symlink_metadata(path) {
            Ok(found) => found,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let kind = found.file_type();
        Ok(Some(if kind.is_dir() {
            Kind::Folder { opaque: attribute(path, "trusted.overlay.opaque").as_deref() == Some(b"y") }
        } else if kind.is_file() {
            Kind::File(found.len())
        } else if kind.is_symlink() {
            Kind::Link(fs::read_link(path)?)
        } else if is_whiteout(&found) {
            Kind::Whiteout
        } else {
            let names = [
                (kind.is_char_device(), "character device"),
                (kind.is_block_device(), "block device"),
                (kind.is_fifo(), "FIFO"),
            ];
            Kind::Special(names.iter().find(|(is, _)| *is).map_or("socket", |(_, name)| name))
        }))
    }

    /// Whether what stands below still shows: that of a folder does.
    pub(super) fn covers(&self) -> bool {
        !matches!(self, Kind::Folder { opaque: false })
    }

    pub(super) fn is_folder(&self) -> bool {
        matches!(self, Kind::Folder { .. })
    }
}

/// A character device 0:0 (Documentation/filesystems/overlayfs.rst of the kernel).
fn is_whiteout(found: &Metadata) -> bool {
    found.file_type().is_char_device() && found.rdev() == 0
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        || error.kind() == io::ErrorKind::InvalidFilename
        || error.kind() == io::ErrorKind::InvalidInput
}

/// An extended attribute. Those of overlayfs only root can read; others get nothing.
pub(super) fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = [0; 1024];
    let length = rustix::fs::lgetxattr(path, name, &mut value).ok()?;
    value.get(..length).map(<[u8]>::to_vec)
}
