//! What will be written: data that prints.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use profiles::Digest;

use crate::bios::BootCode;
use crate::identity::Identity;
use crate::layout::{Layout, PartitionKind};

/// Where the bytes of a file come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// These.
    Bytes(Vec<u8>),
    /// A file of this machine, which has this length.
    File(PathBuf, u64),
}

impl Content {
    /// How many bytes.
    pub fn length(&self) -> u64 {
        match self {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::File(_, length) => *length,
        }
    }

    /// The bytes.
    ///
    /// # Errors
    /// The file cannot be opened, or is no regular one by now.
    pub fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            Content::Bytes(bytes) => Box::new(bytes.as_slice()),
            Content::File(path, _) => {
                // A FIFO must not hang it.
                let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
                let file = File::options().read(true).custom_flags(flags).open(path)?;
                match file.metadata()?.is_file() {
                    true => Box::new(file),
                    false => return Err(io::Error::new(io::ErrorKind::InvalidInput, "is no regular file")),
                }
            }
        })
    }
}

/// A file of the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskFile {
    /// From the root of its partition: words between `/`, none in front.
    pub path: String,
    /// What is in it.
    pub content: Content,
    /// What its bytes must be, where somebody has said so.
    pub digest: Option<Digest>,
}

impl DiskFile {
    /// A file with these bytes.
    pub fn bytes(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> DiskFile {
        DiskFile { path: path.into(), content: Content::Bytes(bytes.into()), digest: None }
    }
}

/// Who makes the EFI system partition. The bytes differ, and each gives the same ones twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FatBy {
    /// dosfstools and mtools.
    Programs,
    /// This crate, where neither is there.
    Itself,
}

/// A disk that is not written yet.
#[derive(Debug, Clone)]
pub struct DiskPlan {
    /// Where partitions lie.
    pub layout: Layout,
    /// Their file systems' UUIDs and serials.
    pub identity: Identity,
    /// What a BIOS starts.
    pub boot_code: Option<BootCode>,
    /// Who makes the EFI system partition.
    pub fat: FatBy,
    /// The files of the EFI system partition.
    pub esp: Vec<DiskFile>,
    /// The files of the store's partition.
    pub store: Vec<DiskFile>,
}

impl fmt::Display for DiskPlan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "disk of {} bytes, GPT {}", self.layout.length, self.layout.uuid)?;
        for partition in &self.layout.partitions {
            let (name, start, length) = (partition.kind.name(), partition.start, partition.length);
            writeln!(out, "partition {name} at {start}, {length} bytes, {}", partition.uuid)?;
            let files: &[DiskFile] = match partition.kind {
                PartitionKind::BiosBoot => {
                    let core = self.boot_code.as_ref().map_or(0, BootCode::core_length);
                    writeln!(out, "  boot code, {core} bytes")?;
                    &[]
                }
                PartitionKind::EfiSystem => {
                    writeln!(out, "  make FAT32 {}", partition.kind.label())?;
                    &self.esp
                }
                PartitionKind::Store => {
                    writeln!(out, "  make ext4 {}", partition.kind.label())?;
                    &self.store
                }
                PartitionKind::State => {
                    writeln!(out, "  make ext4 {}", partition.kind.label())?;
                    &[]
                }
            };
            for file in files {
                writeln!(out, "  write {}, {} bytes", file.path, file.content.length())?;
            }
        }
        Ok(())
    }
}

/// The folders that the files of a partition need, each after the one that it lies in.
pub(crate) fn folders(files: &[DiskFile]) -> Vec<String> {
    let mut folders = Vec::new();
    for file in files {
        let ends = file.path.match_indices('/').map(|(end, _)| &file.path[..end]);
        for folder in ends {
            if !folders.iter().any(|known| known == folder) {
                folders.push(folder.to_owned());
            }
        }
    }
    folders
}
