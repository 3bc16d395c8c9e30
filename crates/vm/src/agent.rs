//! The host's side of the agent in a guest (the crate `guest-agent`): commands run there without a network and without a login.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use fault::Error;
use guest_agent::message::{End, Event, Job, PIECE, Program, RANDOM, Request, Stream};

use crate::qemu::RunningMachine;

/// How often it is seen whether the machine is on, and what its console says.
const LOOK: Duration = Duration::from_millis(50);
/// How often it is seen whether QEMU has stopped the machine, and whether the agent is there.
const LOOK_CLOSER: Duration = Duration::from_secs(3);
/// So often it must be missed in a row: a system that ends kills it first, and the machine is off soon.
const MISSES: u32 = 4;
/// A piece is taken, and a report read, at once; an emulated guest on a busy host takes its time.
const AT_ONCE: Duration = Duration::from_secs(60);
/// QEMU connects before it does anything else.
const CONNECTED: Duration = Duration::from_secs(5);
/// What a guest may need beyond the time of a job to say that it is over.
const GRACE: Duration = Duration::from_secs(30);
/// A guest waits when it has said so much that nobody has heard.
const UNHEARD: usize = 64;
/// A boot report of 500 layers has 600 KB.
const LONGEST_REPORT: usize = 16 << 20;

/// Why an agent did not answer.
#[derive(Debug)]
pub enum Lost {
    /// The machine has ended.
    Ended,
    /// QEMU has stopped it: a disk of it cannot be written to.
    Stopped,
    /// The agent was killed.
    Gone,
    /// Nothing came in time.
    TimedOut,
    /// What came was none of its answers.
    Wrong(io::Error),
    /// Whoever was shown what a job prints has had enough of it.
    Unseen(Error),
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// It ran.
    Ended(End),
    /// It could not be started, and why.
    Refused(String),
}

/// The other end of the second serial port of [`crate::machine::Machine::agent`].
#[derive(Debug)]
pub struct Agent {
    events: Receiver<io::Result<Event>>,
    to: Receiver<UnixStream>,
    port: Option<UnixStream>,
    /// When the machine was looked at.
    looked: Instant,
    /// It has said that it is there, and was not told to end the system.
    is_there: bool,
    /// How often in a row it was seen that it is not.
    missed: u32,
}

impl Agent {
    /// Listens for a machine that is not started yet.
    ///
    /// # Errors
    /// There can be no socket at this path: it is there already, or longer than 107 bytes (unix(7)).
    pub fn listen(socket: &Path) -> Result<Self, Error> {
        let listener = UnixListener::bind(socket)
            .map_err(|error| Error::caused(socket.display(), error).remedy("set TMPDIR to a shorter path"))?;
        let ((sender, events), (give, to)) = (sync_channel(UNHEARD), channel());
        thread::spawn(move || {
            // Whatever else ends the connection is the end of the machine.
            if let Err(error) = hear(&listener, &give, &sender)
                && error.kind() == ErrorKind::InvalidData
            {
                // Nobody listens any more where this fails.
                let _ = sender.send(Err(error));
            }
        });
        Ok(Self { events, to, port: None, looked: Instant::now(), is_there: false, missed: 0 })
    }

    /// Waits until the system in the guest is up; returns how the agent knows.
    ///
    /// # Errors
    /// It does not come up.
    pub fn wait(&mut self, machine: &mut RunningMachine, at_most: Duration) -> Result<String, Lost> {
        match self.next(machine, Instant::now() + at_most)? {
            Event::Up(how) => Ok(how),
            other => Err(unexpected(&other)),
        }
    }

    /// Greets a guest that goes on where it was kept, and waits for its answer.
    ///
    /// # Errors
    /// None comes.
    pub fn greet(&mut self, machine: &mut RunningMachine) -> Result<(), Lost> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut random = [0; RANDOM];
        File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut random)).map_err(Lost::Wrong)?;
        self.ask(&Request::Greeting(now, random))?;
        match self.next(machine, Instant::now() + AT_ONCE)? {
            Event::Up(_) => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Gives the guest a program: some 60 KB a second, where it is emulated.
    ///
    /// # Errors
    /// The guest ends, or does not take it.
    pub fn give(&mut self, machine: &mut RunningMachine, program: &[u8]) -> Result<(), Lost> {
        for piece in program.chunks(PIECE) {
            self.ask(&Request::Piece(piece.to_vec()))?;
            match self.next(machine, Instant::now() + AT_ONCE)? {
                Event::Taken => {}
                other => return Err(unexpected(&other)),
            }
        }
        Ok(())
    }

    /// Runs the program that was given, and shows what it prints.
    ///
    /// # Errors
    /// The guest ends, or has not said that the program is over some time after it should be; those of `see`.
    pub fn run(
        &mut self,
        machine: &mut RunningMachine,
        kind: Program,
        at_most: Duration,
        mut see: impl FnMut(Stream, &[u8]) -> Result<(), Error>,
    ) -> Result<Done, Lost> {
        self.ask(&Request::Run(Job { program: kind, at_most }))?;
        let deadline = Instant::now() + at_most + GRACE;
        loop {
            match self.next(machine, deadline)? {
                Event::Output(stream, bytes) => see(stream, &bytes).map_err(Lost::Unseen)?,
                Event::Ended(end) => return Ok(Done::Ended(end)),
                Event::Refused(why) => return Ok(Done::Refused(why)),
                other => return Err(unexpected(&other)),
            }
        }
    }

    /// The boot report of the guest, as JSON; empty where there is none.
    ///
    /// # Errors
    /// The guest ends, or does not answer.
    pub fn report(&mut self, machine: &mut RunningMachine) -> Result<Vec<u8>, Lost> {
        self.ask(&Request::Report)?;
        let (deadline, mut report) = (Instant::now() + AT_ONCE, Vec::new());
        loop {
            match self.next(machine, deadline)? {
                Event::Report(part) if part.is_empty() => return Ok(report),
                Event::Report(part) if report.len() + part.len() <= LONGEST_REPORT => report.extend(part),
                other => return Err(unexpected(&other)),
            }
        }
    }

    /// Has the system end as it does by itself, and waits until the machine is off.
    ///
    /// # Errors
    /// It stays on.
    pub fn power_off(&mut self, machine: &mut RunningMachine, at_most: Duration) -> Result<(), Lost> {
        self.ask(&Request::PowerOff)?;
        self.is_there = false;
        let deadline = Instant::now() + at_most;
        loop {
            match self.next(machine, deadline) {
                Err(Lost::Ended) => return Ok(()),
                Err(lost) => return Err(lost),
                Ok(_) => {}
            }
        }
    }

    fn ask(&mut self, request: &Request) -> Result<(), Lost> {
        if self.port.is_none() {
            self.port = self.to.recv_timeout(CONNECTED).ok();
        }
        let port = self.port.as_mut().ok_or(Lost::Ended)?;
        request.send(port).map_err(|_| Lost::Ended)
    }

    fn next(&mut self, machine: &mut RunningMachine, deadline: Instant) -> Result<Event, Lost> {
        loop {
            machine.console.take_in();
            // Asked before, so that what it has said at last is heard.
            let is_off = machine.is_off();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() && !is_off {
                return Err(Lost::TimedOut);
            }
            if self.looked.elapsed() > LOOK_CLOSER && !is_off {
                self.look_closer(machine)?;
            }
            match self.events.recv_timeout(LOOK.min(left)) {
                Ok(event) => {
                    self.is_there |= matches!(event, Ok(Event::Up(_)));
                    return event.map_err(Lost::Wrong);
                }
                Err(_) if self.missed >= MISSES && !is_off => return Err(Lost::Gone),
                Err(RecvTimeoutError::Timeout) if !is_off => {}
                Err(_) => {
                    machine.console.take_in();
                    return Err(Lost::Ended);
                }
            }
        }
    }

    /// What takes a question to QEMU.
    fn look_closer(&mut self, machine: &RunningMachine) -> Result<(), Lost> {
        if machine.stands_still() {
            return Err(Lost::Stopped);
        }
        let is_missed = self.is_there && machine.has_agent() == Some(false);
        self.missed = if is_missed { self.missed + 1 } else { 0 };
        self.looked = Instant::now();
        Ok(())
    }
}

/// Tells what comes from the one machine that connects, until it ends.
fn hear(
    listener: &UnixListener,
    give: &Sender<UnixStream>,
    sender: &SyncSender<io::Result<Event>>,
) -> io::Result<()> {
    let (mut port, _) = listener.accept()?;
    // A guest that takes nothing does not keep its host.
    port.set_write_timeout(Some(AT_ONCE))?;
    if give.send(port.try_clone()?).is_err() {
        return Ok(());
    }
    while let Some(event) = Event::receive(&mut port)? {
        if sender.send(Ok(event)).is_err() {
            break;
        }
    }
    Ok(())
}

fn unexpected(event: &Event) -> Lost {
    let kind = match event {
        Event::Up(_) => "that it is up",
        Event::Taken => "that it has a piece",
        Event::Output(..) => "what a job prints",
        Event::Ended(_) => "that a job has ended",
        Event::Refused(_) => "that a job was refused",
        Event::Report(_) => "a boot report",
    };
    Lost::Wrong(io::Error::other(format!("the agent in the guest says {kind}, which nobody has asked for")))
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ended => f.write_str("it has ended"),
            Self::Stopped => f.write_str("QEMU has stopped it, for a disk of it cannot be written to"),
            Self::Gone => f.write_str("its agent was killed, by which this command speaks with it"),
            Self::TimedOut => f.write_str("nothing came from it in time"),
            Self::Wrong(error) => error.fmt(f),
            Self::Unseen(error) => error.fmt(f),
        }
    }
}
