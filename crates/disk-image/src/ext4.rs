//! Partitions with ext4: mke2fs makes the file system, debugfs writes the files, both of e2fsprogs, both inside the image.
//!
//! `mke2fs -d FOLDER` would want a folder that looks like the partition, and gives each file the owner and the time of change that it
//! has there (e2fsprogs 1.47.0, `set_inode_extra` of `misc/create_inode.c`): other bytes for each user and day. debugfs copies from
//! where files are, belongs to root, and takes the time of E2FSPROGS_FAKE_TIME. It ends well also when a command failed, and so what
//! it wrote is read back and compared. What is in large files this program copies (`ext4_blocks`).

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::process::Command;

use ext4_view::Ext4;
use profiles::Digest;
use uuid::Uuid;

use crate::ext4_blocks;
use crate::ext4_journal::Replayed;
use crate::identity::Identity;
use crate::layout::{Partition, PartitionKind};
use crate::plan::{Content, DiskFile, folders};
use crate::programs::{self, Scratch, asked, path_of, run};
use crate::section::Section;
use crate::{MIB, TIME};
use fault::{Error, Result};

/// Named one by one, so that the configuration of a machine (mke2fs.conf(5)) has no say: those of ext4 in e2fsprogs 1.47, but for
/// `metadata_csum`. The superblock is two sectors, which the kernel writes in place and without the journal when it mounts and unmounts. A
/// power cut between the two leaves one half of before: with a checksum over both nothing can be mounted any more. What changes lies in the
/// first half alone, so that without it either is whole. Group descriptors keep checksums of their own, and what else changes is in the journal.
const FEATURES: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,\
huge_file,dir_nlink,extra_isize,uninit_bg";

/// The smallest partition that gets a journal of 4 MiB and something beside it.
pub const LEAST: u64 = 16 * MIB;

/// A process may have 1024 open files where nobody says otherwise (RLIMIT_NOFILE of getrlimit(2)), and each scratch file is one.
const MOST_AT_ONCE: usize = 256;

/// Bytes of the partition for each inode (`-i` of mke2fs(8)).
const BYTES_PER_INODE: u64 = 16384;

/// Room for these files, the journal, and what ext4 keeps beside files: inodes are a 64th of it. Many small files need more for their inodes
/// than for their bytes; as many again are left for those that come later.
pub fn room_for(files: &[DiskFile]) -> u64 {
    let bytes: u64 = files.iter().map(|file| file.content.length().next_multiple_of(4096)).sum();
    let inodes = 2 * (files.len() + folders(files).len()) as u64;
    (bytes + bytes / 32 + LEAST).max(inodes * BYTES_PER_INODE)
}

/// Makes the file system, and writes the files.
///
/// # Errors
/// e2fsprogs are missing or fail; the disk is full; what was written is not what was meant.
pub fn write(disk: &File, partition: &Partition, identity: &Identity, files: &[DiskFile]) -> Result<()> {
    make(disk, partition, identity)?;
    if files.is_empty() {
        return Ok(());
    }
    let mut script = String::new();
    for folder in folders(files) {
        let _ = writeln!(script, "mkdir {}", word(&format!("/{folder}"))?);
    }
    for some in files.chunks(MOST_AT_ONCE) {
        // Bytes that are in no file yet need one.
        let mut scratch = Scratch::default();
        let empty = scratch.path(&Content::Bytes(Vec::new()))?;
        for file in some {
            let target = word(&format!("/{}", file.path))?;
            if ext4_blocks::is_large(file) {
                ext4_blocks::allocate(&mut script, file, &target, &word(&empty)?);
            } else {
                let source = scratch.path(&file.content)?;
                let _ = writeln!(script, "write {} {target}", word(&source)?);
            }
            let _ = writeln!(script, "set_inode_field {target} mode 0100644");
        }
        debugfs(disk, partition, &script)?;
        script.clear();
    }
    let large: Vec<&DiskFile> = files.iter().filter(|file| ext4_blocks::is_large(file)).collect();
    if !large.is_empty() {
        write_large(disk, partition, &large)?;
    }
    compare(disk, partition, files)
}

/// Makes a file system that is all of a file, without a partition table around it, and writes the files.
///
/// # Errors
/// As [`write`].
pub fn write_alone(
    disk: &File,
    kind: PartitionKind,
    identity: &Identity,
    length: u64,
    files: &[DiskFile],
) -> Result<()> {
    let partition = Partition { kind, uuid: Uuid::nil(), start: 0, length: length.next_multiple_of(MIB) };
    disk.set_len(partition.length).map_err(|error| Error::caused("the image", error))?;
    write(disk, &partition, identity, files)
}

/// The UUID of the file system, which `UUID=` finds.
pub fn uuid(kind: PartitionKind, identity: &Identity) -> Uuid {
    identity.uuid(&format!("{} file system", kind.name()))
}

/// Writes what is in files that have their blocks.
fn write_large(disk: &File, partition: &Partition, files: &[&DiskFile]) -> Result<()> {
    let (mut questions, mut script) = (String::new(), String::new());
    let targets = files.iter().map(|file| word(&format!("/{}", file.path))).collect::<Result<Vec<_>>>()?;
    targets.iter().for_each(|target| ext4_blocks::ask(&mut questions, target));
    let answers = ext4_blocks::answers(&debugfs(disk, partition, &questions)?);
    for ((file, target), runs) in files.iter().zip(&targets).zip(&answers) {
        ext4_blocks::finish(&mut script, file, target, runs);
    }
    debugfs(disk, partition, &script)?;
    let runs = answers.iter().map(Vec::as_slice).chain(std::iter::repeat(&[][..]));
    files.iter().zip(runs).try_for_each(|(file, runs)| ext4_blocks::fill(disk, partition, file, runs))
}

/// Runs commands of debugfs, and returns what it said to them.
fn debugfs(disk: &File, partition: &Partition, script: &str) -> Result<String> {
    let place = format!("{}?offset={}", path_of(disk), partition.start);
    // A file, because what is asked and what is answered can both be long.
    let mut scratch = Scratch::default();
    let script = scratch.path(&Content::Bytes(script.as_bytes().to_vec()))?;
    let mut debugfs = e2fsprogs("debugfs")?;
    debugfs.args(["-w", "-f", &script]).arg(place);
    let (answers, said) = asked(&mut debugfs, "")?;
    // Its first line is its version.
    match said.lines().find(|line| !line.starts_with("debugfs ")) {
        Some(refused) => Err(Error::new("debugfs", refused)
            .remedy("see whether the store can be read, and try a larger `--size`")),
        None => Ok(answers),
    }
}

fn make(disk: &File, partition: &Partition, identity: &Identity) -> Result<()> {
    let name = partition.kind.name();
    let seed = identity.uuid(&format!("{name} hashes"));
    let extended = format!(
        "offset={},nodiscard,root_owner=0:0,hash_seed={seed},lazy_itable_init=1,lazy_journal_init=1",
        partition.start
    );
    // By this name, for busybox has a small mke2fs of its own.
    let mut mke2fs = e2fsprogs("mkfs.ext4")?;
    mke2fs
        .args([
            "-q",
            "-F",
            "-b",
            "4096",
            "-I",
            "256",
            "-i",
            &BYTES_PER_INODE.to_string(),
            "-m",
            "0",
            "-J",
            "size=4",
        ])
        .args(["-O", FEATURES, "-L", partition.kind.label()])
        .args(["-U", &uuid(partition.kind, identity).to_string()])
        .args(["-E", &extended])
        .arg(path_of(disk))
        .arg(format!("{}k", partition.length / 1024));
    run(&mut mke2fs, "").map(drop)
}

/// A word of debugfs, which takes two double quotes inside of quotes for one.
fn word(text: &str) -> Result<String> {
    if text.contains('\n') {
        return Err(Error::new(format!("{text:?}"), "has a line break in its name").remedy("rename it"));
    }
    Ok(format!("\"{}\"", text.replace('"', "\"\"")))
}

fn e2fsprogs(program: &str) -> Result<Command> {
    let mut command = programs::command(program, "e2fsprogs")?;
    command.env("E2FSPROGS_FAKE_TIME", TIME.to_string()).env("MKE2FS_CONFIG", "/dev/null");
    command.env_remove("MKE2FS_DEVICE_SECTSIZE").env_remove("MKE2FS_DEVICE_PHYS_SECTSIZE");
    Ok(command)
}

/// Reads the file system of a partition, with what its journal has where it was not unmounted.
///
/// # Errors
/// It is no ext4, or damaged.
pub fn open(disk: &File, start: u64, length: u64) -> Result<Ext4> {
    let what = "ext4 of the partition";
    let disk = disk.try_clone().map_err(Error::on(what))?;
    Ext4::load(Box::new(Replayed::new(Section::new(disk, start, length)))).map_err(Error::on(what))
}

/// The digest of a file, and its length.
///
/// # Errors
/// It is missing, or damaged.
pub fn digest(file_system: &Ext4, path: &str) -> Result<(Digest, u64)> {
    let file = file_system.open(path).map_err(Error::on(path))?;
    Digest::of(io::BufReader::with_capacity(1 << 18, file)).map_err(Error::on(path))
}

/// What was written must be what was meant, or, where nobody has said what that is, what the source is.
fn compare(disk: &File, partition: &Partition, files: &[DiskFile]) -> Result<()> {
    let file_system = open(disk, partition.start, partition.length)?;
    for file in files {
        let (found, length) = digest(&file_system, &format!("/{}", file.path))?;
        let source = || file.content.open().and_then(Digest::of).map_err(Error::on(&file.path));
        let meant = file.digest.map_or_else(|| Ok(source()?.0), Ok)?;
        if meant == found {
            continue;
        }
        let cause =
            format!("holds {length} bytes with the SHA-256 {}, and {} is meant", found.hex(), meant.hex());
        return Err(match file.digest.is_some() && source()?.0 == found {
            true => Error::new(&file.path, format!("its source {cause}"))
                .remedy("it was changed or damaged: `lamina store verify` says how to have it again"),
            false => Error::new(&file.path, cause)
                .remedy("do it once more; when it fails again, the disk that it is written to is failing"),
        });
    }
    Ok(())
}

/// All of a small file.
///
/// # Errors
/// It is missing, damaged, or larger than `most` bytes.
pub fn read_small(file_system: &Ext4, path: &str, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = file_system.open(path).map_err(Error::on(path))?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(Error::on(path))?;
    match bytes.len() as u64 > most {
        true => Err(Error::new(path, format!("is larger than {most} bytes"))),
        false => Ok(bytes),
    }
}
