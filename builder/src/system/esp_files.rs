//! The files of the EFI system partition as a plan changes them, whichever way the partition is at hand. [`Esp`](super::esp::Esp) is what was
//! read there before.

use std::fs;
use std::io::{self, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use boot_entry::sector;
use disk_image::{DiskFile, FatVolume};
use profiles::Digest;

use super::target::Target;
use crate::error::{Error, Result};
use crate::medium::copying;
use crate::removing;
use crate::report::Report;

/// Where the files are; paths are words between `/`, and none is in front.
pub(super) enum EspFiles<'a> {
    /// Where the partition is mounted.
    Folder(&'a Path),
    /// On a disk that nobody mounted.
    Volume(&'a FatVolume),
}

impl<'a> EspFiles<'a> {
    pub(super) fn of(target: &'a Target) -> EspFiles<'a> {
        match &target.volume {
            Some(volume) => EspFiles::Volume(volume),
            None => EspFiles::Folder(&target.esp),
        }
    }

    /// A path for people.
    pub(super) fn shown(&self, path: &str) -> String {
        match self {
            EspFiles::Folder(folder) => folder.join(path).display().to_string(),
            EspFiles::Volume(_) => format!("{path} on the EFI system partition"),
        }
    }

    /// The length of a file, 0 where there is none or nobody can tell: room is not counted on then, and nothing written in place.
    pub(super) fn length(&self, path: &str) -> u64 {
        match self {
            EspFiles::Folder(folder) => fs::metadata(folder.join(path)).map_or(0, |it| it.len()),
            EspFiles::Volume(volume) => volume.length(path).ok().flatten().unwrap_or(0),
        }
    }

    /// Whether a kernel or an initramfs that is there is what its name says. One that cannot be read is put there again as well.
    pub(super) fn is_sound(&self, file: &DiskFile) -> bool {
        self.digest(&file.path).is_ok_and(|digest| file.digest == Some(digest))
    }

    /// The SHA-256 of a file that is there.
    pub(super) fn digest(&self, path: &str) -> io::Result<Digest> {
        let found = match self {
            EspFiles::Folder(folder) => Digest::of(crate::store::opening::file(&folder.join(path))?),
            EspFiles::Volume(volume) => Digest::of(volume.open_file(path)?),
        };
        found.map(|it| it.0)
    }

    /// A whole small file under a name that is new, or is replaced.
    pub(super) fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        match self {
            EspFiles::Folder(folder) => copying::write(folder, Path::new(path), bytes),
            EspFiles::Volume(volume) => {
                let same = volume.open_file(path).and_then(|mut file| {
                    let mut found = Vec::new();
                    file.by_ref().take(bytes.len() as u64 + 1).read_to_end(&mut found).map(|_| found == bytes)
                });
                if same.is_ok_and(|same| same) {
                    return Ok(());
                }
                let written = volume.replace(path, &mut Cursor::new(bytes), bytes.len() as u64);
                written.map_err(Error::on(self.shown(path)))
            }
        }
    }

    /// What a loader chooses by: in place where one sector has it.
    pub(super) fn choose(&self, path: &str, bytes: &[u8]) -> Result<()> {
        match self {
            EspFiles::Folder(folder) => copying::write_small(folder, Path::new(path), bytes),
            EspFiles::Volume(volume)
                if bytes.len() <= sector::LENGTH && self.length(path) == bytes.len() as u64 =>
            {
                volume.write_in_place(path, bytes).map_err(Error::on(self.shown(path)))
            }
            EspFiles::Volume(_) => self.write(path, bytes),
        }
    }

    pub(super) fn remove(&self, path: &str) -> Result<()> {
        match self {
            EspFiles::Folder(folder) => removing::remove(folder, &[PathBuf::from(path)]),
            EspFiles::Volume(volume) => volume.remove(path).map_err(Error::on(self.shown(path))),
        }
    }

    /// A kernel or an initramfs: what arrived is hashed.
    pub(super) fn copy_boot_file(&self, file: &DiskFile, report: &Report) -> Result<()> {
        let length = file.content.length();
        let meter = report.progress().passes(format!("copying {}", file.path), length, 2 * length);
        let source = file.content.open().map_err(Error::on(&file.path))?;
        let mut source = meter.reader(source.take(length));
        let shown = self.shown(&file.path);
        match self {
            EspFiles::Folder(folder) => {
                let new = copying::begin(folder, Path::new(&file.path))?;
                let mut handle = new.handle()?;
                io::copy(&mut source, &mut handle).map_err(Error::on(&shown))?;
                let hashed = handle.rewind().and_then(|()| Digest::of(meter.reader(handle)));
                refuse_another(file, &shown, hashed.map_err(Error::on(&shown))?.0)?;
                new.publish()
            }
            EspFiles::Volume(volume) => {
                // What is there is damaged, or it would not be written.
                volume.replace(&file.path, &mut source, length).map_err(Error::on(&shown))?;
                let hashed = volume.open_file(&file.path).and_then(|it| Digest::of(meter.reader(it)));
                let arrived = refuse_another(file, &shown, hashed.map_err(Error::on(&shown))?.0);
                arrived.inspect_err(|_| drop(volume.remove(&file.path)))
            }
        }
    }
}

fn refuse_another(file: &DiskFile, shown: &str, digest: Digest) -> Result<()> {
    if file.digest.is_none_or(|meant| meant == digest) {
        return Ok(());
    }
    let cause =
        format!("its SHA-256 is {}, and its name says another: it changed while it was copied", digest.hex());
    Err(Error::new(shown, cause).remedy("run the same command again"))
}
