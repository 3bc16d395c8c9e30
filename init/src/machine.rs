//! The executor's hands: each step of a plan as calls of the crate `stack`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use profiles::Digest;
use stack::image::OpenImage;
use stack::loop_device::{LoopDevice, attach};
use stack::mount::{Attributes, Filesystem, squashfs};
use stack::overlay::{Features, Overlay, Upper};

use crate::error::Failure;
use crate::executor::Kernel;
use crate::paths;
use crate::plan::{Image, Mount, Step};
use crate::real_init;

/// The machine that PID 1 runs on. Between the steps of an image it holds, by the image's name, the one descriptor that
/// all of them use.
#[derive(Debug, Default)]
pub struct Machine {
    open: Mutex<BTreeMap<String, OpenImage>>,
    attached: Mutex<BTreeMap<String, LoopDevice>>,
}

impl Kernel for Machine {
    fn carry_out(&self, step: &Step) -> Result<(), Failure> {
        match step {
            Step::Mount(mount) => self::mount(mount),
            Step::OpenImage(image) => {
                let open = open(image)?;
                open.read_ahead();
                lock(&self.open).insert(image.wanted.name.to_string(), open);
                Ok(())
            }
            Step::CheckImage(image) => {
                // Taken out, so that images are read at the same time, and put back for the loop device.
                let open = take(&self.open, image)?;
                check(image, &open)?;
                lock(&self.open).insert(image.wanted.name.to_string(), open);
                Ok(())
            }
            Step::AttachImage(image) => {
                let device = attach(&take(&self.open, image)?)?;
                lock(&self.attached).insert(image.wanted.name.to_string(), device);
                Ok(())
            }
            Step::MountLayer(image) => {
                let layer = image.layer();
                make_folder(&layer)?;
                // The device is let go at the end: the mount keeps it, and frees it when it ends.
                Ok(squashfs(&take(&self.attached, image)?, &layer)?)
            }
            Step::StackLayers { lower, writable } => stack_layers(lower, *writable),
            Step::MountPoints { writable } => mount_points(Path::new(paths::NEW_ROOT), *writable),
            Step::ProtectRoot => Ok(stack::mount::protect(Path::new(paths::NEW_ROOT))?),
            Step::CheckInit(init) => real_init::check(Path::new(paths::NEW_ROOT), init),
        }
    }
}

/// A poisoned lock means that another thread panicked, and the panic hook shows that; the map itself is whole.
fn lock<T>(map: &Mutex<BTreeMap<String, T>>) -> MutexGuard<'_, BTreeMap<String, T>> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an earlier stage has left for this image.
fn take<T>(map: &Mutex<BTreeMap<String, T>>, image: &Image) -> Result<T, Failure> {
    lock(map)
        .remove(image.wanted.name.as_str())
        .ok_or_else(|| Failure::new("the stage before did not open or attach it"))
}

fn make_folder(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|error| Failure::new(format!("cannot make {}: {error}", path.display())))
}

fn mount(mount: &Mount) -> Result<(), Failure> {
    let target = Path::new(mount.target);
    make_folder(target)?;
    if paths::MOVED.contains(&mount.target) && is_mount_point(target) {
        return Ok(());
    }
    let mut attributes = Attributes::empty();
    let (mut options, mut flags) = (Vec::new(), Vec::new());
    for option in &mount.options {
        match (option.as_str(), option.split_once('=')) {
            (_, Some(pair)) => options.push(pair),
            ("nosuid", _) => attributes |= Attributes::MOUNT_ATTR_NOSUID,
            ("nodev", _) => attributes |= Attributes::MOUNT_ATTR_NODEV,
            ("noexec", _) => attributes |= Attributes::MOUNT_ATTR_NOEXEC,
            ("strictatime", _) => attributes |= Attributes::MOUNT_ATTR_STRICTATIME,
            // Of the file system and of the mount, so that neither writes.
            ("ro", _) => {
                attributes |= Attributes::MOUNT_ATTR_RDONLY;
                flags.push("ro");
            }
            (flag, _) => flags.push(flag),
        }
    }
    let (kind, source) = (mount.kind, mount.source.as_str());
    Ok(Filesystem { kind, source, options: &options, flags: &flags, attributes }.mount(target)?)
}

/// The kernel or a container may have mounted it before us.
fn is_mount_point(path: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    device(path) != device(Path::new("/"))
}

fn open(image: &Image) -> Result<OpenImage, Failure> {
    let open = OpenImage::open(&image.path).map_err(|error| match error.cause.kind() {
        io::ErrorKind::NotFound => {
            Failure::new(format!("{}.sqfs is not in the store", image.wanted.digest.hex()))
                .try_this(format!("copy the image of {image} to the medium"))
                .try_this("or boot a profile that does not need it")
        }
        _ => error.into(),
    })?;
    let (expected, found) = (image.wanted.size, open.size());
    if found == expected {
        return Ok(open);
    }
    let how = if found < expected { "truncated" } else { "too long" };
    Err(Failure::new(format!("the image is {how}: expected {expected} bytes, found {found}"))
        .try_this("copy the image to the medium again, and unmount the medium before you unplug it"))
}

fn check(image: &Image, open: &OpenImage) -> Result<(), Failure> {
    let found = Digest::from_bytes(open.digest(|_| ())?);
    let expected = image.wanted.digest;
    if found == expected {
        return Ok(());
    }
    Err(Failure::new(format!("the digest does not match: expected {expected}, found {found}"))
        .try_this("the image was damaged or changed: copy it to the medium again")
        .try_this("if that does not help, the medium itself may be failing"))
}

fn stack_layers(lower: &[PathBuf], writable: bool) -> Result<(), Failure> {
    let new_root = Path::new(paths::NEW_ROOT);
    make_folder(new_root)?;
    let upper = writable.then(|| {
        let top = Path::new(paths::TOP);
        Upper { upper: top.join("upper"), work: top.join("work") }
    });
    if let Some(Upper { upper, work }) = &upper {
        make_folder(upper)?;
        make_folder(work)?;
    }
    Ok(Overlay { lower: lower.to_vec(), upper, userxattr: false, features: Features::KernelDefault }
        .mount(new_root)?)
}

fn mount_points(root: &Path, writable: bool) -> Result<(), Failure> {
    let mut missing = Vec::new();
    for name in paths::MOVED {
        let path = root.join(name.trim_start_matches('/'));
        // Not followed: a link would lead into the initramfs, and the mount with it.
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => {
                return Err(Failure::new(format!("{name} of the stack is not a folder"))
                    .try_this(format!("make {name} an empty folder in the image that has it")));
            }
            Err(_) if writable => make_folder(&path)?,
            Err(_) => missing.push(name),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("the stack has no folder {}, and it is read-only", missing.join(", ")))
        .try_this("add an image that has it, such as base-files, or give the root a writable top"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn mount_points_are_made_only_on_a_writable_top() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("dev")).unwrap();
        let failure = mount_points(root.path(), false).unwrap_err();
        assert!(failure.why.starts_with("the stack has no folder /proc, /sys, /run,"), "{}", failure.why);
        mount_points(root.path(), true).unwrap();
        mount_points(root.path(), false).unwrap();
    }

    #[test]
    fn a_link_in_place_of_a_mount_point_is_refused() {
        let root = tempfile::tempdir().unwrap();
        symlink("/tmp", root.path().join("run")).unwrap();
        for writable in [true, false] {
            let failure = mount_points(root.path(), writable).unwrap_err();
            assert_eq!(failure.why, "/run of the stack is not a folder");
        }
    }
}
