//! Loop and device-mapper devices that outlive their mounts. They go by themselves when their last user does; what stays
//! holds a file on the medium or the medium itself.

use std::fmt;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The kernel detaches and removes with a worker of its own, soon after the last close.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A device that is still there.
#[derive(Debug, PartialEq, Eq)]
pub struct Device {
    /// As in `/sys/block`: `loop0`, `dm-0`.
    node: String,
    /// The file of a loop device, the name of a device-mapper device.
    behind: String,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.node, self.behind)
    }
}

/// Waits for the devices to go, then takes away those that stay: first those that were taken away, then those that could not be.
pub fn free() -> (Vec<Device>, Vec<Device>) {
    let stayed = wait_until_gone();
    if stayed.is_empty() {
        return (stayed, Vec::new());
    }
    for device in &stayed {
        // What could not be done shows in what is left.
        if device.node.starts_with("loop") {
            let _ = stack::loop_device::detach(&Path::new("/dev").join(&device.node));
        } else {
            let _ = stack::verity::remove(&device.behind);
        }
    }
    let left = wait_until_gone();
    (stayed.into_iter().filter(|device| !left.contains(device)).collect(), left)
}

fn wait_until_gone() -> Vec<Device> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = in_use(Path::new("/sys/block"));
        if left.is_empty() || Instant::now() >= deadline {
            return left;
        }
        sleep(Duration::from_millis(5));
    }
}

/// The devices with something behind them: `loop/backing_file` of the kernel's `drivers/block/loop.c` is there while a loop
/// device is attached, `dm/name` (`Documentation/ABI/testing/sysfs-block-dm`) while a device-mapper device lives.
fn in_use(block: &Path) -> Vec<Device> {
    let entries = fs::read_dir(block).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let read = |file: &str| fs::read_to_string(entry.path().join(file)).ok();
            // A device-mapper device of another name, such as an encrypted disk, belongs to the machine and may stay.
            let ours = || read("dm/name").filter(|name| name.starts_with("lamina-"));
            let behind = read("loop/backing_file").or_else(ours)?.trim_end().to_owned();
            Some(Device { node: entry.file_name().to_string_lossy().into_owned(), behind })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_attached_devices_count() {
        let block = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("loop0/loop/backing_file", "/a.sqfs\n"),
            ("dm-1/dm/name", "lamina-1\n"),
            ("dm-2/dm/name", "home\n"),
            ("vda/size", "1"),
        ] {
            let path = block.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir_all(block.path().join("loop1")).unwrap();
        let mut found: Vec<String> = in_use(block.path()).iter().map(Device::to_string).collect();
        found.sort();
        assert_eq!(found, ["dm-1 (lamina-1)", "loop0 (/a.sqfs)"]);
        assert!(in_use(Path::new("/nowhere")).is_empty());
    }
}
