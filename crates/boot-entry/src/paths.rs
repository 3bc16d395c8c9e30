//! What lies where on the partition of the entries, as paths from its root without a leading `/`.

use profiles::Digest;

/// The folder of entries (Boot Loader Specification, type 1).
pub const ENTRIES: &str = "loader/entries";
/// What systemd-boot boots by itself: loader.conf(5).
pub const LOADER_CONF: &str = "loader/loader.conf";
/// The folder of GRUB, with its menus.
pub const GRUB: &str = "grub";
/// The script that GRUB reads.
pub const GRUB_CFG: &str = "grub/grub.cfg";
/// How often GRUB may start what boots by itself: its environment block.
pub const GRUB_TRIES: &str = "grub/tries.env";
/// Which entry GRUB has started last: another such block.
pub const GRUB_LAST: &str = "grub/last.env";
/// What `lamina disk create` has put there as loaders: no loader reads it.
pub const LOADER_RECORD: &str = "loader/lamina.kdl";
/// What UEFI starts on a medium that can be taken out (UEFI specification 2.10, 3.5.1.1).
pub const UEFI_PROGRAM: &str = "EFI/BOOT/BOOTX64.EFI";
/// The folder of kernels and initramfs files.
pub const BOOT_FILES: &str = "lamina";

/// The file of an entry.
pub fn entry(file_name: &str) -> String {
    format!("{ENTRIES}/{file_name}")
}

/// A kernel: named by its SHA-256, so that entries that want the same one share it.
pub fn linux(digest: &Digest) -> String {
    format!("{BOOT_FILES}/linux-{}", digest.hex())
}

/// An initramfs, likewise.
pub fn initrd(digest: &Digest) -> String {
    format!("{BOOT_FILES}/initrd-{}", digest.hex())
}

/// The SHA-256 that a kernel or an initramfs of Lamina has in its name; `None` of all other paths. Names are as [`linux`] and [`initrd`] give
/// them, in whatever folder.
pub fn digest_of_boot_file(path: &str) -> Option<Digest> {
    let name = path.rsplit('/').next().unwrap_or_default();
    Digest::parse(name.strip_prefix("linux-").or(name.strip_prefix("initrd-"))?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_in_a_name_is_that_of_our_own_names_alone() {
        let digest = Digest::of_bytes("a kernel");
        for path in [linux(&digest), initrd(&digest), format!("/{}", initrd(&digest))] {
            assert_eq!(digest_of_boot_file(&path), Some(digest), "{path}");
        }
        let hex = digest.hex();
        for name in ["notes-", "x-initrd-", "initrd-linux-", "linux-linux-", "linux", "initrd-sha256-", ""] {
            assert_eq!(digest_of_boot_file(&format!("{BOOT_FILES}/{name}{hex}")), None, "{name}");
        }
        for name in ["linux-6.12", "initrd-", "linux-ab/x"] {
            assert_eq!(digest_of_boot_file(&format!("{BOOT_FILES}/{name}")), None, "{name}");
        }
    }
}
