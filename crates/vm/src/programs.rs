//! The programs that are started, looked for first: started through others, they would be missed only in a log.

use std::env;
use std::path::{Path, PathBuf};

use fault::Error;

/// The emulator.
pub const QEMU: &str = "qemu-system-x86_64";
/// A TPM of software.
pub const SWTPM: &str = "swtpm";
/// setpriv(1) starts the others so that the kernel ends them when this process ends, however it ends.
pub const SETPRIV: &str = "setpriv";

/// Finds `program` on PATH, or says which Debian package has it.
pub fn find(program: &str) -> Result<PathBuf, Error> {
    find_in(&env::var_os("PATH").unwrap_or_default(), program)
}

fn find_in(path: &std::ffi::OsStr, program: &str) -> Result<PathBuf, Error> {
    let found = env::split_paths(path).map(|folder| folder.join(program)).find(|file| is_program(file));
    found.ok_or_else(|| {
        let package = match program {
            QEMU => "qemu-system-x86",
            SWTPM => "swtpm",
            _ => "util-linux",
        };
        Error::new(program, "is not on PATH").remedy(format_args!("install it (Debian's package {package})"))
    })
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_missing_is_told_with_its_package() {
        let told = find_in("/nowhere:/etc".as_ref(), QEMU).unwrap_err().to_string();
        assert_eq!(
            told,
            "qemu-system-x86_64: is not on PATH\nhelp: install it (Debian's package qemu-system-x86)"
        );
        assert!(find_in("/nowhere:/bin".as_ref(), "sh").unwrap().ends_with("sh"));
    }

    #[test]
    fn a_file_that_nobody_may_execute_is_no_program() {
        assert!(find_in("/etc".as_ref(), "passwd").is_err());
    }
}
