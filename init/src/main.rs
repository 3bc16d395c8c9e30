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
mod crew;
mod deadline;
mod descriptors;
mod elf;
mod error;
mod examination;
mod executor;
mod faces;
mod find_store;
#[cfg(test)]
mod golden;
mod handover;
mod journal;
mod kernel_words;
mod layout;
mod machine;
mod media_polling;
mod medium;
mod memory;
mod modules;
mod mounts;
mod overrides;
mod paths;
mod plan;
mod read_init;
mod real_init;
mod recovery;
mod report;
mod request;
mod seal;
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
mod which_device;

use std::convert::Infallible;
use std::process::ExitCode;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use error::BootError;
use session::Session;

/// musl's own asks the kernel for every few kilobytes and gives them back at once: 70 mmap(2) and as many munmap(2) a boot, and
/// the pages between them are touched anew each time.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    if std::process::id() == 1 {
        stack::last_resort::install();
    }
    if let Some(status) = faces::other_than_init() {
        return status;
    }
    stack::last_resort::keep(std::env::args_os(), std::env::vars_os());
    session::panics_end_in_recovery();
    descriptors::allow_many();
    descriptors::make_room();
    let mut session = Session::begin();
    if let Some(error) = recovery::of_death() {
        // A rescue shell of the life before would take the keys that are meant for the screen.
        let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
        // What recovery uses; as much of it as there is.
        let _ = session.carry_out(&plan::early());
        let _ = session.read_command_line();
        session.recover(&error)
    }
    match boot(&mut session) {
        Err(error) => session.recover(&error),
    }
}

/// The story of a boot.
fn boot(session: &mut Session) -> Result<Infallible, BootError> {
    session.carry_out(&plan::early())?;
    session.leave_programs();
    session.read_command_line()?;
    session.read_initramfs()?;
    if session.request.rescue {
        return Err(recovery::on_purpose());
    }

    // A store that is not there does not end the boot yet: the initramfs may have a profile `rescue`.
    let unreached = session.reach_store().err();
    let profile = trial::first_that_stands(session, unreached)?;

    let left = session.leave_records(&profile);
    // Irreversible, so never a step of a plan.
    switch_root::switch_root(&profile.init, std::env::args_os().skip(1), session.journal.began(), &left)
}
