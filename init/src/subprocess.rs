//! Runs a program that may take long, but not for ever: a person sees that it is at work, and a disk that no longer answers does
//! not keep the machine from a boot.

use std::fmt;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// The most of its complaints that is kept; what it says beyond is read and dropped.
const MOST_SAID: usize = 4096;
/// How often it is looked whether a program has ended that has closed its standard error.
const STEP: Duration = Duration::from_millis(5);

/// How long it may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Every so often a line says that it is still at work.
    every: Duration,
    /// Then it is killed.
    most: Duration,
    /// And after so long it is left behind: a process that waits for a disk dies when the disk has answered.
    after_kill: Duration,
    /// What is heard of it.
    heard: Heard,
}

/// Which words of a program are kept; all others go where its command says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// It speaks to a person.
    Nothing,
    Errors,
    /// Standard output as well.
    All,
}

/// For making a file system. `mke2fs` with lazy tables takes seconds on a disk of terabytes, and minutes on a bad USB stick.
pub const MAKING: Limits = Limits {
    every: Duration::from_secs(10),
    most: Duration::from_secs(600),
    after_kill: Duration::from_secs(5),
    heard: Heard::Errors,
};

/// For checking one, which reads all of its metadata: e2fsck needs some ten minutes for a disk of many terabytes.
pub const CHECKING: Limits = Limits { most: Duration::from_secs(1800), heard: Heard::All, ..MAKING };

/// For a hook, which may wait for a person to type a passphrase, or for a device whose driver nobody but init loads.
pub const HOOK: Limits = Limits {
    every: Duration::from_millis(50),
    most: Duration::from_secs(300),
    heard: Heard::Nothing,
    ..MAKING
};

/// A program that ended by itself.
#[derive(Debug)]
pub struct Ended {
    /// As wait(2) has it.
    pub status: ExitStatus,
    /// What it wrote to its standard error, and to its standard output where that is heard.
    pub said: String,
}

/// Why it did not; completes a sentence that begins with the program's name.
#[derive(Debug)]
pub enum Failed {
    /// The kernel refuses.
    Start(io::Error),
    /// It had not ended after this time, and was killed.
    Killed(Duration),
    /// It does not die either: it waits for the kernel.
    Stuck(Duration),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => write!(f, "does not start: {error}"),
            Self::Killed(time) => write!(f, "had not ended after {} s, and was killed", time.as_secs()),
            Self::Stuck(time) => {
                write!(
                    f,
                    "had not ended after {} s, and cannot be killed: the kernel does not let it go, as where a disk does not answer",
                    time.as_secs()
                )
            }
        }
    }
}

/// Runs it. `still` is called every now and then, with the time that it has taken so far.
pub fn run(command: &mut Command, limits: &Limits, mut still: impl FnMut(Duration)) -> Result<Ended, Failed> {
    let mut errors = None;
    if limits.heard != Heard::Nothing {
        let (words, to) = io::pipe().map_err(Failed::Start)?;
        if limits.heard == Heard::All {
            command.stdout(to.try_clone().map_err(Failed::Start)?);
        }
        command.stderr(to);
        errors = Some(words);
    }
    // What it starts goes with it, when it is killed: nothing of it is to read the console afterwards.
    command.process_group(0);
    let mut child = command.spawn().map_err(Failed::Start)?;
    let began = Instant::now();
    if errors.is_some() {
        // The ends that this process has go, so that the program's end is the end of the pipe.
        command.stdout(Stdio::null()).stderr(Stdio::null());
    }
    let mut said = Vec::new();
    let mut told = 0;
    loop {
        let time = began.elapsed();
        if time >= limits.most {
            return Err(kill(&mut child, limits));
        }
        let next = limits.every.saturating_mul(told + 1);
        if time >= next {
            told += 1;
            still(time);
            continue;
        }
        let pause = next.min(limits.most).saturating_sub(time);
        match &mut errors {
            Some(open) => {
                if !read_for(open, pause, &mut said) {
                    errors = None;
                }
            }
            None => match child.try_wait() {
                Ok(Some(status)) => {
                    return Ok(Ended { status, said: String::from_utf8_lossy(&said).into_owned() });
                }
                Ok(None) => sleep(STEP.min(pause)),
                Err(error) => return Err(Failed::Start(error)),
            },
        }
    }
}

/// Reads what comes within this time; false at the end.
fn read_for(errors: &mut (impl Read + AsFd), time: Duration, said: &mut Vec<u8>) -> bool {
    let timeout = PollTimeout::try_from(time + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(errors.as_fd(), PollFlags::POLLIN)], timeout) {
        Ok(0) | Err(nix::errno::Errno::EINTR) => return true,
        Ok(_) => {}
        Err(_) => return false,
    }
    let mut bytes = [0; 512];
    match errors.read(&mut bytes) {
        Ok(0) => false,
        Ok(length) => {
            let room = MOST_SAID.saturating_sub(said.len());
            said.extend_from_slice(&bytes[..length.min(room)]);
            true
        }
        Err(error) => error.kind() == io::ErrorKind::Interrupted,
    }
}

fn kill(child: &mut Child, limits: &Limits) -> Failed {
    let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
    let deadline = Instant::now() + limits.after_kill;
    while Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            return Failed::Killed(limits.most);
        }
        sleep(STEP);
    }
    Failed::Stuck(limits.most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(every: u64, most: u64) -> Limits {
        let milliseconds = Duration::from_millis;
        Limits {
            every: milliseconds(every),
            most: milliseconds(most),
            after_kill: Duration::from_secs(60),
            ..MAKING
        }
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn what_ends_by_itself_is_told_as_it_was() {
        let ended = run(&mut shell("echo bad disk >&2; exit 3"), &MAKING, |_| ()).unwrap();
        assert_eq!((ended.status.code(), ended.said.as_str()), (Some(3), "bad disk\n"));
        // More than a pipe holds, and a standard error that is closed early.
        let ended = run(&mut shell("head -c 300000 /dev/zero >&2; exec 2>&-; sleep 0.05"), &MAKING, |_| ());
        let ended = ended.unwrap();
        assert!(ended.status.success() && ended.said.len() == MOST_SAID, "{}", ended.said.len());
        let failed = run(&mut Command::new("/no/such/program"), &MAKING, |_| ()).unwrap_err();
        assert!(failed.to_string().starts_with("does not start: No such file"), "{failed}");
    }

    #[test]
    fn what_takes_long_is_told_and_what_takes_too_long_is_killed() {
        // As when it waits for a disk, silent or not.
        for script in ["exec sleep 1000", "exec 2>&-; exec sleep 1000", "while :; do echo x >&2; done"] {
            let mut told = 0;
            let failed = run(&mut shell(script), &limits(20, 1000), |time| {
                assert!(time >= Duration::from_millis(20));
                told += 1;
            });
            assert!(matches!(failed, Err(Failed::Killed(_))), "{failed:?}");
            assert!((1..=49).contains(&told), "{told}");
        }
        // Of a script, what it waits for dies too: the pipe ends with the last that holds it.
        let (mut words, to) = io::pipe().unwrap();
        let mut command = shell("sleep 1000; true");
        command.stdout(to);
        let limits = Limits { heard: Heard::Nothing, ..limits(20, 200) };
        assert!(matches!(run(&mut command, &limits, |_| ()), Err(Failed::Killed(_))));
        drop(command);
        assert_eq!(words.read(&mut [0]).unwrap(), 0);
        let failed = Failed::Killed(Duration::from_secs(600)).to_string();
        assert_eq!(failed, "had not ended after 600 s, and was killed");
    }
}
