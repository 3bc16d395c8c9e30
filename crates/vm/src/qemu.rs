//! A running QEMU: started, given orders by its monitor, waited for.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fault::Error;

use crate::acceleration::Acceleration;
use crate::console::Console;
use crate::machine::{Machine, of_a_shell};
use crate::programs;
use crate::share::VirtioFsDaemon;

/// For the monitor of a machine that reads its own state it is all of that.
const MOST_TO_ANSWER: Duration = Duration::from_secs(60);
/// To write the memory of a machine into a file.
const MOST_TO_KEEP: Duration = Duration::from_secs(300);

/// A machine that is on. Dropping it switches it off at once; so does the end of this process.
#[derive(Debug)]
pub struct RunningMachine {
    /// The guest's first serial port.
    pub console: Console,
    name: String,
    qemu: Child,
    /// The socket of QEMU's monitor, when the machine has one.
    monitor: Option<PathBuf>,
    /// The order that plugs in what comes late, when something does.
    plug_in: Option<&'static str>,
    /// What serves it folders, and ends with it.
    daemons: Vec<VirtioFsDaemon>,
}

impl RunningMachine {
    /// Starts `machine`. All that the guest and QEMU itself print goes to the file `log`, byte for byte.
    ///
    /// # Errors
    /// When QEMU or setpriv(1) is not installed, or `log` cannot be written. A machine that QEMU refuses is an empty console, an
    /// exit status ([`RunningMachine::wait`]), and QEMU's reason in `log`.
    pub fn start(machine: &Machine, acceleration: Acceleration, log: &Path) -> Result<Self, Error> {
        let unwritable = |error| {
            Error::caused(log.display(), error)
                .remedy("all that the guest prints is kept there: make the folder writable")
        };
        let file = File::create(log).map_err(unwritable)?;
        let errors = file.try_clone().map_err(unwritable)?;
        let mut qemu = Command::new(programs::find(programs::SETPRIV)?)
            .args(["--pdeathsig", "KILL"])
            .arg(programs::find(programs::QEMU)?)
            .args(machine.arguments(acceleration))
            .args(["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .map_err(|error| Error::caused(programs::SETPRIV, error).remedy("it starts QEMU"))?;
        let Some((output, input)) = qemu.stdout.take().zip(qemu.stdin.take()) else {
            return Err(
                Error::new(&machine.name, "QEMU has no pipes").remedy("this is a bug, please report it")
            );
        };
        Ok(Self {
            console: Console::new(output, input, file),
            name: machine.name.clone(),
            qemu,
            monitor: machine.monitor().map(Path::to_owned),
            plug_in: machine.plug_in(),
            daemons: Vec::new(),
        })
    }

    /// Keeps the daemon of a share as long as the machine.
    pub fn keep(&mut self, daemon: VirtioFsDaemon) {
        self.daemons.push(daemon);
    }

    /// Whether daemons end with it.
    pub fn keeps_daemons(&self) -> bool {
        !self.daemons.is_empty()
    }

    /// Plugs in the disk of [`Machine::late_disk`] or [`Machine::late_stick`].
    pub fn plug_in(&mut self) -> Result<(), Error> {
        let missing = || {
            Error::new(&self.name, "nothing is kept at hand to be plugged in")
                .remedy("give it `late_disk` or `late_stick`")
        };
        self.order(self.plug_in.ok_or_else(missing)?)
    }

    /// Puts a medium into the drive `disc` or `card` of [`Machine::drives`], in place of what is in it.
    pub fn insert(&mut self, drive: &str, image: &Path) -> Result<(), Error> {
        self.order(&format!("change {drive} {} raw\n", quoted(image)?))
    }

    /// Takes the medium out of a drive of [`Machine::drives`].
    pub fn take_out(&mut self, drive: &str) -> Result<(), Error> {
        self.order(&format!("eject -f {drive}\n"))
    }

    /// Presses a key of the keyboard beside the screen, by QEMU's name for it.
    pub fn press(&mut self, key: &str) -> Result<(), Error> {
        self.order(&format!("sendkey {key}\n"))
    }

    /// Writes what the screen of [`Machine::screen`] shows into a file: PNG where its name ends so, else PPM.
    pub fn take_picture(&mut self, file: &Path) -> Result<(), Error> {
        let png = file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"));
        self.order(&format!("screendump {}{}\n", quoted(file)?, if png { " -f png" } else { "" }))
    }

    /// Writes the machine as it is into `file`, which [`Machine::kept_in`] takes; it stands still for the most of that, and goes on.
    ///
    /// # Errors
    /// It has something that cannot be moved; the file cannot be written.
    pub fn keep_as(&mut self, file: &Path) -> Result<(), Error> {
        let command = format!("exec:exec cat > {}", of_a_shell(file));
        // It may stand still as long as it takes, so that it does not write faster than it is read.
        self.order("migrate_set_parameter downtime-limit 1000000\n")?;
        self.order("migrate_set_parameter max-bandwidth 100G\n")?;
        self.order(&format!("migrate -d {}\n", quoted(Path::new(&command))?))?;
        let deadline = Instant::now() + MOST_TO_KEEP;
        loop {
            let state = self.asked("info migrate\n")?;
            if state.contains("Migration status: completed") {
                break;
            }
            let goes_on =
                ["active", "setup", "device"].iter().any(|it| state.contains(&format!("status: {it}")));
            if !goes_on || Instant::now() > deadline {
                // It is no worse for it, and whoever wants may go on with it.
                let _ = (self.order("migrate_cancel\n"), self.order("cont\n"));
                let why = state.lines().find(|line| line.starts_with("Migration status")).unwrap_or_default();
                return Err(Error::new(&self.name, format!("could not be kept: {}", why.trim())));
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.order("cont\n")
    }

    /// Whether it runs, and does not wait for its own state.
    pub fn runs(&mut self) -> bool {
        self.asked("info status\n").is_ok_and(|state| state.contains("VM status: running"))
    }

    /// Whether QEMU has stopped it because a file of this machine that is a disk of it cannot be written to; for that it needs a monitor.
    pub(crate) fn stands_still(&mut self) -> bool {
        self.monitor.is_some()
            && self.asked("info status\n").is_ok_and(|state| state.contains("VM status: paused (io-error)"))
    }

    fn order(&mut self, order: &str) -> Result<(), Error> {
        self.asked(order).map(drop)
    }

    /// Gives an order to the monitor, and returns what it says.
    fn asked(&mut self, order: &str) -> Result<String, Error> {
        let Some(monitor) = &self.monitor else {
            let remedy =
                "give it `screen`, `drives`, `late_disk` or `can_be_kept`, which take the path of one";
            return Err(Error::new(&self.name, "the machine has no monitor").remedy(remedy));
        };
        let lost =
            |error: io::Error| Error::caused(monitor.display(), error).remedy("is the machine still on?");
        let answer = answer(monitor, order).map_err(lost)?;
        // The order itself is said once more, and may name a folder that is called so.
        if answer.lines().any(|line| line.starts_with("Error")) {
            let remedy = format!("the order was `{}`", order.trim_end());
            return Err(Error::new(&self.name, format!("the monitor answers: {answer}")).remedy(remedy));
        }
        Ok(answer)
    }

    /// The process of QEMU.
    pub fn id(&self) -> u32 {
        self.qemu.id()
    }

    /// Whether QEMU has ended.
    pub fn is_off(&mut self) -> bool {
        !matches!(self.qemu.try_wait(), Ok(None))
    }

    /// Switches it off, as a power cut does.
    pub fn kill(&mut self) -> Result<(), Error> {
        // Fails only when QEMU has ended already, which is as good.
        let _ = self.qemu.kill();
        self.wait().map(drop)
    }

    /// Waits until QEMU has ended.
    pub fn wait(&mut self) -> Result<ExitStatus, Error> {
        self.qemu
            .wait()
            .map_err(|error| Error::caused(&self.name, error).remedy("QEMU could not be waited for"))
    }
}

impl Drop for RunningMachine {
    fn drop(&mut self) {
        // Both fail only when QEMU has ended already, which is as good.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// What a monitor says to an order.
fn answer(monitor: &Path, order: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(monitor)?;
    stream.set_read_timeout(Some(MOST_TO_ANSWER))?;
    stream.write_all(order.as_bytes())?;
    // QEMU drops what it has not read when the connection ends, so its prompt after the order is waited for.
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    // It says the order once more, byte by byte, and so cuts in two what is not ASCII.
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Tells one QEMU from another: its path, its length, and the time of its last change.
///
/// # Errors
/// It is not on PATH.
pub fn identity() -> Result<String, Error> {
    let program = programs::find(programs::QEMU)?;
    let found = program.metadata().map_err(|error| Error::caused(program.display(), error))?;
    Ok(format!("{} {} {}", program.display(), found.len(), found.mtime()))
}

/// The command line with which this terminal is the guest's console: `Ctrl-A X` leaves, and Ctrl-C is the guest's. Where standard input is
/// no terminal, each byte of it is the guest's.
///
/// # Errors
/// QEMU is not on PATH.
pub fn command_line(
    machine: &Machine,
    acceleration: Acceleration,
    has_terminal: bool,
) -> Result<Vec<String>, Error> {
    let mut words = vec![programs::find(programs::QEMU)?.display().to_string()];
    words.extend(machine.arguments(acceleration));
    let serial = if has_terminal { "mon:stdio" } else { "stdio" };
    words.extend(["-serial", serial].map(str::to_owned));
    Ok(words)
}

/// Becomes QEMU, with this terminal as the guest's console. Returns only when that fails.
pub fn hand_over(machine: &Machine, acceleration: Acceleration) -> Error {
    let words = match command_line(machine, acceleration, io::stdin().is_terminal()) {
        Ok(words) => words,
        Err(error) => return error,
    };
    let error = Command::new(&words[0]).args(&words[1..]).exec();
    Error::caused(&words[0], error).remedy("it could not be started")
}

/// A file as the monitor reads it: in quotes, with backslashes before quotes and backslashes. An order ends at the line's end.
fn quoted(file: &Path) -> Result<String, Error> {
    let text = file.to_string_lossy();
    if text.contains(['\n', '\r']) {
        return Err(Error::new(file.display(), "a line break in the name")
            .remedy("QEMU's monitor takes none: rename it"));
    }
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn what_a_monitor_says_may_be_cut_within_a_letter() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("monitor");
        let monitor = UnixListener::bind(&socket).unwrap();
        let says = thread::spawn(move || {
            let (mut stream, mut order) = (monitor.accept().unwrap().0, String::new());
            stream.read_to_string(&mut order).unwrap();
            stream.write_all(b"t\xc3\x1b[K\xc3\xbc\r\n(qemu) ").unwrap();
            order
        });
        assert!(answer(&socket, "info t\n").unwrap().ends_with("\u{fc}\r\n(qemu) "));
        assert_eq!(says.join().unwrap(), "info t\n");
    }

    #[test]
    fn names_of_files_stay_one_word_of_the_order() {
        assert_eq!(quoted(Path::new("/a b\"c\\d")).unwrap(), r#""/a b\"c\\d""#);
        assert!(quoted(Path::new("/a\nquit")).unwrap_err().to_string().contains("line break"));
    }
}
