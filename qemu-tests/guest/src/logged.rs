//! A disk that remembers: everything that is written to it goes, in order and with the flushes, to a second disk (dm-log-writes,
//! kernel: Documentation/admin-guide/device-mapper/log-writes.rst). From that log the host makes the disk that a power cut would
//! have left, at any moment. The kernel command line says which disks, as `soak.disk=` and `soak.log=`.

use std::fs;

use crate::host;

const DMSETUP: &str = "/sbin/dmsetup";
const DEVICE: &str = "logged";
/// Where the logged device is seen, as the first one of device-mapper.
pub const NODE: &str = "/dev/dm-0";

/// The value of `soak.NAME=` on the kernel command line. A name with a dot is no variable of PID 1's environment, and the real
/// init takes it for the option of a module that it does not load.
pub fn setting(name: &str) -> Result<String, String> {
    let line = fs::read_to_string("/proc/cmdline").map_err(|error| format!("/proc/cmdline: {error}"))?;
    let wanted = format!("soak.{name}=");
    let value = line.split_whitespace().find_map(|word| word.strip_prefix(&wanted).map(str::to_owned));
    value.ok_or_else(|| format!("no soak.{name}= on the kernel command line"))
}

/// Makes the device. The host's files are to be seen.
pub fn create() -> Result<(), String> {
    let (disk, log) = (setting("disk")?, setting("log")?);
    let size = format!("/sys/class/block/{disk}/size");
    let sectors = fs::read_to_string(&size).map_err(|error| format!("{size}: {error}"))?;
    device(DEVICE, &format!("0 {} log-writes /dev/{disk} /dev/{log}", sectors.trim()))?;
    mark("start")
}

/// Shows so many sectors of it, from the first on, as a device of their own: device-mapper's have no partitions.
pub fn part(name: &str, first: u64, sectors: u64) -> Result<(), String> {
    device(name, &format!("0 {sectors} linear {NODE} {first}"))
}

/// Writes a name into the log: what was done before it.
pub fn mark(name: &str) -> Result<(), String> {
    host::run(&[DMSETUP, "--noudevsync", "message", DEVICE, "0", "mark", name], &[])
}

fn device(name: &str, table: &str) -> Result<(), String> {
    host::run(&[DMSETUP, "--noudevsync", "create", name, "--table", table], &[])
}
