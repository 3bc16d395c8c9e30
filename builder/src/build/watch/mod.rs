//! Watches a build from outside: takes its output into the log, tells people, and ends it at its limits.
//!
//! The kernel keeps what it can keep alone (`sandbox/bounds.rs`). Time, silence, the length of the log and the sum over all
//! processes are kept here, by the thread that waits for the build anyway.

mod failure;
mod last_line;
mod usage;

use std::io::Read;
use std::os::fd::AsFd;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use cli::numbers::human_size;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

pub use failure::{failed_by_itself, failure};
pub use last_line::LastLine;

use crate::error::{Error, Result};
use crate::limits::{Limits, shown};
use crate::sandbox::Running;
use crate::store::{BuildLog, LONGEST_LOG};

/// So often people are told, and processes counted, when nothing else happens.
const TICK: Duration = Duration::from_millis(500);
/// Looking at all processes of the machine takes at most this part of one processor: one of so many.
const SHARE: u32 = 50;
/// After its end was ordered, a build is waited for at most so long.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// One reading of the output: what a pipe holds (pipe(7)).
const AT_ONCE: usize = 64 << 10;

/// How a build ended.
#[derive(Debug)]
pub enum End {
    /// By itself.
    Exited(ExitStatus),
    /// At one of its limits.
    Stopped(Stop),
}

/// The limit that a build reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It took too long.
    Time(Duration),
    /// It wrote nothing for too long.
    Silence(Duration),
    /// Its log became too long.
    Log(u64),
    /// Its processes hold `found` bytes.
    Memory {
        /// What was seen.
        found: u64,
        /// What is allowed.
        most: u64,
    },
    /// It has that many processes and threads.
    Processes(u64),
}

impl Stop {
    /// What happened, for people.
    pub fn cause(&self) -> String {
        match self {
            Stop::Time(most) => format!("the build was ended: it ran for {}, its time limit", shown(*most)),
            Stop::Silence(most) => {
                format!("the build was ended: it wrote nothing for {}, its silence limit", shown(*most))
            }
            Stop::Log(most) => {
                format!("the build was ended: it wrote {} of log, the most there can be", human_size(*most))
            }
            Stop::Memory { found, most } => format!(
                "the build was ended: it held {} of memory, and its limit is {}",
                human_size(*found),
                human_size(*most)
            ),
            Stop::Processes(most) => {
                format!("the build was ended: it had {most} processes and threads at once, its limit")
            }
        }
    }

    /// What helps.
    pub fn remedy(&self) -> &'static str {
        match self {
            Stop::Time(_) => {
                "allow more with `--timeout 4h`, or for everybody with `limits timeout=\"4h\"` in the recipe"
            }
            Stop::Silence(_) => {
                "allow more with `--silence 1h`, or for everybody with `limits silence=\"1h\"` in the recipe"
            }
            Stop::Log(_) => "let the steps say less",
            Stop::Memory { .. } => {
                "use fewer `--jobs`, or allow more with `--memory 16G` or `limits memory=\"16G\"` in the recipe"
            }
            Stop::Processes(_) => {
                "use fewer `--jobs`, or allow more with `--processes 20000` or `limits processes=20000` in the recipe"
            }
        }
    }
}

/// Waits for the end of a build, or ends it. `tell` hears the last line of output, now and then.
pub fn watch(
    mut build: Running,
    limits: &Limits,
    log: &mut BuildLog,
    mut tell: impl FnMut(&LastLine),
) -> Result<End> {
    let mut clocks = Clocks::start(limits);
    let mut last = LastLine::default();
    let mut buffer = vec![0; AT_ONCE];
    while let Some(read) = next_output(&mut build, clocks.until_next(), &mut buffer)? {
        if !buffer[..read].is_empty() {
            last.feed(&buffer[..read]);
            clocks.output = Instant::now();
            log.write(&buffer[..read])?;
        }
        tell(&last);
        if let Some(stop) = clocks.reached(build.id(), log) {
            end(build, log, &mut buffer)?;
            return Ok(End::Stopped(stop));
        }
    }
    // Whoever closed all its streams may still run.
    loop {
        if let Some(status) = build.try_wait()? {
            return Ok(End::Exited(status));
        }
        if let Some(stop) = clocks.reached(build.id(), log) {
            return Ok(End::Stopped(stop));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The number of bytes that came within `wait`, which may be none; `None` at the end of the output.
fn next_output(build: &mut Running, wait: Duration, buffer: &mut [u8]) -> Result<Option<usize>> {
    let failed = "the output of the build";
    let mut ends = [PollFd::new(build.output.as_fd(), PollFlags::POLLIN)];
    // A millisecond more than the moment that is waited for, or the last one is spent in a loop.
    let wait = PollTimeout::try_from(wait + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
    match poll(&mut ends, wait) {
        Ok(0) | Err(nix::errno::Errno::EINTR) => return Ok(Some(0)),
        Ok(_) => {}
        Err(errno) => return Err(Error::caused(failed, errno)),
    }
    match build.output.read(buffer) {
        Ok(0) => Ok(None),
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(Some(0)),
        Err(error) => Err(Error::caused(failed, error)),
    }
}

/// Kills a build and takes what it still said. With its first process all others go; the output ends with the last of them.
fn end(mut build: Running, log: &mut BuildLog, buffer: &mut [u8]) -> Result<()> {
    build.kill();
    let until = Instant::now() + LAST_WORDS;
    while let Some(read) = next_output(&mut build, TICK, buffer)? {
        log.write(&buffer[..read])?;
        if Instant::now() > until || log.is_full() {
            break;
        }
    }
    Ok(())
}

/// When things happened, and when the next will be looked at.
struct Clocks<'a> {
    limits: &'a Limits,
    began: Instant,
    output: Instant,
    next_count: Instant,
}

impl<'a> Clocks<'a> {
    fn start(limits: &'a Limits) -> Self {
        let now = Instant::now();
        Clocks { limits, began: now, output: now, next_count: now + TICK }
    }

    /// How long nothing can be due.
    fn until_next(&self) -> Duration {
        let left = |limit: Option<Duration>, since: Instant| {
            limit.map_or(TICK, |limit| limit.saturating_sub(since.elapsed()))
        };
        TICK.min(left(self.limits.timeout, self.began)).min(left(self.limits.silence, self.output))
    }

    /// The first limit that is reached.
    fn reached(&mut self, ancestor: u32, log: &BuildLog) -> Option<Stop> {
        let over = |limit: Option<Duration>, since: Instant| limit.filter(|most| since.elapsed() >= *most);
        over(self.limits.timeout, self.began)
            .map(Stop::Time)
            .or_else(|| over(self.limits.silence, self.output).map(Stop::Silence))
            .or_else(|| log.is_full().then_some(Stop::Log(LONGEST_LOG)))
            .or_else(|| self.counted(ancestor))
    }

    fn counted(&mut self, ancestor: u32) -> Option<Stop> {
        let now = Instant::now();
        if now < self.next_count {
            return None;
        }
        let found = usage::of_descendants(ancestor, self.limits.memory);
        self.next_count = now + TICK.max(now.elapsed() * SHARE);
        if found.processes >= self.limits.processes {
            return Some(Stop::Processes(self.limits.processes));
        }
        let most = self.limits.memory;
        (found.memory > most).then_some(Stop::Memory { found: found.memory, most })
    }
}
