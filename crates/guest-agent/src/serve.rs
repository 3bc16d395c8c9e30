//! The agent: it says that the system is up, and does what it is asked, one request after another.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::time::{ClockId, clock_settime};

use crate::job::{self, ENVIRONMENT};
use crate::message::{Event, LONGEST_PROGRAM, Request};

/// Where init leaves the boot report.
const REPORT: &str = "/run/lamina/report.json";
/// How systems are told to end, the first that works.
const POWER_OFF: [&[&str]; 2] = [&["systemctl", "poweroff"], &["poweroff"]];

/// Serves the host until it goes.
///
/// # Errors
/// Those of the port; a request that nobody knows, or a program that is too long.
pub fn serve(mut port: impl Read + Write, up: &str) -> io::Result<()> {
    Event::Up(up.to_owned()).send(&mut port)?;
    let mut program = Vec::new();
    while let Some(request) = Request::receive(&mut port)? {
        match request {
            Request::Greeting(now, random) => {
                set_clock(now);
                // Without the right the numbers are those of every guest that goes on from there, and all else works.
                let _ = stack::random::reseed(&random);
                Event::Up("it goes on".to_owned()).send(&mut port)?;
            }
            Request::Piece(piece) if program.len() + piece.len() > LONGEST_PROGRAM => {
                return Err(io::Error::new(ErrorKind::InvalidData, "a program of more than 64 MiB"));
            }
            Request::Piece(piece) => {
                program.extend(piece);
                Event::Taken.send(&mut port)?;
            }
            Request::Run(job) => {
                job::run(&job, &std::mem::take(&mut program), |event| event.send(&mut port))?;
            }
            Request::Report => {
                Event::Report(fs::read(Path::new(REPORT)).unwrap_or_default()).send(&mut port)?;
                Event::Report(Vec::new()).send(&mut port)?;
            }
            Request::PowerOff => power_off(),
        }
    }
    Ok(())
}

/// A guest that was not there for days has the time of those days. What is nearer than a second is right.
fn set_clock(now: Duration) {
    let clock = ClockId::CLOCK_REALTIME;
    if clock.now().is_ok_and(|it| Duration::from(it).abs_diff(now) > Duration::from_secs(1)) {
        // Without the right there is the wrong time, and all else works.
        let _ = clock_settime(clock, now.into());
    }
}

/// The host sees whether it works, and switches the machine off where it does not.
fn power_off() {
    for words in POWER_OFF {
        let asked = Command::new(words[0]).args(&words[1..]).envs(ENVIRONMENT).stdin(Stdio::null()).status();
        if asked.is_ok_and(|status| status.success()) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{End, Job, PIECE, Program, Stream};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_program_comes_in_pieces_and_runs() {
        let (mut host, agent) = UnixStream::pair().unwrap();
        let served = std::thread::spawn(move || serve(agent, "at once"));
        assert_eq!(Event::receive(&mut host).unwrap(), Some(Event::Up("at once".to_owned())));
        let words = format!("echo {}; echo end", "x".repeat(PIECE * 2));
        for piece in words.as_bytes().chunks(PIECE) {
            Request::Piece(piece.to_vec()).send(&mut host).unwrap();
            assert_eq!(Event::receive(&mut host).unwrap(), Some(Event::Taken));
        }
        let job = Job { program: Program::Words, at_most: Duration::from_secs(60) };
        Request::Run(job).send(&mut host).unwrap();
        let mut printed = 0;
        let end = loop {
            match Event::receive(&mut host).unwrap() {
                Some(Event::Output(Stream::Output, bytes)) => printed += bytes.len(),
                other => break other,
            }
        };
        assert_eq!((end, printed), (Some(Event::Ended(End::Exited(0))), PIECE * 2 + 5));
        drop(host);
        served.join().unwrap().unwrap();
    }
}
