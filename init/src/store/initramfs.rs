//! What mkinitramfs wrote about the initramfs: for which kernel it was made, and in which format.

use std::fs;
use std::io;
use std::path::Path;

use initramfs_format::REMEDY;
pub use initramfs_format::{AllowedProfile, Description};

use crate::error::Failure;
use crate::paths;

/// Reads the file. An initramfs without it, made by hand, promises nothing; a file that cannot be read may have promised that
/// signatures are required.
pub fn read() -> Result<Description, Failure> {
    read_from(Path::new(paths::INITRAMFS))
}

fn read_from(path: &Path) -> Result<Description, Failure> {
    match fs::read(path) {
        Ok(bytes) => parse(&bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Description::default()),
        Err(error) => Err(Failure::new(format!("it cannot be read: {error}")).try_this(REMEDY)),
    }
}

/// Reads its text.
pub fn parse(bytes: &[u8]) -> Result<Description, Failure> {
    Description::parse(bytes).map_err(|error| Failure::new(error).try_this(REMEDY))
}

/// Whether this initramfs may open its rescue shell. One that cannot be read may have promised that there is none.
pub fn allows_shell() -> bool {
    read().is_ok_and(|description| description.allows_shell())
}

/// Compares the running kernel with the one that the modules are for.
pub fn check(description: &Description, running: &str) -> Result<(), Failure> {
    let Some(kernel) = &description.kernel else { return Ok(()) };
    check_kernel("initramfs", kernel, running).map_err(|it| it.try_this(REMEDY))
}

/// Compares the running kernel with the one that `what` was made for.
pub fn check_kernel(what: &str, kernel: &str, running: &str) -> Result<(), Failure> {
    if kernel == running {
        return Ok(());
    }
    Err(Failure::new(format_args!(
        "the {what} was made for kernel {kernel}, and kernel {running} is running"
    ))
    .try_this("boot the kernel that it was made for: the boot loader's entry may pair the wrong files"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use profiles::Name;

    fn compare(text: &str) -> Result<(), Failure> {
        check(&parse(text.as_bytes())?, "6.1.0-50-cloud-amd64")
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
    fn a_shell_where_signatures_are_required_was_allowed_on_purpose() {
        let allows = |text: &str| parse(text.as_bytes()).unwrap().allows_shell();
        assert!(allows("initramfs format=1\n"));
        assert!(!allows("initramfs format=1 signatures=\"required\"\n"));
        assert!(allows("initramfs format=1 signatures=\"required\" shell=\"allowed\"\n"));
        assert!(why("initramfs format=1 shell=\"yes\"\n").contains("the only value is 'allowed'"));
    }

    #[test]
    fn profiles_have_their_keys_and_their_lowest_generations() {
        let text = "initramfs format=1 signatures=\"required\" {\n    profile \"kiosk\" key=\"site\" lowest=7\n    profile \"rescue\"\n}\n";
        let profiles = parse(text.as_bytes()).unwrap().profiles;
        let name = |name| Name::parse(name).unwrap();
        let kiosk = AllowedProfile { name: name("kiosk"), key: Some(name("site")), lowest: Some(7) };
        assert_eq!(profiles, [kiosk, AllowedProfile { name: name("rescue"), key: None, lowest: None }]);
        assert!(
            why("initramfs format=1 {\n    profile \"a\" lwest=1\n}\n").contains("unknown property 'lwest'")
        );
    }

    #[test]
    fn only_a_file_that_is_not_there_promises_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read_from(&folder.path().join("none")), Ok(Description::default()));
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
