//! Layers joined by overlayfs: `Documentation/filesystems/overlayfs.rst` of the kernel.
//!
//! The ladder, best first:
//! 1. `lowerdir+` with a descriptor of each layer (Linux 6.13): no name is looked up, and none is too long or too strange.
//! 2. `lowerdir+` with the name of each layer (Linux 6.7): no limit of length, and the kernel says what it dislikes. Kernels
//!    that call themselves older are not asked, because they complain about it on the console, also with `quiet`.
//! 3. mount(2) with all layers in one option string, which the kernel clips at 4095 bytes. The layers are therefore
//!    opened and named by their descriptor numbers, relative to `/proc/thread-self/fd`: 500 of them are 2 KB.

use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::utsname::uname;
use nix::unistd::chdir;

use crate::mount::{Attributes, Context, bind, read_only_alone};
use crate::{Error, Result};

/// OVL_MAX_STACK of the kernel's `fs/overlayfs/params.h`.
pub const MOST_LAYERS: usize = 500;
/// fsconfig(2) cuts strings at 256 bytes with their NUL.
const LONGEST_VALUE: usize = 255;

/// What the folder of the changes is called in the folders and tmpfs that hold a top.
pub const UPPER: &str = "upper";

/// What overlayfs's scratch folder is called beside it.
pub const WORK: &str = "work";

/// The writable top: two empty folders of one file system.
#[derive(Debug, Clone)]
pub struct Upper {
    /// Takes the changes; the merged root has its mode and owner.
    pub upper: PathBuf,
    /// Scratch space of overlayfs.
    pub work: PathBuf,
}

/// What overlayfs may write into an upper folder besides the changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Features {
    /// As the kernel was built and loaded.
    #[default]
    KernelDefault,
    /// Nothing that names a lower file: no redirects, no index, no copies of metadata alone, no composed inode numbers. Only
    /// then may the lower layers be others at the next mount ("Changes to underlying filesystems" of overlayfs.rst): this is
    /// for an upper folder that is kept.
    AllOff,
}

impl Features {
    /// The options, each with its value.
    fn options(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::KernelDefault => &[],
            Self::AllOff => {
                &[("redirect_dir", "nofollow"), ("index", "off"), ("metacopy", "off"), ("xino", "off")]
            }
        }
    }
}

/// An ordered list of layers and, maybe, a writable top.
#[derive(Debug, Clone)]
pub struct Overlay {
    /// The layers, bottom first. (The kernel wants them top first; nothing else does.)
    pub lower: Vec<PathBuf>,
    /// The writable top; without one the stack is read-only.
    pub upper: Option<Upper>,
    /// Keep overlayfs' marks in `user.*` attributes, which an unprivileged user namespace may write.
    pub userxattr: bool,
    /// What may be written into the upper folder besides the changes.
    pub features: Features,
}

/// How layers are told to the kernel in one mount, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// mount(2), all at once.
    OptionString,
    /// fsconfig(2) with names, layer by layer.
    Names,
    /// fsconfig(2) with descriptors, layer by layer.
    Descriptors,
}

impl Rung {
    /// The best that a kernel of this release may know. Whatever is not surely older is asked, and may refuse.
    pub fn best_of(release: &str) -> Self {
        let mut numbers = release.split(|character: char| !character.is_ascii_digit()).map(str::parse::<u32>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < (6, 7) => Self::OptionString,
            (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < (6, 13) => Self::Names,
            _ => Self::Descriptors,
        }
    }
}

impl Overlay {
    /// Joins the layers at `target`, which must exist. One layer without a top is bound there as it is.
    pub fn mount(&self, target: &Path) -> Result<()> {
        self.mount_open(&[], target)
    }

    /// As [`Overlay::mount`], with descriptors of the layers' mounts in the order of `lower`, such as
    /// [`crate::mount::MountedLayer`] has: kernels that take them look up no name. Where one is missing, its folder is opened.
    pub fn mount_open(&self, mounts: &[BorrowedFd<'_>], target: &Path) -> Result<()> {
        let object = target.display();
        match (self.lower.as_slice(), &self.upper) {
            ([], _) => {
                Err(Error::refused("stack", object, "there are no layers".into(), "name at least one image"))
            }
            // The second mount takes off what holds for the layer at its own place: `nosuid`, `noexec`.
            ([only], None) => bind(only, target).and_then(|()| read_only_alone(target)),
            (lower, _) if lower.len() > MOST_LAYERS => Err(Error::refused(
                "stack",
                object,
                format!("{} layers, and the kernel joins at most {MOST_LAYERS}", lower.len()),
                "merge small images into one, or take some out of the profile",
            )),
            _ => self.climb_down(Rung::best_of(&release()), mounts, target),
        }
    }

    /// Joins the layers in this one way, without trying another: for tests, and to see which way a kernel refuses.
    pub fn mount_on(&self, rung: Rung, target: &Path) -> Result<()> {
        self.mount_open_on(rung, &[], target)
    }

    fn mount_open_on(&self, rung: Rung, mounts: &[BorrowedFd<'_>], target: &Path) -> Result<()> {
        match rung {
            Rung::OptionString => self.all_at_once(target),
            Rung::Names | Rung::Descriptors => self.layer_by_layer(rung, mounts, target),
        }
    }

    /// Tries `rung`, and those below it where the kernel does not know it.
    fn climb_down(&self, rung: Rung, mounts: &[BorrowedFd<'_>], target: &Path) -> Result<()> {
        match (rung, self.mount_open_on(rung, mounts, target)) {
            // What is refused for another reason is refused below too, and explained there.
            (Rung::Descriptors, Err(_)) => self.climb_down(Rung::Names, mounts, target),
            (Rung::Names, Err(error)) if is_unknown_parameter(&error) => {
                self.mount_on(Rung::OptionString, target)
            }
            (_, done) => done,
        }
    }

    /// The first two rungs of the ladder.
    fn layer_by_layer(&self, rung: Rung, mounts: &[BorrowedFd<'_>], target: &Path) -> Result<()> {
        let object = format!("the stack at {}", target.display());
        let context = Context::open("overlay", &object)?;
        context.set("source", "lamina")?;
        // Kept open until the mount: a layer with an awkward name is named by its descriptor.
        let mut open = Vec::new();
        let mut set = |key: &str, folder: &Path| {
            if rung == Rung::Descriptors {
                return context.set_descriptor(key, readable(folder)?);
            }
            context.set(key, &*plain_name(folder, &mut open)?)
        };
        for (index, layer) in self.lower.iter().enumerate().rev() {
            match mounts.get(index) {
                Some(mount) if rung == Rung::Descriptors => context.set_descriptor("lowerdir+", mount)?,
                _ => set("lowerdir+", layer)?,
            }
        }
        if let Some(Upper { upper, work }) = &self.upper {
            set("upperdir", upper)?;
            set("workdir", work)?;
        }
        for (key, value) in self.features.options() {
            context.set(key, *value)?;
        }
        if self.userxattr {
            context.flag("userxattr")?;
        }
        let attributes =
            if self.upper.is_none() { Attributes::MOUNT_ATTR_RDONLY } else { Attributes::empty() };
        context.mount(attributes, target)
    }

    /// The last rung, in a thread of its own, because the working directory belongs to a whole process otherwise.
    fn all_at_once(&self, target: &Path) -> Result<()> {
        let target =
            std::path::absolute(target).map_err(|cause| Error::new("stack", target.display(), cause))?;
        let error = |cause| Error::new("stack", target.display(), cause);
        std::thread::scope(|scope| {
            let thread =
                std::thread::Builder::new().spawn_scoped(scope, || self.all_at_once_from_here(&target));
            let done = thread.map_err(error)?.join();
            done.unwrap_or_else(|_| Err(error(std::io::Error::other("its thread panicked"))))
        })
    }

    fn all_at_once_from_here(&self, target: &Path) -> Result<()> {
        let error = |errno: nix::Error| Error::new("stack layers at", target.display(), errno);
        let mut open = Vec::new();
        let mut options = String::from("lowerdir=");
        for (index, layer) in self.lower.iter().rev().enumerate() {
            let separator = if index == 0 { "" } else { ":" };
            options += &format!("{separator}{}", descriptor(layer, &mut open)?);
        }
        if let Some(Upper { upper, work }) = &self.upper {
            options += &format!(
                ",upperdir={},workdir={}",
                descriptor(upper, &mut open)?,
                descriptor(work, &mut open)?
            );
        }
        for (key, value) in self.features.options() {
            options += &format!(",{key}={value}");
        }
        if self.userxattr {
            options += ",userxattr";
        }
        unshare(CloneFlags::CLONE_FS).map_err(error)?;
        chdir("/proc/thread-self/fd").map_err(error)?;
        let flags = if self.upper.is_none() { MsFlags::MS_RDONLY } else { MsFlags::empty() };
        mount(Some("lamina"), target, Some("overlay"), flags, Some(options.as_str())).map_err(|errno| {
            error(errno)
                .with_remedy("the kernel's log (dmesg) has the reason, in lines that start with `overlayfs:`")
        })
    }
}

/// The release of the running kernel, as `uname -r` prints it; empty when it does not tell.
fn release() -> String {
    uname().map(|names| names.release().to_string_lossy().into_owned()).unwrap_or_default()
}

/// Kernels before 6.7 answer `lowerdir+` with EINVAL and `Unknown parameter 'lowerdir+'`; those before 6.5 take any
/// string through the legacy context and fail at creation, without a text that speaks of it.
fn is_unknown_parameter(error: &Error) -> bool {
    let unknown = |line: &String| line.contains("Unknown parameter") && line.contains("lowerdir+");
    error.errno() == nix::errno::Errno::EINVAL as i32
        && (error.kernel.is_empty() || error.kernel.iter().any(unknown))
}

/// The path itself, or `/proc/self/fd/N` of it when it is too long for fsconfig(2) or has characters that overlayfs
/// treats as separators.
fn plain_name(path: &Path, open: &mut Vec<File>) -> Result<String> {
    match path.to_str() {
        Some(name) if name.len() <= LONGEST_VALUE && !name.contains([':', ',', '\\']) => Ok(name.to_owned()),
        _ => Ok(format!("/proc/self/fd/{}", descriptor(path, open)?)),
    }
}

/// Opens the folder for reading: not every kernel of the first rung takes a descriptor that is a path only.
fn readable(path: &Path) -> Result<File> {
    let flags = (OFlag::O_CLOEXEC | OFlag::O_DIRECTORY).bits();
    let file = File::options().read(true).custom_flags(flags).open(path);
    file.map_err(|cause| Error::new("open the layer", path.display(), cause))
}

/// Opens the folder and gives its descriptor number.
fn descriptor(path: &Path, open: &mut Vec<File>) -> Result<i32> {
    let flags = (OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_DIRECTORY).bits();
    let file = File::options()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(|cause| Error::new("open the layer", path.display(), cause))?;
    let number = file.as_raw_fd();
    open.push(file);
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(count: usize) -> Overlay {
        let lower = (0..count).map(|number| PathBuf::from(format!("/{number}"))).collect();
        Overlay { lower, upper: None, userxattr: false, features: Features::default() }
    }

    #[test]
    fn no_layer_and_too_many_layers_are_sentences() {
        let error = layers(0).mount(Path::new("/x")).unwrap_err();
        assert_eq!(error.why(), "there are no layers");
        let error = layers(501).mount(Path::new("/x")).unwrap_err();
        assert_eq!(error.why(), "501 layers, and the kernel joins at most 500");
        assert!(error.to_string().ends_with("merge small images into one, or take some out of the profile"));
    }

    #[test]
    fn only_kernels_that_are_surely_old_are_not_asked() {
        for old in ["6.1.0-50-cloud-amd64", "5.10.1", "6.6.99", "4.19"] {
            assert_eq!(Rung::best_of(old), Rung::OptionString, "{old}");
        }
        for middle in ["6.7.0", "6.12.9+bpo-cloud-amd64"] {
            assert_eq!(Rung::best_of(middle), Rung::Names, "{middle}");
        }
        for new in ["6.13", "6.18.44", "10.0-rc1", "", "nightly", "6", "6.x"] {
            assert_eq!(Rung::best_of(new), Rung::Descriptors, "{new}");
        }
    }

    #[test]
    fn awkward_names_become_descriptors() {
        let folder = tempfile::tempdir().unwrap();
        let awkward = folder.path().join("a:b");
        std::fs::create_dir(&awkward).unwrap();
        let mut open = Vec::new();
        assert!(plain_name(&awkward, &mut open).unwrap().starts_with("/proc/self/fd/"));
        assert_eq!(plain_name(Path::new("/plain"), &mut open).unwrap(), "/plain");
        assert_eq!(open.len(), 1);
    }
}
