//! Whether the real init can be started: looked at before the point of no return, inside the new root.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

use crate::elf;
use crate::error::Failure;

/// A script may name an interpreter that is a script: BINPRM recursion of the kernel ends at 5.
const DEEPEST_SCRIPT: usize = 5;
/// BINPRM_BUF_SIZE: what the kernel looks at of a `#!` line.
const LONGEST_SCRIPT_LINE: usize = 256;
/// What a message lists when the init of the profile is not there.
const USUAL: [&str; 8] = [
    "/sbin/init",
    "/usr/sbin/init",
    "/etc/init",
    "/bin/init",
    "/init",
    "/usr/lib/systemd/systemd",
    "/lib/systemd/systemd",
    "/bin/sh",
];

/// Sees that `init` exists below `root`, may be executed, is made for this machine, and has its interpreter. Links are
/// followed as they will be when `root` is `/`.
pub fn check(root: &Path, init: &str) -> Result<(), Failure> {
    let folder = File::open(root).map_err(|error| Failure::new(format!("{}: {error}", root.display())))?;
    runnable(&folder, init, DEEPEST_SCRIPT).map_err(|why| {
        let there: Vec<&str> =
            USUAL.into_iter().filter(|path| runnable(&folder, path, DEEPEST_SCRIPT).is_ok()).collect();
        let failure = Failure::new(why);
        match there.as_slice() {
            [] => failure
                .having_seen(["none of the usual places has a program that can start".into()])
                .try_this("add an image with an init, such as busybox, to the profile"),
            there => failure
                .having_seen([format!("these can start: {}", there.join(", "))])
                .try_this("name one of them: init=PATH on the kernel command line, or `init` in the profile"),
        }
    })
}

fn runnable(root: &File, path: &str, depth: usize) -> Result<(), String> {
    let file = open_in(root, path).map_err(|errno| match errno {
        Errno::ENOENT => format!("{path} does not exist in the stack"),
        Errno::ELOOP => format!("{path} is a link that leads in a circle"),
        errno => format!("{path}: {}", errno.desc()),
    })?;
    let metadata = file.metadata().map_err(|error| format!("{path}: {error}"))?;
    if !metadata.is_file() {
        return Err(format!("{path} is not a file"));
    }
    if metadata.mode() & 0o111 == 0 {
        return Err(format!("{path} may not be executed (its mode is {:o})", metadata.mode() & 0o7777));
    }
    let head = read_at(&file, 0, LONGEST_SCRIPT_LINE);
    let interpreter = match head.as_slice() {
        [0x7f, b'E', b'L', b'F', ..] => {
            let program = elf::parse(|offset, length| read_at(&file, offset, length));
            let program = program.map_err(|why| format!("{path}: {why}"))?;
            if !elf::runs_here(program.machine) {
                let here = std::env::consts::ARCH;
                return Err(format!(
                    "{path} is for another machine (ELF machine {}, this is {here})",
                    program.machine
                ));
            }
            program.interpreter
        }
        [b'#', b'!', ..] => {
            Some(script_interpreter(&head).ok_or_else(|| format!("{path}: `#!` names nothing"))?)
        }
        [] => return Err(format!("{path} is empty")),
        _ => return Err(format!("{path} is neither an ELF program nor a script that begins with `#!`")),
    };
    match interpreter {
        None => Ok(()),
        Some(_) if depth == 0 => Err(format!("{path}: interpreters are nested too deeply")),
        Some(interpreter) => runnable(root, &interpreter, depth - 1)
            .map_err(|why| format!("{path} needs {interpreter}, which cannot start: {why}")),
    }
}

/// openat2(2) with RESOLVE_IN_ROOT: absolute links and `..` stay below `root`.
pub fn open_in(root: &File, path: &str) -> Result<File, Errno> {
    // Without O_NONBLOCK a FIFO under the name of init would hang PID 1.
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_IN_ROOT);
    openat2(root.as_fd(), path, how).map(File::from)
}

/// Up to `length` bytes at `offset`: fewer at the end of the file, none when it cannot be read.
pub fn read_at(file: &File, offset: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut bytes[filled..], offset.saturating_add(filled as u64)) {
            Ok(count @ 1..) => filled += count,
            Ok(0) | Err(_) => break,
        }
    }
    bytes.truncate(filled);
    bytes
}

/// The first word after `#!`.
pub fn script_interpreter(head: &[u8]) -> Option<String> {
    let line = head[2..].split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    line.split_ascii_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for folder in ["bin", "sbin"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        root
    }

    fn program(root: &Path, path: &str, bytes: &[u8]) {
        let path = root.join(path);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn elf(machine: u16, interpreter: Option<&str>) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[16] = 2;
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes[32] = 64;
        (bytes[54], bytes[56]) = (56, 1);
        if let Some(path) = interpreter {
            bytes[64] = 3;
            bytes[64 + 8] = 120;
            bytes[64 + 32] = path.len() as u8 + 1;
            bytes.extend(path.as_bytes());
            bytes.push(0);
        }
        bytes
    }

    fn machine() -> u16 {
        let header = fs::read("/proc/self/exe").unwrap();
        u16::from_le_bytes([header[18], header[19]])
    }

    fn why(root: &Path, init: &str) -> String {
        check(root, init).unwrap_err().why
    }

    #[test]
    fn absolute_links_are_followed_inside_the_root() {
        let root = root();
        program(root.path(), "bin/busybox", &elf(machine(), None));
        symlink("/bin/busybox", root.path().join("sbin/init")).unwrap();
        check(root.path(), "/sbin/init").unwrap();
        symlink("../../../../../../bin/busybox", root.path().join("sbin/up")).unwrap();
        check(root.path(), "/sbin/up").unwrap();
    }

    #[test]
    fn a_missing_init_lists_what_could_start() {
        let root = root();
        program(root.path(), "bin/sh", &elf(machine(), None));
        let failure = check(root.path(), "/sbin/init").unwrap_err();
        assert_eq!(failure.why, "/sbin/init does not exist in the stack");
        assert_eq!(failure.seen, ["these can start: /bin/sh"]);
    }

    #[test]
    fn each_thing_that_would_stop_the_kernel_is_told() {
        let root = root();
        let path = root.path();
        fs::write(path.join("bin/plain"), elf(machine(), None)).unwrap();
        assert!(why(path, "/bin/plain").contains("may not be executed"));
        program(path, "bin/foreign", &elf(0xfff0, None));
        assert!(why(path, "/bin/foreign").contains("is for another machine (ELF machine 65520"));
        program(path, "bin/dynamic", &elf(machine(), Some("/lib/ld.so")));
        let expected =
            "/bin/dynamic needs /lib/ld.so, which cannot start: /lib/ld.so does not exist in the stack";
        assert_eq!(why(path, "/bin/dynamic"), expected);
        program(path, "bin/script", b"#! /bin/interpreter -x\n");
        assert!(why(path, "/bin/script").contains("needs /bin/interpreter"));
        program(path, "bin/text", b"hello");
        assert!(why(path, "/bin/text").contains("neither an ELF program nor a script"));
        program(path, "bin/empty", b"");
        assert_eq!(why(path, "/bin/empty"), "/bin/empty is empty");
        program(path, "bin/self", b"#!/bin/self\n");
        assert!(why(path, "/bin/self").contains("nested too deeply"));
        assert_eq!(why(path, "/bin"), "/bin is not a file");
        symlink("circle", path.join("bin/circle")).unwrap();
        assert!(why(path, "/bin/circle").contains("circle"));
    }
}
