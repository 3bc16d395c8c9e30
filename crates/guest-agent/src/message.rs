//! What host and agent say to each other.
//!
//! The agent begins with [`Event::Up`]. From then on the host asks, and waits for the answer before it asks again: [`Event::Up`] for a greeting, [`Event::Taken`] for each
//! piece of a program, [`Event::Ended`] or [`Event::Refused`] for a job, with what it prints before that. The pieces are answered because a serial
//! port has no way to say "wait".

use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use crate::frame::{Frame, LONGEST};

/// Of this protocol.
pub const VERSION: u8 = 1;

/// The longest piece of a program, in bytes: what a kernel keeps of a serial port's input that nobody reads (the flip buffers of its tty layer have
/// 64 KiB).
pub const PIECE: usize = 1 << 14;

/// The longest program, in bytes.
pub const LONGEST_PROGRAM: usize = 64 << 20;

/// Bytes of a greeting: the key of the kernel's generator has as many.
pub const RANDOM: usize = 32;

/// What the host wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// The guest goes on after a time in which it was not there: what the time is now, as CLOCK_REALTIME has it, to the second; and
    /// random bytes that no other guest has.
    Greeting(Duration, [u8; RANDOM]),
    /// More of the program of the next job.
    Piece(Vec<u8>),
    /// Run it.
    Run(Job),
    /// Send the boot report.
    Report,
    /// Have the system end as it does by itself.
    PowerOff,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// What the pieces before are.
    pub program: Program,
    /// It is killed after so long; whole seconds.
    pub at_most: Duration,
}

/// What a program consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Words for `/bin/sh -c`.
    Words,
    /// A file that is started as it is: a script with its `#!`, or a program.
    File,
}

/// What the agent tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The system is up; and how the agent knows it.
    Up(String),
    /// A piece has come.
    Taken,
    /// The job has printed this.
    Output(Stream, Vec<u8>),
    /// The job has ended.
    Ended(End),
    /// The job could not be started, and why.
    Refused(String),
    /// A part of the boot report; an empty one is its end.
    Report(Vec<u8>),
}

/// Where a job prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this exit status.
    Exited(u8),
    /// By this signal (signal(7)).
    Killed(u8),
    /// It was killed because its time was up.
    TimedOut,
}

fn wrong(frame: &Frame) -> io::Error {
    let kind = [frame.kind];
    io::Error::new(ErrorKind::InvalidData, format!("a message '{}' that nobody knows", kind.escape_ascii()))
}

impl Request {
    /// Sends it.
    ///
    /// # Errors
    /// Those of writing.
    pub fn send(&self, to: &mut impl Write) -> io::Result<()> {
        let (kind, bytes) = match self {
            Self::Greeting(now, random) => (b'g', [&now.as_secs().to_le_bytes()[..], random].concat()),
            Self::Piece(bytes) => (b'p', bytes.clone()),
            Self::Run(Job { program, at_most }) => {
                let kind = if *program == Program::Words { b'w' } else { b'f' };
                let seconds = u32::try_from(at_most.as_secs()).unwrap_or(u32::MAX);
                (kind, seconds.to_le_bytes().to_vec())
            }
            Self::Report => (b'r', Vec::new()),
            Self::PowerOff => (b'e', Vec::new()),
        };
        Frame { kind, bytes }.write(to)
    }

    /// Waits for the next one; `None`: the host has gone.
    ///
    /// # Errors
    /// What comes is none, or reading fails.
    pub fn receive(from: &mut impl Read) -> io::Result<Option<Self>> {
        let Some(frame) = Frame::read(from)? else { return Ok(None) };
        let job = |program| {
            let seconds = frame.bytes.as_slice().try_into().map_err(|_| wrong(&frame))?;
            let at_most = Duration::from_secs(u32::from_le_bytes(seconds).into());
            Ok::<_, io::Error>(Self::Run(Job { program, at_most }))
        };
        Ok(Some(match (frame.kind, frame.bytes.len()) {
            (b'g', _) => {
                let parts = frame.bytes.split_first_chunk().and_then(|(seconds, random)| {
                    Some((u64::from_le_bytes(*seconds), random.try_into().ok()?))
                });
                let (seconds, random) = parts.ok_or_else(|| wrong(&frame))?;
                Self::Greeting(Duration::from_secs(seconds), random)
            }
            (b'p', ..=PIECE) => Self::Piece(frame.bytes),
            (b'w', _) => job(Program::Words)?,
            (b'f', _) => job(Program::File)?,
            (b'r', 0) => Self::Report,
            (b'e', 0) => Self::PowerOff,
            _ => return Err(wrong(&frame)),
        }))
    }
}

impl Event {
    /// Tells it, in several frames where it is long.
    ///
    /// # Errors
    /// Those of writing.
    pub fn send(&self, to: &mut impl Write) -> io::Result<()> {
        let mut all = |kind, bytes: &[u8]| {
            bytes.chunks(LONGEST).try_for_each(|part| Frame { kind, bytes: part.to_vec() }.write(to))
        };
        match self {
            Self::Output(Stream::Output, bytes) => all(b'o', bytes),
            Self::Output(Stream::Error, bytes) => all(b'e', bytes),
            Self::Report(bytes) if !bytes.is_empty() => all(b'r', bytes),
            Self::Report(_) => Frame { kind: b'r', bytes: Vec::new() }.write(to),
            Self::Up(how) => {
                let bytes = [&[VERSION], short(how).as_bytes()].concat();
                Frame { kind: b'u', bytes }.write(to)
            }
            Self::Taken => Frame { kind: b't', bytes: Vec::new() }.write(to),
            Self::Refused(why) => Frame { kind: b'n', bytes: short(why).into() }.write(to),
            Self::Ended(end) => {
                let bytes = match end {
                    End::Exited(status) => [b'x', *status],
                    End::Killed(signal) => [b's', *signal],
                    End::TimedOut => [b't', 0],
                };
                Frame { kind: b'd', bytes: bytes.to_vec() }.write(to)
            }
        }
    }

    /// Waits for the next one; `None`: the agent has gone.
    ///
    /// # Errors
    /// What comes is none, or of another version; or reading fails.
    pub fn receive(from: &mut impl Read) -> io::Result<Option<Self>> {
        let Some(frame) = Frame::read(from)? else { return Ok(None) };
        let text = |bytes: &[u8]| short(&String::from_utf8_lossy(bytes)).to_owned();
        Ok(Some(match (frame.kind, frame.bytes.as_slice()) {
            (b'u', [VERSION, how @ ..]) => Self::Up(text(how)),
            (b'u', _) => {
                let message = "the agent in the guest is of another version than this command";
                return Err(io::Error::new(ErrorKind::InvalidData, message));
            }
            (b't', []) => Self::Taken,
            (b'o', bytes) => Self::Output(Stream::Output, bytes.to_vec()),
            (b'e', bytes) => Self::Output(Stream::Error, bytes.to_vec()),
            (b'r', bytes) => Self::Report(bytes.to_vec()),
            (b'n', why) => Self::Refused(text(why)),
            (b'd', [b'x', status]) => Self::Ended(End::Exited(*status)),
            (b'd', [b's', signal]) => Self::Ended(End::Killed(*signal)),
            (b'd', [b't', 0]) => Self::Ended(End::TimedOut),
            _ => return Err(wrong(&frame)),
        }))
    }
}

/// As much of a sentence as fits.
fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(1000)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_out_as_they_went_in() {
        let at_most = Duration::from_secs(90);
        let requests = [
            Request::Greeting(Duration::from_secs(1 << 33), [7; RANDOM]),
            Request::Piece(b"echo".to_vec()),
            Request::Run(Job { program: Program::Words, at_most }),
            Request::Run(Job { program: Program::File, at_most }),
            Request::Report,
            Request::PowerOff,
        ];
        let mut stream = Vec::new();
        requests.iter().for_each(|it| it.send(&mut stream).unwrap());
        let mut from = stream.as_slice();
        for request in requests {
            assert_eq!(Request::receive(&mut from).unwrap(), Some(request));
        }
        assert_eq!(Request::receive(&mut from).unwrap(), None);
    }

    #[test]
    fn events_come_out_as_they_went_in_and_long_output_in_parts() {
        let long = vec![b'x'; LONGEST + 1];
        let events = [
            Event::Up("a terminal is in use".to_owned()),
            Event::Taken,
            Event::Output(Stream::Output, vec![b'x'; LONGEST]),
            Event::Output(Stream::Output, b"x".to_vec()),
            Event::Output(Stream::Error, vec![0, 255]),
            Event::Report(b"{}".to_vec()),
            Event::Report(Vec::new()),
            Event::Refused("no such file".to_owned()),
            Event::Ended(End::Exited(255)),
            Event::Ended(End::Killed(9)),
            Event::Ended(End::TimedOut),
        ];
        let mut stream = Vec::new();
        events[..2].iter().for_each(|it| it.send(&mut stream).unwrap());
        Event::Output(Stream::Output, long).send(&mut stream).unwrap();
        events[4..].iter().for_each(|it| it.send(&mut stream).unwrap());
        let mut from = stream.as_slice();
        for event in events {
            assert_eq!(Event::receive(&mut from).unwrap(), Some(event));
        }
    }

    #[test]
    fn what_nobody_knows_is_refused() {
        for (kind, bytes) in [(b'z', vec![]), (b'w', vec![1]), (b'p', vec![0; PIECE + 1]), (b'd', vec![b'x'])]
        {
            let mut stream = Vec::new();
            Frame { kind, bytes }.write(&mut stream).unwrap();
            assert!(Request::receive(&mut stream.as_slice()).is_err());
            assert!(Event::receive(&mut stream.as_slice()).is_err());
        }
        let mut other = Vec::new();
        Frame { kind: b'u', bytes: vec![VERSION + 1] }.write(&mut other).unwrap();
        assert!(Event::receive(&mut other.as_slice()).unwrap_err().to_string().contains("another version"));
    }
}
