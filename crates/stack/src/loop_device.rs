//! A loop device over an open image: loop(4), and `include/uapi/linux/loop.h` of the kernel for the shapes.
//!
//! `LOOP_CONFIGURE` (Linux 5.8) sets file, flags and name in one call, so that no half-configured device is ever
//! seen, and `AUTOCLEAR` frees the device when its last user is gone: a killed process leaves nothing behind.

#![expect(
    unsafe_code,
    reason = "the loop driver is driven by ioctls, which have no safe wrapper in `nix` or `rustix`"
)]

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::image::OpenImage;
use crate::{Error, Result};

/// Major number of loop devices: `Documentation/admin-guide/devices.txt`.
const LOOP_MAJOR: u64 = 7;
/// Another process may take the free device between the two calls; after this many lost races something else is wrong.
const MOST_RACES: usize = 256;

/// What LOOP_CTL_GET_FREE runs into is a limit of the kernel's: numbers, or memory.
const NO_FURTHER_DEVICE: &str = "the kernel gives no further loop device: use fewer images, or EROFS images, which Linux 6.12 mounts without one";

const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
const LO_FLAGS_DIRECT_IO: u32 = 16;

/// `struct loop_info64`; fields that we leave zero keep their names of the header.
#[repr(C)]
#[derive(Clone, Copy)]
struct LoopInfo64 {
    lo_device: u64,
    lo_inode: u64,
    lo_rdevice: u64,
    lo_offset: u64,
    lo_sizelimit: u64,
    lo_number: u32,
    lo_encrypt_type: u32,
    lo_encrypt_key_size: u32,
    lo_flags: u32,
    lo_file_name: [u8; 64],
    lo_crypt_name: [u8; 64],
    lo_encrypt_key: [u8; 32],
    lo_init: [u64; 2],
}

/// `struct loop_config`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo64,
    reserved: [u64; 8],
}

const _: () = assert!(size_of::<LoopInfo64>() == 232 && size_of::<LoopConfig>() == 304);

mod ioctls {
    //! The numbers predate the `_IO` scheme, hence the "bad" macros of `nix`.
    // LOOP_CTL_GET_FREE of loop(4): the number of a free device, which is created when there is none.
    nix::ioctl_none_bad!(loop_ctl_get_free, 0x4C82);
    // LOOP_CLR_FD of loop(4): lets the file go, now or with the last user.
    nix::ioctl_none_bad!(loop_clr_fd, 0x4C01);
    // LOOP_CONFIGURE of loop(4): takes a `struct loop_config`.
    nix::ioctl_write_ptr_bad!(loop_configure, 0x4C0A, super::LoopConfig);
}

/// Which cache serves the reads of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caching {
    /// Through the page cache of the image file: right when the file was just read, as by [`OpenImage::digest`].
    PageCache,
    /// Straight to the disk where the file system of the image can, so that nothing is cached twice. The kernel falls
    /// back to the page cache by itself.
    Direct,
}

/// An attached loop device. The kernel detaches it when this value is dropped and nothing has it mounted.
#[derive(Debug)]
pub struct LoopDevice {
    file: File,
    path: PathBuf,
    image: PathBuf,
}

impl LoopDevice {
    /// The device node, `/dev/loopN`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The image it was attached to, for messages.
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// Its length in bytes: that of the image, cut to whole sectors.
    pub(crate) fn length(&self) -> io::Result<u64> {
        (&self.file).seek(SeekFrom::End(0))
    }

    /// Its device number, as in stat(2).
    ///
    /// # Errors
    /// fstat(2).
    pub fn number(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.rdev())
    }
}

/// Attaches the image read-only to a free loop device, through the page cache.
pub fn attach(image: &OpenImage) -> Result<LoopDevice> {
    attach_with(image, Caching::PageCache)
}

/// Attaches the image read-only to a free loop device.
pub fn attach_with(image: &OpenImage, caching: Caching) -> Result<LoopDevice> {
    let direct = if caching == Caching::Direct { LO_FLAGS_DIRECT_IO } else { 0 };
    let config = config(&image.file, image.path(), 0..0, LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR | direct);
    attach_configured(image.path(), &config)
}

/// Attaches a part of a disk that is open for writing, in bytes, to a free loop device. The device keeps the open file, and with it its locks,
/// until it is free again.
pub fn attach_part(disk: &File, path: &Path, part: Range<u64>) -> Result<LoopDevice> {
    attach_configured(path, &config(disk, path, part, LO_FLAGS_AUTOCLEAR))
}

fn attach_configured(image: &Path, config: &LoopConfig) -> Result<LoopDevice> {
    let error = |cause: io::Error| Error::new("attach a loop device to", image.display(), cause);
    let control = File::open("/dev/loop-control").map_err(|cause| {
        error(cause).with_remedy(
            "/dev/loop-control is missing: load the module loop, or build the kernel with CONFIG_BLK_DEV_LOOP",
        )
    })?;
    let read_only = config.info.lo_flags & LO_FLAGS_READ_ONLY != 0;
    for _ in 0..MOST_RACES {
        let number = get_free(&control).map_err(|cause| error(cause).with_remedy(NO_FURTHER_DEVICE))?;
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let file = open_node(&path, number, read_only).map_err(error)?;
        match configure(&file, config) {
            Ok(()) => return Ok(LoopDevice { file, path, image: image.to_owned() }),
            Err(Errno::EBUSY) => {}
            Err(errno) => return Err(error(errno.into())),
        }
    }
    Err(error(Errno::EBUSY.into())
        .with_remedy("other processes keep taking the free loop devices: stop them"))
}

/// Lets go the file of a device that was attached without AUTOCLEAR. `node` is its `/dev/loopN`. With users left, the device
/// goes with the last of them.
///
/// # Errors
/// ENXIO when nothing is attached.
pub fn detach(node: &Path) -> Result<()> {
    let error = |cause: io::Error| Error::new("detach", node.display(), cause);
    let device = File::open(node).map_err(error)?;
    // SAFETY: the descriptor is open for the length of the call, and this ioctl takes no argument.
    unsafe { ioctls::loop_clr_fd(device.as_raw_fd()) }.map(drop).map_err(|errno| error(errno.into()))
}

/// An empty part is all of the file.
fn config(file: &File, path: &Path, part: Range<u64>, flags: u32) -> LoopConfig {
    let mut name = [0; 64];
    let bytes = path.as_os_str().as_bytes();
    let shown = bytes.len().min(63);
    name[..shown].copy_from_slice(&bytes[..shown]);
    LoopConfig {
        fd: file.as_raw_fd().cast_unsigned(),
        block_size: 0,
        info: LoopInfo64 {
            lo_device: 0,
            lo_inode: 0,
            lo_rdevice: 0,
            lo_offset: part.start,
            lo_sizelimit: part.end - part.start,
            lo_number: 0,
            lo_encrypt_type: 0,
            lo_encrypt_key_size: 0,
            lo_flags: flags,
            lo_file_name: name,
            lo_crypt_name: [0; 64],
            lo_encrypt_key: [0; 32],
            lo_init: [0; 2],
        },
        reserved: [0; 8],
    }
}

fn get_free(control: &File) -> io::Result<u64> {
    // SAFETY: the descriptor is open for the length of the call, and this ioctl takes no argument.
    let number = unsafe { ioctls::loop_ctl_get_free(control.as_raw_fd()) }?;
    u64::try_from(number).map_err(io::Error::other)
}

fn configure(device: &File, config: &LoopConfig) -> nix::Result<()> {
    // SAFETY: both descriptors are open for the length of the call; `LoopConfig` has the size and layout of the
    // kernel's `struct loop_config` (asserted above), and the kernel only reads it.
    unsafe { ioctls::loop_configure(device.as_raw_fd(), config) }.map(|_| ())
}

/// Opens the node, and makes it first where nothing does so (a static `/dev`, a devtmpfs that is late).
fn open_node(path: &Path, number: u64, read_only: bool) -> io::Result<File> {
    let open = || File::options().read(true).write(!read_only).open(path);
    match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match mknod(path, SFlag::S_IFBLK, Mode::from_bits_truncate(0o660), makedev(LOOP_MAJOR, number)) {
                Ok(()) | Err(Errno::EEXIST) => open(),
                Err(errno) => Err(errno.into()),
            }
        }
        other => other,
    }
}
