//! What will be done, decided before it is done: pure functions from what was asked and found to a list of stages.
//!
//! A plan prints as text, one step a line; `tests/golden/*.plan` holds the plans of typical boots.

pub mod executor;
#[cfg(test)]
mod golden;
mod media;
mod needs;
pub mod real_kernel;
pub mod thread_pool;

pub use media::{medium, shared_folder};

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use boot_store::layout;
use profiles::resolved::{BootProfile, ImageRef};
use profiles::{TmpfsSize, Verify};

use crate::paths;
use crate::request::RootAccess;
use crate::size::Size;
use crate::step_name::StepName;

/// A file system to mount, as text only: it prints, and it compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Its name in `/proc/filesystems`.
    pub kind: &'static str,
    /// Device, tag, or a word.
    pub source: String,
    /// `KEY=VALUE` or `FLAG`, as in mount(8); `ro`, `nosuid`, `nodev`, `noexec` and `strictatime` among them.
    pub options: Vec<String>,
    /// The folder, which is made when it is not there.
    pub target: &'static str,
}

/// An image of the stack and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The profile, which the image is there for.
    pub profile: Arc<BootProfile>,
    /// Which of its images, from 0 at the bottom.
    pub position: usize,
    /// The folder that has `images/`, below the mounted medium or in the initramfs.
    pub store: Arc<Path>,
    /// Written once: steps, messages and the report want it several times for each of hundreds of layers.
    file: PathBuf,
}

impl Image {
    /// The image at this position of a profile, below `store`.
    pub fn new(profile: Arc<BootProfile>, position: usize, store: Arc<Path>) -> Self {
        let file = layout::image(&profile.images[position].digest);
        Self { profile, position, store, file }
    }

    /// What the profile says of it.
    pub fn wanted(&self) -> &ImageRef {
        &self.profile.images[self.position]
    }

    /// Of the image file, below the store.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Of the image file.
    pub fn path(&self) -> PathBuf {
        self.store.join(&self.file)
    }

    /// Where the layer is mounted.
    pub fn layer(&self) -> PathBuf {
        Path::new(paths::LAYERS).join(self.wanted().name.as_str())
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.wanted().name, self.wanted().version)
    }
}

/// What goes above the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Above {
    /// Nothing: the root is read-only.
    Nothing,
    /// The folders `upper` and `work` of the top, which are new at each boot.
    FreshTop,
    /// The same, and they outlive the layers below them: overlayfs must use no feature that binds it to those.
    KeptTop,
}

/// The writable top, as far as it is decided before the plan of the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PreparedTop {
    /// None.
    None,
    /// A tmpfs of this size, lost at power-off.
    Tmpfs(TmpfsSize),
    /// A folder of the state file system, which is mounted already.
    Kept(PathBuf),
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootStep {
    /// Mount a file system.
    Mount(Mount),
    /// Open an image and compare its length.
    OpenImage(Arc<Image>),
    /// Compare the SHA-256 of an open image.
    CheckImage(Arc<Image>),
    /// Give an open image a loop device.
    AttachImage(Arc<Image>),
    /// Put dm-verity over an attached image.
    OpenVerity(Arc<Image>),
    /// Mount the squashfs or EROFS of an image.
    MountLayer(Arc<Image>),
    /// Make a folder visible at a second place.
    Bind {
        /// An absolute path.
        source: PathBuf,
        /// An absolute path; made when it is not there.
        target: &'static str,
    },
    /// Join the layers.
    StackLayers {
        /// The layers, bottom first.
        lower: Vec<Arc<Image>>,
        /// What goes above.
        above: Above,
    },
    /// See that `/dev`, `/proc`, `/sys` and `/run` can move to the new root.
    MountPoints {
        /// Missing ones can be made.
        writable: bool,
    },
    /// Read the real init and what it needs to start, so that damage shows now.
    ReadInit {
        /// Its path in the new root.
        init: String,
        /// The layers that it may come from, bottom first.
        layers: Vec<Arc<Image>>,
    },
    /// See that the real init can be started.
    CheckInit(String),
    /// Hand the new root over read-only, as `ro` on the kernel command line asks.
    ProtectRoot,
}

impl BootStep {
    /// What it is called.
    pub fn name(&self) -> StepName {
        match self {
            Self::Mount(_) => StepName::Mount,
            Self::OpenImage(_) => StepName::OpenImage,
            Self::CheckImage(_) => StepName::CheckImage,
            Self::AttachImage(_) => StepName::AttachImage,
            Self::OpenVerity(_) => StepName::OpenVerity,
            Self::MountLayer(_) => StepName::MountLayer,
            Self::Bind { .. } => StepName::Bind,
            Self::StackLayers { .. } => StepName::StackLayers,
            Self::MountPoints { .. } => StepName::FindMountPoints,
            Self::ReadInit { .. } => StepName::ReadInit,
            Self::CheckInit(_) => StepName::CheckInit,
            Self::ProtectRoot => StepName::ProtectRoot,
        }
    }

    /// What it is done to, with what identifies it.
    pub fn object(&self) -> Object<'_> {
        Object(self)
    }

    /// The object in few words: a screen has room for many of them.
    pub fn subject(&self) -> String {
        match self {
            Self::OpenImage(image)
            | Self::CheckImage(image)
            | Self::AttachImage(image)
            | Self::OpenVerity(image)
            | Self::MountLayer(image) => image.to_string(),
            _ => self.object().to_string(),
        }
    }
}

/// What a step is done to, as a text that is made when somebody wants it: that takes longer than many a step.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a>(&'a BootStep);

impl fmt::Display for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            BootStep::Mount(mount) => write!(f, "{} ({}) at {}", mount.source, mount.kind, mount.target),
            BootStep::OpenImage(image)
            | BootStep::CheckImage(image)
            | BootStep::AttachImage(image)
            | BootStep::OpenVerity(image) => {
                write!(f, "{image} ({}/{})", image.store.display(), image.file.display())
            }
            BootStep::Bind { source, target } => write!(f, "{} at {target}", source.display()),
            BootStep::MountLayer(image) => write!(f, "{image} at {}/{}", paths::LAYERS, image.wanted().name),
            BootStep::StackLayers { lower, .. } => {
                write!(f, "{} at {}", cli::numbers::count(lower.len(), "layer"), paths::NEW_ROOT)
            }
            BootStep::MountPoints { .. } | BootStep::ProtectRoot => f.write_str(paths::NEW_ROOT),
            BootStep::ReadInit { init: path, .. } | BootStep::CheckInit(path) => f.write_str(path),
        }
    }
}

impl fmt::Display for BootStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), self.object())?;
        match self {
            Self::Mount(mount) => write!(f, " with {}", mount.options.join(",")),
            Self::OpenImage(image) => write!(f, " of {} bytes", image.wanted().size),
            Self::CheckImage(image) => write!(f, " against {}", image.wanted().digest),
            Self::OpenVerity(image) => match &image.wanted().verity {
                Some(verity) => write!(f, " with root hash {}", verity.root_hash.hex()),
                None => Ok(()),
            },
            Self::StackLayers { above: Above::Nothing, .. } => f.write_str(" read-only"),
            Self::StackLayers { above: Above::FreshTop, .. } => f.write_str(" under a writable top"),
            Self::StackLayers { above: Above::KeptTop, .. } => {
                f.write_str(" under a top that was there before")
            }
            Self::ReadInit { .. } => f.write_str(", its interpreters and its libraries"),
            Self::MountPoints { writable: true } => f.write_str(", making those that are missing"),
            _ => Ok(()),
        }
    }
}

/// Who carries out the lanes of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// One thread, lane after lane.
    One,
    /// One thread a processor.
    Processors,
    /// The same, before all other threads: the lanes are short, and wait for nobody.
    Urgent,
    /// Several threads however few processors there are, because lanes sleep.
    Many,
}

/// Steps that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// What the console and the report call it.
    pub name: &'static str,
    /// Who carries it out.
    pub threads: Threads,
    /// Chains of steps: each step needs the one before it, and a failure ends its chain. No chain needs another: all are
    /// tried, and all failures are reported at once.
    pub lanes: Arc<[Vec<BootStep>]>,
}

impl Stage {
    /// One chain.
    fn chain(name: &'static str, steps: Vec<BootStep>) -> Self {
        Self { name, threads: Threads::One, lanes: Arc::new([steps]) }
    }

    /// All steps, lane after lane.
    pub fn steps(&self) -> impl Iterator<Item = &BootStep> {
        self.lanes.iter().flatten()
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match (self.threads, self.lanes.len()) {
            (_, 0 | 1) => "",
            (Threads::Many, _) => " (parallel, sleeping)",
            (Threads::Processors, _) => " (parallel)",
            (Threads::Urgent, _) => " (parallel, urgent)",
            (Threads::One, _) => " (each)",
        };
        writeln!(f, "{}{how}", self.name)?;
        self.steps().try_for_each(|step| writeln!(f, "  {step}"))
    }
}

/// The file systems that the kernel offers, before anything can be looked at.
pub fn early() -> Vec<Stage> {
    let mount = |kind, target, options: &[&str]| {
        let options = options.iter().map(ToString::to_string).collect();
        BootStep::Mount(Mount { kind, source: kind.to_owned(), options, target })
    };
    let steps = vec![
        mount("proc", "/proc", &["nosuid", "nodev", "noexec"]),
        mount("sysfs", "/sys", &["nosuid", "nodev", "noexec"]),
        mount("devtmpfs", "/dev", &["nosuid", "mode=0755"]),
        // As systemd wants it: INITRD_INTERFACE of its documentation.
        mount("tmpfs", "/run", &["nosuid", "nodev", "strictatime", "mode=0755"]),
    ];
    vec![Stage::chain("early mounts", steps)]
}

/// The images of a profile, bottom first. `store` is the folder that has `images/`.
pub fn images(store: &Path, profile: &Arc<BootProfile>) -> Vec<Arc<Image>> {
    let store: Arc<Path> = store.into();
    let image = |position| Arc::new(Image::new(profile.clone(), position, store.clone()));
    (0..profile.images.len()).map(image).collect()
}

/// How the images become layers. Those with a digest are all checked before anything is done with one; the others are opened
/// when it is their turn.
///
/// `from_files` says that the images are mounted from their files, without loop devices.
pub fn layers(images: &[Arc<Image>], from_files: bool) -> Vec<Stage> {
    let checked = |image: &&Arc<Image>| image.profile.verify == Verify::Digest;
    let check =
        |image: &Arc<Image>| vec![BootStep::OpenImage(image.clone()), BootStep::CheckImage(image.clone())];
    let lanes: Arc<[_]> = images.iter().filter(checked).map(check).collect();
    let check =
        (!lanes.is_empty()).then_some(Stage { name: "check images", threads: Threads::Processors, lanes });
    let lane = |image: &Arc<Image>| {
        let verity = image.profile.verify == Verify::Verity;
        let open = (image.profile.verify != Verify::Digest).then(|| BootStep::OpenImage(image.clone()));
        let attach = (verity || !from_files).then(|| BootStep::AttachImage(image.clone()));
        let protect = verity.then(|| BootStep::OpenVerity(image.clone()));
        let steps = [open, attach, protect, Some(BootStep::MountLayer(image.clone()))];
        steps.into_iter().flatten().collect()
    };
    // A loop device sleeps: its file is read by another thread of the kernel, and its settings wait for readers of the old
    // ones. A mount from the file does not.
    let threads = if from_files { Threads::Urgent } else { Threads::Many };
    let layers = Stage { name: "layers", threads, lanes: images.iter().map(lane).collect() };
    check.into_iter().chain([layers]).collect()
}

/// How the layers become one root with a top.
pub fn root(images: &[Arc<Image>], top: &PreparedTop, init: &str, access: RootAccess) -> Vec<Stage> {
    let (above, put_on) = match top {
        PreparedTop::None => (Above::Nothing, None),
        PreparedTop::Tmpfs(size) => (Above::FreshTop, Some(tmpfs(*size))),
        PreparedTop::Kept(folder) => {
            (Above::KeptTop, Some(BootStep::Bind { source: folder.clone(), target: paths::TOP }))
        }
    };
    let writable = above != Above::Nothing;
    let mut steps: Vec<BootStep> = put_on.into_iter().collect();
    steps.push(BootStep::StackLayers { lower: images.to_vec(), above });
    steps.push(BootStep::MountPoints { writable });
    // With a digest all of it was read just now, and "none" asks for no checks.
    if images.iter().any(|image| image.profile.verify == Verify::Verity) {
        steps.push(BootStep::ReadInit { init: init.to_owned(), layers: images.to_vec() });
    }
    steps.push(BootStep::CheckInit(init.to_owned()));
    if writable && access == RootAccess::ReadOnly {
        steps.push(BootStep::ProtectRoot);
    }
    vec![Stage::chain("root", steps)]
}

fn tmpfs(size: TmpfsSize) -> BootStep {
    // For root alone, and of no use but through overlayfs, whose own mount decides what its files may do.
    let always = ["mode=0700", "nosuid", "nodev", "noexec"].map(str::to_owned);
    let options = [format!("size={size}")].into_iter().chain(always).collect();
    BootStep::Mount(Mount { kind: "tmpfs", source: "lamina-top".to_owned(), options, target: paths::TOP })
}

/// The size of all images together, for people.
pub fn total_size(profile: &BootProfile) -> Size {
    Size(profile.images.iter().fold(0, |sum, image| sum.saturating_add(image.size)))
}
