//! dm-verity on images: the salt, the numbers that records and profiles keep of it, and adding it to images made elsewhere.

use std::fs::File;
use std::num::NonZero;
use std::os::unix::fs::FileExt;
use std::path::Path;

use profiles::Digest;
use profiles::resolved::VerityRef;
use sha2::{Digest as _, Sha256};
use unnamed_file::UnnamedFile;
use verity::{BLOCK, DEFAULT_ROOTS, Format, Layout, Verity};

use crate::error::{Error, Result};
use crate::file_system::{self, FileSystem};
use crate::store::digest_of;

/// What every image is protected with, in the words of the id of a build.
pub fn description() -> String {
    format!("verity=sha256-{BLOCK} fec-roots={DEFAULT_ROOTS}")
}

/// Appends hash tree and error correction to the first `length` bytes of `file`, whose SHA-256 is `data`. That is the salt:
/// the same data gives the same bytes, at any number of `jobs`.
///
/// # Errors
/// Those of [`verity::append`]; the file is half done then.
pub fn append(
    file: &File,
    length: u64,
    data: Digest,
    jobs: NonZero<usize>,
) -> Result<VerityRef, verity::Error> {
    verity::append(file, length, &Format::new(*data.bytes()), jobs).map(|verity| numbers(&verity))
}

/// Checks every byte of `file`: data, hash tree, superblock and error correction.
///
/// # Errors
/// Those of [`verity::verify`]; the first bad place among them.
pub fn check(file: &File, wanted: &VerityRef, jobs: NonZero<usize>) -> Result<(), verity::Error> {
    verity::verify(file, &whole(wanted)?, jobs)
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

/// The same with the layout.
///
/// # Errors
/// Numbers that no image can have.
pub fn whole(numbers: &VerityRef) -> Result<Verity, verity::Error> {
    let layout = Layout::new(numbers.data_blocks, numbers.fec_roots)?;
    Ok(Verity { root_hash: *numbers.root_hash.bytes(), salt: *numbers.salt.bytes(), layout })
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

/// An image that was given a hash tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protected {
    /// What the image holds.
    pub kind: FileSystem,
    /// SHA-256 of the whole file.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// What opens it.
    pub verity: VerityRef,
}

/// Writes the image `from` with hash tree and error correction to `to`, which appears whole or not at all, and may be the
/// same file. What lay behind the file system is left out.
pub fn protect(from: &Path, to: &Path, jobs: NonZero<usize>) -> Result<Protected> {
    let source = file_system::open(from)?;
    let (kind, length) = file_system::find(from, &source)?;
    let target = UnnamedFile::beside(to)?;
    let mut file = target.handle()?;
    // An image that only some may read stays so.
    let permissions = source.metadata().map_err(Error::on(from.display()))?.permissions();
    file.set_permissions(permissions).map_err(Error::on(to.display()))?;
    let mut own = std::io::Read::take(&source, length);
    let copied = std::io::copy(&mut own, &mut file).map_err(Error::on(to.display()))?;
    if copied != length {
        return Err(Error::new(from.display(), "became shorter while it was read").remedy("try again"));
    }
    let (data, _) = digest_of(&mut file).map_err(Error::on(to.display()))?;
    let verity = append(&file, length, data, jobs).map_err(Error::on(to.display()))?;
    let (digest, size) = digest_of(&mut file).map_err(Error::on(to.display()))?;
    target.publish()?;
    Ok(Protected { kind, digest, size, verity })
}
