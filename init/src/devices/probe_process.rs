//! Looks at devices in a process of its own: a disk that no longer answers keeps whoever reads from it, for minutes or for ever, and
//! a thread that is kept so would keep execve(2) too, which ends all other threads first.
//!
//! The answers come through a pipe, one for each device in the order in which they were asked: nine fields, each ended by a NUL:
//! kind, driver, label, UUID and length of the superblock, then number, UUID and label in the partition table, then the size of the device
//! in bytes. A field that has something begins with `+`.

use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use block_probe::partition_table::Partition;
use block_probe::superblock::Superblock;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::devices::block_devices::BlockDevice;

/// Longer than any disk takes that is at work.
const PATIENCE: Duration = Duration::from_secs(1);
const FIELDS: usize = 9;

/// Devices that are being looked at.
#[derive(Debug)]
pub struct ProbeProcess {
    process: Pid,
    answers: PipeReader,
    said: Vec<u8>,
    devices: Vec<BlockDevice>,
    answered: usize,
    /// Whoever has not answered by then need not be waited for.
    pub until: Instant,
}

impl ProbeProcess {
    /// Begins to look at the devices, one after the other.
    pub fn begin(devices: Vec<BlockDevice>) -> io::Result<Self> {
        let (answers, mut writer) = io::pipe()?;
        let work = || {
            // The screen that a panic of PID 1 ends in is not for this process.
            std::panic::set_hook(Box::new(|_| std::process::exit(1)));
            let _ = std::fs::write("/proc/self/comm", "lamina-disks");
            for device in &devices {
                if writer.write_all(&encode(&device.clone().that_was_read())).is_err() {
                    break;
                }
            }
        };
        let process = stack::forked_work::run(work).map_err(io::Error::other)?;
        drop(writer);
        let until = Instant::now() + PATIENCE;
        Ok(Self { process, answers, said: Vec::new(), devices, answered: 0, until })
    }

    /// Where answers come.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.answers.as_fd()
    }

    /// The devices that have answered since the last call, after [`ProbeProcess::descriptor`] has become readable.
    pub fn receive(&mut self) -> Vec<BlockDevice> {
        let mut bytes = [0; 4096];
        match self.answers.read(&mut bytes) {
            Ok(length @ 1..) => self.said.extend(bytes.iter().take(length)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Vec::new(),
            // It ended, and nothing keeps whoever asks those that are left.
            _ => return self.rest().into_iter().map(BlockDevice::that_was_read).collect(),
        }
        let mut answers = Vec::new();
        while let Some(asked) = self.devices.get(self.answered)
            && let Some((device, length)) = decode(&self.said, asked)
        {
            self.said.drain(..length);
            self.answered += 1;
            answers.push(device);
        }
        answers
    }

    /// Whether all have answered.
    pub fn is_over(&self) -> bool {
        self.answered >= self.devices.len()
    }

    /// Those that come after the one that does not answer; they are given up here, for somebody else to ask.
    pub fn behind(&mut self) -> Vec<BlockDevice> {
        self.split_off(self.answered + 1)
    }

    fn rest(&mut self) -> Vec<BlockDevice> {
        self.split_off(self.answered)
    }

    /// Without those that were forgotten.
    fn split_off(&mut self, at: usize) -> Vec<BlockDevice> {
        let mut devices = self.devices.split_off(at.min(self.devices.len()));
        devices.retain(|device| !device.name.is_empty());
        devices
    }

    /// The device has changed since it was asked for: its answer is about what was there before, and nobody's.
    pub fn forget(&mut self, name: &str) {
        self.devices.iter_mut().filter(|device| device.name == name).for_each(|device| device.name.clear());
    }
}

impl Drop for ProbeProcess {
    fn drop(&mut self) {
        // One that waits for a disk ends when the disk answers, and the real init takes it then. It is not killed: to close the disk it
        // would take a lock, and hold it until the disk answers, for which every sync(2) waits too.
        let _ = waitpid(self.process, (!self.is_over()).then_some(WaitPidFlag::WNOHANG));
    }
}

fn encode(device: &BlockDevice) -> Vec<u8> {
    let (superblock, partition) = (device.superblock.as_ref(), device.partition.as_ref());
    let fields: [Option<String>; FIELDS] = [
        superblock.map(|found| found.kind.to_owned()),
        superblock.and_then(|found| found.driver).map(str::to_owned),
        superblock.and_then(|found| found.label.clone()),
        superblock.and_then(|found| found.uuid.clone()),
        superblock.and_then(|found| found.length).map(|length| length.to_string()),
        partition.map(|found| found.number.to_string()),
        partition.map(|found| found.uuid.clone()),
        partition.and_then(|found| found.label.clone()),
        Some(device.size.to_string()),
    ];
    let mut bytes = Vec::new();
    for field in fields {
        if let Some(text) = field {
            bytes.push(b'+');
            bytes.extend(text.bytes().filter(|byte| *byte != 0));
        }
        bytes.push(0);
    }
    bytes
}

/// The first answer, which is about `asked`, and its length; `None`: it is not there yet.
fn decode(bytes: &[u8], asked: &BlockDevice) -> Option<(BlockDevice, usize)> {
    let parts: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == 0).take(FIELDS).collect();
    // The last one may still lack its end.
    let ends = parts.iter().all(|part| part.last() == Some(&0));
    let [kind, driver, label, uuid, length, number, partition, name, size] =
        <[&[u8]; FIELDS]>::try_from(parts.as_slice()).ok().filter(|_| ends)?;
    let text = |part: &[u8]| {
        let text = part.strip_prefix(b"+")?.strip_suffix(&[0])?;
        Some(String::from_utf8_lossy(text).into_owned())
    };
    // A few bytes for each device, for as long as this program runs.
    let word = |part| text(part).map(|text| &*text.leak());
    let mut device = BlockDevice { silent: false, ..asked.clone() };
    device.superblock = word(kind).map(|kind| Superblock {
        kind,
        driver: word(driver),
        label: text(label),
        uuid: text(uuid),
        length: text(length).and_then(|length| length.parse().ok()),
    });
    device.partition = text(number)
        .and_then(|number| number.parse().ok())
        .zip(text(partition))
        .map(|(number, uuid)| Partition { number, uuid, label: text(name) });
    device.size = text(size).and_then(|size| size.parse().ok()).unwrap_or(device.size);
    Some((device, parts.iter().map(|part| part.len()).sum()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str) -> BlockDevice {
        BlockDevice { name: name.into(), size: 1 << 30, silent: true, ..BlockDevice::default() }
    }

    #[test]
    fn an_answer_is_read_as_it_was_written_and_not_before_it_is_whole() {
        let asked = [device("vda"), device("vda1")];
        let mut read = asked.clone().map(|device| BlockDevice { silent: false, ..device });
        read[1].superblock = Some(Superblock {
            kind: "ext4",
            driver: Some("ext4"),
            label: Some("+a\nb".into()),
            uuid: Some(String::new()),
            length: Some(u64::MAX),
        });
        read[1].partition = Some(Partition { number: 1, uuid: "u-01".into(), label: None });
        for (asked, device) in asked.iter().zip(&read) {
            let bytes = encode(device);
            assert_eq!(decode(&bytes, asked), Some((device.clone(), bytes.len())));
            assert_eq!(decode(&[bytes.as_slice(), b"+1"].concat(), asked).unwrap().1, bytes.len());
            for end in 0..bytes.len() {
                assert_eq!(decode(&bytes[..end], asked), None, "{end}");
            }
        }
    }

    /// The nodes of these devices do not exist, so that they answer at once, with nothing.
    #[test]
    fn every_device_is_answered_for_once() {
        let mut process = ProbeProcess::begin(vec![device("no-1"), device("no-2")]).unwrap();
        let mut names = Vec::new();
        while !process.is_over() {
            names.extend(process.receive().into_iter().map(|device| device.name));
        }
        assert_eq!(names, ["no-1", "no-2"]);
        assert!(process.behind().is_empty());
    }

    #[test]
    fn an_answer_about_a_medium_that_was_taken_out_is_nobodys() {
        let mut process = ProbeProcess::begin(vec![device("no-1"), device("no-2")]).unwrap();
        process.forget("no-1");
        let mut names = Vec::new();
        while !process.is_over() {
            names.extend(process.receive().into_iter().map(|device| device.name));
        }
        assert_eq!(names, ["", "no-2"]);
        let mut process = ProbeProcess::begin(vec![device("no-1"), device("no-2")]).unwrap();
        process.forget("no-2");
        assert_eq!(process.behind(), []);
    }

    #[test]
    fn an_answer_about_a_device_that_was_given_up_is_not_taken() {
        let mut process = ProbeProcess::begin(vec![device("no-1"), device("no-2")]).unwrap();
        assert_eq!(process.behind(), [device("no-2")]);
        let mut names = Vec::new();
        while !process.is_over() {
            names.extend(process.receive().into_iter().map(|device| device.name));
        }
        assert_eq!(names, ["no-1"]);
    }
}
