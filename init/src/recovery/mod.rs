//! Where every failure ends: a screen on every console, and keys for a shell, another try, another profile, the report, a QR
//! code, a reboot and power off. Nothing here returns: PID 1 that returns is a kernel panic.

mod choice;
mod code;
mod context;
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

use crate::console;
use crate::error::{BootError, Failure};
use crate::modules;
use crate::paths;
use crate::priority;
use crate::step_name::StepName;
pub use choice::{CHOSEN, chosen_profile, person_is_present};
pub use context::Context;
use menu::Menu;
use restart::sleep_for_ever;
pub use shell::{SHELL_NAME, become_shell};
use terminals::Terminals;

/// The thread that serves the menu. There is one screen and one menu, whoever failed.
static SERVING: OnceLock<ThreadId> = OnceLock::new();

/// The error of a boot that was asked to stop: `lamina.rescue`.
pub fn on_purpose() -> BootError {
    Failure::new("the kernel command line asks for it")
        .try_this("leave the shell to come to the menu; its key `t` starts the boot")
        .at(StepName::Rescue, "lamina.rescue")
}

/// The error of a bug in init.
fn of_panic(location: &str, message: &str) -> BootError {
    Failure::new(format!("init itself failed: {message}"))
        .try_this("this is a bug: keep this screen and report it")
        .at(StepName::RunInit, location)
}

/// The error of a crash of init that is in the environment of the init that was started for it.
pub fn after_crash() -> Option<BootError> {
    let signal = std::env::var_os(stack::last_resort::DIED)?;
    let error = Failure::new(format!("init itself failed: {}", signal.to_string_lossy()))
        .try_this("try again: a machine that is short of memory does this, and so does a medium that fails")
        .try_this("if it does it again, this is a bug: keep this screen and report it")
        .at(StepName::RunInit, "PID 1");
    Some(error)
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
    // What is still to be said would be written into the screen.
    console::write_here();
    console::flush();
    // Keyboards may need any of them, and whatever failed may have come before they were loaded.
    modules::load_all();
    Menu::new(error, context).serve()
}

/// The end of the panic hook. A hook that panics ends the process, and with it the kernel: so the menu is served by a
/// thread of its own, and when that one panics too, only what cannot fail is left.
pub fn after_panic(location: &str, message: &str, panic: Option<i64>, since: Duration) -> ! {
    priority::as_others();
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

/// Leaves the report for whoever looks at it from the shell.
pub fn leave_report(json: &str) {
    let written =
        fs::create_dir_all(paths::RUN).and_then(|()| File::create(paths::REPORT)?.write_all(json.as_bytes()));
    if let Err(error) = written {
        console::write_line(&format!("cannot write {}: {error}", paths::REPORT));
    }
}
