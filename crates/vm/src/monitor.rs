//! The monitor of a QEMU that runs (HMP, qemu(1)): orders, and what it says to them.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use fault::Error;

use crate::machine::of_a_shell;

/// For the monitor of a machine that reads its own state it is all of that.
const MOST_TO_ANSWER: Duration = Duration::from_secs(60);
/// To write the memory of a machine into a file.
const MOST_TO_KEEP: Duration = Duration::from_secs(300);
/// Until one that is not kept goes on: QEMU ends its thread that writes it first.
const MOST_TO_GO_ON: Duration = Duration::from_secs(30);
/// A register of the second serial port of a PC (0x2f8), of a 16450.
const MODEM_CONTROL: &str = "0x2fc";
/// How often it is asked how far it is.
const LOOK: Duration = Duration::from_millis(20);

/// Where one listens.
#[derive(Debug)]
pub(crate) struct Monitor {
    /// What people call the machine.
    machine: String,
    socket: PathBuf,
}

impl Monitor {
    pub(crate) fn of(machine: &str, socket: &Path) -> Self {
        Self { machine: machine.to_owned(), socket: socket.to_owned() }
    }

    /// Whether the machine runs, and does not wait for its own state.
    pub(crate) fn runs(&self) -> bool {
        self.status_is("running")
    }

    /// Whether QEMU has stopped it because a disk of it cannot be written to.
    pub(crate) fn cannot_write(&self) -> bool {
        self.status_is("paused (io-error)")
    }

    /// Whether a program of the guest has its second serial port open, where that can be told: Linux sets DTR, bit 0 of the modem control
    /// register, when the first opens it, and takes it away when the last has closed it (termios(3), HUPCL). To read it changes nothing.
    pub(crate) fn port_is_open(&self) -> Option<bool> {
        let answer = self.asked(&format!("i /b {MODEM_CONTROL}\n")).ok()?;
        let (_, value) = answer.rsplit_once("= 0x")?;
        let value = u8::from_str_radix(value.get(..2)?, 16).ok()?;
        Some(value & 1 != 0)
    }

    fn status_is(&self, status: &str) -> bool {
        self.asked("info status\n").is_ok_and(|state| state.contains(&format!("VM status: {status}")))
    }

    /// See [`crate::qemu::RunningMachine::keep_as`].
    pub(crate) fn keep_as(&self, file: &Path) -> Result<(), Error> {
        let command = format!("exec:exec cat > {}", of_a_shell(file));
        // It may stand still as long as it takes, so that it does not write faster than it is read.
        self.order("migrate_set_parameter downtime-limit 1000000\n")?;
        self.order("migrate_set_parameter max-bandwidth 100G\n")?;
        self.order(&format!("migrate -d {}\n", quoted(Path::new(&command))?))?;
        let (kept, deadline) = (self.wait_until_kept(), Instant::now() + MOST_TO_GO_ON);
        match (self.go_on(deadline), kept) {
            (Ok(()), kept) => kept,
            (Err(error), Ok(())) => Err(error),
            (Err(error), Err(why)) => {
                Err(Error::new(error.object(), format!("{} ({})", error.cause(), why.cause())))
            }
        }
    }

    fn wait_until_kept(&self) -> Result<(), Error> {
        let deadline = Instant::now() + MOST_TO_KEEP;
        loop {
            let state = self.asked("info migrate\n")?;
            if state.contains("Migration status: completed") {
                return Ok(());
            }
            let goes_on =
                ["active", "setup", "device"].iter().any(|it| state.contains(&format!("status: {it}")));
            if !goes_on || Instant::now() > deadline {
                // Of one that has failed there is nothing to cancel.
                let _ = self.order("migrate_cancel\n");
                let why = state.lines().find(|line| line.starts_with("Migration status")).unwrap_or_default();
                return Err(Error::new(&self.machine, format!("could not be kept: {}", why.trim())));
            }
            thread::sleep(LOOK);
        }
    }

    /// Has it run again. `cont` is refused as long as QEMU has not ended what it was told to cancel, which may also go on by itself.
    fn go_on(&self, deadline: Instant) -> Result<(), Error> {
        loop {
            let asked = self.order("cont\n");
            if self.runs() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let why = asked.map_or_else(|error| format!(": {}", error.cause()), |()| String::new());
                return Err(Error::new(&self.machine, format!("stands still since it was to be kept{why}")));
            }
            thread::sleep(LOOK);
        }
    }

    /// Gives an order.
    pub(crate) fn order(&self, order: &str) -> Result<(), Error> {
        self.asked(order).map(drop)
    }

    /// Gives an order, and returns what the monitor says.
    fn asked(&self, order: &str) -> Result<String, Error> {
        let lost =
            |error: io::Error| Error::caused(self.socket.display(), error).remedy("is the machine still on?");
        let answer = answer(&self.socket, order).map_err(lost)?;
        // The order itself is said once more, and may name a folder that is called so.
        if answer.lines().any(|line| line.starts_with("Error")) {
            let remedy = format!("the order was `{}`", order.trim_end());
            return Err(Error::new(&self.machine, format!("the monitor answers: {answer}")).remedy(remedy));
        }
        Ok(answer)
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

/// A file as the monitor reads it: in quotes, with backslashes before quotes and backslashes. An order ends at the line's end.
pub(crate) fn quoted(file: &Path) -> Result<String, Error> {
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

    /// One that says these things, an answer for each order, and what it was told.
    fn that_says(folder: &Path, answers: Vec<&'static str>) -> (Monitor, thread::JoinHandle<Vec<String>>) {
        let socket = folder.join("monitor");
        let listener = UnixListener::bind(&socket).unwrap();
        let told = thread::spawn(move || {
            let answer = |text: &str| {
                let (mut stream, mut order) = (listener.accept().unwrap().0, String::new());
                stream.read_to_string(&mut order).unwrap();
                stream.write_all(text.as_bytes()).unwrap();
                order.trim_end().to_owned()
            };
            answers.into_iter().map(answer).collect()
        });
        (Monitor::of("m", &socket), told)
    }

    const PAUSED: &str = "VM status: paused (finish-migrate)\r\n";
    const RUNS: &str = "VM status: running\r\n";

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
    fn a_machine_that_could_not_be_kept_is_waited_for_until_it_runs_again() {
        let folder = tempfile::tempdir().unwrap();
        // What QEMU 7.2 says while its thread that writes has not ended.
        let early = "Error: Migration is not finalized yet\r\n";
        let failed = "Migration status: failed (no room)\r\n";
        let answers = vec!["", "", "", failed, "", early, PAUSED, early, PAUSED, "", RUNS];
        let (monitor, told) = that_says(folder.path(), answers);
        let error = monitor.keep_as(Path::new("/f")).unwrap_err();
        assert_eq!(error.cause(), "could not be kept: Migration status: failed (no room)");
        let told = told.join().unwrap();
        assert_eq!(told[4..7], ["migrate_cancel", "cont", "info status"]);
        assert_eq!(told.iter().filter(|order| *order == "cont").count(), 3);
    }

    #[test]
    fn one_that_stands_still_is_said_to() {
        let folder = tempfile::tempdir().unwrap();
        let (monitor, told) = that_says(folder.path(), vec!["Error: no\r\n", PAUSED]);
        let error = monitor.go_on(Instant::now()).unwrap_err();
        assert!(
            error.cause().starts_with("stands still since it was to be kept: the monitor answers: Error: no"),
            "{error}"
        );
        told.join().unwrap();
    }

    #[test]
    fn a_port_that_nobody_has_open_is_seen() {
        for (says, told) in [
            ("portb[0x02fc] = 0x0b\r\n(qemu) ", Some(true)),
            ("portb[0x02fc] = 0x08\r\n(qemu) ", Some(false)),
            ("unknown command: 'i'\r\n", None),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let (monitor, orders) = that_says(folder.path(), vec![says]);
            assert_eq!(monitor.port_is_open(), told, "{says}");
            assert_eq!(orders.join().unwrap(), ["i /b 0x2fc"]);
        }
    }

    #[test]
    fn names_of_files_stay_one_word_of_the_order() {
        assert_eq!(quoted(Path::new("/a b\"c\\d")).unwrap(), r#""/a b\"c\\d""#);
        assert!(quoted(Path::new("/a\nquit")).unwrap_err().to_string().contains("line break"));
    }
}
