//! One command: what it prints, how it ends, and its time.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::message::{End, Event, Job, Program, Stream};

/// Where a file lies that is started: `/tmp` may be missing, or not let programs start.
const FOLDER: &str = "/run/lamina/agent";
const HOME: &str = "/root";
/// As login(1) sets them for root; the agent itself has none.
pub(crate) const ENVIRONMENT: [(&str, &str); 6] = [
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("HOME", HOME),
    ("USER", "root"),
    ("LOGNAME", "root"),
    ("SHELL", "/bin/sh"),
    ("TERM", "dumb"),
];
/// The longest piece that is told at once, in bytes.
const PIECE: usize = 4096;
/// So many pieces wait to be told: a program that prints faster than the serial line waits for it.
const UNTOLD: usize = 16;
/// A daemon that it has started may keep its streams open for ever: what has come when this time was waited for after its end is still its own.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// All that can be on its way when it ends, in bytes: what its two pipes hold (pipe(7)), what is read of them, and what waits to be told.
const ON_ITS_WAY: usize = 2 * (64 << 10) + (2 + UNTOLD) * PIECE;

/// What one of the threads beside has seen.
enum Seen {
    Printed(Stream, Vec<u8>),
    Closed,
    Ended(io::Result<End>),
}

/// Runs a job and tells what it does; the last event is [`Event::Ended`] or [`Event::Refused`].
///
/// # Errors
/// Those of `tell`.
pub fn run(job: &Job, program: &[u8], tell: impl FnMut(&Event) -> io::Result<()>) -> io::Result<()> {
    run_in(Path::new(FOLDER), job, program, tell)
}

fn run_in(
    folder: &Path,
    job: &Job,
    program: &[u8],
    mut tell: impl FnMut(&Event) -> io::Result<()>,
) -> io::Result<()> {
    match start(folder, job.program, program) {
        Err(error) => tell(&Event::Refused(why(job.program, program, &error))),
        Ok(child) => {
            let end = follow(child, job.at_most, &mut tell)?;
            tell(&end.map_or_else(|error| Event::Refused(error.to_string()), Event::Ended))
        }
    }
}

fn why(kind: Program, program: &[u8], error: &io::Error) -> String {
    match (kind, error.kind()) {
        (Program::Words, ErrorKind::NotFound) => "the system in the guest has no /bin/sh".to_owned(),
        (Program::File, ErrorKind::NotFound) if program.starts_with(b"#!") => {
            "the interpreter that its first line names is not in the guest".to_owned()
        }
        (Program::File, ErrorKind::NotFound) => {
            "the loader of its shared libraries is not in the guest: give a static program".to_owned()
        }
        (Program::File, _) if error.raw_os_error() == Some(nix::libc::ENOEXEC) => {
            "it is no program, and has no #! in its first line".to_owned()
        }
        _ => error.to_string(),
    }
}

fn start(folder: &Path, kind: Program, program: &[u8]) -> io::Result<Child> {
    let mut command = match kind {
        Program::Words => {
            let mut shell = Command::new("/bin/sh");
            shell.arg("-c").arg(std::str::from_utf8(program).map_err(|_| ErrorKind::InvalidData)?);
            shell
        }
        Program::File => {
            let failed =
                |error| io::Error::other(format!("{} cannot be written to: {error}", folder.display()));
            Command::new(put(folder, program).map_err(failed)?)
        }
    };
    command.env_clear().envs(ENVIRONMENT).process_group(0);
    command.current_dir(if Path::new(HOME).is_dir() { HOME } else { "/" });
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// Another file each time: one that still runs cannot be written to.
fn put(folder: &Path, program: &[u8]) -> io::Result<std::path::PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let path = folder.join("program");
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o700).open(&path)?;
    file.write_all(program)?;
    Ok(path)
}

/// Tells what it prints until it has ended, or is killed because its time is up.
fn follow(
    mut child: Child,
    at_most: Duration,
    tell: &mut impl FnMut(&Event) -> io::Result<()>,
) -> io::Result<io::Result<End>> {
    let group = Pid::from_raw(child.id().cast_signed());
    let (sender, seen) = sync_channel(UNTOLD);
    let output = child.stdout.take().map(|it| pump(it, Stream::Output, sender.clone()));
    let error = child.stderr.take().map(|it| pump(it, Stream::Error, sender.clone()));
    let mut open = usize::from(output.is_some()) + usize::from(error.is_some());
    thread::spawn(move || sender.send(Seen::Ended(child.wait().map(end))));
    let (mut deadline, mut ended, mut late) = (Instant::now() + at_most, None, false);
    let mut on_its_way = ON_ITS_WAY;
    // A program that prints without an end leaves no moment in which there is nothing to tell.
    while (open > 0 && on_its_way > 0) || ended.is_none() {
        let is_time = Instant::now() >= deadline;
        if is_time && ended.is_some() {
            break;
        }
        if is_time && late {
            // Something keeps the kernel from ending it.
            return Ok(Ok(End::TimedOut));
        }
        if is_time {
            late = true;
            // Fails only where it has just ended.
            let _ = killpg(group, Signal::SIGKILL);
            deadline = Instant::now() + Duration::from_secs(5);
        }
        match next(&seen, deadline) {
            Some(Seen::Printed(stream, bytes)) if ended.is_some() => {
                on_its_way = on_its_way.saturating_sub(bytes.len());
                let begin = Instant::now();
                tell(&Event::Output(stream, bytes))?;
                // On a busy machine the serial line takes longer for it than anybody waits for a daemon.
                deadline += begin.elapsed();
            }
            Some(Seen::Printed(stream, bytes)) => tell(&Event::Output(stream, bytes))?,
            Some(Seen::Closed) => open -= 1,
            Some(Seen::Ended(end)) => (ended, deadline) = (Some(end), Instant::now() + LAST_WORDS),
            None => {}
        }
    }
    let end = ended.unwrap_or_else(|| Err(io::Error::other("nobody knows how it ended")));
    Ok(end.map(|end| if late { End::TimedOut } else { end }))
}

fn next(seen: &Receiver<Seen>, deadline: Instant) -> Option<Seen> {
    seen.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
}

fn pump(mut from: impl Read + Send + 'static, stream: Stream, sender: SyncSender<Seen>) {
    thread::spawn(move || {
        let mut buffer = [0; PIECE];
        loop {
            let seen = match from.read(&mut buffer) {
                Ok(count @ 1..) => Seen::Printed(stream, buffer[..count].to_vec()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Ok(_) | Err(_) => Seen::Closed,
            };
            let last = matches!(seen, Seen::Closed);
            // Where nobody listens any more, a daemon still has somebody who reads.
            let _ = sender.send(seen);
            if last {
                return;
            }
        }
    });
}

fn end(status: std::process::ExitStatus) -> End {
    let byte = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    match status.signal() {
        Some(signal) => End::Killed(byte(signal)),
        None => End::Exited(byte(status.code().unwrap_or(255))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of a job: standard output, standard error, the last event.
    fn told(program: Program, text: &[u8], at_most: Duration) -> (String, String, Event) {
        let folder = tempfile::tempdir().unwrap();
        let (mut streams, mut last) = ([String::new(), String::new()], Event::Taken);
        let tell = |event: &Event| {
            match event {
                Event::Output(stream, bytes) => {
                    streams[usize::from(*stream == Stream::Error)].push_str(&String::from_utf8_lossy(bytes));
                }
                event => last = event.clone(),
            }
            Ok(())
        };
        run_in(&folder.path().join("a/b"), &Job { program, at_most }, text, tell).unwrap();
        let [output, error] = streams;
        (output, error, last)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn streams_and_status_stay_apart() {
        let (output, error, end) = told(Program::Words, b"echo one; echo two >&2; exit 7", LONG);
        assert_eq!((output.as_str(), error.as_str(), end), ("one\n", "two\n", Event::Ended(End::Exited(7))));
        let (_, _, end) = told(Program::Words, b"kill -TERM $$", LONG);
        assert_eq!(end, Event::Ended(End::Killed(15)));
    }

    #[test]
    fn a_script_is_started_by_what_its_first_line_names() {
        let (output, _, end) = told(Program::File, b"#!/bin/sh\necho \"$HOME $TERM\"\n", LONG);
        assert_eq!((output.as_str(), end), ("/root dumb\n", Event::Ended(End::Exited(0))));
        let refused = |text: &[u8]| match told(Program::File, text, LONG).2 {
            Event::Refused(why) => why,
            other => panic!("{other:?}"),
        };
        assert!(refused(b"#!/no/such/interpreter\n").contains("the interpreter that its first line names"));
        assert!(refused(b"echo one\n").contains("has no #!"));
        assert!(refused(b"").contains("has no #!"));
        // A program of this machine whose loader has another name.
        let mut shell = fs::read("/bin/sh").unwrap();
        let loader = shell.windows(5).position(|it| it == b"/lib6" || it == b"/lib/").unwrap();
        shell[loader + 1..loader + 4].copy_from_slice(b"xyz");
        assert!(refused(&shell).contains("give a static program"));
    }

    #[test]
    fn it_ends_when_its_time_is_up_with_all_that_it_has_started() {
        let (output, _, end) =
            told(Program::Words, b"echo begun; sleep 1000 & sleep 1000", Duration::from_millis(500));
        assert_eq!((output.as_str(), end), ("begun\n", Event::Ended(End::TimedOut)));
    }

    #[test]
    fn it_ends_when_its_time_is_up_also_where_it_prints_without_an_end() {
        let (output, _, end) = told(Program::Words, b"exec yes", Duration::from_millis(300));
        assert!(output.starts_with("y\ny\n"));
        assert_eq!(end, Event::Ended(End::TimedOut));
    }

    #[test]
    fn a_daemon_that_keeps_its_streams_does_not_keep_the_job() {
        let (output, _, end) = told(Program::Words, b"sleep 1000 & echo $!", LONG);
        assert_eq!(end, Event::Ended(End::Exited(0)));
        let daemon = Pid::from_raw(output.trim().parse().unwrap());
        nix::sys::signal::kill(daemon, Signal::SIGKILL).unwrap();
    }

    #[test]
    fn what_a_program_has_printed_when_it_ends_is_told_over_the_slowest_line() {
        let folder = tempfile::tempdir().unwrap();
        let mut told = 0;
        let tell = |event: &Event| {
            if let Event::Output(_, bytes) = event {
                thread::sleep(Duration::from_millis(30));
                told += bytes.len();
            }
            Ok(())
        };
        let job = Job { program: Program::Words, at_most: LONG };
        run_in(folder.path(), &job, b"head -c 150000 /dev/zero", tell).unwrap();
        assert_eq!(told, 150_000);
    }

    #[test]
    fn a_daemon_that_prints_now_and_then_is_not_waited_for() {
        let begin = Instant::now();
        let (output, _, end) =
            told(Program::Words, b"(while sleep 0.05; do echo x; done) & echo pid $!", LONG);
        assert_eq!(end, Event::Ended(End::Exited(0)));
        assert!(begin.elapsed() < LONG / 2, "it was waited for");
        let pid = output.lines().find_map(|line| line.strip_prefix("pid ")).unwrap();
        let daemon = Pid::from_raw(pid.parse().unwrap());
        nix::sys::signal::kill(daemon, Signal::SIGKILL).expect("it still runs");
    }

    #[test]
    fn a_daemon_that_prints_for_ever_neither_keeps_the_job_nor_is_killed_by_its_end() {
        let words = b"(while echo one two three; do :; done) & echo pid $!";
        let begin = Instant::now();
        let (output, _, end) = told(Program::Words, words, LONG);
        assert_eq!(end, Event::Ended(End::Exited(0)));
        assert!(begin.elapsed() < LONG / 2, "it was waited for");
        let pid = output.lines().find_map(|line| line.strip_prefix("pid ")).unwrap();
        let daemon = Pid::from_raw(pid.parse().unwrap());
        thread::sleep(Duration::from_millis(300));
        nix::sys::signal::kill(daemon, Signal::SIGKILL).expect("it still runs");
    }
}
