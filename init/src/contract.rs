//! What mkinitramfs wrote about the initramfs: for which kernel it was made, and in which format.

use std::fs;
use std::io;
use std::path::Path;

use profiles::decode::{self, Shape};

use crate::error::Failure;
use crate::paths;

/// The newest layout of the initramfs that this init understands.
const FORMAT: u64 = 1;
const SHAPE: Shape = Shape::BARE.properties(&["format", "kernel", "signatures"]);
/// The one value of `signatures`; without it a profile may come without a signature.
const REQUIRED: &str = "required";
const REMEDY: &str =
    "make the initramfs again with the mkinitramfs that belongs to this init and this kernel";

/// What the initramfs was made to be.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Contract {
    /// The release that its modules are for.
    kernel: Option<String>,
    /// `signatures="required"`: profiles without a valid signature are refused.
    pub signatures_required: bool,
}

/// Reads the file. An initramfs without it, made by hand, promises nothing; a file that cannot be read may have promised that
/// signatures are required.
pub fn read() -> Result<Contract, Failure> {
    read_from(Path::new(paths::INITRAMFS))
}

fn read_from(path: &Path) -> Result<Contract, Failure> {
    match fs::read(path) {
        Ok(bytes) => parse(&bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Contract::default()),
        Err(error) => Err(Failure::new(format!("it cannot be read: {error}")).try_this(REMEDY)),
    }
}

/// Reads its text.
pub fn parse(bytes: &[u8]) -> Result<Contract, Failure> {
    let read = decode::read(paths::INITRAMFS, bytes, |top| {
        let node = top.required("initramfs")?;
        // The format first: a newer one may have properties that this version does not know.
        let format = node.property::<u64>("format")?;
        if format > FORMAT {
            return Some((format, Contract::default()));
        }
        let node = node.shape(&SHAPE)?;
        let signatures = node.optional::<String>("signatures");
        if signatures.as_deref().is_some_and(|word| word != REQUIRED) {
            return node.refuse_property("signatures", "the only value is 'required'", REMEDY);
        }
        let kernel = node.optional("kernel");
        Some((format, Contract { kernel, signatures_required: signatures.is_some() }))
    });
    match read {
        Err(diagnostics) => Err(Failure::new(diagnostics.to_string().trim_end()).try_this(REMEDY)),
        Ok((format, _)) if format > FORMAT => {
            Err(Failure::new(format!("the initramfs has format {format}, this init reads up to {FORMAT}"))
                .try_this(REMEDY))
        }
        Ok((_, contract)) => Ok(contract),
    }
}

impl Contract {
    /// Compares the running kernel with the one that the modules are for.
    pub fn check(&self, running: &str) -> Result<(), Failure> {
        match &self.kernel {
            Some(kernel) if kernel != running => Err(Failure::new(format!(
                "the initramfs was made for kernel {kernel}, and kernel {running} is running"
            ))
            .try_this(REMEDY)
            .try_this(
                "or boot the kernel that it was made for: the boot loader's entry may pair the wrong files",
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(text: &str) -> Result<(), Failure> {
        parse(text.as_bytes())?.check("6.1.0-50-cloud-amd64")
    }

    fn why(text: &str) -> String {
        compare(text).unwrap_err().why
    }

    #[test]
    fn signatures_are_required_or_not_and_nothing_between() {
        assert!(!parse(b"initramfs format=1\n").unwrap().signatures_required);
        assert!(parse(b"initramfs format=1 signatures=\"required\"\n").unwrap().signatures_required);
        assert!(why("initramfs format=1 signatures=\"maybe\"\n").contains("the only value is 'required'"));
    }

    #[test]
    fn only_a_file_that_is_not_there_promises_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read_from(&folder.path().join("none")), Ok(Contract::default()));
        let failure = read_from(folder.path()).unwrap_err();
        assert!(failure.why.starts_with("it cannot be read: "), "{failure:?}");
    }

    #[test]
    fn the_kernel_it_was_made_for_passes() {
        compare("initramfs format=1 kernel=\"6.1.0-50-cloud-amd64\"\n").unwrap();
        compare("initramfs format=1\n").unwrap();
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
