//! File systems, and the places where they are mounted.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use stack::mount::{Attributes, Filesystem};

use crate::error::Failure;
use crate::mounts::is_mount_point;
use crate::paths;
use crate::plan::Mount;

pub fn make_folder(path: &Path) -> Result<(), Failure> {
    // Mostly it is there, or no more than the last is missing, and one call tells.
    let made = match fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(_) => fs::create_dir_all(path),
        Ok(()) => Ok(()),
    };
    made.map_err(|error| Failure::new(format!("cannot make {}: {error}", path.display())))
}

pub fn mount(mount: &Mount) -> Result<(), Failure> {
    let target = Path::new(mount.target);
    // The kernel or a container may have mounted it before us.
    if paths::MOVED.contains(&mount.target) && is_mount_point(target) {
        return Ok(());
    }
    mount_at(mount.kind, &mount.source, &mount.options, target)
}

/// Mounts a file system, with options as mount(8) has them, at a folder that is made when it is not there.
pub fn mount_at(kind: &str, source: &str, words: &[String], target: &Path) -> Result<(), Failure> {
    make_folder(target)?;
    let mut attributes = Attributes::empty();
    let (mut options, mut flags) = (Vec::new(), Vec::new());
    for option in words {
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
    Ok(Filesystem { kind, source, options: &options, flags: &flags, attributes }.mount(target)?)
}

pub fn mount_points(root: &Path, writable: bool) -> Result<(), Failure> {
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
#[path = "mounts_tests.rs"]
mod tests;
