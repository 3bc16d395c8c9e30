//! An image read through dm-verity: `Documentation/admin-guide/device-mapper/verity.rst` of the kernel.
//!
//! Every block is hashed when it is first read, up to the root hash, and a read of a block that does not fit fails with EIO:
//! nothing wrong is ever returned. With forward error correction the block is healed instead, and the kernel's log says so.
//! All that the table needs comes from [`Protection`], which the caller has from a source that it trusts; the superblock that
//! `veritysetup` puts between data and tree is not read.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use block_probe::image_kind::ImageKind;
use nix::errno::Errno;
use nix::sys::stat::{major, minor};

use crate::device_mapper::{Control, Device, Target};
use crate::image::in_one_file;
use crate::loop_device::LoopDevice;
use crate::verity_layout::{BLOCK, Layout};
use crate::{Error, Result};

/// Names that are tried when others are taken: NAME, NAME-1, ...
const MOST_NAMES: usize = 16;
const SECTOR: u64 = 512;
/// `/dev/mapper/control` cannot be opened, and cannot be made from `/proc/misc`.
const NO_DEVICE_MAPPER: &str = "/dev/mapper/control is missing: the kernel needs the module dm-mod (mkinitramfs --group verity), \
                                or CONFIG_BLK_DEV_DM=y; or use verify \"digest\"";
const NO_VERITY: &str = "the kernel has no target verity: it needs the module dm-verity (mkinitramfs --group verity), or \
                         CONFIG_DM_VERITY=y; or use verify \"digest\"";

/// What a reader must know to open a protected image: blocks of 4096 bytes, SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// The hash of the top of the tree.
    pub root_hash: [u8; 32],
    /// What is hashed before every block.
    pub salt: [u8; 32],
    /// Blocks of data, from the start of the image.
    pub data_blocks: u64,
    /// Parity bytes for each codeword of 255 bytes, when the image has error correction.
    pub fec_roots: Option<u8>,
}

/// A device that checks what is read from an image. The kernel removes it, and detaches the loop device below it, when this
/// value is dropped and nothing has it mounted.
#[derive(Debug)]
pub struct VerityDevice {
    file: File,
    path: PathBuf,
    image: PathBuf,
    backing: u64,
    corrects_errors: bool,
}

impl VerityDevice {
    /// The device node, `/dev/dm-N`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its device number, as in stat(2).
    ///
    /// # Errors
    /// fstat(2).
    pub fn number(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.rdev())
    }

    /// The device number of the loop device below it: the kernel's log calls this device so.
    pub fn backing(&self) -> u64 {
        self.backing
    }

    /// The image below it, for messages.
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// Which file system it holds, out of blocks that were checked, and healed where that was needed; `None` when they cannot be
    /// read, or have no magic that is known.
    ///
    /// # Errors
    /// An EROFS with data in other files, which nothing checks.
    pub fn file_system(&self) -> Result<Option<ImageKind>> {
        ImageKind::of(&self.file).map(|kind| in_one_file(kind, &self.file, &self.image)).transpose()
    }

    /// Whether damaged blocks are healed: the image has error correction, and the kernel knows it.
    pub fn corrects_errors(&self) -> bool {
        self.corrects_errors
    }
}

/// Removes the device-mapper device `name` that nobody uses. Says whether it did: one that is in use, or has no table yet, stays.
pub fn remove(name: &str) -> bool {
    Control::open().is_ok_and(|control| control.remove_unused(name))
}

/// Opens the image that is attached to `device`. `name` is what `dmsetup ls` will show, at most 120 bytes without a slash; when
/// it is taken by a device in use, a number is put behind it.
///
/// The loop device may be let go afterwards: the table holds it. Nothing of the image is read here: a wrong root hash shows
/// with the first read, which is the mount's.
///
/// # Errors
/// What is missing in the kernel is named: dm-mod, dm-verity, SHA-256. When this fails, no device is left behind.
pub fn open(device: &LoopDevice, name: &str, protection: &Protection) -> Result<VerityDevice> {
    let error = |cause: io::Error| Error::new("open through dm-verity", device.image().display(), cause);
    let layout = Layout::new(protection.data_blocks, protection.fec_roots)
        .map_err(|why| refused(device, &why.to_string()))?;
    let control = Control::open().map_err(|cause| error(cause).with_remedy(NO_DEVICE_MAPPER))?;
    let number = device.number().map_err(error)?;
    let created =
        create(&control, name).map_err(|errno| error(errno.into()).with_remedy(no_device(errno)))?;
    let corrects_errors = load(&created, number, protection, &layout)
        .map_err(|errno| explain(&control, device, &layout, errno, error(errno.into())))?;
    let (file, path) = created.start().map_err(error)?;
    created.keep().map_err(|errno| error(errno.into()))?;
    Ok(VerityDevice { file, path, image: device.image().to_owned(), backing: number, corrects_errors })
}

/// A new device of this name. What an earlier attempt has left and nobody uses goes first.
fn create<'a>(control: &'a Control, name: &str) -> nix::Result<Device<'a>> {
    let mut wanted = name.to_owned();
    for number in 1..=MOST_NAMES {
        match control.create(&wanted) {
            Err(Errno::EBUSY) if control.remove_unused(&wanted) => {}
            Err(Errno::EBUSY) => wanted = format!("{name}-{number}"),
            other => return other,
        }
    }
    Err(Errno::EBUSY)
}

/// Loads the table, with error correction where image and kernel have it; says whether.
fn load(device: &Device, number: u64, protection: &Protection, layout: &Layout) -> nix::Result<bool> {
    match (device.load(&target(number, protection, layout, true)), layout.fec) {
        // A kernel without CONFIG_DM_VERITY_FEC: "Unrecognized verity feature request".
        (Err(Errno::EINVAL), Some(_)) => {
            device.load(&target(number, protection, layout, false)).map(|()| false)
        }
        (loaded, fec) => loaded.map(|()| fec.is_some()),
    }
}

/// The table's one line. The devices are given by number, so that no name is looked up.
fn target(number: u64, protection: &Protection, layout: &Layout, correct: bool) -> Target {
    let device = format!("{}:{}", major(number), minor(number));
    let (data_blocks, hash_start) = (layout.data_blocks, layout.hash_start_block());
    let (root_hash, salt) = (hex(&protection.root_hash), hex(&protection.salt));
    let mut parameters =
        format!("1 {device} {device} {BLOCK} {BLOCK} {data_blocks} {hash_start} sha256 {root_hash} {salt}");
    if let Some(fec) = layout.fec.filter(|_| correct) {
        let (roots, blocks, start) = (fec.roots, fec.blocks, fec.offset / BLOCK);
        parameters += &format!(
            " 8 use_fec_from_device {device} fec_roots {roots} fec_blocks {blocks} fec_start {start}"
        );
    }
    Target { kind: "verity", sectors: data_blocks * (BLOCK / SECTOR), parameters }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn no_device(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOSPC | Errno::ENOMEM => {
            "the kernel gives no further dm device: use fewer images, or verify \"digest\""
        }
        Errno::EBUSY => "too many devices of this name are in use: unmount what uses them",
        Errno::EACCES | Errno::EPERM => "only root may make devices",
        _ => "the kernel's log (dmesg) has the reason, in lines that start with `device-mapper:`",
    }
}

/// Why the table was refused, as far as can be found out: the kernel says it in its log only.
fn explain(control: &Control, device: &LoopDevice, layout: &Layout, errno: Errno, error: Error) -> Error {
    let found = device.length().unwrap_or(u64::MAX);
    match errno {
        Errno::EINVAL if !control.may_have_target("verity") => error.with_remedy(NO_VERITY),
        Errno::ENOENT => error.with_remedy(
            "the kernel has no SHA-256: load the module sha256_generic, or build it with CONFIG_CRYPTO_SHA256",
        ),
        _ if found < layout.total_len => refused(
            device,
            &format!("it has {found} bytes, and with its hash tree it should have {}", layout.total_len),
        ),
        _ => error.with_remedy(no_device(errno)),
    }
}

fn refused(device: &LoopDevice, why: &str) -> Error {
    Error::refused(
        "open through dm-verity",
        device.image().display(),
        why.to_owned(),
        "lock the profile again, and copy the image to the medium again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protection(fec_roots: Option<u8>) -> Protection {
        Protection { root_hash: [0xab; 32], salt: [0x01; 32], data_blocks: 300, fec_roots }
    }

    fn line(fec_roots: Option<u8>, correct: bool) -> String {
        let layout = Layout::new(300, fec_roots).unwrap();
        let target = target(nix::sys::stat::makedev(7, 300), &protection(fec_roots), &layout, correct);
        assert_eq!((target.kind, target.sectors), ("verity", 2400));
        target.parameters
    }

    #[test]
    fn what_the_kernel_runs_into_is_named() {
        for limit in [Errno::ENOSPC, Errno::ENOMEM] {
            assert!(no_device(limit).starts_with("the kernel gives no further dm device: use fewer images"));
        }
        assert!(no_device(Errno::EBUSY).contains("of this name"));
        assert!(no_device(Errno::EPERM).contains("only root"));
        assert!(no_device(Errno::EIO).contains("dmesg"));
    }

    #[test]
    fn the_table_is_what_veritysetup_would_load() {
        let (root_hash, salt) = ("ab".repeat(32), "01".repeat(32));
        let plain = format!("1 7:300 7:300 4096 4096 300 301 sha256 {root_hash} {salt}");
        assert_eq!(line(None, true), plain);
        assert_eq!(line(Some(2), false), plain);
        let corrected =
            format!("{plain} 8 use_fec_from_device 7:300 fec_roots 2 fec_blocks 304 fec_start 305");
        assert_eq!(line(Some(2), true), corrected);
    }
}
