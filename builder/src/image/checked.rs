//! Images whose every byte is checked against the recorded hash tree while it is read: what feeds a build, a profile or a terminal is
//! what was made once, or an error. Damage that the error correction mends is mended in what is read, and can be told.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cli::progress::Progress;
use profiles::Digest;
use profiles::resolved::VerityRef;
use squashfs::Image;
use verity::{Checked, Work};

use crate::digest::digest_of;
use crate::error::{Error, Result};
use crate::image::{file_system, hash_tree};

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
    pub fn open(path: &Path, digest: &Digest, verity: Option<&VerityRef>) -> Result<Self> {
        let mut file = file_system::open(path)?;
        if let Some(verity) = verity {
            return Self::through(path, file, verity);
        }
        let (found, _) =
            digest_of(&mut file, &Progress::Silent.meter("hashing", 0)).map_err(Error::on(path.display()))?;
        if found != *digest {
            return Err(not_this(path, &found));
        }
        Self::plain(path, file)
    }

    /// Opens an image of which nothing is known but what it says of itself: its own hash tree finds what was damaged, though not
    /// what somebody changed who wrote the tree anew.
    pub fn open_alone(path: &Path) -> Result<Self> {
        let file = file_system::open(path)?;
        match hash_tree::claimed(path, &file)? {
            Some(claimed) => Self::through(path, file, &claimed),
            None => Self::plain(path, file),
        }
    }

    fn through(path: &Path, file: File, verity: &VerityRef) -> Result<Self> {
        let verity = hash_tree::whole(verity).map_err(Error::on(path.display()))?;
        let reader = Arc::new(Checked::new(file, verity));
        let source = Box::new(Reader(reader.clone()));
        let image = Image::from_source(source, verity.layout.hash_offset, path).map_err(damaged)?;
        Ok(CheckedImage { path: path.to_path_buf(), image, reader: Some(reader) })
    }

    fn plain(path: &Path, file: File) -> Result<Self> {
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
            let blocks = cli::progress::count(blocks, "damaged block");
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

fn not_this(path: &Path, found: &Digest) -> Error {
    Error::new(path.display(), format!("its SHA-256 is {}: the file was changed or damaged", found.hex()))
        .remedy(DAMAGED)
}

/// Mends `file`, a copy that is open for reading and writing, until it has this digest. Gives how many blocks were wrong.
///
/// # Errors
/// The damage is more than error correction mends; the hash tree that `verity` names is that of another image.
pub fn heal(file: &mut File, path: &Path, digest: &Digest, verity: &VerityRef) -> Result<u64> {
    let whole = hash_tree::whole(verity).map_err(Error::on(path.display()))?;
    let work = Work { jobs: std::num::NonZero::<usize>::MIN, progress: &|_| () };
    let healed = verity::heal(file, &whole, work).map_err(|error| {
        let cause = format!("{error}, and error correction cannot mend it");
        Error::new(path.display(), cause).remedy(DAMAGED)
    })?;
    let (found, _) =
        digest_of(file, &Progress::Silent.meter("hashing", 0)).map_err(Error::on(path.display()))?;
    if found == *digest { Ok(healed) } else { Err(not_this(path, &found)) }
}
