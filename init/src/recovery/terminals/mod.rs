//! Every console that the kernel has: text goes to all of them, and a key may come from any.
//!
//! `/dev/console` is only the last `console=` of the command line: a person in front of the screen would see nothing when that
//! is a serial line. Consoles may be slow, stuck, hung up or without a keyboard; none of them may stop the others.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{ControlFlags, FlushArg, InputFlags, LocalFlags, tcflush};

use super::screen::ScreenSize;
use crate::console;
use crate::console::settings::Kept;

/// Where the kernel lists its consoles (`Documentation/ABI/testing/sysfs-tty`), that of `/dev/console` last.
const ACTIVE: &str = "/sys/class/tty/console/active";
/// A console that was lost is opened again so often.
const AGAIN: Duration = Duration::from_secs(1);
/// What comes within this time belongs together: a key, an escape sequence, or noise on the line.
const TOGETHER: Duration = Duration::from_millis(50);
/// The longest input that is looked at.
const LONGEST: usize = 64;

/// Consoles that were stuck once: each candidate that fails shows a screen, and none of them should wait for the same one.
/// Never waited for, since a thread that panicked may hold it.
static STUCK_BEFORE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// All consoles.
#[derive(Debug)]
pub struct Terminals {
    all: Vec<Terminal>,
    had_one: bool,
    looked: Instant,
}

#[derive(Debug)]
struct Terminal {
    path: PathBuf,
    open: Option<Open>,
    /// It took nothing for as long as [`console::STUCK`], and is not waited for until it does.
    stuck: bool,
}

/// An open terminal in raw mode: single keys instead of lines, not echoed.
#[derive(Debug)]
struct Open {
    kept: Kept,
}

/// What came from the consoles.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// These bytes, from the console with this path.
    Bytes(Vec<u8>, PathBuf),
    /// Nothing until the time was up.
    TimeIsUp,
    /// No console can be read, and no time was given.
    Nobody,
}

impl Terminals {
    /// Opens the consoles that are active now; `/dev/console` when the kernel does not tell, or no node is there.
    pub fn open() -> Self {
        console::vt::set_up();
        let active = fs::read_to_string(ACTIVE).unwrap_or_default();
        Self::of(consoles(&active, Path::exists))
    }

    fn of(paths: Vec<PathBuf>) -> Self {
        let terminal = |path: PathBuf| Terminal { open: Open::new(&path), stuck: was_stuck(&path), path };
        let all: Vec<Terminal> = paths.into_iter().map(terminal).collect();
        let had_one = all.iter().any(|terminal| terminal.open.is_some());
        Self { all, had_one, looked: Instant::now() }
    }

    /// Whether there is no console at all.
    pub fn are_none(&self) -> bool {
        self.all.iter().all(|terminal| terminal.open.is_none())
    }

    /// Whether one was there at first, though it may be lost by now.
    pub fn had_one(&self) -> bool {
        self.had_one
    }

    /// Gives all of them back, for whoever else reads from them.
    pub fn close(&mut self) {
        self.all.clear();
    }

    /// The console behind `/dev/console`.
    pub fn main(&self) -> PathBuf {
        self.all.last().map_or_else(|| PathBuf::from("/dev/console"), |terminal| terminal.path.clone())
    }

    /// The size that fits on all of them.
    pub fn size(&self) -> ScreenSize {
        let sizes = self.all.iter().filter_map(|terminal| terminal.open.as_ref()).map(Open::size);
        sizes.reduce(ScreenSize::smaller).unwrap_or(ScreenSize::ASSUMED)
    }

    /// Writes to all of them.
    pub fn write(&mut self, text: &str) {
        if self.are_none() {
            return console::write(text);
        }
        for terminal in &mut self.all {
            terminal.write(text.as_bytes());
        }
    }

    /// Waits until something is typed on any of them.
    pub fn wait(&mut self, until: Option<Instant>) -> Typed {
        loop {
            self.open_those_lost();
            let now = Instant::now();
            let left = until.map(|until| until.saturating_duration_since(now));
            if left == Some(Duration::ZERO) {
                return Typed::TimeIsUp;
            }
            let all_lost = self.are_none();
            if all_lost && left.is_none() {
                return Typed::Nobody;
            }
            let some_lost = self.all.is_empty() || self.all.iter().any(|terminal| terminal.open.is_none());
            let timeout = [left, some_lost.then_some(AGAIN)].into_iter().flatten().min();
            if all_lost {
                sleep(timeout.unwrap_or(AGAIN));
                continue;
            }
            for index in self.ready(timeout) {
                if let Some(bytes) = self.take(index) {
                    return Typed::Bytes(bytes, self.all[index].path.clone());
                }
            }
        }
    }

    /// Those with something to read, an end or an error.
    fn ready(&self, timeout: Option<Duration>) -> Vec<usize> {
        let timeout =
            timeout.map_or(PollTimeout::NONE, |time| PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX));
        let open = |(index, terminal): (usize, &'_ Terminal)| terminal.open.as_ref().map(|_| index);
        let indices: Vec<usize> = self.all.iter().enumerate().filter_map(open).collect();
        let files = self.all.iter().filter_map(|terminal| terminal.open.as_ref());
        let mut polled: Vec<PollFd> =
            files.map(|open| PollFd::new(open.kept.file.as_fd(), PollFlags::POLLIN)).collect();
        match poll(&mut polled, timeout) {
            Ok(0) => Vec::new(),
            Ok(_) => {
                let ready = indices.iter().zip(&polled).filter(|(_, fd)| fd.any() != Some(false));
                ready.map(|(index, _)| *index).collect()
            }
            Err(_) => {
                // EINTR, or no memory: never a reason to spin.
                sleep(TOGETHER);
                Vec::new()
            }
        }
    }

    /// What was typed on this one. A line that gives an end or an error is lost until it is opened again.
    fn take(&mut self, index: usize) -> Option<Vec<u8>> {
        // Also what bounds the work that a line full of noise can make.
        sleep(TOGETHER);
        let terminal = self.all.get_mut(index)?;
        let open = terminal.open.as_mut()?;
        let mut bytes = vec![0; LONGEST];
        match open.kept.file.read(&mut bytes) {
            Ok(0) => {}
            Ok(length) => {
                bytes.truncate(length);
                if length == LONGEST {
                    let _ = tcflush(&open.kept.file, FlushArg::TCIFLUSH);
                }
                return Some(bytes);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return None;
            }
            Err(_) => {}
        }
        terminal.open = None;
        None
    }

    fn open_those_lost(&mut self) {
        if self.looked.elapsed() < AGAIN {
            return;
        }
        self.looked = Instant::now();
        for terminal in self.all.iter_mut().filter(|terminal| terminal.open.is_none()) {
            terminal.open = Open::new(&terminal.path);
        }
    }
}

impl Terminal {
    fn write(&mut self, bytes: &[u8]) {
        let Some(open) = &self.open else { return };
        let was_stuck = self.stuck;
        console::write_patiently(&open.kept.file, bytes, &mut self.stuck);
        if let (true, false, Ok(mut known)) = (self.stuck, was_stuck, STUCK_BEFORE.try_lock()) {
            known.push(self.path.clone());
        }
    }
}

/// Whether this console was stuck when an earlier screen was shown.
fn was_stuck(path: &PathBuf) -> bool {
    STUCK_BEFORE.try_lock().is_ok_and(|known| known.contains(path))
}

impl Open {
    /// O_NONBLOCK: a serial line without CLOCAL would wait for a carrier, and a full one for whoever reads it.
    fn new(path: &Path) -> Option<Self> {
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = File::options().read(true).write(true).custom_flags(flags.bits()).open(path).ok()?;
        let kept = Kept::new(file);
        kept.change(|raw| {
            raw.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
            // Noise may contain the character that stops the output; a modem may lose its carrier.
            raw.input_flags.remove(InputFlags::IXON);
            raw.control_flags.insert(ControlFlags::CLOCAL);
        });
        Some(Self { kept })
    }

    /// Serial lines do not know their size.
    fn size(&self) -> ScreenSize {
        match rustix::termios::tcgetwinsize(&self.kept.file) {
            Ok(size) if size.ws_row > 0 && size.ws_col > 0 => {
                ScreenSize { rows: size.ws_row.into(), columns: size.ws_col.into() }
            }
            _ => ScreenSize::ASSUMED,
        }
    }
}

/// The nodes of the consoles in the kernel's list. `ttynull` takes everything and shows nothing.
fn consoles(active: &str, exists: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let names = active.split_whitespace().filter(|name| *name != "ttynull");
    let nodes: Vec<PathBuf> =
        names.map(|name| Path::new("/dev").join(name)).filter(|path| exists(path)).collect();
    if !nodes.is_empty() {
        return nodes;
    }
    // Before /sys and /dev are mounted; a null console is not worth waiting for.
    let only_null = active.split_whitespace().next().is_some_and(|name| name == "ttynull");
    if only_null { Vec::new() } else { vec![PathBuf::from("/dev/console")] }
}

#[cfg(test)]
mod tests;
