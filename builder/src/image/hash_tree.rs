//! dm-verity on images: the salt, the numbers that records and profiles keep of it, and the
//! calls of `verity` in those words.

use std::fs::File;
use std::num::NonZero;
use std::os::unix::fs::FileExt;
use std::path::Path;

use cli::progress::Progress;
use profiles::Digest;
use profiles::resolved::VerityRef;
use sha2::{Digest as _, Sha256};
use verified_store::{CheckedImage, digest_of, hash_tree_of, open_file};
use verity::{BLOCK, DEFAULT_ROOTS, Format, Layout, Verity, Work};

use crate::error::{Error, Result};
use crate::image::file_system;

/// What every image is protected with, in the words of the id of a build.
pub fn description() -> String {
    format!("verity=sha256-{BLOCK} fec-roots={DEFAULT_ROOTS}")
}

/// Appends hash tree and error correction to the first `length` bytes of `file`, whose SHA-256 is `data`. That is the salt:
/// the same data gives the same bytes, on any number of threads.
///
/// # Errors
/// Those of [`verity::append`]; the file is half done then.
pub fn append<'a>(
    file: &File,
    length: u64,
    data: Digest,
    work: impl Into<Work<'a>>,
) -> Result<VerityRef, verity::Error> {
    verity::append(file, length, &Format::new(*data.bytes()), work).map(|verity| numbers(&verity))
}

/// Checks every byte of `file`: data, hash tree, superblock and error correction.
///
/// # Errors
/// Those of [`verity::verify`]; the first bad place among them.
pub fn check<'a>(file: &File, wanted: &VerityRef, work: impl Into<Work<'a>>) -> Result<(), verity::Error> {
    verity::verify(file, &hash_tree_of(wanted)?, work)
}

/// What a record or a profile keeps: the layout follows from it.
pub fn numbers(verity: &Verity) -> VerityRef {
    VerityRef {
        root_hash: Digest::from_bytes(verity.root_hash),
        salt: Digest::from_bytes(verity.salt),
        data_blocks: verity.layout.data_blocks,
        fec_roots: verity.layout.fec.map(|fec| fec.roots),
    }
}

/// What the file says of its hash tree: salt, layout and the root hash, which is the hash of the top of the tree as it is
/// now. `None` when it has none. Nothing of it is true before it is compared with what is known from elsewhere.
pub fn claimed(path: &Path, file: &File) -> Result<Option<VerityRef>> {
    let (_, length) = file_system::find(path, file)?;
    let Some((salt, layout)) = verity::describe(file, length).map_err(Error::on(path.display()))? else {
        return Ok(None);
    };
    let top = if layout.data_blocks == 1 { 0 } else { layout.hash_start_block() };
    let mut block = vec![0; BLOCK as usize];
    file.read_exact_at(&mut block, top * BLOCK).map_err(Error::on(path.display()))?;
    let root_hash = Sha256::new().chain_update(salt).chain_update(&block).finalize().into();
    Ok(Some(numbers(&Verity { root_hash, salt, layout })))
}

/// Opens an image of which nothing is known but what it says of itself: its own hash tree finds what was damaged, though not what
/// somebody changed who wrote the tree anew.
///
/// # Errors
/// It is no image, or has a hash tree of another kind.
pub fn open_alone(path: &Path) -> Result<CheckedImage> {
    let file = open_file(path)?;
    match claimed(path, &file)? {
        Some(claimed) => CheckedImage::through(path, file, &claimed),
        None => CheckedImage::unchecked(path, file),
    }
}

/// An image that was given a hash tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protected {
    /// SHA-256 of the whole file: file system, hash tree and error correction.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// What opens it through dm-verity.
    pub verity: VerityRef,
}

/// Appends hash tree and error correction to a file system of so many bytes with this SHA-256, which is all of `file`; `path` is
/// for messages.
///
/// # Errors
/// Those of [`append`]; the file is half done then.
pub fn complete(
    file: &mut File,
    path: &Path,
    (length, data): (u64, Digest),
    jobs: NonZero<usize>,
    progress: Progress,
) -> Result<Protected> {
    let on = || Error::on::<verity::Error>(path.display());
    let layout =
        Layout::new(length.div_ceil(BLOCK), Some(DEFAULT_ROOTS)).map_err(Error::on(path.display()))?;
    let what = format!("protecting {}", path.display());
    let meter = progress.passes(what, length, Work::bytes(&layout) + layout.total_len);
    let work = Work { jobs, progress: &|bytes| meter.advance(bytes) };
    let verity = append(file, length, data, work).map_err(on())?;
    let (digest, size) = digest_of(file, &meter).map_err(Error::on(path.display()))?;
    Ok(Protected { digest, size, verity })
}
