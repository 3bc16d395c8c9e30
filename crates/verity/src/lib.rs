//! Appends to an image the dm-verity hash tree that protects it, and the forward error correction that heals it.
//!
//! The file that comes out is what `veritysetup format` would have made of it with the same salt and UUID, bit for bit,
//! with data, hash tree and error correction in the one file:
//!
//! ```text
//! data          superblock   hash blocks                 Reed-Solomon parity
//! data_blocks   1 block      top level first, leaf last  (after the end of the tree)
//! 0             hash_offset                              fec.offset                   total_len
//! ```
//!
//! Where everything is, is said in one place for writers and readers: [`stack::verity_layout`], whose [`Layout`] stands here
//! too. Every block is 4 KiB. Mounting the image as before still works: a file system does not look behind its own end.
//!
//! ```
//! use std::io::Write;
//! use std::num::NonZero;
//!
//! let mut image = tempfile::tempfile()?;
//! image.write_all(&[7; 10_000])?;
//!
//! let verity = verity::append(&image, 10_000, &verity::Format::new([1; 32]), NonZero::<usize>::MIN)?;
//! assert_eq!(verity.layout.data_blocks, 3);
//! assert_eq!(verity.layout.total_len, image.metadata()?.len());
//! verity::verify(&image, &verity, NonZero::<usize>::MIN)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **The same data and salt give the same bytes**, at any number of threads. The root hash, the salt, the number of data
//! blocks and the number of roots say all that opening the image needs; the superblock is there for `veritysetup` and for
//! people ([`describe`]), and is never trusted here.
//!
//! | module | job |
//! |---|---|
//! | `superblock` | veritysetup's superblock |
//! | `tree` | the hash tree: write it, check it |
//! | `reed_solomon` | the code: many interleaved codewords at once |
//! | `parity` | error correction: which bytes make a codeword; write it, check it |
//! | `block` | one block of the file |
//! | `checked` | reads through the hash tree, and mends what it reads |
//! | `correction`, `erasures` | a block anew from the error correction |
//! | `work` | on how many threads, and who is told how far it came |
//! | `units` | work shared among threads, with a result that does not depend on them |
//!
//! The formats: the kernel's `Documentation/admin-guide/device-mapper/verity.rst` for the tree and the table of the target,
//! `drivers/md/dm-verity-fec.c` for the interleaving, veritysetup(8) and cryptsetup's `lib/verity` for the superblock.

mod block;
mod checked;
mod correction;
mod erasures;
mod error;
mod parity;
mod reed_solomon;
mod superblock;
mod tree;
mod units;
mod work;

use std::fs::File;

pub use checked::Checked;
pub use error::{Error, Part};
pub use stack::verity_layout::{BLOCK, DEFAULT_ROOTS, Fec, Layout, Unprotectable};
pub use work::Work;

/// What to append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Hashed before every block. Derive it from the data where the image must be reproducible.
    pub salt: [u8; 32],
    /// Parity bytes for each codeword of 255 bytes, 2 to 24, or no error correction. Each two of them cost about 0.8 % of
    /// the size, and heal one more damaged byte of a codeword, or two where the hash tree tells which blocks are damaged.
    pub fec_roots: Option<u8>,
}

impl Format {
    /// The default: error correction with [`DEFAULT_ROOTS`].
    pub fn new(salt: [u8; 32]) -> Self {
        Self { salt, fec_roots: Some(DEFAULT_ROOTS) }
    }
}

/// What a reader must know to open a protected image, from a source that it trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verity {
    /// The hash of the top of the tree: it stands for every byte of the data.
    pub root_hash: [u8; 32],
    /// What is hashed before every block.
    pub salt: [u8; 32],
    /// Where data, tree and error correction are.
    pub layout: Layout,
}

/// Appends superblock, hash tree and, when asked, error correction to the first `data_len` bytes of `file`.
///
/// Zeros fill up the last block of the data. Whatever `file` held after `data_len` is replaced, so that appending again gives
/// the same file. `file` must be open for reading and writing. Nothing is synced; work on a temporary file, since a process
/// that dies meanwhile leaves a file that is half done.
///
/// # Errors
/// [`Error::Unprotectable`] for no data, more than the format can number, or a number of roots out of range;
/// [`Error::Short`] for a file of less than `data_len` bytes; and [`Error::Io`]. None of them knows the file's name.
pub fn append<'a>(
    file: &File,
    data_len: u64,
    format: &Format,
    work: impl Into<Work<'a>>,
) -> Result<Verity, Error> {
    let work = &work.into();
    let layout = Layout::new(data_len.div_ceil(BLOCK), format.fec_roots)?;
    make_room(file, data_len, &layout)?;
    let root_hash = tree::write(file, &layout, &format.salt, work)?;
    let verity = Verity { root_hash, salt: format.salt, layout };
    superblock::write(file, &verity)?;
    if let Some(fec) = &layout.fec {
        parity::write(file, &layout, fec, work)?;
    }
    Ok(verity)
}

/// What the superblock behind `data_len` bytes of data says: the salt and the layout. `None` when there is no superblock.
///
/// Nothing of it is true before [`verify`] has checked the file against a root hash from elsewhere.
///
/// # Errors
/// [`Error::Foreign`] for a superblock that [`append`] does not write; [`Error::Unprotectable`]; [`Error::Io`].
pub fn describe(file: &File, data_len: u64) -> Result<Option<([u8; 32], Layout)>, Error> {
    match data_len.checked_next_multiple_of(BLOCK) {
        Some(offset) if data_len > 0 => superblock::read(file, offset),
        _ => Ok(None),
    }
}

/// Checks every byte of the file against `verity`: the hash tree from its root down to the data, then the superblock and the
/// error correction. Nothing is taken from the file on trust, and nothing is repaired.
///
/// # Errors
/// [`Error::Mismatch`] with the first bad place, the same at any number of `jobs`; [`Error::Io`], also for a file that ends
/// too early.
pub fn verify<'a>(file: &File, verity: &Verity, work: impl Into<Work<'a>>) -> Result<(), Error> {
    let work = &work.into();
    tree::check(file, verity, work)?;
    superblock::check(file, verity)?;
    verity.layout.fec.iter().try_for_each(|fec| parity::check(file, &verity.layout, fec, work))
}

/// Mends what is wrong in `file`, which must be open for reading and writing: data and hash tree by the error correction, and
/// everything behind them anew, so that the file is again what [`append`] made, bit for bit. Gives the number of blocks of data and
/// hash tree that were wrong. Nothing is synced; work on a copy, since a process that dies meanwhile leaves one that is half done.
///
/// # Errors
/// [`Error::Mismatch`] with the first block that cannot be mended; nothing is written then. [`Error::Io`].
pub fn heal<'a>(file: &File, verity: &Verity, work: impl Into<Work<'a>>) -> Result<u64, Error> {
    let work = &work.into();
    let reader = file.try_clone().map_err(Error::io("duplicate the descriptor", 0))?;
    let checked = Checked::new(reader, *verity);
    // Every hash block is above some data, and is checked with it.
    for block in 0..verity.layout.data_blocks {
        checked.block(block)?;
        (work.progress)(BLOCK);
    }
    let healed = checked.into_healed();
    for (number, block) in &healed {
        let offset = number * BLOCK;
        std::os::unix::fs::FileExt::write_all_at(file, &block[..], offset)
            .map_err(Error::io("write", offset))?;
    }
    let length = verity.layout.total_len;
    file.set_len(length).map_err(Error::io("set the length", length))?;
    superblock::write(file, verity)?;
    if let Some(fec) = &verity.layout.fec {
        parity::write(file, &verity.layout, fec, work)?;
    }
    Ok(healed.len() as u64)
}

/// Ends the file after its data, which drops what an earlier run appended, and makes it as long as it will be, with zeros.
fn make_room(file: &File, data_len: u64, layout: &Layout) -> Result<(), Error> {
    let found = file.metadata().map_err(Error::io("read the length", 0))?.len();
    if found < data_len {
        return Err(Error::Short { found, expected: data_len });
    }
    file.set_len(data_len).map_err(Error::io("truncate", data_len))?;
    file.set_len(layout.total_len).map_err(Error::io("extend", data_len))
}
