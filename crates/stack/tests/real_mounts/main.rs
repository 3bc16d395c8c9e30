//! Real loop devices, real squashfs, real overlays, on the kernel of this machine, in a mount namespace of their own.
//!
//! They need root and `mksquashfs`; without them they fail and say so.

mod images;
mod journals;
mod mounts;
mod overlays;
mod uppers;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{PoisonError, RwLock};

use block_probe::image_kind::ImageKind;
use nix::mount::{MsFlags, mount as old_mount};
use nix::sched::{CloneFlags, unshare};
use stack::image::OpenImage;
use stack::loop_device::attach;
use stack::mount::{self, Backing, detach};
use stack::overlay::Upper;

/// A program that a test starts has the open files of all the others until it is another program, and keeps their mounts and
/// devices busy for that moment.
static MOMENT: RwLock<()> = RwLock::new(());

/// Runs the story in a thread with its own mount namespace, on an empty tmpfs that vanishes with it.
fn in_namespace(story: impl FnOnce(&Path) + Send + 'static) {
    let _others_may_run = MOMENT.read().unwrap_or_else(PoisonError::into_inner);
    in_thread(story);
}

/// As [`in_namespace`], while no other story is told: for those that look at what is left when something was let go.
fn alone_in_namespace(story: impl FnOnce(&Path) + Send + 'static) {
    let _alone = MOMENT.write().unwrap_or_else(PoisonError::into_inner);
    in_thread(story);
}

fn in_thread(story: impl FnOnce(&Path) + Send + 'static) {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test mounts: run it as root, as in `sudo -E cargo test -p stack --test real_mounts`"
    );
    let thread = std::thread::spawn(|| {
        let folder = tempfile::tempdir().unwrap();
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        old_mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        old_mount(Some("test"), folder.path(), Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        story(folder.path());
        detach(folder.path()).unwrap();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// An image with the given files, made by the squashfs-tools of the machine.
fn make_image(folder: &Path, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let tree = folder.join(format!("{name}.tree"));
    fs::create_dir(&tree).unwrap();
    for (path, content) in files {
        fs::write(tree.join(path), content).unwrap();
    }
    let image = folder.join(format!("{name}.sqfs"));
    let made = Command::new("mksquashfs").arg(&tree).arg(&image).args(["-quiet", "-no-progress"]).status();
    assert!(made.expect("install squashfs-tools").success());
    image
}

/// An EROFS image with the given files, made by Debian's erofs-utils.
fn make_erofs_image(folder: &Path, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let tree = make_folder(folder, &format!("{name}.tree"));
    for (path, content) in files {
        fs::write(tree.join(path), content).unwrap();
    }
    let image = folder.join(format!("{name}.erofs"));
    let made = Command::new("mkfs.erofs").arg("--quiet").arg(&image).arg(&tree).status();
    assert!(made.expect("install erofs-utils").success());
    image
}

fn make_folder(folder: &Path, name: &str) -> PathBuf {
    let made = folder.join(name);
    fs::create_dir(&made).unwrap();
    made
}

/// Attaches the image and mounts it at `target`.
fn mount_at(image: &Path, target: &Path) -> stack::Result<()> {
    let device = attach(&OpenImage::open(image)?)?;
    mount::layer(ImageKind::Squashfs, &Backing::Loop(&device), image)?.show_at(target)
}

fn mount_image(image: &Path, folder: &Path, name: &str) -> PathBuf {
    let target = folder.join(name);
    fs::create_dir(&target).unwrap();
    mount_at(image, &target).unwrap();
    target
}

fn writable(folder: &Path) -> Upper {
    let (upper, work) = (folder.join("upper"), folder.join("work"));
    fs::create_dir(&upper).unwrap();
    fs::create_dir(&work).unwrap();
    Upper { upper, work }
}
