//! Layers joined by overlayfs: `Documentation/filesystems/overlayfs.rst` of the kernel.
//!
//! The ladder, best first:
//! 1. `lowerdir+`, one call a layer (Linux 6.7): no limit of length, and the kernel says what it dislikes. Kernels that call
//!    themselves older are not asked, because they complain about it on the console, also with `quiet`.
//! 2. mount(2) with all layers in one option string, which the kernel clips at 4095 bytes. The layers are therefore
//!    opened and named by their descriptor numbers, relative to `/proc/thread-self/fd`: 500 of them are 2 KB.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::utsname::uname;
use nix::unistd::chdir;

use crate::mount::{Attributes, Context, bind};
use crate::{Error, Result};

/// OVL_MAX_STACK of the kernel's `fs/overlayfs/params.h`.
pub const MOST_LAYERS: usize = 500;
/// fsconfig(2) cuts strings at 256 bytes with their NUL.
const LONGEST_VALUE: usize = 255;

/// The writable top: two empty folders of one file system.
#[derive(Debug, Clone)]
pub struct Upper {
    /// Takes the changes; the merged root has its mode and owner.
    pub upper: PathBuf,
    /// Scratch space of overlayfs.
    pub work: PathBuf,
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
}

impl Overlay {
    /// Joins the layers at `target`, which must exist. One layer without a top is bound there as it is.
    pub fn mount(&self, target: &Path) -> Result<()> {
        let object = target.display();
        match (self.lower.as_slice(), &self.upper) {
            ([], _) => {
                Err(Error::refused("stack", object, "there are no layers".into(), "name at least one image"))
            }
            ([only], None) => bind(only, target),
            (lower, _) if lower.len() > MOST_LAYERS => Err(Error::refused(
                "stack",
                object,
                format!("{} layers, and the kernel joins at most {MOST_LAYERS}", lower.len()),
                "merge small images into one, or take some out of the profile",
            )),
            _ if !may_know_lowerdir_plus(&release()) => self.all_at_once(target),
            _ => match self.layer_by_layer(target) {
                Err(error) if is_unknown_parameter(&error) => self.all_at_once(target),
                done => done,
            },
        }
    }

    /// The first rung of the ladder.
    fn layer_by_layer(&self, target: &Path) -> Result<()> {
        let context = Context::open("overlay", format_args!("the stack at {}", target.display()))?;
        context.set("source", "lamina")?;
        // Kept open until the mount: a layer with an awkward name is named by its descriptor.
        let mut open = Vec::new();
        for layer in self.lower.iter().rev() {
            context.set("lowerdir+", &*plain_name(layer, &mut open)?)?;
        }
        if let Some(Upper { upper, work }) = &self.upper {
            context.set("upperdir", &*plain_name(upper, &mut open)?)?;
            context.set("workdir", &*plain_name(work, &mut open)?)?;
        }
        if self.userxattr {
            context.flag("userxattr")?;
        }
        let attributes =
            if self.upper.is_none() { Attributes::MOUNT_ATTR_RDONLY } else { Attributes::empty() };
        context.mount(attributes, target)
    }

    /// The second rung, in a thread of its own, because the working directory belongs to a whole process otherwise.
    fn all_at_once(&self, target: &Path) -> Result<()> {
        let target =
            std::path::absolute(target).map_err(|cause| Error::new("stack", target.display(), cause))?;
        std::thread::scope(|scope| {
            scope.spawn(|| self.all_at_once_from_here(&target)).join().unwrap_or_else(|_| {
                Err(Error::new("stack", target.display(), std::io::Error::other("its thread panicked")))
            })
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

/// False only for releases that are surely older than 6.7: whatever else is tried, and may be refused.
fn may_know_lowerdir_plus(release: &str) -> bool {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (6, 7),
        _ => true,
    }
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
        Overlay { lower, upper: None, userxattr: false }
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
            assert!(!may_know_lowerdir_plus(old), "{old}");
        }
        for new in ["6.7.0", "6.12.9+bpo-cloud-amd64", "6.18", "10.0-rc1", "", "nightly", "6", "6.x"] {
            assert!(may_know_lowerdir_plus(new), "{new}");
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
