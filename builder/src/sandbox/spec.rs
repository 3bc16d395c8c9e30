//! What a sandbox shall be, as data that passes from `lamina build` to the stages.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::seccomp::Policy;

/// The exit status of a stage that could not make the sandbox; the reason stands in the log.
pub const SETUP_FAILED: i32 = 125;

/// A file or folder that the build sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Where it is outside.
    pub source: PathBuf,
    /// Where it appears; absolute.
    pub target: PathBuf,
    /// Whether the build may write to it. It then belongs to the user of the sandbox from the beginning of the build on.
    pub writable: bool,
}

/// One step of the build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// `unpack`, `patch`, `configure`, `make` or `install`.
    pub name: String,
    /// What is done.
    pub work: Work,
}

/// What is done in a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// `/bin/sh` reads this text.
    Script {
        /// The text.
        text: String,
        /// Its `"$@"`.
        arguments: Vec<String>,
        /// The folder it starts in, inside the sandbox; made when missing.
        folder: PathBuf,
    },
    /// The stage itself unpacks a source, when it is an archive.
    Unpack {
        /// The source, inside the sandbox.
        source: PathBuf,
        /// The folder to make of it.
        target: PathBuf,
    },
}

/// What the kernel holds the processes of a build to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Processes and threads at one time (RLIMIT_NPROC).
    pub processes: u64,
    /// Bytes of writable private memory of one process (RLIMIT_DATA).
    pub memory: u64,
    /// Bytes of each tmpfs that the build may fill: the throwaway top, `/tmp` and `/dev/shm`.
    pub tmpfs: u64,
}

/// What is different in a second build that is compared with the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variation {
    /// The entries of the layers' folders come in another order.
    pub other_order: bool,
    /// `/build` is a tmpfs, in place of the folder that is bound there: so its entries come in another order too.
    pub build_in_memory: bool,
}

/// Everything the stages need to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// The root's layers, bottom first: folders with the contents of images.
    pub layers: Vec<PathBuf>,
    /// An empty folder outside, where the stages mount what they need in a namespace of their own.
    pub mounts: PathBuf,
    /// What else the build sees.
    pub binds: Vec<Bind>,
    /// The whole environment of the steps.
    pub environment: Vec<(String, String)>,
    /// The steps in order.
    pub steps: Vec<Step>,
    /// What they may use.
    pub bounds: Bounds,
    /// How it differs from an ordinary build.
    pub variation: Variation,
    /// Which system calls they get.
    pub policy: Policy,
}
