//! PID 1 of the initramfs: from the kernel command line to the real init.
//!
//! `boot` tells the story. Decisions are pure functions (`request`, `medium`, `plan`), deeds are in `machine` and
//! `switch_root`, and every failure ends in `recovery`, which never returns.

mod block_devices;
mod boot_counter;
mod chain;
mod cmdline;
mod console;
mod contract;
mod descriptors;
mod elf;
mod error;
mod executor;
mod faces;
mod find_store;
#[cfg(test)]
mod golden;
mod handover;
mod journal;
mod machine;
mod medium;
mod modules;
mod overrides;
mod paths;
mod plan;
mod real_init;
mod recovery;
mod report;
mod request;
mod session;
mod shutdown;
mod state;
mod store;
mod switch_root;
mod take_down;
mod trial;
mod trust;
mod uevents;
mod wait_for_device;

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use error::BootError;
use executor::execute;
use session::Session;

fn main() -> ExitCode {
    if std::env::args_os().next().is_some_and(|name| name == recovery::SHELL_NAME) {
        eprintln!("lamina: cannot start {}: {}", paths::SHELL, recovery::become_shell());
        return ExitCode::FAILURE;
    }
    if let Some(face) = face() {
        return face;
    }
    if std::process::id() != 1 {
        if let Some(status) = faces::command() {
            return status;
        }
        eprintln!(
            "lamina: this is the init of an initramfs; it runs as PID 1 only, and changes nothing otherwise"
        );
        return ExitCode::FAILURE;
    }
    session::panics_end_in_recovery();
    descriptors::allow_many();
    let mut session = Session::begin();
    match boot(&mut session) {
        Err(error) => session.recover(&error),
    }
}

/// The story of a boot.
fn boot(session: &mut Session) -> Result<Infallible, BootError> {
    execute(&plan::early(), &session.machine, &mut session.journal)?;
    session.read_command_line()?;
    session.read_initramfs()?;
    if session.request.rescue {
        return Err(recovery::on_purpose());
    }

    // A store that is not there does not end the boot yet: the initramfs may have a profile `rescue`.
    let unreached = session.reach_store().err();
    let profile = trial::first_that_stands(session, unreached)?;

    session.leave_records(&profile)?;
    // Irreversible, so never a step of a plan.
    switch_root::switch_root(&profile.init, std::env::args_os().skip(1), session.journal.began())
}

/// What this program is under its other names: the one that ends a system, as PID 1 or called by it.
fn face() -> Option<ExitCode> {
    let name = |word: OsString| Path::new(&word).file_name().map(|name| name.to_string_lossy().into_owned());
    let mut words = std::env::args_os().map_while(name);
    let (name, word) = (words.next()?, words.next());
    match (name.as_str(), std::process::id()) {
        (handover::PROGRAM, 1) => shutdown::as_pid_1(word.as_deref()),
        ("lamina", 1) if word.as_deref() == Some("shutdown") => shutdown::as_pid_1(words.next().as_deref()),
        ("lamina", _) if word.as_deref() == Some("shutdown") => Some(shutdown::from_the_system()),
        _ => None,
    }
}
