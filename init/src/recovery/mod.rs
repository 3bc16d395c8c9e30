//! Where every failure ends: a screen on every console, and keys for a shell, another try, another profile, the report, a QR
//! code, a reboot and power off. Nothing here returns: PID 1 that returns is a kernel panic.

mod code;
mod kernel_log;
mod keys;
mod menu;
mod pages;
mod restart;
mod screen;
mod shell;
mod terminals;

use std::fs::{self, File};
use std::io::Write;
use std::sync::OnceLock;
use std::thread::{self, ThreadId};
use std::time::Duration;

use profiles::Name;

use crate::console;
use crate::error::{BootError, Failure};
use crate::modules;
use crate::paths;
pub use kernel_log::is_warning;
use menu::Menu;
pub use shell::{SHELL_NAME, become_shell};
use terminals::Terminals;

/// Says to the init that starts anew that a person wants it, and names the profile that was chosen, if one was.
pub const CHOSEN: &str = "LAMINA_PROFILE";
/// The thread that serves the menu. There is one screen and one menu, whoever failed.
static SERVING: OnceLock<ThreadId> = OnceLock::new();

/// What the screen and its menu know beside the error.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The value of `panic=`: seconds after which to reboot; negative means at once, 0 never.
    pub panic: Option<i64>,
    /// When init began (CLOCK_BOOTTIME): the kernel's warnings of before have nothing to do with it.
    pub since: Duration,
    /// The report, as indented JSON.
    pub report: String,
    /// The other profiles that may be started.
    pub profiles: Vec<Choice>,
    /// The block devices that were seen, one a line.
    pub devices: Vec<String>,
    /// What was tried before, one line a candidate that failed.
    pub attempts: Vec<String>,
    /// The last warnings of the kernel that init heard itself, with the layers that they are about.
    pub kernel: Vec<String>,
    /// The number of the first record of the kernel's log that init did not hear.
    pub heard_to: u64,
}

/// A profile that a person may choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its name.
    pub name: Name,
    /// Its own words about itself.
    pub description: Option<String>,
}

impl Context {
    /// All that is known when init itself fails.
    pub fn bare(panic: Option<i64>, since: Duration) -> Self {
        Self { panic, since, ..Self::default() }
    }
}

/// The error of a boot that was told to stop: `lamina.rescue`.
pub fn on_purpose() -> BootError {
    Failure::new("the kernel command line asks for it")
        .try_this("leave the shell to come to the menu; its key `t` starts the boot")
        .at("rescue", "lamina.rescue")
}

/// The error of a bug in init.
fn of_panic(location: &str, message: &str) -> BootError {
    Failure::new(format!("init itself failed: {message}"))
        .try_this("this is a bug: keep this screen and report it")
        .at("run init", location)
}

/// The error of a crash of init that stands in the environment of the init that was started for it.
pub fn of_death() -> Option<BootError> {
    let signal = std::env::var_os(stack::last_resort::DIED)?;
    let error = Failure::new(format!("init itself failed: {}", signal.to_string_lossy()))
        .try_this("try again: a machine that is short of memory does this, and so does a medium that fails")
        .try_this("if it does it again, this is a bug: keep this screen and report it")
        .at("run init", "PID 1");
    Some(error)
}

/// Whether a person stood before the recovery screen, and had init run itself anew.
pub fn somebody_is_there() -> bool {
    std::env::var_os(CHOSEN).is_some()
}

/// The profile that a person chose before init ran itself anew.
pub fn chosen_profile() -> Option<Name> {
    Name::parse(std::env::var_os(CHOSEN)?.to_str()?).ok()
}

/// Prints the screen without a menu: a candidate failed, and the next one is tried. `kernel`: its warnings about it.
pub fn show(error: &BootError, kernel: &[String]) {
    let mut terminals = Terminals::open();
    let text = screen::text(error, &Context::default(), kernel, terminals.size(), 0);
    terminals.write(&text);
}

/// Shows the error, then serves the menu until the machine restarts.
pub fn enter(error: &BootError, context: &Context) -> ! {
    let this = thread::current().id();
    if *SERVING.get_or_init(|| this) != this {
        sleep_for_ever()
    }
    // Keyboards may need any of them, and whatever failed may have come before they were loaded.
    modules::load_all();
    Menu::new(error, context).serve()
}

/// The end of the panic hook. A hook that panics ends the process, and with it the kernel: so the menu is served by a
/// thread of its own, and when that one panics too, only what cannot fail is left.
pub fn after_panic(location: &str, message: &str, panic: Option<i64>, since: Duration) -> ! {
    if SERVING.get().is_some_and(|serving| *serving == thread::current().id()) {
        restart::last_words(location, message, panic)
    }
    let error = of_panic(location, message);
    let serve = move || -> () { enter(&error, &Context::bare(panic, since)) };
    if thread::Builder::new().spawn(serve.clone()).is_err() {
        // No memory for a thread: then here.
        serve();
    }
    sleep_for_ever()
}

/// Panics if the variable `PANIC_FOR_TESTS`, which the kernel takes from its command line, names this place (with `-` for blanks);
/// `abort@place`, `overflow@place` and `nowhere@place` crash.
#[cfg(feature = "panic-for-tests")]
pub fn panic_if_told(place: &str) {
    let told = std::env::var("PANIC_FOR_TESTS").unwrap_or_default();
    for told in told.split(',') {
        assert!(told != place.replace(' ', "-"), "told to at {place}");
        match told.strip_suffix(&format!("@{}", place.replace(' ', "-"))) {
            Some("abort") => std::process::abort(),
            Some("overflow") => drop(overflow(0)),
            Some("nowhere") => drop(stack::last_resort::read_from_nowhere()),
            _ => {}
        }
    }
}

/// Needs more stack than there is.
#[cfg(feature = "panic-for-tests")]
fn overflow(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 512]);
    if depth == u64::MAX { 0 } else { overflow(depth + 1).wrapping_add(room[511]) }
}

/// Nothing, in the init that is shipped.
#[cfg(not(feature = "panic-for-tests"))]
pub fn panic_if_told(_place: &str) {}

fn sleep_for_ever() -> ! {
    loop {
        thread::park();
    }
}

/// Leaves the report for whoever looks at it from the shell.
pub fn leave_report(json: &str) {
    let written =
        fs::create_dir_all(paths::RUN).and_then(|()| File::create(paths::REPORT)?.write_all(json.as_bytes()));
    if let Err(error) = written {
        console::write_line(&format!("cannot write {}: {error}", paths::REPORT));
    }
}
