//! All block devices of this machine, probed once each, and again when the kernel says that they changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::devices::block_devices::{BlockDevice, holders, look};
use crate::devices::probe_process::ProbeProcess;

/// Never a medium: memory, loop devices, and floppy drives, where a probe of an empty one takes seconds.
const NOT_A_MEDIUM: [&str; 5] = ["loop", "ram", "zram", "nbd", "fd"];

/// How often it is looked for what has come in the meantime, at one time.
const LOOKS: usize = 4;

/// What the names of the verity devices of layers begin with.
const LAYER: &str = "lamina-";

/// What has been probed so far. Devices are probed once, and again when the kernel says that they changed. One that does not answer
/// holds nobody up for more than two seconds; it is listed without its contents until it answers.
#[derive(Debug, Default)]
pub struct Inventory {
    known: BTreeMap<String, BlockDevice>,
    processes: Vec<ProbeProcess>,
}

impl Inventory {
    /// Brings the inventory up to date with `/sys/class/block`. A disk is there a moment before its partitions, and to open it waits
    /// for them: so that no disk is taken for one without any, it is looked once more after each answer.
    pub fn refresh(&mut self) {
        for _ in 0..LOOKS {
            if !self.look_once() {
                break;
            }
        }
    }

    /// Whether there was anything new.
    fn look_once(&mut self) -> bool {
        let names = device_names(Path::new("/sys/class/block"));
        self.known.retain(|name, _| names.contains(name));
        // These change without a word about the device itself.
        self.known.values_mut().for_each(|device| device.holders = holders(&device.name));
        let new: Vec<BlockDevice> = names
            .iter()
            .filter(|name| !self.known.contains_key(*name))
            .filter_map(|name| look(name))
            .collect();
        let any = !new.is_empty();
        self.examine(new);
        self.listen();
        // One that does not answer must not hide those behind it.
        let behind: Vec<BlockDevice> = self.processes.iter_mut().flat_map(ProbeProcess::behind).collect();
        if !behind.is_empty() {
            behind.into_iter().for_each(|device| self.examine(vec![device]));
            self.listen();
        }
        any
    }

    /// Whether a device is asked that has not answered yet.
    pub fn is_waiting(&self) -> bool {
        !self.processes.is_empty()
    }

    fn examine(&mut self, devices: Vec<BlockDevice>) {
        if devices.is_empty() {
            return;
        }
        self.known.extend(devices.iter().map(|device| (device.name.clone(), device.clone())));
        match ProbeProcess::begin(devices.clone()) {
            Ok(process) => self.processes.push(process),
            // No process more: rather wait for all than find none.
            Err(_) => devices.into_iter().for_each(|device| self.answer(device.that_was_read())),
        }
    }

    /// Takes the answers that come, and waits for those that were asked just now.
    fn listen(&mut self) {
        while let Some(until) = self.processes.iter().map(|process| process.until).max() {
            let mut descriptors: Vec<PollFd> = self
                .processes
                .iter()
                .map(|process| PollFd::new(process.descriptor(), PollFlags::POLLIN))
                .collect();
            let left = until.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut descriptors, timeout) {
                Ok(0) => return,
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(_) => return,
            }
            let ready: Vec<bool> =
                descriptors.iter().map(|descriptor| descriptor.any().unwrap_or(false)).collect();
            let mut answers = Vec::new();
            for (process, ready) in self.processes.iter_mut().zip(ready) {
                if ready {
                    answers.extend(process.receive());
                }
            }
            self.processes.retain(|process| !process.is_over());
            answers.into_iter().for_each(|device| self.answer(device));
        }
    }

    /// What was forgotten, or has answered before, stays as it is.
    fn answer(&mut self, device: BlockDevice) {
        if let Some(known) = self.known.get_mut(&device.name).filter(|known| known.silent) {
            *known = device;
        }
    }

    /// The next refresh probes this device again.
    pub fn forget(&mut self, name: &str) {
        self.known.remove(name);
        self.processes.iter_mut().for_each(|process| process.forget(name));
    }

    /// All devices, by name.
    pub fn devices(&self) -> Vec<BlockDevice> {
        self.known.values().cloned().collect()
    }
}

fn device_names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let other = |name: &String| {
        let kind = name.trim_end_matches(|character: char| character.is_ascii_digit());
        !NOT_A_MEDIUM.contains(&kind) && !is_layer(&folder.join(name))
    };
    names.retain(other);
    names.sort();
    names
}

/// Whether init made this device itself, from an image that is checked block by block; `dm/name` is there for the devices of
/// device-mapper only (`Documentation/ABI/testing/sysfs-block-dm`).
fn is_layer(device: &Path) -> bool {
    fs::read_to_string(device.join("dm/name")).is_ok_and(|name| name.starts_with(LAYER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_loop_devices_and_layers_are_left_out() {
        let folder = std::env::temp_dir().join(format!("lamina-block-names-{}", std::process::id()));
        for name in
            ["loop0", "loop-control", "ram3", "vda", "vda1", "nvme0n1p2", "dm-0", "dm-1", "fd0", "sr0"]
        {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        for (name, of) in [("dm-0", "vg-data\n"), ("dm-1", "lamina-0123abcd\n")] {
            fs::create_dir(folder.join(name).join("dm")).unwrap();
            fs::write(folder.join(name).join("dm/name"), of).unwrap();
        }
        let names = device_names(&folder);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(names, ["dm-0", "loop-control", "nvme0n1p2", "sr0", "vda", "vda1"]);
    }
}
