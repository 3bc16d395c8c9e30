//! Words for people: the console, and the kernel's log.

mod queue;
pub mod settings;
pub mod vt;

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};

use queue::{Queue, Said};

/// A console that takes nothing for so long is stuck: somebody pressed Ctrl-S, or a serial line with flow control waits for a
/// terminal that is not there.
pub const STUCK: Duration = Duration::from_secs(2);

/// Whether the console was stuck once. It still gets what it takes at once, and is not waited for again.
static GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// What is said on the way of a boot.
static QUEUE: Queue = Queue::new();

const BOLD_RED: &str = "\x1b[1;31m";
const PLAIN: &str = "\x1b[0m";

/// From here on another thread writes lines and records: `ask` has it call [`flush`], and says false when it cannot.
pub fn write_beside(ask: impl Fn() -> bool + Send + 'static) {
    QUEUE.write_beside(ask);
}

/// From here on whoever says something writes it. What waits for the other thread still does: [`flush`] waits for that.
pub fn write_here() {
    QUEUE.write_here();
}

/// As [`write_here`], for a panic, which may have come in the middle of a line.
pub fn write_in_spite_of_a_panic() {
    QUEUE.panicked();
}

/// Sees that all that was said is written.
pub fn flush() {
    QUEUE.flush(put);
}

fn put(said: Said) {
    match said {
        Said::Console(text) => put_on_console(&text),
        Said::Log(record) => {
            if let Ok(mut log) = File::options().write(true).open("/dev/kmsg") {
                let _ = log.write_all(record.as_bytes());
            }
        }
    }
}

/// Writes to the console after all that was said before. The text goes out as it is: names of files, labels and the like must have been
/// cleaned.
pub fn write(text: &str) {
    flush();
    put_on_console(text);
}

/// Standard error, which the kernel connects to the console before it starts PID 1; or the console itself where the
/// initramfs had no node for it.
fn put_on_console(text: &str) {
    // A console that does not take the text must not stop the boot.
    let Some(console) = open() else {
        let mut stuck = false;
        return write_patiently(&std::io::stderr(), text.as_bytes(), &mut stuck);
    };
    if GIVEN_UP.load(Ordering::Relaxed) {
        let _ = nix::unistd::write(&console, text.as_bytes());
        return;
    }
    let mut stuck = false;
    write_patiently(&console, text.as_bytes(), &mut stuck);
    if stuck && !GIVEN_UP.swap(true, Ordering::Relaxed) {
        put(record(4, "warning: the console takes nothing: it is not waited for any more"));
    }
}

/// An opening of its own, because O_NONBLOCK of the one that was inherited would hold for the real init as well.
fn open() -> Option<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let open = |path: &str| File::options().write(true).custom_flags(flags.bits()).open(path).ok();
    let of_its_own = || open("/dev/console");
    if std::io::stderr().is_terminal() { open("/proc/self/fd/2").or_else(of_its_own) } else { of_its_own() }
}

/// Writes to a console that was opened with O_NONBLOCK. It is waited for as long as it takes something every now and then;
/// `stuck` becomes true when it took nothing for [`STUCK`], and false when it takes something again. One that is stuck already
/// is not waited for.
pub fn write_patiently(to: &impl AsFd, mut bytes: &[u8], stuck: &mut bool) {
    let mut until = None;
    while !bytes.is_empty() {
        match nix::unistd::write(to, bytes) {
            Ok(length @ 1..) => {
                (*stuck, until) = (false, None);
                bytes = &bytes[length..];
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) if !*stuck => {
                let now = Instant::now();
                let left = until.get_or_insert(now + STUCK).saturating_duration_since(now);
                let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
                // Also when the time was over without a sign: a slow line says that it has room only when it is nearly empty.
                *stuck = left.is_zero();
                let _ = poll(&mut [PollFd::new(to.as_fd(), PollFlags::POLLOUT)], timeout);
            }
            // What a dead console misses, others and the kernel's log have.
            _ => return,
        }
    }
}

/// One line of ours. What is in it may come from anywhere: it is cleaned here, and nowhere else.
pub fn write_line(line: &str) {
    QUEUE.say(Said::Console(format!("lamina: {}\n", one_line(line))), put);
}

/// The same in red.
pub fn write_red_line(line: &str) {
    QUEUE.say(Said::Console(format!("{BOLD_RED}lamina: {}{PLAIN}\n", one_line(line))), put);
}

/// Names of files, processes, labels and descriptions may have anything in them: an escape sequence would be obeyed, and a line break
/// would forge a line.
fn one_line(text: &str) -> String {
    running::text::clean(&text.replace(['\n', '\t'], " "))
}

/// Makes the console the three standard streams. Those that the kernel opened lead to the node of the initramfs, which is deleted when that
/// is freed: ttyname(3) finds no name for them then. Where there is no console they stay.
pub fn become_standard_streams() {
    if let Some(console) = open_anew() {
        let _ = (dup2_stdin(&console), dup2_stdout(&console), dup2_stderr(&console));
    }
}

/// The console for another program: what that sets on it, such as O_NONBLOCK, holds for no opening of init's.
pub fn open_anew() -> Option<File> {
    // O_NONBLOCK, because a serial line without a carrier may let whoever opens it wait for one; it is for the opening alone.
    let flags = OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    let console =
        File::options().read(true).write(true).custom_flags(flags.bits()).open("/dev/console").ok()?;
    fcntl(&console, FcntlArg::F_SETFL(OFlag::empty())).ok()?;
    Some(console)
}

/// One record in the kernel's log, `level` as in syslog(2). The kernel counts for each opening of the node by itself, of which it drops more
/// than ten records in five seconds (`devkmsg_open` of its `kernel/printk/printk.c`).
pub fn to_kernel_log(level: u8, line: &str) {
    QUEUE.say(record(level, line), put);
}

fn record(level: u8, line: &str) -> Said {
    Said::Log(format!("<{level}>lamina: {}\n", one_line(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};

    /// Ctrl-S and Ctrl-Q of ascii(7).
    const XOFF: u8 = 0x13;
    const XON: u8 = 0x11;

    #[test]
    fn nothing_from_outside_is_obeyed_and_no_line_is_forged() {
        let hostile = "a\x1b[2J\u{9b}1m\r\u{202e}b\nlamina: forged\t\x07ü";
        assert_eq!(one_line(hostile), r"a\u{1b}[2J\u{9b}1m\r\u{202e}b lamina: forged \u{7}ü");
    }

    #[test]
    fn a_console_that_was_stopped_is_stuck_until_it_goes_on() {
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let flags = (OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits();
        let path = ptsname_r(&master).unwrap();
        let console = File::options().read(true).write(true).custom_flags(flags).open(path).unwrap();
        let mut stuck = false;
        write_patiently(&console, b"before", &mut stuck);
        assert!(!stuck);

        nix::unistd::write(&master, &[XOFF]).unwrap();
        // The terminal takes the character in its own time.
        while !stuck {
            write_patiently(&console, b".", &mut stuck);
        }
        // Not waited for: that would take six hours.
        (0..10_000).for_each(|_| write_patiently(&console, b"lost", &mut stuck));
        assert!(stuck);

        nix::unistd::write(&master, &[XON]).unwrap();
        while stuck {
            write_patiently(&console, b" after", &mut stuck);
        }
        let mut read = [0; 64];
        let mut text = String::new();
        while !text.ends_with("after") {
            let length = nix::unistd::read(&master, &mut read).unwrap();
            text += &String::from_utf8_lossy(&read[..length]);
        }
        assert!(text.starts_with("before") && !text.contains("lost"), "{text:?}");
    }
}
