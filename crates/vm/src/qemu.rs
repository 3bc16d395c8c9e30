//! A running QEMU: started, given orders by its monitor, waited for.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use fault::Error;

use crate::acceleration::Acceleration;
use crate::console::Console;
use crate::machine::Machine;
use crate::monitor::{Monitor, quoted};
use crate::programs;
use crate::share::VirtioFsDaemon;

/// A machine that is on. Dropping it switches it off at once; so does the end of this process.
#[derive(Debug)]
pub struct RunningMachine {
    /// The guest's first serial port.
    pub console: Console,
    name: String,
    qemu: Child,
    /// QEMU's monitor, when the machine has one.
    monitor: Option<Monitor>,
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
            monitor: machine.monitor().map(|socket| Monitor::of(&machine.name, socket)),
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
    /// It has something that cannot be moved; the file cannot be written. It goes on then too, or the error says that it does not.
    pub fn keep_as(&mut self, file: &Path) -> Result<(), Error> {
        self.monitor()?.keep_as(file)
    }

    /// Whether it runs, and does not wait for its own state.
    pub fn runs(&self) -> bool {
        self.monitor().is_ok_and(Monitor::runs)
    }

    /// Whether QEMU has stopped it because a file of this machine that is a disk of it cannot be written to; for that it needs a monitor.
    pub(crate) fn stands_still(&self) -> bool {
        self.monitor.as_ref().is_some_and(Monitor::cannot_write)
    }

    /// Whether the agent is there, where a monitor can tell.
    pub(crate) fn has_agent(&self) -> Option<bool> {
        self.monitor.as_ref()?.port_is_open()
    }

    fn order(&self, order: &str) -> Result<(), Error> {
        self.monitor()?.order(order)
    }

    fn monitor(&self) -> Result<&Monitor, Error> {
        self.monitor.as_ref().ok_or_else(|| {
            let remedy =
                "give it `screen`, `drives`, `late_disk` or `can_be_kept`, which take the path of one";
            Error::new(&self.name, "the machine has no monitor").remedy(remedy)
        })
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
