//! PID 1 of the initramfs: from the kernel command line to the real init.
//!
//! `boot` tells the story. Decisions are pure functions (`request`, `medium`, `plan`), deeds are in `machine` and
//! `switch_root`, and every failure ends in `recovery`, which never returns.

mod block_devices;
mod cmdline;
mod console;
mod contract;
mod elf;
mod error;
mod executor;
mod find_store;
#[cfg(test)]
mod golden;
mod journal;
mod machine;
mod medium;
mod modules;
mod paths;
mod plan;
mod real_init;
mod recovery;
mod request;
mod session;
mod store;
mod switch_root;
mod uevents;
mod wait_for_device;

use std::convert::Infallible;
use std::process::ExitCode;

use error::BootError;
use executor::execute;
use session::Session;

fn main() -> ExitCode {
    if std::env::args_os().next().is_some_and(|name| name == recovery::SHELL_NAME) {
        eprintln!("lamina: cannot start {}: {}", paths::SHELL, recovery::become_shell());
        return ExitCode::FAILURE;
    }
    if std::process::id() != 1 {
        eprintln!(
            "lamina: this is the init of an initramfs; it runs as PID 1 only, and changes nothing otherwise"
        );
        return ExitCode::FAILURE;
    }
    session::panics_end_in_recovery();
    let mut session = Session::begin();
    match boot(&mut session) {
        Err(error) => session.recover(&error),
    }
}

/// The story of a boot.
fn boot(session: &mut Session) -> Result<Infallible, BootError> {
    execute(&plan::early(), &session.machine, &mut session.journal)?;
    session.read_command_line()?;
    session.load_modules()?;
    if session.request.rescue {
        return Err(recovery::on_purpose());
    }

    let medium = session.find_medium()?;
    execute(&plan::medium(&medium), &session.machine, &mut session.journal)?;

    let store = session.store_folder(&medium);
    let profile = session.read_profile(&store)?;
    let init = session.request.init.clone().unwrap_or_else(|| profile.init.clone());
    let root = plan::root(&store, &profile, &init, session.request.root_access);
    execute(&root, &session.machine, &mut session.journal)?;

    session.leave_records(&profile, &init)?;
    // Irreversible, so never a step of a plan.
    switch_root::switch_root(&init, std::env::args_os().skip(1))
}
