//! The mark on a device while a file system is made on it.
//!
//! A power cut in that second leaves something that is neither empty nor a file system, and which nobody would dare to
//! format: so the mark says that it is ours. It is a line of text behind the end of the new file system, with the UUID
//! that the file system will have: a file system with another UUID was made by somebody else since then, and the mark
//! means nothing.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// What is left free at the end of the device. The mark is at its beginning: mkfs.xfs writes zeros over the last 128 KiB of the device
/// first, whatever size it is told.
pub const FREE: u64 = 1 << 20;
/// One sector: it is written whole or not at all.
const LENGTH: usize = 512;
const TEXT: &str = "lamina: a file system is being made here: ";
/// Characters of a UUID.
const UUID: usize = 36;

/// The UUID in the mark, when there is one.
pub fn read(device: &File, size: u64) -> Option<String> {
    let mut sector = [0; TEXT.len() + UUID];
    device.read_exact_at(&mut sector, size.checked_sub(FREE)?).ok()?;
    let uuid = std::str::from_utf8(sector.strip_prefix(TEXT.as_bytes())?).ok()?;
    Some(uuid.to_owned())
}

/// Writes the mark, or zeros in its place; it is on the disk when this returns.
pub fn write(device: &File, size: u64, uuid: Option<&str>) -> io::Result<()> {
    let mut sector = [0; LENGTH];
    if let Some(uuid) = uuid {
        let text = format!("{TEXT}{uuid}\n");
        sector.iter_mut().zip(text.bytes()).for_each(|(byte, new)| *byte = new);
    }
    device.write_all_at(&sector, size.saturating_sub(FREE))?;
    device.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_comes_and_goes() {
        let file = tempfile::tempfile().unwrap();
        let size = 2 * FREE;
        file.set_len(size).unwrap();
        assert_eq!(read(&file, size), None);
        let uuid = "12345678-1234-4000-8000-123456789abc";
        write(&file, size, Some(uuid)).unwrap();
        assert_eq!(read(&file, size).as_deref(), Some(uuid));
        write(&file, size, None).unwrap();
        assert_eq!(read(&file, size), None);
        assert!(block_probe::superblock::is_blank(&file));
        assert_eq!(read(&file, 100), None);
    }
}
