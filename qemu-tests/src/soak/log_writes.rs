//! The log of dm-log-writes (kernel: Documentation/admin-guide/device-mapper/log-writes.rst, drivers/md/dm-log-writes.c), and the
//! disks that a power cut would have left.
//!
//! Little-endian, in sectors of the size that the superblock names. The superblock is one sector: magic, version, number of
//! entries (64 bits each), size of a sector (32 bits). Each entry is one sector: first sector and number of sectors of the write,
//! flags, length of the data of a mark (64 bits each), the name of a mark. The data of a write follows in whole sectors. A write
//! stands in the log when it has been flushed, or was written through (FUA), or at the end.

use crate::failure::Failure;
use crate::soak::random::Random;

const MAGIC: u64 = 0x006a_7366_7773_6872;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;
const MARK: u64 = 8;
/// What a disk writes whole: a write that is cut in two leaves whole sectors of both.
const SECTOR: usize = 512;

/// One thing that was done to the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Bytes from an offset on; written through means on the disk at once.
    Write {
        /// In bytes.
        offset: usize,
        /// What was written.
        data: Vec<u8>,
        /// FUA.
        through: bool,
    },
    /// All that stands before is on the disk.
    Flush,
    /// What the guest wanted to remember.
    Mark(String),
}

/// Reads a log.
///
/// # Errors
/// It is not one, or ends too early.
pub fn parse(log: &[u8]) -> Result<Vec<Entry>, Failure> {
    let bad = |why: &str| Failure::new(format!("the log of dm-log-writes: {why}"));
    let number =
        |at: usize| log.get(at..at + 8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap_or_default()));
    let (magic, count) = number(0).zip(number(16)).ok_or_else(|| bad("too short"))?;
    let sector = log.get(24..28).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap_or_default()));
    let sector = sector.filter(|sector| *sector >= 512).ok_or_else(|| bad("no size of a sector"))? as usize;
    if magic != MAGIC {
        return Err(bad("wrong magic"));
    }
    let mut entries = Vec::new();
    let mut place = sector;
    for _ in 0..count {
        let field = |index: usize| number(place + 8 * index).ok_or_else(|| bad("it ends too early"));
        let (first, sectors, flags, mark) = (field(0)?, field(1)?, field(2)?, field(3)?);
        let (offset, length) = (first as usize * SECTOR, sectors as usize * SECTOR);
        let header = place;
        place += sector;
        if flags & MARK != 0 {
            let name = log.get(header + 32..header + 32 + mark as usize).ok_or_else(|| bad("a cut mark"))?;
            entries.push(Entry::Mark(String::from_utf8_lossy(name).trim_end_matches('\0').to_owned()));
            continue;
        }
        // A flush with data is carried out before the data (kernel: Documentation/block/writeback_cache_control.rst).
        if flags & FLUSH != 0 {
            entries.push(Entry::Flush);
        }
        if flags & DISCARD != 0 {
            // A disk may keep what was discarded, which is the harder case for nobody here: the data stays.
            continue;
        }
        if length > 0 {
            let data = log.get(place..place + length).ok_or_else(|| bad("a cut write"))?.to_vec();
            entries.push(Entry::Write { offset, data, through: flags & FUA != 0 });
            place += length.next_multiple_of(sector);
        }
    }
    Ok(entries)
}

/// How much of what was not flushed has reached the disk when the power was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Torn {
    /// Nothing.
    Nothing,
    /// All that was written before that moment.
    All,
    /// Some of the writes.
    Writes,
    /// Some of the sectors.
    Sectors,
}

/// A moment at which the power is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Entries of the log before it.
    pub after: usize,
    /// What becomes of the writes since the last flush.
    pub torn: Torn,
    /// What that choice follows from.
    pub seed: u64,
}

impl Cut {
    /// A random moment behind the entry `first`.
    pub fn random(random: &mut Random, first: usize, entries: usize) -> Self {
        let torn = [Torn::Nothing, Torn::All, Torn::Writes, Torn::Sectors][random.below(4) as usize];
        let after = first + 1 + random.below((entries - first) as u64) as usize;
        Self { after, torn, seed: random.bits() }
    }

    /// The name of the last mark before the moment.
    pub fn phase<'a>(&self, entries: &'a [Entry]) -> &'a str {
        let marks = entries[..self.after].iter().rev().filter_map(|entry| match entry {
            Entry::Mark(name) => Some(name.as_str()),
            _ => None,
        });
        marks.into_iter().next().unwrap_or("start")
    }

    /// Changes `disk`, which holds what was there before the log began, into what the power cut leaves.
    pub fn apply(&self, entries: &[Entry], disk: &mut [u8]) {
        self.each_piece(entries, |_, offset, data| write(disk, offset, data));
    }

    /// How many bytes of each entry before the moment have reached the disk; 0 of what is no write.
    pub fn arrived(&self, entries: &[Entry]) -> Vec<usize> {
        let mut arrived = vec![0; self.after];
        self.each_piece(entries, |index, _, data| arrived[index] += data.len());
        arrived
    }

    /// All that has reached the disk, in this order: number of the entry, offset on the disk, bytes.
    fn each_piece(&self, entries: &[Entry], mut piece: impl FnMut(usize, usize, &[u8])) {
        let before = &entries[..self.after];
        let flushed = before.iter().rposition(|entry| *entry == Entry::Flush).unwrap_or(0);
        let mut random = Random::new(self.seed);
        for (index, entry) in before.iter().enumerate() {
            let Entry::Write { offset, data, through } = entry else { continue };
            let durable = index < flushed || *through;
            let whole = match self.torn {
                Torn::Nothing => durable,
                Torn::All => true,
                Torn::Writes | Torn::Sectors => durable || random.once_in(2),
            };
            if whole {
                piece(index, *offset, data);
            } else if self.torn == Torn::Sectors {
                for (sector, bytes) in data.chunks(SECTOR).enumerate() {
                    if random.once_in(2) {
                        piece(index, offset + sector * SECTOR, bytes);
                    }
                }
            }
        }
    }
}

/// What lies behind the end of the disk is not written: the log may be of a longer one.
fn write(disk: &mut [u8], offset: usize, data: &[u8]) {
    if let Some(place) = disk.get_mut(offset..offset + data.len()) {
        place.copy_from_slice(data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Vec<u8> {
        let mut log = Vec::new();
        let mut sector = |words: &[u64], text: &[u8]| {
            let start = log.len();
            words.iter().for_each(|word| log.extend(word.to_le_bytes()));
            log.extend(text);
            log.resize(start + SECTOR, 0);
        };
        sector(&[MAGIC, 1, 4, 512], b"");
        sector(&[1, 1, 0, 0], b"");
        sector(&[], &[7; 512]);
        sector(&[0, 0, FLUSH, 0], b"");
        sector(&[0, 0, MARK, 4], b"here");
        sector(&[0, 2, FUA, 0], b"");
        sector(&[], &[8; 512]);
        sector(&[], &[9; 512]);
        log
    }

    #[test]
    fn a_log_is_read() {
        let entries = parse(&log()).unwrap();
        assert_eq!(entries.len(), 4);
        assert_eq!(entries[1..3], [Entry::Flush, Entry::Mark("here".to_owned())]);
        assert!(matches!(&entries[3], Entry::Write { offset: 0, data, through: true } if data.len() == 1024));
        for length in [0, 20, 600, log().len() - 1] {
            assert!(parse(&log()[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn what_was_flushed_is_there_and_the_rest_may_be_lost() {
        let entries = [
            Entry::Write { offset: 0, data: vec![1; 512], through: false },
            Entry::Flush,
            Entry::Write { offset: 512, data: vec![2; 512], through: false },
            Entry::Write { offset: 1024, data: vec![3; 512], through: true },
        ];
        let disk = |torn| {
            let mut disk = vec![0; 1536];
            Cut { after: 4, torn, seed: 1 }.apply(&entries, &mut disk);
            [disk[0], disk[512], disk[1024]]
        };
        assert_eq!(disk(Torn::Nothing), [1, 0, 3]);
        assert_eq!(disk(Torn::All), [1, 2, 3]);
        let arrived = |torn| Cut { after: 4, torn, seed: 1 }.arrived(&entries);
        assert_eq!(arrived(Torn::Nothing), [512, 0, 0, 512]);
        assert_eq!(arrived(Torn::All), [512, 0, 512, 512]);
        let mut before = vec![0; 1536];
        Cut { after: 1, torn: Torn::Nothing, seed: 1 }.apply(&entries, &mut before);
        assert_eq!(before[0], 0);
    }
}
