//! Disks with a store on them: ext4, FAT, ISO 9660 and btrfs, bare or in a GPT partition, made without root and without mounting.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::Failure;

const MIB: u64 = 1024 * 1024;
/// Where the first partition starts, as every partitioning tool puts it, in bytes.
const PARTITION_START: u64 = MIB;

/// A file system that will hold a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// mkfs.ext4(8) without a journal: small
    Ext4,
    /// mkfs.ext4(8) as it is by itself
    JournaledExt4,
    /// mkfs.vfat(8), filled with mcopy(1)
    Vfat,
    /// xorriso(1), with Rock Ridge names
    Iso9660,
    /// xorriso(1), with the names of ISO 9660 alone
    PlainIso9660,
    /// mkfs.btrfs(8)
    Btrfs,
}

/// The names by which a file system can be found.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// At most 11 upper-case characters, so that it serves for FAT too.
    pub label: &'a str,
    /// As blkid prints it: `8-4-4-4-12` hex digits for ext4 and btrfs, `XXXX-XXXX` for FAT, `YYYY-MM-DD-hh-mm-ss-cc` for ISO 9660.
    pub uuid: &'a str,
}

/// Writes the disk `disk` whose only content is a file system that holds the folder `folder`.
pub fn write(file_system: FileSystem, identity: Identity, folder: &Path, disk: &Path) -> Result<(), Failure> {
    match file_system {
        FileSystem::Ext4 => write_ext4(identity, folder, disk, "^has_journal"),
        FileSystem::JournaledExt4 => write_ext4(identity, folder, disk, "has_journal"),
        FileSystem::Vfat => write_vfat(identity, folder, disk),
        FileSystem::Iso9660 => write_iso(identity, folder, disk, "-R"),
        FileSystem::PlainIso9660 => write_iso(identity, folder, disk, "--norock"),
        FileSystem::Btrfs => write_btrfs(identity, folder, disk),
    }
}

fn write_ext4(identity: Identity, folder: &Path, disk: &Path, journal: &str) -> Result<(), Failure> {
    let size = format!("{}M", size_mib(folder)?);
    let options = ["-q", "-F", "-O", journal, "-m", "0"];
    let mut command = Command::new("/usr/sbin/mkfs.ext4");
    command
        .args(options)
        .args(["-L", identity.label, "-U", identity.uuid, "-d"])
        .arg(folder)
        .arg(disk)
        .arg(size);
    run(&mut command)
}

fn write_vfat(identity: Identity, folder: &Path, disk: &Path) -> Result<(), Failure> {
    let serial = identity.uuid.replace('-', "");
    let kib = (size_mib(folder)? * 1024).to_string();
    let mut format = Command::new("/usr/sbin/mkfs.vfat");
    run(format.args(["-n", identity.label, "-i", &serial, "-C"]).arg(disk).arg(kib))?;
    let mut copy = Command::new("mcopy");
    copy.args(["-s", "-i"]).arg(disk);
    for entry in fs::read_dir(folder).map_err(Failure::at(folder))? {
        copy.arg(entry.map_err(Failure::at(folder))?.path());
    }
    run(copy.arg("::/"))
}

fn write_iso(identity: Identity, folder: &Path, disk: &Path, names: &str) -> Result<(), Failure> {
    let date = identity.uuid.replace('-', "");
    let mut command = Command::new("xorriso");
    command.args(["-as", "mkisofs", "-quiet", names, "-V", identity.label]);
    run(command.arg(format!("--modification-date={date}")).arg("-o").arg(disk).arg(folder))
}

fn write_btrfs(identity: Identity, folder: &Path, disk: &Path) -> Result<(), Failure> {
    // It takes no smaller one than 110 MiB.
    let size = (size_mib(folder)? + 128) * MIB;
    File::create(disk).and_then(|file| file.set_len(size)).map_err(Failure::at(disk))?;
    let mut command = Command::new("/usr/sbin/mkfs.btrfs");
    command.args(["-q", "-L", identity.label, "-U", identity.uuid, "--rootdir"]);
    run(command.arg(folder).arg(disk))
}

/// A partition of a GPT disk.
#[derive(Debug)]
pub struct Partition<'a> {
    /// The name that `PARTLABEL=` finds.
    pub name: &'a str,
    /// The identifier that `PARTUUID=` finds, `8-4-4-4-12` hex digits.
    pub uuid: &'a str,
    /// A file that becomes its content.
    pub content: &'a Path,
}

/// Writes a disk with a GPT and these partitions, in order.
pub fn write_gpt(partitions: &[Partition], disk: &Path) -> Result<(), Failure> {
    let mut table = "label: gpt\n".to_owned();
    let mut file = File::create(disk).map_err(Failure::at(disk))?;
    let mut start = PARTITION_START;
    for partition in partitions {
        let mut content = File::open(partition.content).map_err(Failure::at(partition.content))?;
        file.seek(SeekFrom::Start(start)).map_err(Failure::at(disk))?;
        let length = io::copy(&mut content, &mut file).map_err(Failure::at(disk))?;
        let (sectors, first) = (length.div_ceil(512), start / 512);
        table +=
            &format!("start={first}, size={sectors}, name=\"{}\", uuid={}\n", partition.name, partition.uuid);
        start = (start + length).next_multiple_of(MIB);
    }
    // The backup table is at the end of the disk.
    file.set_len(start + MIB).map_err(Failure::at(disk))?;
    drop(file);
    let mut command = Command::new("/usr/sbin/sfdisk");
    run_with_input(command.arg("--quiet").arg(disk), &table)
}

/// Cuts `file` to `length` bytes, as a copy that ended early does.
pub fn truncate(file: &Path, length: usize) -> Result<(), Failure> {
    replace(file, |bytes| bytes.truncate(length))
}

/// Changes one bit in the middle of `file`, as a failing disk does.
pub fn flip_a_bit(file: &Path) -> Result<(), Failure> {
    replace(file, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
    })
}

/// Puts a changed copy in the place of `file`, which may be a hard link into the real store.
fn replace(file: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Result<(), Failure> {
    let mut bytes = fs::read(file).map_err(Failure::at(file))?;
    change(&mut bytes);
    fs::remove_file(file).and_then(|()| fs::write(file, bytes)).map_err(Failure::at(file))
}

/// Room for the folder and for what a file system needs beside it, in MiB. The files are sparse.
fn size_mib(folder: &Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(Failure::at(&folder))? {
            let path = entry.map_err(Failure::at(&folder))?.path();
            let metadata = fs::symlink_metadata(&path).map_err(Failure::at(&path))?;
            bytes += metadata.len().next_multiple_of(4096);
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    Ok(bytes.div_ceil(MIB) * 21 / 20 + 16)
}

fn run(command: &mut Command) -> Result<(), Failure> {
    run_with_input(command, "")
}

fn run_with_input(command: &mut Command, input: &str) -> Result<(), Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let missing = |error: io::Error| Failure::new(format!("{program}: {error}; run `make deps`"));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(missing)?;
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().map_err(Failure::about(&program))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(format!("{program} ended with {}: {said}", output.status)));
    }
    written.map_err(Failure::about(&program))
}
