//! Images of ours, judged by the kernel: mounted through a loop device, in a mount namespace of the test's own.

mod support;

use std::ffi::OsStr;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use squashfs::Tree;
use support::{Faithful, compare, regression_tree, run, scratch, write};

/// Mounts `image` and lets `look` see it. The namespace ends with its thread, and takes mount and loop device with it.
fn with_mounted(image: &Path, look: impl FnOnce(&Path) + Send) {
    assert!(
        rustix::process::geteuid().is_root(),
        "mounting needs root: run `sudo -E cargo test -p squashfs --test kernel`, or only what needs none with \
         `cargo test -p squashfs --lib --test judges`"
    );
    let mounted = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
                .unwrap();
            let words = ["-t", "squashfs", "-o", "loop,ro"].map(OsStr::new);
            run("mount", &[&words[..], &[image.as_os_str(), mounted.path().as_os_str()]].concat());
            look(mounted.path());
            run("umount", &[mounted.path().as_os_str()]);
        });
    });
}

#[test]
fn the_kernel_finds_all_that_was_written() {
    let scratch = scratch();
    let image = scratch.path().join("image");
    let tree = regression_tree(scratch.path());
    write(&tree, &image);
    with_mounted(&image, |mounted| compare(&tree, mounted, Faithful { root: true, links: true }));
}

#[test]
fn the_kernel_mounts_an_empty_tree() {
    let scratch = scratch();
    let image = scratch.path().join("image");
    write(&Tree::new(), &image);
    with_mounted(&image, |mounted| compare(&Tree::new(), mounted, Faithful { root: true, links: false }));
}
