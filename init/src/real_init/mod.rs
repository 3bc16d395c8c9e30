//! Whether the real init can be started: looked at before the point of no return, inside the new root.

pub mod elf;
pub mod read_init;

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

use crate::error::Failure;

/// So many scripts may be the interpreters of one another (`exec_binprm` of `fs/exec.c`).
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

/// The interpreter that the kernel finds in the first 256 bytes of a script (`load_script` of `fs/binfmt_script.c`): blanks and tabs stand
/// around it, and everything else belongs to its name, as the `\r` of Windows does.
pub fn script_interpreter(head: &[u8]) -> Option<String> {
    let mut line: Vec<u8> = head.iter().copied().take(LONGEST_SCRIPT_LINE).collect();
    // The rest of the kernel's buffer is zero.
    line.resize(LONGEST_SCRIPT_LINE, 0);
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let ends = |byte: &u8| blank(byte) || *byte == 0;
    let newline =
        line.iter().position(|byte| matches!(byte, b'\n' | 0)).filter(|at| line.get(*at) == Some(&b'\n'));
    let text = line.get(2..newline.unwrap_or(LONGEST_SCRIPT_LINE))?;
    let name = text.get(text.iter().position(|byte| !blank(byte))?..)?;
    let end = name.iter().position(ends);
    // A name that goes on where the kernel does not look is not used cut off.
    let end = if newline.is_none() { end? } else { end.unwrap_or(name.len()) };
    name.get(..end).and_then(|name| std::str::from_utf8(name).ok()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
