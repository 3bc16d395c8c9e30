//! The whole file of an image on its way to another place, so that what arrives is what the profile names.
//!
//! Where the other place is written to as a file, the copy is hashed there ([`make_sound`]); where it is a stream, the file is hashed
//! before it is chosen and again while its bytes are written ([`SoundFile`]). Either way what error correction can mend is mended in the
//! copy.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use cli::progress::Meter;
use fault::{Error, Result};
use profiles::Digest;
use profiles::resolved::ImageRef;

use crate::{NotMended, digest_of, hash_tree_of, heal, open_file};

/// Why a file is not the image that a profile names.
#[derive(Debug)]
pub enum Damage {
    /// It cannot be read.
    Unreadable(Error),
    /// It has other bytes.
    Other {
        /// Its SHA-256.
        digest: Digest,
        /// Its length in bytes.
        size: u64,
        /// Why they could not be mended; `None` for an image without a hash tree.
        not_mended: Option<NotMended>,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Unreadable(why) => f.write_str(why.cause()),
            Damage::Other { not_mended: Some(why), .. } => why.fmt(f),
            Damage::Other { digest, .. } => {
                write!(f, "its SHA-256 is {}: the file was changed or damaged", digest.hex())
            }
        }
    }
}

impl std::error::Error for Damage {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Damage::Unreadable(why) => Some(why),
            Damage::Other { not_mended, .. } => not_mended.as_ref().map(|why| why as _),
        }
    }
}

impl Damage {
    /// As an error about the file at `path`, with what helps against damage.
    pub fn at(self, path: &Path, remedy: &str) -> Error {
        match self {
            Damage::Unreadable(why) => why,
            damage => Error::caused(path.display(), damage).remedy(remedy),
        }
    }
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> Damage {
    move |error| Damage::Unreadable(Error::caused(path.display(), error))
}

/// Hashes `copy`, which is open for reading and writing and has the bytes that lay under the image's name, and mends what is wrong in
/// it. Gives how many blocks that were; `path` is for messages.
///
/// # Errors
/// It is not the image, and cannot be made it.
pub fn make_sound(copy: &mut File, path: &Path, image: &ImageRef, meter: &Meter) -> Result<u64, Damage> {
    let (digest, size) = digest_of(copy, meter).map_err(unreadable(path))?;
    if digest == image.digest {
        return Ok(0);
    }
    let other = |not_mended| Damage::Other { digest, size, not_mended };
    let verity = image.verity.ok_or_else(|| other(None))?;
    heal(copy, &image.digest, &verity).map_err(|why| other(Some(why)))
}

/// The file of an image that was hashed, and is hashed again when it is written.
#[derive(Debug)]
pub struct SoundFile {
    path: PathBuf,
    /// What is written in the place of a damaged file. A sound one is opened again: of all at once there may be more than a process
    /// may have open.
    mended: Option<File>,
    digest: Digest,
    size: u64,
}

impl SoundFile {
    /// Opens and hashes the image of a profile. Says also how many blocks of it were wrong, and are mended in what will be written.
    ///
    /// # Errors
    /// It is missing; it is not what the profile says, and error correction cannot mend it.
    pub fn check(path: &Path, image: &ImageRef, meter: &Meter) -> Result<(Self, u64), Damage> {
        let mut file = open_file(path).map_err(Damage::Unreadable)?;
        let (digest, size) = digest_of(&mut file, meter).map_err(unreadable(path))?;
        let checked =
            |mended| SoundFile { mended, path: path.to_path_buf(), digest: image.digest, size: image.size };
        if digest == image.digest && size == image.size {
            return Ok((checked(None), 0));
        }
        let other = |not_mended| Damage::Other { digest, size, not_mended };
        let verity = image.verity.ok_or_else(|| other(None))?;
        let tree = hash_tree_of(&verity).map_err(|why| other(Some(NotMended::Beyond(why))))?;
        let mut copy = nameless_copy(&mut file, tree.layout.total_len).map_err(unreadable(path))?;
        let blocks = heal(&mut copy, &image.digest, &verity).map_err(|why| other(Some(why)))?;
        Ok((checked(Some(copy)), blocks))
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Writes its bytes.
    ///
    /// # Errors
    /// They are others by now.
    pub fn copy(&self, out: &mut impl Write) -> Result<()> {
        let on = || Error::on::<io::Error>(self.path.display());
        let mut file = match &self.mended {
            Some(file) => file.try_clone().map_err(on())?,
            None => open_file(&self.path)?,
        };
        let written = file.rewind().and_then(|()| Digest::of(Tee { file: &file, out }));
        match written.map_err(on())? {
            (digest, size) if digest == self.digest && size == self.size => Ok(()),
            _ => Err(Error::new(self.path.display(), "changed while it was read").remedy("try again")),
        }
    }
}

/// The first `most` bytes of a file in one without a name.
fn nameless_copy(file: &mut File, most: u64) -> io::Result<File> {
    let mut copy = tempfile::tempfile()?;
    file.rewind()?;
    io::copy(&mut file.take(most), &mut copy)?;
    Ok(copy)
}

/// What is read of a file is written as well.
struct Tee<'a, W> {
    file: &'a File,
    out: &'a mut W,
}

impl<W: Write> Read for Tee<'_, W> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(bytes)?;
        self.out.write_all(&bytes[..count])?;
        Ok(count)
    }
}
