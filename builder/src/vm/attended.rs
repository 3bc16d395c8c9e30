//! A guest that nobody sits at: it comes up, does what it is asked, and is switched off.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use guest_agent::message::Stream;
use vm::acceleration::Acceleration;
use vm::agent::{Agent, Lost};
use vm::machine::Machine;
use vm::qemu::RunningMachine;

use super::asked_for::AskedFor;
use super::job::{GuestJob, LastWords, Outcome};
use crate::error::{Error, Result};

/// The last lines of a console that tell why a guest did not come up: the recovery screen has about so many.
const LINES: usize = 24;
/// What is looked at of a log, in bytes.
const MOST_OF_A_LOG: u64 = 64 << 10;
/// To read the memory of a machine out of a file.
const MOST_TO_COME_BACK: Duration = Duration::from_secs(60);
/// A system that ends by itself stops its services first.
const MOST_FOR_THE_END: Duration = Duration::from_secs(90);

/// Where the files of a guest are that take room as it writes.
const ROOM: &str = "make room where `--state` or `--disk` is, and in TMPDIR (else /var/tmp), where it writes what is forgotten";

/// ENOSPC in QEMU's words (strerror(3)).
const FULL: &str = "No space left on device";
/// What shows more of a guest than its last words.
const AT_HAND: &str =
    "try it without --run, with its console on this terminal; `--timeout` gives it more time";

/// A guest whose system is up.
#[derive(Debug)]
pub struct AttendedGuest {
    name: String,
    machine: RunningMachine,
    agent: Agent,
    at_most: Duration,
}

impl AttendedGuest {
    /// Starts a machine and waits until its system is up: so long, and so long for each job later. All that it prints goes to the file
    /// `log`; `socket` must not be there yet.
    ///
    /// # Errors
    /// QEMU does not start; the system does not come up in time, or ends.
    pub fn start(
        machine: &Machine,
        acceleration: Acceleration,
        (socket, log): (&Path, &Path),
        at_most: Duration,
    ) -> Result<Self> {
        let mut agent = Agent::listen(socket)?;
        let mut running = RunningMachine::start(&machine.clone().agent(socket), acceleration, log)?;
        let name = format!("the guest {}", machine.name);
        match agent.wait(&mut running, at_most) {
            Ok(_) => Ok(Self { name, machine: running, agent, at_most }),
            Err(lost) => Err(not_up(&name, &lost, at_most, running.console.text(), log)),
        }
    }

    /// Has one go on that was kept in `file`; see [`AttendedGuest::start`].
    ///
    /// # Errors
    /// QEMU does not take it, or the guest does not answer.
    pub fn come_back(
        machine: &Machine,
        acceleration: Acceleration,
        (socket, log): (&Path, &Path),
        file: &File,
        at_most: Duration,
    ) -> Result<Self> {
        let mut agent = Agent::listen(socket)?;
        let machine = machine.clone().agent(socket).kept_in(&open_place(file));
        let mut running = RunningMachine::start(&machine, acceleration, log)?;
        let name = format!("the guest {}", machine.name);
        let deadline = Instant::now() + MOST_TO_COME_BACK;
        // What the port is told before is lost.
        while !running.runs() {
            if running.is_off() || Instant::now() > deadline {
                return Err(Error::new(name, format!("does not go on{}", last_lines(&beginning(log)))));
            }
            thread::sleep(Duration::from_millis(10));
        }
        match agent.greet(&mut running) {
            Ok(()) => Ok(Self { name, machine: running, agent, at_most }),
            Err(lost) => Err(Error::new(name, format!("does not go on: {lost}"))),
        }
    }

    /// Writes it as it is now into `file`, and lets it go on.
    ///
    /// # Errors
    /// It cannot be kept; the file cannot be written.
    pub fn keep_as(&mut self, file: &File) -> Result<()> {
        self.machine.keep_as(&open_place(file))
    }

    /// Whether it runs, and does not stand still.
    pub fn runs(&mut self) -> bool {
        self.machine.runs()
    }

    /// Does one job, and shows what it prints.
    ///
    /// # Errors
    /// The guest is lost; those of `see`, which end the job.
    pub fn run(
        &mut self,
        job: &GuestJob,
        mut see: impl FnMut(Stream, &[u8]) -> Result<()>,
    ) -> Result<Outcome> {
        let when = format!("while it ran {}", cli::safe_text::clean(&job.name));
        self.agent.give(&mut self.machine, &job.text).map_err(|lost| self.lost(&lost, &when))?;
        let (begin, mut output, mut error) = (Instant::now(), LastWords::default(), LastWords::default());
        let see = |stream, bytes: &[u8]| {
            LastWords::of(stream, &mut output, &mut error).add(bytes);
            see(stream, bytes)
        };
        let done = self.agent.run(&mut self.machine, job.kind, self.at_most, see);
        let done = done.map_err(|lost| match lost {
            Lost::Unseen(error) => error,
            lost => self.lost(&lost, &when),
        })?;
        Ok(Outcome { name: job.name.clone(), took: begin.elapsed(), done, output, error })
    }

    /// Writes what its screen shows to `file`, which must end in `.png` or `.ppm`.
    ///
    /// # Errors
    /// The machine has no screen, or is off; QEMU cannot write there.
    pub fn take_picture(&mut self, file: &Path) -> Result<()> {
        self.machine.take_picture(file)
    }

    /// The boot report, as JSON.
    ///
    /// # Errors
    /// The guest is lost.
    pub fn report(&mut self) -> Result<Vec<u8>> {
        self.agent
            .report(&mut self.machine)
            .map_err(|lost| self.lost(&lost, "when it was asked for its report"))
    }

    /// Sees that it has what it was started with: init goes on without what it cannot have.
    ///
    /// # Errors
    /// It has not, for the reason that its boot report gives; the guest is lost.
    pub fn must_have(&mut self, asked: &AskedFor<'_>) -> Result<()> {
        if asked.is_nothing() { Ok(()) } else { asked.is_there(&self.report()?) }
    }

    /// Ends it as the system itself does, so that what it has written is whole.
    ///
    /// # Errors
    /// It stays on, and is switched off.
    pub fn power_off(mut self) -> Result<()> {
        self.agent.power_off(&mut self.machine, MOST_FOR_THE_END).map_err(|lost| match lost {
            Lost::TimedOut => {
                let cause =
                    format!("did not end within {} s, and was switched off", MOST_FOR_THE_END.as_secs());
                Error::new(&self.name, cause).remedy("what it wrote last may be missing")
            }
            lost => self.lost(&lost, "when it was to end"),
        })
    }

    fn lost(&self, lost: &Lost, when: &str) -> Error {
        if matches!(lost, Lost::Stopped) {
            return Error::new(&self.name, format!("was lost {when}: {lost}")).remedy(ROOM);
        }
        let console = last_lines(self.machine.console.text());
        Error::new(&self.name, format!("was lost {when}: {lost}{console}"))
    }
}

/// Where QEMU finds an open file, whatever its name means by now.
fn open_place(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()))
}

/// One that was lost before its system was up.
fn not_up(name: &str, lost: &Lost, at_most: Duration, console: &str, log: &Path) -> Error {
    let (cause, remedy) = match lost {
        Lost::Stopped => return Error::new(name, format!("did not come up: {lost}")).remedy(ROOM),
        Lost::Ended => ("ended before its system was up".to_owned(), AT_HAND),
        Lost::TimedOut => (format!("was not up within {} s", at_most.as_secs()), AT_HAND),
        _ => (lost.to_string(), AT_HAND),
    };
    if !console.trim().is_empty() {
        return Error::new(name, format!("{cause}{}", last_lines(console))).remedy(remedy);
    }
    let of_qemu = beginning(log);
    let remedy = if of_qemu.contains(FULL) { ROOM } else { remedy };
    Error::new(name, format!("{cause}{}", last_lines(&of_qemu))).remedy(remedy)
}

/// What QEMU itself has said in a log, where it was refused.
fn beginning(log: &Path) -> String {
    let mut bytes = Vec::new();
    let read =
        stack::beneath::regular_file(log).and_then(|file| file.take(MOST_OF_A_LOG).read_to_end(&mut bytes));
    read.map_or_else(|error| error.to_string(), |_| String::from_utf8_lossy(&bytes).into_owned())
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    last.iter().map(|line| format!("\n    {}", cli::safe_text::clean(line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_has_no_room_to_come_up_says_where_to_make_some() {
        let (log, second) = (Path::new("/nowhere"), Duration::from_secs(1));
        let told = |lost| not_up("the guest web", &lost, second, "the last line", log).to_string();
        let stopped = told(Lost::Stopped);
        assert!(stopped.starts_with("the guest web: did not come up: QEMU has stopped it"), "{stopped}");
        assert!(stopped.contains("help: make room where `--state`"), "{stopped}");
        let late = told(Lost::TimedOut);
        assert!(
            late.starts_with("the guest web: was not up within 1 s\n    the last line\nhelp: try it"),
            "{late}"
        );
    }

    #[test]
    fn the_last_lines_of_a_console_are_shown_as_plain_text() {
        let text: String = (0..100).map(|number| format!("line {number}\u{1b}[2J\n\n")).collect();
        let shown = last_lines(&text);
        assert_eq!(shown.lines().count(), LINES + 1);
        assert!(shown.ends_with("line 99\\u{1b}[2J"), "{shown}");
    }
}
