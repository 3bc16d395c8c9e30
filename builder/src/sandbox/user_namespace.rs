//! The user namespace of a sandbox: user 0 in it is one user outside, and there is no other.
//!
//! A child makes it, and its map is written from outside (user_namespaces(7)): so it is the same for root, who maps another user than
//! himself, and for everybody else. The child waits until a descriptor holds the namespace.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::wait::waitpid;
use nix::unistd::{Gid, Pid, Uid, setgroups, setresgid, setresuid};

use super::facts::SandboxUser;
use crate::error::{Error, Result};

const FAILED: &str = "cannot make the user namespace of the sandbox";

/// Makes the namespace of a sandbox and returns what names it.
pub(super) fn make(user: &SandboxUser) -> Result<File> {
    make_map((0, 0), (user.user, user.group))
}

/// Makes a namespace with one user and one group, each with its number inside and outside. Root alone may map what is not his own.
pub(super) fn make_map(inside: (u32, u32), outside: (u32, u32)) -> Result<File> {
    let maps = [format!("{} {} 1", inside.0, outside.0), format!("{} {} 1", inside.1, outside.1)];
    let (ours, mut theirs) = UnixStream::pair().map_err(Error::on(FAILED))?;
    let mut ours = Some(ours);
    let child = stack::child::start(|| {
        // The child's copy: its reading shall end when we go.
        drop(ours.take());
        wait_in_namespace(&mut theirs)
    })?;
    drop(theirs);
    let made = match ours {
        Some(mut ours) => map_users(child, &maps, &mut ours),
        None => Err(Error::new(FAILED, "its child has no way to answer")),
    };
    waitpid(child, None).map_err(Error::on(FAILED))?;
    made
}

/// The child: says with an errno, or 0, how it went, and waits for the end of the connection.
fn wait_in_namespace(parent: &mut UnixStream) -> i32 {
    let answer = unshare(CloneFlags::CLONE_NEWUSER).err().map_or(0, |errno| errno as i32);
    let told = parent.write_all(&answer.to_le_bytes()).and_then(|()| parent.read(&mut [0]));
    i32::from(told.is_err())
}

fn map_users(child: Pid, [users, groups]: &[String; 2], connection: &mut UnixStream) -> Result<File> {
    let mut answer = [0; 4];
    connection.read_exact(&mut answer).map_err(Error::on(FAILED))?;
    match i32::from_le_bytes(answer) {
        0 => {}
        errno => return Err(Error::new(FAILED, Errno::from_raw(errno)).remedy(FORBIDDEN)),
    }
    for (name, text) in [("setgroups", "deny"), ("uid_map", users), ("gid_map", groups)] {
        let path = format!("/proc/{child}/{name}");
        fs::write(&path, text).map_err(|error| Error::new(FAILED, format!("{path}: {error}")))?;
    }
    let path = format!("/proc/{child}/ns/user");
    File::open(&path).map_err(|error| Error::new(FAILED, format!("{path}: {error}")))
}

const FORBIDDEN: &str = "the machine forbids user namespaces: see sysctl user.max_user_namespaces, \
     kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns, or run as root; \
     in a chroot the kernel always forbids them: enter the folder with pivot_root or a container instead";

/// Enters it as its user 0, with all rights there and none outside. What was inherited of other groups goes where it can: outside root
/// nobody may give up groups that way (setgroups(2)), and they count for nothing that the build can reach.
pub(super) fn enter(namespace: &File, user: &SandboxUser) -> Result<()> {
    let failed = "cannot enter the user namespace of the sandbox";
    if user.handed_over {
        setgroups(&[]).map_err(Error::on("cannot give up the groups of root"))?;
    }
    setns(namespace, CloneFlags::CLONE_NEWUSER).map_err(Error::on(failed))?;
    let (root, group) = (Uid::from_raw(0), Gid::from_raw(0));
    setresgid(group, group, group).map_err(Error::on(failed))?;
    setresuid(root, root, root).map_err(Error::on(failed))
}
