//! A build's own small world: a stack of images as `/`, and nothing else of the machine.
//!
//! The sandbox is this program run again, in two stages, because namespaces are entered by a process of one thread and a
//! process never enters the pid namespace it makes:
//!
//! 1. `outer`: attaches the images (when it may), enters new namespaces and maps user 0 to the caller.
//! 2. `inner`: pid 1 of the namespace: stacks the layers, binds what the build may see, leaves the old root, gives up
//!    its rights, and runs the steps.
//!
//! Both stages die with the process that started them (PR_SET_PDEATHSIG), and with pid 1 dies every process of the
//! namespace; mounts and loop devices (LO_FLAGS_AUTOCLEAR) go with the last process. So a killed build leaves nothing but
//! its scratch folder, which the next command sweeps.
//!
//! What the stages do is decided before and written into a [`Spec`]; they read it and carry it out.

mod facts;
mod inner;
mod lifeline;
mod outer;
mod spec;

use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

pub use facts::{Access, Facts, choose_access};
pub use spec::{Bind, Layer, Spec, Step};

use crate::error::{Error, Result};

/// The hidden first argument that makes `lamina` a stage of a sandbox.
pub const STAGE_ARGUMENT: &str = "sandbox-stage";

/// Runs the steps of `spec`; their output goes to `log`. `scratch` holds the specification while they run.
///
/// The status is that of the first step that failed, or success. The build is killed when the calling thread ends.
pub fn run(spec: &Spec, scratch: &Path, log: &File) -> Result<ExitStatus> {
    let path = scratch.join("sandbox.json");
    let text = serde_json::to_vec(spec).map_err(Error::on(path.display()))?;
    std::fs::write(&path, text).map_err(Error::on(path.display()))?;
    let stream = || log.try_clone().map(Stdio::from).map_err(Error::on("the build log"));
    // The write end stays here, unused: when this process is gone the stage sees the other end hang up.
    let mut child = Command::new("/proc/self/exe")
        .args([STAGE_ARGUMENT, "outer"])
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(stream()?)
        .stderr(stream()?)
        .spawn()
        .map_err(Error::on("cannot start the sandbox"))?;
    let lifeline = child.stdin.take();
    let status = child.wait().map_err(Error::on("cannot wait for the sandbox"));
    drop(lifeline);
    status
}

/// The whole program when it was started as a stage: `sandbox-stage outer|inner SPEC`. Returns the exit status.
pub fn stage_main(arguments: &[String]) -> i32 {
    let outcome = match arguments {
        [stage, spec] if stage == "outer" => outer::run(Path::new(spec)),
        [stage, spec] if stage == "inner" => inner::run(Path::new(spec)),
        _ => Err(Error::new(STAGE_ARGUMENT, "is for lamina itself").remedy("use `lamina build`")),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("lamina: sandbox: {error}");
        spec::SETUP_FAILED
    })
}
