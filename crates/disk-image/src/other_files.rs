//! Other files that an image names, and that QEMU opens with it, whosever they are: what is in them a guest can read then.
//!
//! | format | what names one |
//! |---|---|
//! | qcow2 | a backing file; an external data file (QEMU's `docs/interop/qcow2.rst`) |
//! | VMDK | a descriptor with extents; a parent (VMware's Virtual Disk Format 5.0; `block/vmdk.c` of QEMU) |
//! | VHDX | nothing: QEMU opens no parent (`block/vhdx.c`) |

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

use crate::DiskFormat;

/// The longest name of a backing file.
const LONGEST_NAME: u32 = 1023;
/// QEMU looks for a parent in so much of a descriptor that lies in an image, behind its first sector.
const DESCRIPTOR: usize = 20 * 512;
/// And takes no more of one that is a file of its own.
const LONGEST_DESCRIPTOR: usize = 1 << 20;

/// What QEMU would open beside this image of a disk, in words; `None`: nothing. `format` is what QEMU is told that it is.
///
/// # Errors
/// Those of reading.
pub fn beside(disk: &File, format: DiskFormat) -> io::Result<Option<String>> {
    match format {
        DiskFormat::Raw | DiskFormat::Vhdx => Ok(None),
        DiskFormat::Qcow2 => of_qcow2(disk),
        DiskFormat::Vmdk => of_vmdk(disk),
    }
}

fn of_qcow2(disk: &File) -> io::Result<Option<String>> {
    let head = part(disk, 0, 104)?;
    if !head.starts_with(b"QFI\xfb") {
        return Ok(None);
    }
    let [version, length] = [4, 16].map(|at| u32::from_be_bytes(bytes(&head, at)));
    let [backing, incompatible] = [8, 72].map(|at| u64::from_be_bytes(bytes(&head, at)));
    if backing != 0 {
        let name = part(disk, backing, length.min(LONGEST_NAME) as usize)?;
        return Ok(Some(format!("the backing file '{}'", shown(&name))));
    }
    // Bit 2: the data lie in another file, which a header extension names.
    let is_outside = version >= 3 && incompatible & 4 != 0;
    Ok(is_outside.then(|| "an external data file".to_owned()))
}

fn of_vmdk(disk: &File) -> io::Result<Option<String>> {
    let head = part(disk, 0, 80)?;
    let is_sparse = head.starts_with(b"KDMV");
    if !is_sparse && !head.starts_with(b"COWD") {
        let descriptor = part(disk, 0, LONGEST_DESCRIPTOR)?;
        return Ok(place_of(&descriptor, b"createType").map(|_| "extents: it is a descriptor".to_owned()));
    }
    let [capacity, descriptor] = [12, 28].map(|at| u64::from_le_bytes(bytes(&head, at)));
    if is_sparse && capacity == 0 && descriptor != 0 {
        return Ok(Some("extents: it has nothing but a descriptor".to_owned()));
    }
    let descriptor = part(disk, 512, DESCRIPTOR)?;
    Ok(place_of(&descriptor, b"parentFileNameHint").map(|at| {
        let line = descriptor[at..].split(|byte| *byte == b'\n').next().unwrap_or_default();
        let name = line.splitn(3, |byte| *byte == b'"').nth(1).unwrap_or_default();
        format!("the parent '{}'", shown(name.split(|byte| *byte == b'"').next().unwrap_or_default()))
    }))
}

/// So many bytes, or what there is of them.
fn part(disk: &File, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let (mut found, mut have) = (vec![0; length], 0);
    while have < length {
        let Some(place) = at.checked_add(have as u64) else { break };
        match disk.read_at(&mut found[have..], place) {
            Ok(0) => break,
            Ok(more) => have += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Beyond all that a file can have.
            Err(error) if error.kind() == ErrorKind::InvalidInput => break,
            Err(error) => return Err(error),
        }
    }
    found.truncate(have);
    Ok(found)
}

/// Zero where there is nothing.
fn bytes<const N: usize>(head: &[u8], at: usize) -> [u8; N] {
    head.get(at..at + N).and_then(|found| found.try_into().ok()).unwrap_or([0; N])
}

fn place_of(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|found| found == wanted)
}

fn shown(name: &[u8]) -> String {
    name.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::process::Command;

    /// An image that qemu-img makes, and what it names.
    fn made(folder: &Path, name: &str, options: &[&str]) -> Option<String> {
        let path = folder.join(name);
        let format = DiskFormat::of_name(&path);
        let mut qemu_img = Command::new("qemu-img");
        qemu_img.args(["create", "-q", "-f", format.word()]).args(options).arg(&path).arg("1M");
        assert!(qemu_img.current_dir(folder).status().unwrap().success());
        beside(&File::open(&path).unwrap(), format).unwrap()
    }

    #[test]
    fn images_that_stand_alone_name_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.qcow2", "a.vmdk", "a.vhdx", "a.raw"] {
            assert_eq!(made(folder.path(), name, &[]), None, "{name}");
        }
        assert_eq!(made(folder.path(), "old.qcow2", &["-o", "compat=0.10"]), None);
        assert_eq!(made(folder.path(), "stream.vmdk", &["-o", "subformat=streamOptimized"]), None);
        for (name, text) in
            [("empty.qcow2", ""), ("short.qcow2", "QFI\u{fb}"), ("empty.vmdk", ""), ("short.vmdk", "KDMV")]
        {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            assert_eq!(
                beside(&File::open(&path).unwrap(), DiskFormat::of_name(&path)).unwrap(),
                None,
                "{name}"
            );
        }
    }

    #[test]
    fn what_qemu_would_open_too_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("b.raw"), [0; 1 << 20]).unwrap();
        made(folder.path(), "b.vmdk", &[]);
        let told = |name: &str, options: &[&str]| made(folder.path(), name, options).unwrap();
        assert_eq!(told("1.qcow2", &["-b", "b.raw", "-F", "raw"]), "the backing file 'b.raw'");
        assert_eq!(
            told("2.qcow2", &["-o", "compat=0.10", "-b", "b.raw", "-F", "raw"]),
            "the backing file 'b.raw'"
        );
        assert_eq!(told("3.qcow2", &["-o", "data_file=data"]), "an external data file");
        assert_eq!(told("4.vmdk", &["-b", "b.vmdk", "-F", "vmdk"]), "the parent 'b.vmdk'");
        assert_eq!(told("5.vmdk", &["-o", "subformat=monolithicFlat"]), "extents: it is a descriptor");
    }

    #[test]
    fn a_descriptor_in_the_place_of_all_else_is_seen() {
        let disk = tempfile::tempfile().unwrap();
        disk.write_all_at(b"KDMV", 0).unwrap();
        disk.write_all_at(&[1], 28).unwrap();
        disk.write_all_at(&[0; 80], 36).unwrap();
        assert!(beside(&disk, DiskFormat::Vmdk).unwrap().is_some());
        // A place that no file has.
        disk.write_all_at(b"QFI\xfb\0\0\0\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 0).unwrap();
        assert_eq!(beside(&disk, DiskFormat::Qcow2).unwrap().as_deref(), Some("the backing file ''"));
    }
}
