//! A build's own small world: a stack of images as `/`, and nothing else of the machine.
//!
//! Builds go one way, whoever asks. Who does what, in this order:
//!
//! 1. `lamina` starts itself again as a stage, from a sealed copy in memory, without its environment, tied to it by a pipe
//!    that is no standard input.
//! 2. The stage closes every other descriptor, leaves the session keyring, sets fixed resource limits, and reads the [`Spec`].
//! 3. It decides who is user 0 inside: for root a user of its own ([`BUILD_USER`]), else the caller ([`choose_user`]).
//! 4. A child makes a user namespace; the stage, outside, maps that one user and holds the namespace by a descriptor.
//! 5. Root gives `/out` and `/build` to that user, and copies the mounts of all that the build will see, read-only, `nosuid`, `nodev`,
//!    with owners mapped so that all is that user's (an idmapped mount). He does it here because nobody else reaches the store.
//! 6. The stage enters the user namespace as its user 0: no right outside is left. It cannot be traced or looked into any more.
//! 7. It makes mount, pid, network, IPC, UTS and cgroup namespaces; who is not root copies the mounts now, with the rights he has here.
//! 8. Its child is pid 1: heeds all signals, takes the kernel's ordinary personality, brings `lo` up, stacks the layers, puts the copies to their places, masks `/proc`, leaves the old root.
//! 9. Pid 1 gives up all rights but those over its own files, and takes system calls away from itself ([`Policy`]).
//! 10. It runs the steps.
//!
//! Both stages die with the process that started them (PR_SET_PDEATHSIG), and with pid 1 dies every process of the namespace; the mounts
//! go with the last process. So a killed build leaves nothing but its scratch folder, which the next command sweeps.

mod bounds;
mod caller;
mod facts;
mod folders;
mod inner;
mod lifeline;
mod other_order;
mod outer;
mod outside;
mod proc;
mod program;
mod seccomp;
mod shared_memory;
mod spec;
mod unpack;
mod user_namespace;

use std::io::{PipeReader, PipeWriter};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

pub use facts::{BUILD_USER, Facts, SandboxUser, choose_user};
pub use outside::give_to_builds;
pub use seccomp::Policy;
pub use spec::{Bind, Bounds, Spec, Step, Variation, Work};

use crate::error::{Error, Result};

/// The hidden first argument that makes `lamina` a stage of a sandbox.
pub const STAGE_ARGUMENT: &str = "sandbox-stage";

/// A sandbox whose steps run. It is killed when this is dropped, and when the thread that started it ends.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// The write end stays here, unused: when this process is gone the stage sees the other end hang up.
    _lifeline: PipeWriter,
    /// What the steps write. It is a pipe, and the log lies behind it: a build cannot shorten or read its own log through
    /// its descriptors. It ends with the last process of the build.
    pub output: PipeReader,
}

/// Starts the steps of `spec`. `scratch` holds the specification while they run; `input` is the standard input of a person's sandbox
/// ([`Policy::Shell`]), and those of builds have an empty one.
pub fn start(spec: &Spec, scratch: &Path, input: Stdio) -> Result<Running> {
    let path = scratch.join("sandbox.json");
    let text = serde_json::to_vec(spec).map_err(Error::on(path.display()))?;
    std::fs::write(&path, text).map_err(Error::on(path.display()))?;
    let (output, writer) = std::io::pipe().map_err(Error::on("a pipe for the output of the build"))?;
    let second = writer.try_clone().map_err(Error::on("a pipe for the output of the build"))?;
    let (_for_the_stage, lifeline, number) = lifeline::make_inherited()?;
    let child = Command::new(program::path()?)
        .arg0("lamina")
        .arg(STAGE_ARGUMENT)
        .arg(&path)
        .arg(number.to_string())
        .env_clear()
        .stdin(input)
        .stdout(writer)
        .stderr(second)
        .spawn()
        .map_err(Error::on("cannot start the sandbox"))?;
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

/// The whole program when it was started as a stage: `sandbox-stage SPEC LIFELINE`, the number of a descriptor. Returns the exit status.
pub fn stage_main(arguments: &[String]) -> i32 {
    exit_status(match arguments {
        [spec, lifeline] => outer::run(Path::new(spec), lifeline),
        _ => Err(Error::new(STAGE_ARGUMENT, "is for lamina itself").remedy("use `lamina build`")),
    })
}

/// The status of the steps, or, after saying why, of a sandbox that could not be made.
fn exit_status(outcome: Result<i32>) -> i32 {
    outcome.unwrap_or_else(|error| {
        eprintln!("lamina: sandbox: {error}");
        spec::SETUP_FAILED
    })
}
