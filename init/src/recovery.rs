//! Where every failure ends: a screen, a shell when there is one, and a way to try again, reboot or power off.
//! Nothing here returns: PID 1 that returns is a kernel panic.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, setsid, sync};
use profiles::Name;

use crate::console;
use crate::error::{BootError, Failure};
use crate::{paths, take_down};

/// The name under which init runs itself to become the shell: a new session needs a process that is not its leader.
pub const SHELL_NAME: &str = "lamina-rescue-shell";
/// Without a console nobody can press a key: time enough to read a log that goes elsewhere.
const WITHOUT_CONSOLE: Duration = Duration::from_secs(30);
/// The last words of the kernel that fit on a screen.
const KERNEL_LINES: usize = 5;
const RULE: &str = "------------------------------------------------------------------------";

/// The error of a boot that was told to stop: `lamina.rescue`.
pub fn on_purpose() -> BootError {
    Failure::new("the kernel command line asks for it")
        .try_this("leave the shell to come to the menu")
        .at("rescue", "lamina.rescue")
}

/// The error of a bug in init.
pub fn of_panic(location: &str, message: &str) -> BootError {
    Failure::new(format!("init itself failed: {message}"))
        .try_this("this is a bug: keep this screen and report it")
        .at("run init", location)
}

/// Names the profile that a person chose, for the init that starts anew.
#[allow(dead_code, reason = "the chain of candidates takes it")]
const CHOSEN: &str = "LAMINA_PROFILE";

/// What the screen and its menu know beside the error.
#[derive(Debug, Clone, Default)]
#[allow(dead_code, reason = "the chain of candidates takes it")]
pub struct Context {
    /// The value of `panic=`: seconds after which to reboot; negative means at once, 0 never.
    pub panic: Option<i64>,
    /// When init began (CLOCK_BOOTTIME): the kernel's warnings of before have nothing to do with it.
    pub since: Duration,
    /// The report, as JSON.
    pub report: String,
    /// The other profiles that may be started.
    pub profiles: Vec<Choice>,
    /// The block devices that were seen, one a line.
    pub devices: Vec<String>,
    /// What was tried before, one line a candidate that failed.
    pub attempts: Vec<String>,
}

/// A profile that a person may choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its name.
    pub name: Name,
    /// Its own words about itself.
    pub description: Option<String>,
}

impl Context {
    /// All that is known when init itself fails.
    pub fn bare(panic: Option<i64>, since: Duration) -> Self {
        Self { panic, since, ..Self::default() }
    }
}

/// The profile that a person chose before init ran itself anew.
#[allow(dead_code, reason = "the chain of candidates takes it")]
pub fn chosen_profile() -> Option<Name> {
    Name::parse(std::env::var_os(CHOSEN)?.to_str()?).ok()
}

/// Prints the screen without a menu: a candidate failed, and the next one is tried.
#[allow(dead_code, reason = "the chain of candidates takes it")]
pub fn show(error: &BootError) {
    console::write(&screen(error, &[]));
}

/// Shows the error, then serves the menu until the machine restarts.
pub fn enter(error: &BootError, context: &Context) -> ! {
    console::write(&screen(error, &kernel_warnings(context.since)));
    if error.step == "rescue" && has_shell() {
        run_shell();
    }
    let mut wait = match context.panic {
        Some(seconds @ 1..) => Some(Duration::from_secs(seconds.unsigned_abs())),
        Some(..0) => Some(Duration::ZERO),
        Some(0) | None => None,
    };
    loop {
        console::write(&menu(wait));
        match key(wait) {
            Key::Pressed(b's' | b'S' | b'\r' | b'\n') if has_shell() => run_shell(),
            Key::Pressed(b't' | b'T') if can_retry() => retry(),
            Key::Pressed(b'p' | b'P') => restart(RebootMode::RB_POWER_OFF),
            Key::Pressed(b'b' | b'B') | Key::TimeIsUp => restart(RebootMode::RB_AUTOBOOT),
            Key::Pressed(_) => {}
            Key::NoConsole => {
                std::thread::sleep(wait.unwrap_or(WITHOUT_CONSOLE));
                restart(RebootMode::RB_AUTOBOOT)
            }
        }
        // Somebody is there.
        wait = None;
    }
}

fn screen(error: &BootError, kernel: &[String]) -> String {
    let title =
        if error.step == "rescue" { "stopped for rescue" } else { "this system could not be started" };
    let mut text = format!("\n{RULE}\nlamina: {title}\n\n{error}\n");
    for (index, line) in kernel.iter().enumerate() {
        text += &format!("  {:<8} {line}\n", if index == 0 { "kernel:" } else { "" });
    }
    text + RULE + "\n"
}

fn menu(wait: Option<Duration>) -> String {
    let mut choices = Vec::new();
    if has_shell() {
        choices.push("[s] shell");
    }
    if can_retry() {
        choices.push("[t] try again");
    }
    choices.extend(["[b] reboot", "[p] power off"]);
    let mut text = format!("  {}\n", choices.join("   "));
    match wait.map(|wait| wait.as_secs()) {
        None => {}
        Some(0) => text += "  rebooting\n",
        Some(seconds) => text += &format!("  rebooting in {seconds} s unless a key is pressed\n"),
    }
    text
}

enum Key {
    Pressed(u8),
    TimeIsUp,
    NoConsole,
}

/// One key from the console, without waiting for Enter.
fn key(wait: Option<Duration>) -> Key {
    let Ok(console) = File::options().read(true).write(true).open("/dev/console") else {
        return Key::NoConsole;
    };
    let _raw = RawMode::enter(&console);
    let timeout =
        wait.map_or(PollTimeout::NONE, |wait| PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX));
    loop {
        let mut byte = [0];
        match poll(&mut [PollFd::new(console.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => return Key::TimeIsUp,
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(_) => return Key::NoConsole,
        }
        return match (&console).read(&mut byte) {
            Ok(1) => Key::Pressed(byte[0]),
            _ => Key::NoConsole,
        };
    }
}

/// Single keys instead of lines, until it is dropped.
struct RawMode<'a> {
    console: &'a File,
    before: Termios,
}

impl<'a> RawMode<'a> {
    fn enter(console: &'a File) -> Option<Self> {
        let before = tcgetattr(console).ok()?;
        let mut raw = before.clone();
        raw.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
        tcsetattr(console, SetArg::TCSANOW, &raw).ok()?;
        Some(Self { console, before })
    }
}

impl Drop for RawMode<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.console, SetArg::TCSANOW, &self.before);
    }
}

fn has_shell() -> bool {
    fs::metadata(paths::SHELL).is_ok_and(|metadata| metadata.is_file() && metadata.mode() & 0o111 != 0)
}

/// Starts the shell and waits for it. PID 1 inherits every orphan, so whatever ends meanwhile is reaped.
fn run_shell() {
    console::write(&format!("lamina: {} on the console; leave it with `exit`\n", paths::SHELL));
    let itself = if Path::new("/proc/self/exe").exists() { "/proc/self/exe" } else { "/init" };
    let shell = match Command::new(itself).arg0(SHELL_NAME).spawn() {
        Ok(child) => Pid::from_raw(child.id().cast_signed()),
        Err(error) => return console::write(&format!("lamina: cannot start the shell: {error}\n")),
    };
    loop {
        match waitpid(None, None) {
            Ok(status) if status.pid() == Some(shell) => return,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

/// The child of [`run_shell`]: leads a session whose controlling terminal is the console (setsid(2), TIOCSCTTY of
/// ioctl_tty(2)), so that Ctrl-C and job control work, and becomes the shell.
pub fn become_shell() -> std::io::Error {
    let _ = setsid();
    match File::options().read(true).write(true).open(terminal()) {
        Ok(terminal) => {
            let _ = rustix::process::ioctl_tiocsctty(&terminal);
            let _ = (dup2_stdin(&terminal), dup2_stdout(&terminal), dup2_stderr(&terminal));
        }
        Err(error) => console::write(&format!("lamina: no terminal of its own for the shell: {error}\n")),
    }
    Command::new(paths::SHELL).env("PATH", "/bin:/sbin:/usr/bin:/usr/sbin").exec()
}

/// The terminal behind `/dev/console`: the last that the kernel lists in `/sys/class/tty/console/active`.
fn terminal() -> PathBuf {
    let active = fs::read_to_string("/sys/class/tty/console/active").unwrap_or_default();
    let behind = active.split_whitespace().next_back().map(|name| Path::new("/dev").join(name));
    behind.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from("/dev/console"))
}

/// As long as the initramfs is there, init can begin again.
fn can_retry() -> bool {
    let identity = |path: &str| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino())).ok();
    identity("/init").is_some() && identity("/init") == identity("/proc/self/exe")
}

/// Takes away what this attempt has mounted and runs init anew, in the same process.
fn retry() {
    take_down::everything();
    let error = Command::new("/init").args(std::env::args_os().skip(1)).exec();
    console::write(&format!("lamina: cannot start /init again: {error}\n"));
}

/// reboot(2). If the kernel refuses, sleep: PID 1 must not end.
fn restart(mode: RebootMode) -> ! {
    sync();
    let Err(errno) = reboot(mode);
    console::write(&format!("lamina: the kernel refuses: {}; switch the machine off\n", errno.desc()));
    loop {
        std::thread::park();
    }
}

/// The last warnings and errors of the kernel's log. A record of /dev/kmsg is `PRIORITY,SEQUENCE,TIME,FLAGS;TEXT`
/// (`Documentation/ABI/testing/dev-kmsg`); the lowest three bits of the priority are the level.
fn kernel_warnings(since: Duration) -> Vec<String> {
    let Ok(mut log) = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open("/dev/kmsg")
    else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    let mut record = vec![0; 8192];
    loop {
        match log.read(&mut record) {
            Ok(count @ 1..) => lines.extend(warning(&String::from_utf8_lossy(&record[..count]), since)),
            // EPIPE: records were overwritten while they were read; the next read goes on with the oldest.
            Err(error) if error.raw_os_error() == Some(Errno::EPIPE as i32) => {}
            _ => break,
        }
    }
    lines.split_off(lines.len().saturating_sub(KERNEL_LINES))
}

fn warning(record: &str, since: Duration) -> Option<String> {
    let (head, text) = record.split_once(';')?;
    let mut fields = head.split(',').map(str::parse::<u64>);
    let (priority, _sequence, micros) = (fields.next()?.ok()?, fields.next()?, fields.next()?.ok()?);
    if Duration::from_micros(micros) < since {
        return None;
    }
    let text = text.lines().next()?;
    (priority & 7 <= 4 && !text.starts_with("lamina:")).then(|| text.to_owned())
}

/// Leaves the report for whoever looks at it from the shell.
pub fn leave_report(json: &str) {
    let written =
        fs::create_dir_all(paths::RUN).and_then(|()| File::create(paths::REPORT)?.write_all(json.as_bytes()));
    if let Err(error) = written {
        console::write(&format!("lamina: cannot write {}: {error}\n", paths::REPORT));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_screen_has_all_that_is_known() {
        let error = Failure::new("gone").try_this("look").at("open image", "busybox 1");
        let text = screen(&error, &["squashfs: bad".into(), "I/O error".into()]);
        let expected = format!(
            "\n{RULE}\nlamina: this system could not be started\n\n  step:    open image\n  object:  busybox 1\n  \
             why:     gone\n  try:     look\n  kernel:  squashfs: bad\n           I/O error\n{RULE}\n"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn warnings_and_worse_are_kept_but_not_our_own() {
        let warning = |record| warning(record, Duration::from_micros(50));
        assert_eq!(warning("4,12,99,-;squashfs: bad\n SUBSYSTEM=x\n").as_deref(), Some("squashfs: bad"));
        assert_eq!(warning("4,12,49,-;before init"), None);
        assert_eq!(warning("30,12,99,-;information"), None);
        assert_eq!(warning("3,12,99,-;lamina: boot stopped"), None);
        assert_eq!(warning("garbage"), None);
    }
}
