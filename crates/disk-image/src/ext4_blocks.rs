//! Large files of an ext4: debugfs gives them their blocks, and what is in them is copied there by this program.
//!
//! `write` of debugfs asks for each block of 4 KiB by itself: 2 GB took 17 s of a processor, and take a few this way. Its `fallocate` marks the
//! blocks as not written (e2fsprogs 1.47.0, `lib/ext2fs/fallocate.c`), which `replace_node` of its extent editor takes back; its
//! `dump_extents` says where they lie.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

use crate::MIB;
use crate::layout::Partition;
use crate::plan::{Content, DiskFile};
use fault::{Error, Result};

/// Bytes of a block: `-b` of mke2fs(8).
const BLOCK: u64 = 4096;

/// Blocks of a file that lie one behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// The first one's place in the file.
    logical: u64,
    /// The first one's place in the partition.
    physical: u64,
    length: u64,
}

/// Whether a file is written this way.
pub(crate) fn is_large(file: &DiskFile) -> bool {
    matches!(file.content, Content::File(..)) && file.content.length() >= MIB
}

/// Commands of debugfs that make the file without what is in it; `empty` is a file of this machine without a byte.
pub(crate) fn allocate(script: &mut String, file: &DiskFile, target: &str, empty: &str) {
    let last = file.content.length().div_ceil(BLOCK) - 1;
    let _ = writeln!(script, "write {empty} {target}\nfallocate {target} 0 {last}");
}

/// The command that says where its blocks lie.
pub(crate) fn ask(script: &mut String, target: &str) {
    let _ = writeln!(script, "dump_extents -l {target}");
}

/// Commands that give it its length, with blocks that count as written.
pub(crate) fn finish(script: &mut String, file: &DiskFile, target: &str, runs: &[Run]) {
    let _ = writeln!(script, "extent_open {target}");
    for Run { logical, physical, length } in runs {
        let _ = writeln!(script, "goto_block {logical}\nreplace_node {logical} {length} {physical}");
    }
    let _ = writeln!(script, "extent_close\nset_inode_field {target} size {}", file.content.length());
}

/// The answers to [`ask`], for each file the runs in the order of the file. debugfs repeats each command behind its prompt.
pub(crate) fn answers(text: &str) -> Vec<Vec<Run>> {
    let mut all: Vec<Vec<Run>> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("debugfs: ") {
            Some(_) => all.push(Vec::new()),
            None => all.last_mut().into_iter().for_each(|runs| runs.extend(run(line))),
        }
    }
    all
}

/// A line such as ` 0/ 0   1/  3     0 - 26302   6465 -  32767  26303 Uninit`: depth, number, first and last block in the file and in the
/// partition, length.
fn run(line: &str) -> Option<Run> {
    let numbers: Vec<u64> =
        line.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    let [_, _, _, _, logical, _, physical, _, length] = numbers[..] else { return None };
    Some(Run { logical, physical, length })
}

/// Copies what is in the file to its blocks.
///
/// # Errors
/// It cannot be read, or became shorter; the runs are none of a file of this partition.
pub(crate) fn fill(disk: &File, partition: &Partition, file: &DiskFile, runs: &[Run]) -> Result<()> {
    let on = || Error::on(&file.path);
    let strange = || Error::new("debugfs", format!("does not say where the blocks of {} lie", file.path));
    let mut source = file.content.open().map_err(on())?;
    let (mut at, mut left) = (0, file.content.length());
    let mut buffer = vec![0; MIB as usize];
    for run in runs {
        let end = run.physical.checked_add(run.length).and_then(|end| end.checked_mul(BLOCK));
        if run.logical != at || end.is_none_or(|end| end > partition.length) {
            return Err(strange());
        }
        let mut place = partition.start + run.physical * BLOCK;
        let mut here = left.min(run.length * BLOCK);
        (at, left) = (at + run.length, left - here);
        while here > 0 {
            let part = &mut buffer[..here.min(MIB) as usize];
            source.read_exact(part).map_err(on())?;
            disk.write_all_at(part, place).map_err(Error::on("disk"))?;
            (place, here) = (place + part.len() as u64, here - part.len() as u64);
        }
    }
    match left {
        0 => Ok(()),
        _ => Err(strange()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_read_as_debugfs_prints_them() {
        let text = "debugfs: dump_extents -l \"/a 1 2\"\nLevel Entries       Logical        Physical Length Flags\n \
                    0/ 0   1/  2     0 - 26302   6465 -  32767  26303 Uninit\n \
                    0/ 0   2/  2 26303 - 59019  32819 -  65535  32717 \ndebugfs: dump_extents -l /b\n";
        let first = Run { logical: 0, physical: 6465, length: 26303 };
        let second = Run { logical: 26303, physical: 32819, length: 32717 };
        assert_eq!(answers(text), [vec![first, second], vec![]]);
    }

    #[test]
    fn what_is_no_place_of_this_partition_is_not_written_to() {
        let disk = tempfile::tempfile().unwrap();
        let source = tempfile::NamedTempFile::new().unwrap();
        source.as_file().set_len(MIB).unwrap();
        let content = Content::File(source.path().to_owned(), MIB);
        let file = DiskFile { path: "x".to_owned(), content, digest: None };
        let kind = crate::PartitionKind::Store;
        let partition = Partition { kind, uuid: uuid::Uuid::nil(), start: MIB, length: 4 * MIB };
        let whole = Run { logical: 0, physical: 8, length: 256 };
        fill(&disk, &partition, &file, &[whole]).unwrap();
        for run in [
            Run { logical: 1, ..whole },
            Run { physical: 1000, ..whole },
            Run { physical: u64::MAX, ..whole },
            Run { length: 255, ..whole },
        ] {
            assert!(fill(&disk, &partition, &file, &[run]).is_err(), "{run:?}");
        }
    }
}
