//! The first stage: who the sandbox runs as, what it sees of the machine, and its namespaces.

use std::fs;
use std::io;
use std::path::Path;

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::chdir;
use rustix::fs::{FileType, Gid, Uid, fchown, fstat};

use super::facts::{Facts, SandboxUser, choose_user};
use super::lifeline::{self, Lifeline};
use super::outside::Outside;
use super::seccomp::{self, Policy};
use super::spec::Spec;
use super::{bounds, caller, inner, user_namespace};
use crate::error::{Error, Result};

/// Carries out the first stage and waits for the second. Returns the exit status to end with.
pub(super) fn run(spec_path: &Path, lifeline: &str) -> Result<i32> {
    let lifeline = Lifeline::inherited(lifeline)?;
    stack::inherited::leave_session_keyring()?;
    bounds::go_first();
    caller::replace_limits()?;
    lifeline.tie_to_parent()?;
    let bytes = fs::read(spec_path).map_err(Error::on(spec_path.display()))?;
    let spec: Spec = serde_json::from_slice(&bytes).map_err(Error::on(spec_path.display()))?;
    let user = choose_user(&Facts::observe())?;
    let outside = enter_sandbox(&spec, &user)?;
    lifeline.tie_to_parent()?;
    start_inner(&spec, outside, lifeline)
}

/// Gives up all rights outside, and makes the other namespaces, which belong to the user namespace.
fn enter_sandbox(spec: &Spec, user: &SandboxUser) -> Result<Outside> {
    let namespace = user_namespace::make(user)?;
    // The build's user finds no way here afterwards: the folders above are the caller's alone.
    chdir(&spec.mounts).map_err(Error::on(spec.mounts.display()))?;
    let outside = user.handed_over.then(|| Outside::gather(spec, user, &namespace)).transpose()?;
    if user.handed_over {
        hand_over_output(user).map_err(Error::on("the output of the build"))?;
    }
    user_namespace::enter(&namespace, user)?;
    // From here on nobody looks into this process: not by ptrace(2), and not by its files in /proc (PR_SET_DUMPABLE of prctl(2)).
    prctl::set_dumpable(false).map_err(Error::on("cannot close the stage to others"))?;
    let mut kinds = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    if Path::new("/proc/self/ns/cgroup").exists() {
        kinds |= CloneFlags::CLONE_NEWCGROUP;
    }
    unshare(kinds).map_err(Error::on("cannot make the namespaces of the sandbox"))?;
    match outside {
        Some(outside) => Ok(outside),
        None => Outside::gather(spec, user, &namespace),
    }
}

/// Gives the pipe of the output to the user of the sandbox: a script that opens `/dev/stdout` opens it anew, and needs the right to.
fn hand_over_output(user: &SandboxUser) -> io::Result<()> {
    let output = io::stdout();
    if FileType::from_raw_mode(fstat(&output)?.st_mode) == FileType::Fifo {
        fchown(&output, Some(Uid::from_raw(user.user)), Some(Gid::from_raw(user.group)))?;
    }
    Ok(())
}

/// Starts pid 1 of the sandbox: the first child after CLONE_NEWPID. The other end of its lifeline is ours alone.
fn start_inner(spec: &Spec, outside: Outside, ours: Lifeline) -> Result<i32> {
    let failed = "cannot start the second stage of the sandbox";
    let (lifeline, writer) = lifeline::make()?;
    let mut ours = Some((writer, ours));
    let child = stack::child::start(|| {
        drop(ours.take());
        super::exit_status(inner::run(spec, outside, &lifeline))
    })?;
    seccomp::apply(Policy::Build)?;
    let status =
        waitpid(child, None).map_err(Error::on("cannot wait for the second stage of the sandbox"))?;
    drop(ours);
    Ok(match status {
        WaitStatus::Exited(_, code) => code,
        WaitStatus::Signaled(_, signal, _) => 128 + signal as i32,
        other => return Err(Error::new(failed, format!("{other:?}"))),
    })
}
