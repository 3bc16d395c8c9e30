//! The first stage: images, namespaces, and the map of users.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};
use stack::image::OpenImage;
use stack::mount::Backing;

use super::spec::{Layer, Spec};
use super::{STAGE_ARGUMENT, lifeline};
use crate::error::{Error, Result};

/// Carries out the first stage and waits for the second. Returns the exit status to end with.
pub(super) fn run(spec_path: &Path) -> Result<i32> {
    lifeline::tie_to_parent()?;
    let bytes = fs::read(spec_path).map_err(Error::on(spec_path.display()))?;
    let mut spec: Spec = serde_json::from_slice(&bytes).map_err(Error::on(spec_path.display()))?;
    if spec.layers.iter().any(|layer| matches!(layer, Layer::Image(_))) {
        mount_images(&mut spec)?;
        let text = serde_json::to_vec(&spec).map_err(Error::on(spec_path.display()))?;
        fs::write(spec_path, text).map_err(Error::on(spec_path.display()))?;
    }
    enter_namespaces()?;
    lifeline::tie_to_parent()?;
    start_inner(spec_path)
}

/// Mounts each image below a tmpfs in a mount namespace of our own, and puts the mount points in its place.
fn mount_images(spec: &mut Spec) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(Error::on("cannot make a mount namespace"))?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(Error::on("cannot make the mounts of the namespace private"))?;
    mount(Some("lamina"), &spec.mounts, Some("tmpfs"), MsFlags::MS_NODEV, Some("mode=0755"))
        .map_err(Error::on(spec.mounts.display()))?;
    for (index, layer) in spec.layers.iter_mut().enumerate() {
        let Layer::Image(image) = layer else { continue };
        let target = spec.mounts.join(index.to_string());
        fs::create_dir(&target).map_err(Error::on(target.display()))?;
        // One descriptor names the file from here on; the loop device goes by itself with the last mount of it.
        let open = OpenImage::open(image).map_err(Error::on(""))?;
        let device = stack::loop_device::attach(&open).map_err(Error::on(""))?;
        let kind = open.file_system().map_err(Error::on(""))?;
        let mounted = stack::mount::layer(kind, &Backing::Loop(&device), image).map_err(Error::on(""))?;
        mounted.show_at(&target).map_err(Error::on(""))?;
        *layer = Layer::Tree(target);
    }
    Ok(())
}

/// New namespaces of every kind, with user 0 inside for the caller outside (user_namespaces(7)).
fn enter_namespaces() -> Result<()> {
    let (user, group) = (geteuid(), getegid());
    let kinds = CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    unshare(kinds).map_err(|errno| {
        Error::new("cannot make the namespaces of the sandbox", errno).remedy(
            "the machine forbids user namespaces: see sysctl user.max_user_namespaces, \
             kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns, or run as root; \
             in a chroot the kernel always forbids them: enter the folder with pivot_root or a container instead",
        )
    })?;
    for (path, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {user} 1")),
        ("/proc/self/gid_map", format!("0 {group} 1")),
    ] {
        fs::write(path, text).map_err(Error::on(path))?;
    }
    Ok(())
}

fn start_inner(spec_path: &Path) -> Result<i32> {
    let mut child = Command::new("/proc/self/exe")
        .args([STAGE_ARGUMENT, "inner"])
        .arg(spec_path)
        .stdin(Stdio::piped())
        .spawn()
        .map_err(Error::on("cannot start the second stage of the sandbox"))?;
    let lifeline = child.stdin.take();
    let status = child.wait().map_err(Error::on("cannot wait for the second stage of the sandbox"))?;
    drop(lifeline);
    Ok(exit_code(status))
}

/// The shell's convention: 128 and the signal for a process that was killed.
pub(super) fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
