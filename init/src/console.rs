//! Words for people: the console, and the kernel's log.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;

use nix::errno::Errno;

/// Standard error, which the kernel connects to the console before it starts PID 1; or the console itself where the
/// initramfs had no node for it.
pub fn write(text: &str) {
    // A console that does not take the text must not stop the boot.
    let stderr = std::io::stderr();
    if stderr.is_terminal() {
        write_all(&stderr, text.as_bytes());
    } else if let Ok(mut console) = File::options().write(true).open("/dev/console") {
        let _ = console.write_all(text.as_bytes());
    } else {
        write_all(&stderr, text.as_bytes());
    }
}

/// Without the lock of the standard library: a thread that panicked may hold it for ever.
fn write_all(to: impl AsFd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match nix::unistd::write(&to, bytes) {
            Ok(length @ 1..) => bytes = &bytes[length..],
            Err(Errno::EINTR) => {}
            _ => return,
        }
    }
}

/// One line of ours.
pub fn write_line(line: &str) {
    write(&format!("lamina: {line}\n"));
}

/// One record in the kernel's log, `level` as in syslog(2). Few: the kernel drops more than ten in five seconds.
pub fn to_kernel_log(level: u8, line: &str) {
    if let Ok(mut log) = File::options().write(true).open("/dev/kmsg") {
        let one_line = line.replace('\n', " ");
        let _ = log.write_all(format!("<{level}>lamina: {one_line}\n").as_bytes());
    }
}
