//! The numbers that both sides use for inodes (`SQUASHFS_*_TYPE` of the kernel's `squashfs_fs.h`).

use crate::entry::{Device, Kind};

/// The basic types, which directory entries and plain inodes use.
pub(crate) const DIRECTORY: u16 = 1;
pub(crate) const FILE: u16 = 2;
pub(crate) const SYMLINK: u16 = 3;
pub(crate) const BLOCK_DEVICE: u16 = 4;
pub(crate) const CHAR_DEVICE: u16 = 5;
pub(crate) const FIFO: u16 = 6;
pub(crate) const SOCKET: u16 = 7;
/// Added to a basic type, this is its extended type, which has room for more.
pub(crate) const EXTENDED: u16 = 7;

pub(crate) fn basic_type<F>(kind: &Kind<F>) -> u16 {
    match kind {
        Kind::Directory => DIRECTORY,
        Kind::File(_) => FILE,
        Kind::Symlink(_) => SYMLINK,
        Kind::BlockDevice(_) => BLOCK_DEVICE,
        Kind::CharDevice(_) => CHAR_DEVICE,
        Kind::Fifo => FIFO,
        Kind::Socket => SOCKET,
    }
}

/// The kernel's `new_encode_dev`: minor bits 0 to 7, the major, minor bits 8 to 19.
pub(crate) fn encode_device(device: Device) -> u32 {
    device.minor & 0xff | device.major << 8 | (device.minor & !0xff) << 12
}

/// The kernel's `new_decode_dev`.
pub(crate) fn decode_device(number: u32) -> Device {
    Device { major: number >> 8 & 0xfff, minor: number & 0xff | number >> 12 & 0xf_ff00 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_come_back() {
        for (major, minor) in [(0, 0), (8, 1), (254, 255), (4095, 0xf_ffff), (1, 256)] {
            let device = Device { major, minor };
            assert_eq!(decode_device(encode_device(device)), device);
        }
        assert_eq!(encode_device(Device { major: 8, minor: 0x1234 }), 0x0120_0834);
    }
}
