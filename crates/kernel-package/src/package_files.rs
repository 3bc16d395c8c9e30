//! The bytes of a Debian package's files: those that were kept from the last time, and else the unpacked package.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use deb::{Contents, Kind, Member, Package};
use fault::{Error, Result};

use crate::kept::{Kept, KeptPlace};

/// A package, unpacked as soon as a file is read that was not kept.
#[derive(Debug)]
pub(crate) struct PackageFiles {
    path: PathBuf,
    place: Option<KeptPlace>,
    kept: Kept,
    unpacked: OnceLock<Contents>,
    /// The files that were read.
    read: Mutex<BTreeSet<Vec<u8>>>,
}

impl PackageFiles {
    /// Opens the package at `path`; what is read of it is kept below `cache`.
    ///
    /// # Errors
    /// It cannot be read, or is no package.
    pub fn open(path: &Path, cache: Option<&Path>) -> Result<PackageFiles> {
        // What cannot be read is told by who unpacks it.
        let place = cache.and_then(|folder| KeptPlace::of(folder, path).ok());
        let kept = place.as_ref().and_then(KeptPlace::read);
        let (is_kept, kept) = (kept.is_some(), kept.unwrap_or_default());
        let (unpacked, read) = (OnceLock::new(), Mutex::default());
        let files = PackageFiles { path: path.to_owned(), place, kept, unpacked, read };
        if !is_kept {
            files.unpacked()?;
        }
        Ok(files)
    }

    /// All members, in the order of the package.
    pub fn members(&self) -> &[Member] {
        self.unpacked.get().map_or(&self.kept.members, Contents::members)
    }

    /// The bytes of a member, which is a file.
    pub fn read(&self, member: &Member) -> io::Result<Vec<u8>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(member.path.clone());
        self.look_at(member)
    }

    /// The same of one that need not be kept.
    pub fn look_at(&self, member: &Member) -> io::Result<Vec<u8>> {
        if let Some(bytes) = self.kept.bytes(&member.path) {
            return Ok(bytes.to_vec());
        }
        let contents = self.unpacked().map_err(io::Error::other)?;
        match member.kind {
            Kind::File { .. } if self.kept.members.is_empty() => contents.read(member),
            _ => contents.read(contents.find(&member.path).ok_or(io::ErrorKind::NotFound)?),
        }
    }

    /// Keeps what was read, beside what was kept before.
    ///
    /// # Errors
    /// The cache cannot be written to.
    pub fn keep(&self) -> Result<()> {
        let Some(place) = &self.place else { return Ok(()) };
        let mut wanted = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if wanted.iter().all(|path| self.kept.bytes(path).is_some()) {
            return Ok(());
        }
        wanted.extend(self.kept.paths().map(<[u8]>::to_vec));
        place.write(self.members(), &wanted, |member| self.look_at(member))
    }

    fn unpacked(&self) -> Result<&Contents> {
        if let Some(contents) = self.unpacked.get() {
            return Ok(contents);
        }
        let scratch = tempfile::tempfile().map_err(|error| {
            Error::new(self.path.display(), format!("making a scratch file to unpack it: {error}"))
                .remedy("set TMPDIR to a folder with room")
                .because_of(error)
        })?;
        let contents = Package::open(&self.path).and_then(|package| package.contents(scratch));
        let contents = contents.map_err(|error| {
            Error::new(error.path().display(), error.cause()).remedy(error.remedy()).because_of(error)
        })?;
        Ok(self.unpacked.get_or_init(|| contents))
    }
}
