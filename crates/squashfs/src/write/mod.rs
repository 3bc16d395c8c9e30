//! Writing: plan what to read, stream it through the compressors, then write the tables.
//!
//! | module | job |
//! |---|---|
//! | `plan` | which bytes are read, in which order; which files are duplicates |
//! | `content` | opens and reads what a [`crate::Content`] names |
//! | `queue`, `worker` | threads that read and compress, and decide nothing |
//! | `pipeline` | puts results back into order, packs fragments, writes blocks |
//! | `metadata` | metadata blocks and the tables made of them |
//! | `inodes`, `directory`, `owners`, `xattrs` | the tables |
//!
//! The order in the file: superblock, compressor options, data and fragment blocks, inode table, directory table,
//! fragment table, export table, id table, extended attributes, padding to 4 KiB.

mod content;
mod directory;
mod inodes;
mod metadata;
mod owners;
mod pipeline;
mod plan;
mod queue;
mod sink;
mod worker;
mod xattrs;

use std::io::{Read, Seek, Write};
use std::num::NonZero;

use crate::compressor::{BlockCompressor, Compressor, CompressorId};
use crate::error::Error;
use crate::superblock::{FLAG_COMPRESSOR_OPTIONS, FLAG_DUPLICATES, FLAG_EXPORTABLE, NO_TABLE, Superblock};
use crate::tree::Tree;

use inodes::InodeTables;
use pipeline::Layouts;
use sink::Sink;

/// Loop devices and dm-verity work in blocks of this size.
const PADDING: u64 = 4096;

/// How to write an image.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// zstd at level 3 unless said otherwise.
    pub compressor: Compressor,
    /// The size of a data block before compression: a power of two from 4 KiB to 1 MiB, in bytes. 128 KiB by default;
    /// 1 MiB halves the speed of random reads.
    pub block_size: u32,
    /// How many threads read and compress; the processors of the machine by default. It never changes the bytes.
    pub jobs: NonZero<usize>,
    /// When the image says that it was made, in seconds since 1970; 0 by default.
    pub made: u32,
    /// Whether to write the table that lets NFS export the mounted image; it does by default.
    pub exportable: bool,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            compressor: Compressor::default(),
            block_size: 128 << 10,
            jobs: std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN),
            made: 0,
            exportable: true,
        }
    }
}

/// How far the writing has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of files compressed so far; duplicates count as soon as they are found.
    pub done: u64,
    /// Bytes of all files, hard links counted once.
    pub total: u64,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The size of the image with its padding, in bytes.
    pub size: u64,
    /// The SHA-256 of the whole image, padding included.
    pub digest: [u8; 32],
    /// The size of all files before compression, hard links counted once, in bytes.
    pub content: u64,
    /// How many inodes: a hard link adds a name, not an inode.
    pub inodes: u32,
    /// How many of them are directories.
    pub directories: u32,
    /// How many of them are regular files.
    pub files: u32,
    /// How many files share all their bytes with an earlier one.
    pub duplicates: u32,
    /// How many fragment blocks.
    pub fragments: u32,
    /// How many bytes of files are holes: whole blocks of zeros, which take no room.
    pub sparse: u64,
    /// How many distinct owners and groups.
    pub ids: u16,
    /// How many distinct sets of extended attributes.
    pub xattr_sets: u32,
}

/// Writes `tree` to `out`, which must be empty and at its start; it is read back once, for the digest.
///
/// An error names the file or the path inside the tree. What was written by then is no image: write to a temporary file.
pub fn write_image<W: Read + Write + Seek>(
    tree: &Tree,
    options: &WriteOptions,
    out: W,
    progress: &mut dyn FnMut(Progress),
) -> Result<Summary, Error> {
    check_options(options)?;
    let mut block_compressor = BlockCompressor::new(options.compressor)?;
    let mut sink = Sink::new(out)?;
    write_compressor_options(&mut sink, options.compressor)?;
    let data = pipeline::write_contents(tree, options, &mut sink, progress)?;
    let tables = inodes::build(tree, &data, options, &mut block_compressor)?;
    let superblock = write_tables(options, &mut sink, &mut block_compressor, &data, &tables)?;
    sink.pad(PADDING)?;
    let size = sink.position();
    let digest = sink.finish(&superblock.encode())?;
    Ok(Summary {
        size,
        digest,
        content: data.content,
        inodes: superblock.inodes,
        directories: tables.directories,
        files: data.files,
        duplicates: data.duplicates,
        fragments: superblock.fragments,
        sparse: data.sparse,
        ids: superblock.ids,
        xattr_sets: tables.xattrs.sets(),
    })
}

fn check_options(options: &WriteOptions) -> Result<(), Error> {
    let size = options.block_size;
    if !size.is_power_of_two() || !(4096..=1 << 20).contains(&size) {
        return Err(Error::Limit(format!(
            "block size {size} does not fit the format: give a power of two from 4096 to 1048576"
        )));
    }
    Ok(())
}

/// One uncompressed metadata block with the zstd level (`struct zstd_comp_opts` of squashfs-tools).
fn write_compressor_options<W: Write>(sink: &mut Sink<W>, compressor: Compressor) -> Result<(), Error> {
    let Compressor::Zstd { level } = compressor else { return Ok(()) };
    let mut block = (metadata::STORED | 4).to_le_bytes().to_vec();
    block.extend_from_slice(&level.to_le_bytes());
    sink.write(&block)
}

fn write_tables<W: Write>(
    options: &WriteOptions,
    sink: &mut Sink<W>,
    block_compressor: &mut BlockCompressor,
    data: &Layouts,
    tables: &InodeTables,
) -> Result<Superblock, Error> {
    let inode_table = sink.position();
    sink.write(&tables.inodes)?;
    let directory_table = sink.position();
    sink.write(&tables.directories_table)?;
    let fragment_table = metadata::write_indexed(sink, block_compressor, &data.fragment_table)?;
    let export_table = match options.exportable {
        true => metadata::write_indexed(sink, block_compressor, &tables.export_table())?,
        false => NO_TABLE,
    };
    let id_table = metadata::write_indexed(sink, block_compressor, &tables.owners.table())?;
    let xattr_table = tables.xattrs.write(sink, block_compressor)?;
    let exportable = if options.exportable { FLAG_EXPORTABLE } else { 0 };
    let with_options = if options.compressor == Compressor::Stored { 0 } else { FLAG_COMPRESSOR_OPTIONS };
    Ok(Superblock {
        inodes: tables.count,
        made: options.made,
        block_size: options.block_size,
        fragments: (data.fragment_table.len() / pipeline::FRAGMENT_ENTRY) as u32,
        compressor: CompressorId::Zstd,
        flags: FLAG_DUPLICATES | with_options | exportable,
        ids: tables.owners.count(),
        root: tables.root,
        bytes_used: sink.position(),
        id_table,
        xattr_table,
        inode_table,
        directory_table,
        fragment_table,
        export_table,
    })
}
