//! The user namespace of a sandbox: user 0 in it is one user outside, and there is no other.
//!
//! A child begins in it, and its map is written from outside (user_namespaces(7)): so it is the same for root, who maps another user than
//! himself, and for everybody else. The child waits until a descriptor holds the namespace.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::wait::waitpid;
use nix::unistd::{Gid, Pid, Uid, setgroups, setresgid, setresuid};

use super::facts::SandboxUser;
use crate::error::{Error, Result};

const FAILED: &str = "cannot make the user namespace of the sandbox";

/// A user namespace with its map. Its first process ends while we go on, and is waited for when this goes.
#[derive(Debug)]
pub(super) struct UserNamespace {
    descriptor: File,
    _first: FirstProcess,
}

#[derive(Debug)]
struct FirstProcess(Pid);

impl Drop for FirstProcess {
    fn drop(&mut self) {
        // It fails only for a child that is not ours.
        let _ = waitpid(self.0, None);
    }
}

impl AsFd for UserNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Makes the namespace of a sandbox and returns what names it.
pub(super) fn make(user: &SandboxUser) -> Result<UserNamespace> {
    make_map((0, 0), (user.user, user.group))
}

/// Makes a namespace with one user and one group, each with its number inside and outside. Root alone may map what is not his own.
pub(super) fn make_map(inside: (u32, u32), outside: (u32, u32)) -> Result<UserNamespace> {
    let maps = [format!("{} {} 1", inside.0, outside.0), format!("{} {} 1", inside.1, outside.1)];
    let (mut reader, writer) = io::pipe().map_err(Error::on(FAILED))?;
    let mut ours = Some(writer);
    // The child waits for the end of the pipe: for us to go on, or to go.
    let started = stack::child::start_in_user_namespace(|| {
        drop(ours.take());
        i32::from(reader.read(&mut [0]).is_err())
    });
    let first = FirstProcess(started.map_err(forbidden)?);
    let descriptor = map_users(first.0, &maps);
    // In this order: the child ends with the pipe, and `first` waits for it.
    drop(ours);
    Ok(UserNamespace { descriptor: descriptor?, _first: first })
}

/// What keeps a process from being started at all is no question of namespaces.
fn forbidden(error: stack::Error) -> Error {
    match Errno::from_raw(error.errno()) {
        Errno::EAGAIN | Errno::ENOMEM => error.into(),
        errno => Error::caused(FAILED, errno).remedy(FORBIDDEN),
    }
}

fn map_users(child: Pid, [users, groups]: &[String; 2]) -> Result<File> {
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
pub(super) fn enter(namespace: &UserNamespace, user: &SandboxUser) -> Result<()> {
    let failed = "cannot enter the user namespace of the sandbox";
    if user.handed_over {
        setgroups(&[]).map_err(Error::on("cannot give up the groups of root"))?;
    }
    setns(namespace, CloneFlags::CLONE_NEWUSER).map_err(Error::on(failed))?;
    let (root, group) = (Uid::from_raw(0), Gid::from_raw(0));
    setresgid(group, group, group).map_err(Error::on(failed))?;
    setresuid(root, root, root).map_err(Error::on(failed))
}
