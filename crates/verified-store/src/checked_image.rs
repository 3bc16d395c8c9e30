//! Images whose every byte is checked against the recorded hash tree while it is read: what feeds a build, a profile or a terminal is
//! what was made once, or an error. Damage that the error correction mends is mended in what is read, and can be told.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cli::numbers::count;
use cli::progress::Progress;
use fault::{Error, Result};
use profiles::Digest;
use profiles::resolved::VerityRef;
use squashfs::Image;
use verity::Checked;

use crate::{digest_of, hash_tree_of, open_file};

const DAMAGED: &str = "get or make it again: `lamina store verify` says how for an image of the store";

/// An image that is open for reading.
pub struct CheckedImage {
    path: PathBuf,
    image: Image,
    reader: Option<Arc<Checked>>,
}

/// Hands the reads of the file system through.
struct Reader(Arc<Checked>);

impl squashfs::Source for Reader {
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(bytes, offset).map_err(|error| match error {
            verity::Error::Io { source, .. } => source,
            error => io::Error::other(error.to_string()),
        })
    }
}

impl CheckedImage {
    /// Opens the image of this digest, by the hash tree that its record or profile names. One without, which an earlier version
    /// made, is hashed as a whole before anything is read of it.
    ///
    /// # Errors
    /// It cannot be opened; it has no hash tree and another digest; it begins as no squashfs.
    pub fn open(path: &Path, digest: &Digest, verity: Option<&VerityRef>) -> Result<Self> {
        let mut file = open_file(path)?;
        if let Some(verity) = verity {
            return Self::through(path, file, verity);
        }
        let hashed = digest_of(&mut file, &Progress::Silent.work("hashing"));
        match hashed.map_err(Error::on(path.display()))? {
            (found, _) if found == *digest => Self::unchecked(path, file),
            (found, _) => Err(Error::new(
                path.display(),
                format!("its SHA-256 is {}: the file was changed or damaged", found.hex()),
            )
            .remedy(DAMAGED)),
        }
    }

    /// Reads `file` through a hash tree; `path` is for messages.
    ///
    /// # Errors
    /// Numbers that no image can have; it begins as no squashfs.
    pub fn through(path: &Path, file: File, verity: &VerityRef) -> Result<Self> {
        let verity = hash_tree_of(verity).map_err(Error::on(path.display()))?;
        let reader = Arc::new(Checked::new(file, verity));
        let source = Box::new(Reader(reader.clone()));
        let image = Image::from_source(source, verity.layout.hash_offset, path).map_err(damaged)?;
        Ok(CheckedImage { path: path.to_path_buf(), image, reader: Some(reader) })
    }

    /// Reads `file` as it is: what was hashed before, or has nothing to be checked by.
    ///
    /// # Errors
    /// It begins as no squashfs.
    pub fn unchecked(path: &Path, file: File) -> Result<Self> {
        let image = Image::from_file(file, path).map_err(damaged)?;
        Ok(CheckedImage { path: path.to_path_buf(), image, reader: None })
    }

    /// The file system in it.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// How many blocks of 4 KiB were wrong in the file, of those that were read so far, and were mended in what was read.
    pub fn healed(&self) -> u64 {
        self.reader.as_ref().map_or(0, |reader| reader.healed())
    }

    /// A sentence about that, when there is something to say.
    pub fn told(&self) -> Option<String> {
        let blocks = self.healed();
        (blocks > 0).then(|| {
            let blocks = count(blocks, "damaged block");
            format!("{}: {blocks}, mended by error correction in what was read", self.path.display())
        })
    }
}

impl fmt::Debug for CheckedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckedImage").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Their words name the file.
fn damaged(error: squashfs::Error) -> Error {
    Error::caused("", error).remedy(DAMAGED)
}
