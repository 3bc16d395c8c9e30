//! What this machine allows, and how a sandbox gets its layers because of it.

use std::fmt;
use std::fs;

use crate::error::{Error, Result};

/// What was observed before deciding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The effective user.
    pub user: u32,
    /// `/dev/loop-control` can be opened for writing.
    pub loop_control: bool,
    /// `/proc/sys/user/max_user_namespaces`; `None` when the kernel has no user namespaces.
    pub user_namespaces: Option<u64>,
    /// Debian's `kernel.unprivileged_userns_clone`, where it exists.
    pub unprivileged_clone: Option<bool>,
    /// Ubuntu's `kernel.apparmor_restrict_unprivileged_userns`, where it exists.
    pub apparmor_restricts: Option<bool>,
}

impl Facts {
    /// Looks at this machine. What cannot be read counts as absent.
    pub fn observe() -> Self {
        let number =
            |path: &str| fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok());
        let switch = |path: &str| number(path).map(|value| value != 0);
        Facts {
            user: nix::unistd::geteuid().as_raw(),
            loop_control: fs::OpenOptions::new().read(true).write(true).open("/dev/loop-control").is_ok(),
            user_namespaces: number("/proc/sys/user/max_user_namespaces"),
            unprivileged_clone: switch("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor_restricts: switch("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        }
    }
}

/// How the images of the dependencies become layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Each image is mounted by a loop device, in a mount namespace of the sandbox.
    LoopMounts,
    /// Each image is unpacked once into `trees/HEX`.
    UnpackedTrees,
}

impl fmt::Display for Access {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Access::LoopMounts => "images are mounted by loop devices (root, and /dev/loop-control opens)",
            Access::UnpackedTrees => "images are unpacked once into trees/ (no right to loop mounts)",
        })
    }
}

/// Decides from facts alone. The error says which switch of the machine forbids builds and how to turn it.
pub fn choose_access(facts: &Facts) -> Result<Access> {
    let refuse = |object: &str, cause: &str, remedy: &str| Err(Error::new(object, cause).remedy(remedy));
    match facts.user_namespaces {
        None => {
            return refuse(
                "user namespaces",
                "this kernel has none, and builds run in one",
                "use a kernel with CONFIG_USER_NS=y; `lamina kernel check` says what else is missing",
            );
        }
        Some(0) => {
            return refuse(
                "sysctl user.max_user_namespaces",
                "is 0, and builds run in a user namespace",
                "as root: sysctl -w user.max_user_namespaces=15000",
            );
        }
        Some(_) => {}
    }
    if facts.user == 0 {
        return Ok(if facts.loop_control { Access::LoopMounts } else { Access::UnpackedTrees });
    }
    if facts.unprivileged_clone == Some(false) {
        return refuse(
            "sysctl kernel.unprivileged_userns_clone",
            "is 0, so that only root may build",
            "as root: sysctl -w kernel.unprivileged_userns_clone=1; or run lamina as root",
        );
    }
    if facts.apparmor_restricts == Some(true) {
        return refuse(
            "sysctl kernel.apparmor_restrict_unprivileged_userns",
            "is 1, so that only root may build",
            "as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0; or run lamina as root",
        );
    }
    Ok(Access::UnpackedTrees)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(user: u32) -> Facts {
        Facts {
            user,
            loop_control: user == 0,
            user_namespaces: Some(15_000),
            unprivileged_clone: None,
            apparmor_restricts: None,
        }
    }

    #[test]
    fn root_mounts_and_others_unpack() {
        assert_eq!(choose_access(&facts(0)), Ok(Access::LoopMounts));
        assert_eq!(choose_access(&facts(1000)), Ok(Access::UnpackedTrees));
    }

    #[test]
    fn root_of_a_container_without_loop_devices_unpacks() {
        assert_eq!(choose_access(&Facts { loop_control: false, ..facts(0) }), Ok(Access::UnpackedTrees));
    }

    #[test]
    fn a_forbidding_switch_is_named_with_its_remedy() {
        let cases = [
            (Facts { user_namespaces: Some(0), ..facts(0) }, "sysctl -w user.max_user_namespaces=15000"),
            (Facts { user_namespaces: None, ..facts(0) }, "CONFIG_USER_NS=y"),
            (
                Facts { unprivileged_clone: Some(false), ..facts(1000) },
                "sysctl -w kernel.unprivileged_userns_clone=1",
            ),
            (
                Facts { apparmor_restricts: Some(true), ..facts(1000) },
                "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
            ),
        ];
        for (facts, remedy) in cases {
            let message = choose_access(&facts).unwrap_err().to_string();
            assert!(message.contains(remedy), "{message}");
        }
    }

    #[test]
    fn switches_for_ordinary_users_do_not_bind_root() {
        let facts = Facts { unprivileged_clone: Some(false), apparmor_restricts: Some(true), ..facts(0) };
        assert_eq!(choose_access(&facts), Ok(Access::LoopMounts));
    }
}
