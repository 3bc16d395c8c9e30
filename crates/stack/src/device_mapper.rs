//! The device mapper, as far as one read-only target needs it: `include/uapi/linux/dm-ioctl.h` of the kernel for the shapes,
//! `drivers/md/dm-ioctl.c` for what each call answers.
//!
//! A device is made (`DM_DEV_CREATE`), gets a table (`DM_TABLE_LOAD`) and is started (`DM_DEV_SUSPEND` without the flag that
//! suspends). [`Device`] is one on its way there: dropped before [`Device::keep`] it is removed again.

#![expect(
    unsafe_code,
    reason = "the device mapper is driven by ioctls, which have no safe wrapper in `nix` or `rustix`"
)]

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::libc::c_int;
use nix::sys::stat::{Mode, SFlag, major, makedev, minor, mknod};

const CONTROL: &str = "/dev/mapper/control";
/// MISC_MAJOR of `include/uapi/linux/major.h`.
const MISC_MAJOR: u64 = 10;
/// The version of the interface that is asked for; the kernel refuses another first number, and takes a lower second one.
const VERSION: [u32; 3] = [4, 0, 0];
/// DM_NAME_LEN without the NUL.
const LONGEST_NAME: usize = 127;
/// Room for one target and its parameters, which are about 500 bytes for verity.
const SPACE: usize = 2048;
/// `struct dm_target_spec`: sector_start and length (64 bits), status and next (32 bits), target_type (16 bytes).
const TARGET_SPEC: usize = 40;

const DM_READONLY_FLAG: u32 = 1;
const DM_ACTIVE_PRESENT_FLAG: u32 = 1 << 5;
const DM_DEFERRED_REMOVE: u32 = 1 << 17;

/// `struct dm_ioctl`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct DmIoctl {
    version: [u32; 3],
    data_size: u32,
    data_start: u32,
    target_count: u32,
    open_count: i32,
    flags: u32,
    event_nr: u32,
    padding: u32,
    dev: u64,
    name: [u8; 128],
    uuid: [u8; 129],
    data: [u8; 7],
}

/// What an ioctl takes and gives: the header, and behind it the targets.
#[repr(C)]
struct Request {
    header: DmIoctl,
    space: [u8; SPACE],
}

const _: () = assert!(size_of::<DmIoctl>() == 312 && size_of::<Request>() == 312 + SPACE);

mod ioctls {
    use super::DmIoctl;

    nix::ioctl_readwrite!(dev_create, 0xfd, 3, DmIoctl);
    nix::ioctl_readwrite!(dev_remove, 0xfd, 4, DmIoctl);
    nix::ioctl_readwrite!(dev_suspend, 0xfd, 6, DmIoctl);
    nix::ioctl_readwrite!(dev_status, 0xfd, 7, DmIoctl);
    nix::ioctl_readwrite!(table_load, 0xfd, 9, DmIoctl);
    nix::ioctl_readwrite!(get_target_version, 0xfd, 17, DmIoctl);
}

/// One of `ioctls`: all of them take a `struct dm_ioctl` with what follows it.
type Ioctl = unsafe fn(c_int, *mut DmIoctl) -> nix::Result<c_int>;

/// One line of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The name of the target, such as `verity`.
    pub kind: &'static str,
    /// Its length in sectors of 512 bytes, from sector 0.
    pub sectors: u64,
    /// Its parameters, as `dmsetup table` prints them.
    pub parameters: String,
}

/// `/dev/mapper/control`, open.
#[derive(Debug)]
pub(crate) struct Control(File);

impl Control {
    /// Opens the node, and makes it first where nothing does so but the driver is there.
    ///
    /// # Errors
    /// NotFound when the driver (module dm-mod) is not there.
    pub(crate) fn open() -> io::Result<Self> {
        match File::options().read(true).write(true).open(CONTROL) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_control()?;
                File::options().read(true).write(true).open(CONTROL).map(Self)
            }
            other => other.map(Self),
        }
    }

    /// Makes a device without a table.
    ///
    /// # Errors
    /// EBUSY when there is one of this name.
    pub(crate) fn create(&self, name: &str) -> nix::Result<Device<'_>> {
        let mut request = Request::new(name)?;
        self.call(ioctls::dev_create, &mut request)?;
        Ok(Device { control: self, name: name.to_owned(), kept: false })
    }

    /// Removes a device that works and that nobody uses: what an earlier attempt has left. One without a table is left alone,
    /// because it is somebody's who is about to load one. Says whether it removed any.
    pub(crate) fn remove_unused(&self, name: &str) -> bool {
        let Ok(mut request) = Request::new(name) else { return false };
        let status = self.call(ioctls::dev_status, &mut request);
        let DmIoctl { flags, open_count, .. } = request.header;
        status.is_ok()
            && flags & DM_ACTIVE_PRESENT_FLAG != 0
            && open_count == 0
            && self.remove(name, 0).is_ok()
    }

    /// Whether the kernel has a target of this name (DM_GET_TARGET_VERSION, Linux 4.20); true where it cannot tell.
    pub(crate) fn may_have_target(&self, kind: &str) -> bool {
        let Ok(mut request) = Request::new(kind) else { return false };
        !matches!(self.call(ioctls::get_target_version, &mut request), Err(Errno::EINVAL))
    }

    fn remove(&self, name: &str, flags: u32) -> nix::Result<()> {
        let mut request = Request::new(name)?;
        request.header.flags = flags;
        self.call(ioctls::dev_remove, &mut request)
    }

    fn call(&self, ioctl: Ioctl, request: &mut Request) -> nix::Result<()> {
        let start = std::ptr::from_mut(request).cast::<DmIoctl>();
        // SAFETY: the descriptor is open for the length of the call. `Request` begins with a `DmIoctl`, which has the size and
        // the layout of the kernel's `struct dm_ioctl` (asserted above). `data_size` is the size of the whole `Request`, and
        // the kernel reads and writes no more than that, from `start`, whose provenance is the whole `Request`.
        unsafe { ioctl(self.0.as_raw_fd(), start) }.map(|_| ())
    }
}

/// A device on its way; removed when it is dropped, unless it was kept.
pub(crate) struct Device<'a> {
    control: &'a Control,
    name: String,
    kept: bool,
}

impl Device<'_> {
    /// Loads a table of one target, for reading. A second call replaces what the first has loaded.
    pub(crate) fn load(&self, target: &Target) -> nix::Result<()> {
        let mut request = Request::new(&self.name)?;
        request.header.flags = DM_READONLY_FLAG;
        request.header.target_count = 1;
        write_target(&mut request.space, target)?;
        self.control.call(ioctls::table_load, &mut request)
    }

    /// Starts the device with the table that was loaded, and opens its node.
    pub(crate) fn start(&self) -> io::Result<(File, PathBuf)> {
        let mut request = Request::new(&self.name)?;
        request.header.flags = DM_READONLY_FLAG;
        self.control.call(ioctls::dev_suspend, &mut request)?;
        let number = request.header.dev;
        let path = PathBuf::from(format!("/dev/dm-{}", minor(number)));
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_node(&path, SFlag::S_IFBLK, makedev(major(number), minor(number)))?;
                Ok((File::open(&path)?, path))
            }
            other => Ok((other?, path)),
        }
    }

    /// The device stays for as long as anybody has it open, and no longer (DM_DEFERRED_REMOVE): the caller has it open.
    pub(crate) fn keep(mut self) -> nix::Result<()> {
        self.control.remove(&self.name, DM_DEFERRED_REMOVE)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Device<'_> {
    fn drop(&mut self) {
        if !self.kept {
            // What failed is already told; with the flag it goes even when something has it open for a moment.
            let _ = self.control.remove(&self.name, DM_DEFERRED_REMOVE);
        }
    }
}

impl Request {
    fn new(name: &str) -> nix::Result<Self> {
        if name.is_empty() || name.len() > LONGEST_NAME || name.contains(['/', '\0']) {
            return Err(Errno::EINVAL);
        }
        let mut header = DmIoctl {
            version: VERSION,
            data_size: size_of::<Self>() as u32,
            data_start: size_of::<DmIoctl>() as u32,
            target_count: 0,
            open_count: 0,
            flags: 0,
            event_nr: 0,
            padding: 0,
            dev: 0,
            name: [0; 128],
            uuid: [0; 129],
            data: [0; 7],
        };
        header.name[..name.len()].copy_from_slice(name.as_bytes());
        Ok(Self { header, space: [0; SPACE] })
    }
}

/// A `struct dm_target_spec` and the parameters with their NUL.
fn write_target(space: &mut [u8; SPACE], target: &Target) -> nix::Result<()> {
    let parameters = target.parameters.as_bytes();
    let end = (TARGET_SPEC + parameters.len() + 1).next_multiple_of(8);
    if end > SPACE || target.kind.len() > 15 {
        return Err(Errno::ENAMETOOLONG);
    }
    space[8..16].copy_from_slice(&target.sectors.to_ne_bytes());
    space[20..24].copy_from_slice(&(end as u32).to_ne_bytes());
    space[24..24 + target.kind.len()].copy_from_slice(target.kind.as_bytes());
    space[TARGET_SPEC..TARGET_SPEC + parameters.len()].copy_from_slice(parameters);
    Ok(())
}

/// `/proc/misc` has a line `MINOR device-mapper` when the driver is there.
fn make_control() -> io::Result<()> {
    let misc = fs::read_to_string("/proc/misc")?;
    let number = control_minor(&misc).ok_or(io::ErrorKind::NotFound)?;
    match DirBuilder::new().mode(0o755).create("/dev/mapper") {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    make_node(CONTROL.as_ref(), SFlag::S_IFCHR, makedev(MISC_MAJOR, number))
}

fn control_minor(misc: &str) -> Option<u64> {
    let numbers = misc.lines().filter_map(|line| line.trim().strip_suffix(" device-mapper"));
    numbers.filter_map(|number| number.trim().parse().ok()).next()
}

/// Makes a node for root and its group, as udev does; another thread may be first.
fn make_node(path: &std::path::Path, kind: SFlag, number: u64) -> io::Result<()> {
    match mknod(path, kind, Mode::from_bits_truncate(0o660), number) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_stands_as_the_kernel_reads_it() {
        let mut space = [0; SPACE];
        let target = Target { kind: "verity", sectors: 16, parameters: "1 7:0 7:0".into() };
        write_target(&mut space, &target).unwrap();
        assert_eq!(space[8..16], 16u64.to_ne_bytes());
        assert_eq!(space[20..24], 56u32.to_ne_bytes());
        assert_eq!(&space[24..40], b"verity\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(&space[40..51], b"1 7:0 7:0\0\0");
        let long = Target { parameters: "x".repeat(SPACE), ..target };
        assert_eq!(write_target(&mut space, &long), Err(Errno::ENAMETOOLONG));
    }

    #[test]
    fn names_that_the_kernel_cannot_hold_are_refused() {
        for name in ["", "a/b", "a\0b", &"x".repeat(128)] {
            assert!(Request::new(name).is_err(), "{name:?}");
        }
        let longest = "x".repeat(127);
        assert_eq!(Request::new(&longest).unwrap().header.name[126..], [b'x', 0]);
    }

    #[test]
    fn the_control_node_is_found_among_the_misc_devices() {
        let misc = "122 cpu_dma_latency\n236 device-mapper\n237 loop-control\n";
        assert_eq!(control_minor(misc), Some(236));
        assert_eq!(control_minor("237 loop-control\n"), None);
    }
}
