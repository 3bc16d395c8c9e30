//! The store of a disk, taken out to be looked at and changed by e2fsprogs: after it has carried out a journal, e2fsck(8) forgets where
//! in a disk a file system begins.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use tempfile::NamedTempFile;

use super::made_disk::Place;
use crate::failure::Failure;
use crate::programs::said;

/// The file system.
#[derive(Debug)]
pub struct Ext4 {
    part: NamedTempFile,
}

impl Ext4 {
    /// Takes it out, and carries out what the journal still has. e2fsck ends with 1 when it has changed something.
    pub fn take_out(disk: &Path, place: Place) -> Result<Self, Failure> {
        let part = disk.parent().unwrap_or(Path::new("."));
        let part = NamedTempFile::new_in(part).map_err(Failure::at(part))?;
        let copied = File::open(disk).and_then(|mut disk| {
            disk.seek(SeekFrom::Start(place.start))?;
            io::copy(&mut disk.take(place.size), &mut part.as_file())
        });
        copied.map_err(Failure::at(disk))?;
        let mut command = Command::new("/usr/sbin/e2fsck");
        let output = command.arg("-fp").arg(part.path()).output().map_err(Failure::about("e2fsck"))?;
        match output.status.code() {
            Some(0 | 1) => Ok(Self { part }),
            _ => Err(Failure::new(format!("e2fsck: {}", String::from_utf8_lossy(&output.stdout)))),
        }
    }

    /// Puts it back.
    pub fn put_back(&self, disk: &Path, place: Place) -> Result<(), Failure> {
        let copied = File::open(self.part.path()).and_then(|mut part| {
            let mut disk = File::options().write(true).open(disk)?;
            disk.seek(SeekFrom::Start(place.start))?;
            io::copy(&mut part, &mut disk)
        });
        copied.map(drop).map_err(Failure::at(disk))
    }

    /// Carries out one order of debugfs(8).
    pub fn change(&self, request: &str) -> Result<(), Failure> {
        self.asked(&["-w", "-R", request]).map(drop)
    }

    /// What debugfs(8) answers.
    pub fn asked(&self, arguments: &[&str]) -> Result<String, Failure> {
        said(Command::new("/usr/sbin/debugfs").args(arguments).arg(self.part.path()))
    }

    /// Changes the bytes of a file where they lie.
    pub fn overwrite(&self, path: &str, change: impl FnOnce(&mut [u8])) -> Result<(), Failure> {
        let listed = self.asked(&["-R", &format!("blocks {path}")])?;
        let blocks: Vec<u64> = listed.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let size = self.block_size()?;
        let file = self.part.as_file();
        let mut bytes = vec![0; blocks.len() * size as usize];
        for (block, part) in blocks.iter().zip(bytes.chunks_exact_mut(size as usize)) {
            file.read_exact_at(part, block * size).map_err(Failure::about(path))?;
        }
        let before = bytes.clone();
        change(&mut bytes);
        if bytes == before {
            return Err(Failure::new(format!("{path}: nothing was damaged in {} blocks", blocks.len())));
        }
        for (block, part) in blocks.iter().zip(bytes.chunks_exact(size as usize)) {
            file.write_all_at(part, block * size).map_err(Failure::about(path))?;
        }
        Ok(())
    }

    fn block_size(&self) -> Result<u64, Failure> {
        let said = self.asked(&["-R", "show_super_stats -h"])?;
        let line = said.lines().find_map(|line| line.strip_prefix("Block size:"));
        line.unwrap_or_default().trim().parse().map_err(Failure::about("debugfs: the size of a block"))
    }
}
