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

mod bounds;
mod facts;
mod inner;
mod lifeline;
mod outer;
mod spec;
mod unpack;

use std::io::PipeReader;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

pub use facts::{Access, Facts, choose_access};
pub use spec::{Bind, Bounds, Layer, Spec, Step, Work};

use crate::error::{Error, Result};

/// The hidden first argument that makes `lamina` a stage of a sandbox.
pub const STAGE_ARGUMENT: &str = "sandbox-stage";

/// A sandbox whose steps run. It is killed when this is dropped, and when the thread that started it ends.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// The write end stays here, unused: when this process is gone the stage sees the other end hang up.
    _lifeline: Option<ChildStdin>,
    /// What the steps write. It is a pipe, and the log lies behind it: a build cannot shorten or read its own log through
    /// its descriptors. It ends with the last process of the build.
    pub output: PipeReader,
}

/// Starts the steps of `spec`. `scratch` holds the specification while they run.
pub fn start(spec: &Spec, scratch: &Path) -> Result<Running> {
    let path = scratch.join("sandbox.json");
    let text = serde_json::to_vec(spec).map_err(Error::on(path.display()))?;
    std::fs::write(&path, text).map_err(Error::on(path.display()))?;
    let (output, writer) = std::io::pipe().map_err(Error::on("a pipe for the output of the build"))?;
    let second = writer.try_clone().map_err(Error::on("a pipe for the output of the build"))?;
    let mut child = Command::new("/proc/self/exe")
        .args([STAGE_ARGUMENT, "outer"])
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(writer)
        .stderr(second)
        .spawn()
        .map_err(Error::on("cannot start the sandbox"))?;
    let lifeline = child.stdin.take();
    Ok(Running { child, _lifeline: lifeline, output })
}

impl Running {
    /// The process id of the first stage, the ancestor of all that the build runs.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends all of it at once; what has ended already stays as it is.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// The status of the first step that failed, or success; `None` while they run.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().map_err(Error::on("cannot wait for the sandbox"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        // It fails only when its end was seen already.
        let _ = self.child.wait();
    }
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
