//! How much memory a guest needs before its kernel can say a word. With less it unpacks itself over its own initramfs, or beyond the end of the
//! memory, and the guest ends without one.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::{Error, Result};

/// The header of a kernel for x86 (Documentation/arch/x86/boot.rst of the kernel): where it begins, and how far it reaches.
const MAGIC: usize = 0x202;
const PROTOCOL: usize = 0x206;
const PREFERRED_ADDRESS: usize = 0x258;
const INIT_SIZE: usize = 0x260;
const END: usize = 0x264;
/// Of the protocol that has these fields, 2.10.
const KNOWN_SINCE: u16 = 0x20a;

const MIB: u64 = 1 << 20;
/// For what firmware and QEMU keep at the end of the memory.
const OF_FIRMWARE: u64 = MIB;
/// What is advised is a multiple of it, and has so much more for programs.
const FOR_PROGRAMS: u64 = 32 * MIB;

/// Sees that this kernel can start in so much memory.
///
/// # Errors
/// It cannot; one of the files cannot be read.
pub fn suffices(memory_mib: u32, linux: &Path, initrd: &Path) -> Result<()> {
    let kernel = File::open(linux).and_then(|file| reach(&file)).map_err(Error::on(linux.display()))?;
    let initramfs = initrd.metadata().map_err(Error::on(initrd.display()))?.len();
    let Some(kernel) = kernel else { return Ok(()) };
    let least = kernel + initramfs + OF_FIRMWARE;
    if u64::from(memory_mib) * MIB >= least {
        return Ok(());
    }
    let [kernel, initramfs, least] = [kernel, initramfs, least].map(|bytes| bytes.div_ceil(MIB));
    let advised = (least * MIB + FOR_PROGRAMS).next_multiple_of(FOR_PROGRAMS) / MIB;
    let cause = format!(
        "{memory_mib} MiB are less than the {least} MiB that its kernel needs to start: up to {kernel} MiB it unpacks itself, and {initramfs} MiB are its initramfs"
    );
    Err(Error::new("--memory", cause)
        .remedy(format!("give `--memory {advised}M` or more; what its programs need comes on top")))
}

/// The end of the memory that a kernel takes for itself where it unpacks; nothing for one that does not say.
fn reach(linux: &File) -> io::Result<Option<u64>> {
    let mut head = [0; END];
    match linux.read_exact_at(&mut head, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        outcome => outcome?,
    }
    let number = |at: usize, length: usize| {
        head[at..at + length].iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte))
    };
    let is_known = head[MAGIC..].starts_with(b"HdrS") && number(PROTOCOL, 2) >= KNOWN_SINCE.into();
    Ok(is_known.then(|| number(PREFERRED_ADDRESS, 8).saturating_add(number(INIT_SIZE, 4))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_guest_in_which_no_kernel_could_start_is_refused_with_what_it_takes() {
        let folder = tempfile::tempdir().unwrap();
        let [linux, initrd] = ["linux", "initrd"].map(|name| folder.path().join(name));
        let mut head = vec![0; END];
        head[MAGIC..MAGIC + 6].copy_from_slice(b"HdrS\x0f\x02");
        head[PREFERRED_ADDRESS..][..4].copy_from_slice(&(16u32 << 20).to_le_bytes());
        head[INIT_SIZE..].copy_from_slice(&((50u32 << 20) + 1).to_le_bytes());
        fs::write(&linux, &head).unwrap();
        fs::write(&initrd, vec![0; 3 << 20]).unwrap();
        suffices(71, &linux, &initrd).unwrap();
        let error = suffices(70, &linux, &initrd).unwrap_err();
        assert!(
            error.cause().starts_with("70 MiB are less than the 71 MiB that its kernel needs"),
            "{error}"
        );
        assert!(error.known_remedy().is_some_and(|remedy| remedy.contains("`--memory 128M`")), "{error}");
        // An older one, and something else.
        head[PROTOCOL] = 9;
        fs::write(&linux, &head).unwrap();
        suffices(64, &linux, &initrd).unwrap();
        fs::write(&linux, "kernel").unwrap();
        suffices(64, &linux, &initrd).unwrap();
    }
}
