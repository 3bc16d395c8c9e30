//! The kernel's log, record by record: `Documentation/ABI/testing/dev-kmsg`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;

/// Where it is.
pub const PATH: &str = "/dev/kmsg";
/// CONSOLE_EXT_LOG_MAX of the kernel: no record is longer.
const LONGEST: usize = 8192;
/// More reads are not made at once; the kernel's buffer holds some thousands of records.
const MOST: usize = 1 << 18;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// As in syslog(2): 4 is a warning, lower is worse.
    pub level: u8,
    /// Its number: each record has the next one.
    pub sequence: u64,
    /// The kernel's clock when it was written, since the machine was switched on.
    pub time: Duration,
    /// The first line of its text.
    pub text: String,
}

impl Record {
    /// Reads `PRIORITY,SEQUENCE,TIME,FLAGS;TEXT`; the lowest three bits of the priority are the level.
    pub fn parse(record: &str) -> Option<Self> {
        let (head, text) = record.split_once(';')?;
        let mut fields = head.split(',').map(str::parse::<u64>);
        let (priority, sequence, micros) = (fields.next()?.ok()?, fields.next()?.ok()?, fields.next()?.ok()?);
        let text = text.lines().next()?.to_owned();
        Some(Self { level: (priority & 7) as u8, sequence, time: Duration::from_micros(micros), text })
    }
}

/// The log, open at some place.
#[derive(Debug)]
pub struct KernelLog(File);

impl KernelLog {
    /// Opens it at its first record.
    ///
    /// # Errors
    /// There is no such node, or this process may not read it (`kernel.dmesg_restrict`).
    pub fn open(path: &Path) -> io::Result<Self> {
        File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path).map(Self)
    }

    /// Passes over all that is in it now.
    ///
    /// # Errors
    /// It is no log of the kernel.
    pub fn skip(mut self) -> io::Result<Self> {
        self.0.seek(SeekFrom::End(0)).map(|_| self)
    }

    /// Gives the records that come next, to the newest one, one after the other: `log_buf_len=` can make the log larger than the memory that is
    /// there for it.
    pub fn each(&mut self, mut hear: impl FnMut(Record)) {
        let mut bytes = vec![0; LONGEST];
        for _ in 0..MOST {
            match self.0.read(&mut bytes) {
                // One record a read; lines that begin with a blank belong to it.
                Ok(length @ 1..) => {
                    let text = String::from_utf8_lossy(&bytes[..length]);
                    text.lines().filter_map(Record::parse).for_each(&mut hear);
                }
                // EPIPE: records were overwritten while they were read; the next read goes on with the oldest.
                Err(error) if error.raw_os_error() == Some(Errno::EPIPE as i32) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_and_garbage_is_not() {
        let record = Record::parse("30,12,99,-;squashfs: bad\n SUBSYSTEM=x\n").unwrap();
        let expected =
            Record { level: 6, sequence: 12, time: Duration::from_micros(99), text: "squashfs: bad".into() };
        assert_eq!(record, expected);
        for garbage in ["garbage", "", "4,5;x", "a,b,c;x", "4,1,2,-;"] {
            assert_eq!(Record::parse(garbage), None, "{garbage}");
        }
    }
}
