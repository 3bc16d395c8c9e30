//! What mkinitramfs wrote about the initramfs: for which kernel it was made, and in which format.

use std::fs;

use profiles::decode::{self, Shape};

use crate::error::Failure;
use crate::paths;

/// The newest layout of the initramfs that this init understands.
const FORMAT: u64 = 1;
const SHAPE: Shape = Shape::BARE.properties(&["format", "kernel"]);
const REMEDY: &str =
    "make the initramfs again with the mkinitramfs that belongs to this init and this kernel";

/// Compares the running kernel with the one that the modules are for. An initramfs without the file, made by hand,
/// passes.
pub fn check(running: &str) -> Result<(), Failure> {
    match fs::read(paths::INITRAMFS) {
        Ok(bytes) => compare(&bytes, running),
        Err(_) => Ok(()),
    }
}

fn compare(bytes: &[u8], running: &str) -> Result<(), Failure> {
    let read = decode::read(paths::INITRAMFS, bytes, |top| {
        let node = top.required("initramfs")?;
        // The format first: a newer one may have properties that this version does not know.
        let format = node.property::<u64>("format")?;
        if format > FORMAT {
            return Some((format, None));
        }
        let kernel = node.shape(&SHAPE)?.optional::<String>("kernel");
        Some((format, kernel))
    });
    match read {
        Err(diagnostics) => Err(Failure::new(diagnostics.to_string().trim_end()).try_this(REMEDY)),
        Ok((format, _)) if format > FORMAT => {
            Err(Failure::new(format!("the initramfs has format {format}, this init reads up to {FORMAT}"))
                .try_this(REMEDY))
        }
        Ok((_, Some(kernel))) if kernel != running => Err(Failure::new(format!(
            "the initramfs was made for kernel {kernel}, and kernel {running} is running"
        ))
        .try_this(REMEDY)
        .try_this(
            "or boot the kernel that it was made for: the boot loader's entry may pair the wrong files",
        )),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        compare(text.as_bytes(), "6.1.0-50-cloud-amd64").unwrap_err().why
    }

    #[test]
    fn the_kernel_it_was_made_for_passes() {
        compare(b"initramfs format=1 kernel=\"6.1.0-50-cloud-amd64\"\n", "6.1.0-50-cloud-amd64").unwrap();
        compare(b"initramfs format=1\n", "anything").unwrap();
    }

    #[test]
    fn found_and_expected_are_told() {
        assert_eq!(
            why("initramfs format=1 kernel=\"6.12\"\n"),
            "the initramfs was made for kernel 6.12, and kernel 6.1.0-50-cloud-amd64 is running"
        );
        assert_eq!(
            why("initramfs format=2 future=#true\n"),
            "the initramfs has format 2, this init reads up to 1"
        );
        assert!(why("initramfs kernel=1\n").contains("/etc/lamina/initramfs.kdl:1:"));
    }
}
