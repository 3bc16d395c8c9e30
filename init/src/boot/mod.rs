//! The story of a boot. Decisions are pure functions (`request`, `store`, `plan`), what acts is in `plan::real_kernel` and `switch_root`,
//! and every failure ends in `recovery`, which never returns.

mod beside;
mod boot_counter;
mod chain;
mod panic_hook;
mod session;
mod switch_root;
mod trial;

use std::convert::Infallible;

use initramfs_format::hook::Point;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::BootError;
use crate::{descriptors, plan, priority, recovery};
use session::Session;

/// From the first look at the machine to the real init, or to the recovery screen.
pub fn begin() -> ! {
    priority::as_others();
    stack::last_resort::keep(std::env::args_os(), std::env::vars_os());
    panic_hook::panics_end_in_recovery();
    descriptors::allow_many();
    descriptors::make_room();
    let mut session = Session::begin();
    if let Some(error) = recovery::after_crash() {
        // A rescue shell that the crashed init had started would take the keys that are meant for the screen.
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

    session.run_hooks(Point::BeforeStore);
    // A store that is not there does not end the boot yet: the initramfs may have a profile `rescue`.
    let unreached = session.reach_store().err();
    let profile = trial::try_candidates(session, unreached)?;

    session.mount_shares(&profile);
    session.run_hooks(Point::BeforeSwitch);
    let left = session.leave_records(&profile);
    // Irreversible, so never a step of a plan.
    switch_root::switch_root(&profile.init, std::env::args_os().skip(1), session.journal.began(), &left)
}
