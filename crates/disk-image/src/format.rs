//! Formats of virtual machines: told by a name or by the first bytes, and made of a raw disk by qemu-img.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::programs::{command, path_of, run};
use fault::Result;

/// How a disk is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFormat {
    /// Byte for byte.
    Raw,
    /// That of QEMU.
    Qcow2,
    /// That of VMware, in one file that grows.
    Vmdk,
    /// That of Hyper-V.
    Vhdx,
}

impl DiskFormat {
    /// All of them, by their words.
    pub const ALL: [(&str, DiskFormat); 4] = [
        ("raw", DiskFormat::Raw),
        ("qcow2", DiskFormat::Qcow2),
        ("vmdk", DiskFormat::Vmdk),
        ("vhdx", DiskFormat::Vhdx),
    ];

    /// Reads a word of [`DiskFormat::ALL`].
    ///
    /// # Errors
    /// It is none of them.
    pub fn parse(text: &str) -> Result<DiskFormat, String> {
        let found = DiskFormat::ALL.iter().find(|(word, _)| *word == text);
        let words = DiskFormat::ALL.map(|(word, _)| word).join(", ");
        found
            .map(|(_, format)| *format)
            .ok_or_else(|| format!("'{}' is none of {words}", text.escape_debug()))
    }

    /// By the ending of a file's name; raw, where it is none of the others. For disks that a guest writes to: it could write the head of another
    /// format, which names files of the host (qemu(1), `-drive format=`).
    pub fn of_name(file: &Path) -> DiskFormat {
        let ending = file.extension().unwrap_or_default();
        let found = DiskFormat::ALL.into_iter().find(|(word, _)| ending.eq_ignore_ascii_case(word));
        found.map_or(DiskFormat::Raw, |(_, format)| format)
    }

    /// As qemu(1) and qemu-img(1) call it.
    pub fn word(self) -> &'static str {
        let (word, _) = DiskFormat::ALL[self as usize];
        word
    }
}

/// Whether qemu-img is there for this format, which should be asked before a disk is made.
///
/// # Errors
/// It is missing.
pub fn check_program(format: DiskFormat) -> Result<()> {
    match format {
        DiskFormat::Raw => Ok(()),
        _ => command("qemu-img", "qemu-utils").map(drop),
    }
}

/// Writes the raw disk into an open, empty file, which needs no name.
///
/// # Errors
/// qemu-img is missing, or fails.
pub fn convert(raw: &File, format: DiskFormat, target: &File) -> Result<()> {
    let mut qemu_img = command("qemu-img", "qemu-utils")?;
    // The target is a file of ours, which exists: other formats than raw are created in it anew.
    qemu_img.args(["convert", "-q", "-f", "raw", "-O", format.word(), &path_of(raw), &path_of(target)]);
    run(&mut qemu_img, "").map(drop)
}

/// The format of a disk that is not written down byte for byte, by its first bytes: those of qcow2 (QEMU's `docs/interop/qcow2.rst`), VMDK
/// (VMware's Virtual Disk Format 5.0), VHDX (MS-VHDX 2.2.1), VDI (`VDICore.h` of VirtualBox) and VHD (its footer is copied to the front).
pub fn container_of(disk: &File) -> Option<&'static str> {
    const MAGICS: [(u64, &[u8], &str); 6] = [
        (0, b"QFI\xfb", "qcow2"),
        (0, b"KDMV", "vmdk"),
        (0, b"# Disk DescriptorFile", "vmdk"),
        (0, b"vhdxfile", "vhdx"),
        (64, &[0x7f, 0x10, 0xda, 0xbe], "vdi"),
        (0, b"conectix", "vhd"),
    ];
    let has = |at: u64, magic: &[u8]| {
        let mut found = vec![0; magic.len()];
        disk.read_exact_at(&mut found, at).is_ok() && found == magic
    };
    MAGICS.into_iter().find(|(at, magic, _)| has(*at, magic)).map(|(_, _, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_raw_disk_is_told_by_its_first_bytes() {
        let disk = tempfile::tempfile().unwrap();
        assert_eq!(container_of(&disk), None);
        disk.write_all_at(&[0; 512], 0).unwrap();
        assert_eq!(container_of(&disk), None);
        disk.write_all_at(&[0x7f, 0x10, 0xda, 0xbe], 64).unwrap();
        assert_eq!(container_of(&disk), Some("vdi"));
        disk.write_all_at(b"QFI\xfb", 0).unwrap();
        assert_eq!(container_of(&disk), Some("qcow2"));
    }

    #[test]
    fn words_are_those_that_are_read() {
        for (word, format) in DiskFormat::ALL {
            assert_eq!((DiskFormat::parse(word), format.word()), (Ok(format), word));
        }
        let of = |name: &str| DiskFormat::of_name(Path::new(name));
        assert_eq!(
            [of("a.QCOW2"), of("a.raw"), of("a.img"), of("vmdk")].map(DiskFormat::word),
            ["qcow2", "raw", "raw", "raw"]
        );
        assert_eq!(DiskFormat::parse("iso").unwrap_err(), "'iso' is none of raw, qcow2, vmdk, vhdx");
    }
}
