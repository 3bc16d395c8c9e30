//! A locked profile and its verified images: what media, disks and initramfs archives are filled from, and builds read.
//!
//! | module | what it does |
//! |---|---|
//! | `locked_profile` | a generation of a profile, with its signature and the images that it names |
//! | `checked_image` | the file system in an image, each block checked against the hash tree while it is read |
//! | `sound_file` | the whole file of an image on its way elsewhere: hashed, mended, and hashed again while it is written |
//! | `healing` | a damaged copy becomes the image again, by its error correction |
//!
//! What is read or copied here is what the profile or the record names, or it is an error. Damage that error correction mends is mended in
//! what is read or copied, and counted; the file in the store stays as it is.

mod checked_image;
mod healing;
mod locked_profile;
mod sound_file;

use std::fs::File;
use std::io::{self, Seek};
use std::path::Path;

use cli::progress::Meter;
use fault::{Error, Result};
use profiles::Digest;

pub use checked_image::CheckedImage;
pub use healing::{NotMended, hash_tree_of, heal};
pub use locked_profile::LockedProfile;
pub use sound_file::{Damage, SoundFile, make_sound};

/// Opens the file of an image, which is a regular one.
///
/// # Errors
/// It cannot be opened, or is something else: a FIFO would wait for a writer, and a device may have no end.
pub fn open_file(path: &Path) -> Result<File> {
    if !std::fs::metadata(path).map_err(Error::on(path.display()))?.is_file() {
        return Err(Error::new(path.display(), "is not a regular file").remedy("give the file of an image"));
    }
    File::open(path).map_err(Error::on(path.display()))
}

/// The SHA-256 and the length in bytes of an open file, from its start; what is read advances the meter.
///
/// # Errors
/// It cannot be read.
pub fn digest_of(file: &mut File, meter: &Meter) -> io::Result<(Digest, u64)> {
    file.rewind()?;
    Digest::of(meter.reader(file))
}
