//! Whether the real init can be started: looked at before the point of no return, inside the new root.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;

use super::elf;
use super::open::{open_in, read_at};
use super::script::{LONGEST_SCRIPT_LINE, script_interpreter};
use crate::error::Failure;

/// So many scripts may be the interpreters of one another (`exec_binprm` of `fs/exec.c`).
const DEEPEST_SCRIPT: usize = 5;
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
    let (file, length) = executable(root, path)?;
    let head = read_at(&file, 0, LONGEST_SCRIPT_LINE);
    match head.as_slice() {
        [0x7f, b'E', b'L', b'F', ..] => {
            let Some(linker) = program(path, &file, length)? else { return Ok(()) };
            is_linker(root, &linker)
                .map_err(|why| format!("{path} needs {linker}, which cannot start: {why}"))
        }
        [b'#', b'!', ..] => {
            let interpreter = script_interpreter(&head).ok_or_else(|| {
                format!("{path}: `#!` names nothing, or does not end within {LONGEST_SCRIPT_LINE} bytes")
            })?;
            if depth == 0 {
                return Err(format!("{path}: interpreters are nested too deeply"));
            }
            runnable(root, &interpreter, depth - 1).map_err(|why| {
                let shown = interpreter.escape_debug();
                format!("{path} needs {shown}, which cannot start: {why}{}", stray(&interpreter))
            })
        }
        [] => Err(format!("{path} is empty")),
        _ => Err(format!("{path} is neither an ELF program nor a script that begins with `#!`")),
    }
}

/// What an editor has left at the end of a name: for the kernel only blanks and tabs end it.
fn stray(interpreter: &str) -> &'static str {
    match interpreter.chars().find(|character| character.is_whitespace() || character.is_control()) {
        Some('\r') => " (its line ends as on Windows, with \\r\\n: write it anew with \\n)",
        Some(_) => " (a character that is not seen belongs to the name)",
        None => "",
    }
}

/// Opens what the kernel lets be executed, and says how long it is (`do_open_execat` of `fs/exec.c`).
fn executable(root: &File, path: &str) -> Result<(File, u64), String> {
    let shown = path.escape_debug();
    let file = open_in(root, path).map_err(|errno| match errno {
        Errno::ENOENT => format!("{shown} does not exist in the stack"),
        Errno::ELOOP => format!("{shown} is a link that leads in a circle"),
        errno => format!("{shown}: {}", errno.desc()),
    })?;
    let metadata = file.metadata().map_err(|error| format!("{shown}: {error}"))?;
    if !metadata.is_file() {
        return Err(format!("{shown} is not a file"));
    }
    if metadata.mode() & 0o111 == 0 {
        return Err(format!("{shown} may not be executed (its mode is {:o})", metadata.mode() & 0o7777));
    }
    let flags = rustix::fs::fstatvfs(&file).map(|stat| stat.f_flag);
    if flags.is_ok_and(|flags| flags.contains(rustix::fs::StatVfsMountFlags::NOEXEC)) {
        return Err(format!("{shown} may not be executed: its file system is mounted noexec"));
    }
    Ok((file, metadata.len()))
}

/// Checks an ELF program; its dynamic linker, if it has one.
fn program(path: &str, file: &File, length: u64) -> Result<Option<String>, String> {
    let read = |offset, length| read_at(file, offset, length);
    let told = |why: String| format!("{path}: {why}");
    let program = elf::parse(read).map_err(|why| told(why.to_owned()))?;
    let asks = |file: &str| std::fs::read_to_string(file).ok();
    elf::fits_the_kernel(&program, asks).map_err(|why| format!("{path} {why}"))?;
    elf::can_be_loaded(read, length, program.interpreter.is_none()).map_err(told)?;
    Ok(program.interpreter)
}

/// Checks a dynamic linker: an ELF file (ELIBBAD otherwise), whose own one is not asked for.
fn is_linker(root: &File, path: &str) -> Result<(), String> {
    let (file, length) = executable(root, path)?;
    if read_at(&file, 0, 4) != b"\x7fELF" {
        return Err(format!("{path} is no ELF file"));
    }
    program(path, &file, length)?;
    elf::can_be_loaded(|offset, length| read_at(&file, offset, length), length, true)
        .map_err(|why| format!("{path}: {why}"))
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
