//! What this machine allows, and as which user a sandbox runs because of it.

use std::fmt;
use std::fs;
use std::path::Path;

use rustix::thread::CapabilitySet;

use crate::error::{Error, Result};

/// The user and the group, outside, that the builds of root run as. Nobody else may be it: it lies in a range that no distribution
/// gives to people, services, containers or subordinate users (the table "Summary" of systemd's UIDS-GIDS: 1879048192 to 2147352575
/// are unused), and has no name.
pub const BUILD_USER: u32 = 1_879_113_728;

/// What root needs to hand a build over to another user.
const RIGHTS_TO_HAND_OVER: CapabilitySet = CapabilitySet::SETUID
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::CHOWN)
    .union(CapabilitySet::SYS_ADMIN);

/// What was observed before deciding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The effective user.
    pub user: u32,
    /// The effective group.
    pub group: u32,
    /// Whether this process may become any user that the machine knows, and mount.
    pub may_hand_over: bool,
    /// Whether [`BUILD_USER`] exists here as user and as group: not so in a container that has some users only.
    pub knows_build_user: bool,
    /// Whether `/proc` is mounted.
    pub proc: bool,
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
        let knows = |path: &str| fs::read_to_string(path).is_ok_and(|map| has_id(&map, BUILD_USER));
        let rights = rustix::thread::capabilities(None);
        Facts {
            user: nix::unistd::geteuid().as_raw(),
            group: nix::unistd::getegid().as_raw(),
            may_hand_over: rights.is_ok_and(|sets| sets.effective.contains(RIGHTS_TO_HAND_OVER)),
            knows_build_user: knows("/proc/self/uid_map") && knows("/proc/self/gid_map"),
            proc: Path::new("/proc/self/uid_map").exists() || Path::new("/proc/self/stat").exists(),
            user_namespaces: number("/proc/sys/user/max_user_namespaces"),
            unprivileged_clone: switch("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor_restricts: switch("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        }
    }
}

/// Whether a map of user_namespaces(7), lines of `INSIDE OUTSIDE COUNT`, has this id inside.
fn has_id(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map_while(|word| word.parse::<u64>().ok());
        match (numbers.next(), numbers.nth(1)) {
            (Some(first), Some(count)) => (first..first + count).contains(&u64::from(id)),
            _ => false,
        }
    })
}

/// The one user of a sandbox, as he is outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SandboxUser {
    /// The user that is 0 inside.
    pub user: u32,
    /// The group that is 0 inside.
    pub group: u32,
    /// Whether the caller is somebody else, who hands over what the build sees.
    pub handed_over: bool,
}

impl fmt::Display for SandboxUser {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = if self.handed_over {
            "a user of its own, so that root's rights stay outside"
        } else {
            "the caller"
        };
        write!(out, "builds run as user {}, group {}: {whose}", self.user, self.group)
    }
}

/// Decides from facts alone. The error says which switch of the machine forbids builds and how to turn it.
pub fn choose_user(facts: &Facts) -> Result<SandboxUser> {
    let refuse = |object: &str, cause: &str, remedy: &str| Err(Error::new(object, cause).remedy(remedy));
    match facts.user_namespaces {
        _ if !facts.proc => {
            return refuse(
                "/proc",
                "is not mounted, and the namespaces of a build are made through it",
                "mount -t proc proc /proc",
            );
        }
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
    if facts.may_hand_over && facts.knows_build_user {
        return Ok(SandboxUser { user: BUILD_USER, group: BUILD_USER, handed_over: true });
    }
    if facts.user != 0 && facts.unprivileged_clone == Some(false) {
        return refuse(
            "sysctl kernel.unprivileged_userns_clone",
            "is 0, so that only root may build",
            "as root: sysctl -w kernel.unprivileged_userns_clone=1; or run lamina as root",
        );
    }
    if facts.user != 0 && facts.apparmor_restricts == Some(true) {
        return refuse(
            "sysctl kernel.apparmor_restrict_unprivileged_userns",
            "is 1, so that only root may build",
            "as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0; or run lamina as root",
        );
    }
    Ok(SandboxUser { user: facts.user, group: facts.group, handed_over: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(user: u32) -> Facts {
        Facts {
            user,
            group: user,
            may_hand_over: user == 0,
            knows_build_user: true,
            proc: true,
            user_namespaces: Some(15_000),
            unprivileged_clone: None,
            apparmor_restricts: None,
        }
    }

    #[test]
    fn root_hands_over_and_others_build_themselves() {
        let root = choose_user(&facts(0)).unwrap();
        assert_eq!((root.user, root.group, root.handed_over), (BUILD_USER, BUILD_USER, true));
        let other = choose_user(&facts(1000)).unwrap();
        assert_eq!((other.user, other.group, other.handed_over), (1000, 1000, false));
    }

    #[test]
    fn root_of_a_container_without_that_user_or_without_rights_builds_itself() {
        for facts in
            [Facts { knows_build_user: false, ..facts(0) }, Facts { may_hand_over: false, ..facts(0) }]
        {
            assert_eq!(choose_user(&facts), Ok(SandboxUser { user: 0, group: 0, handed_over: false }));
        }
    }

    #[test]
    fn a_map_has_the_ids_of_its_lines() {
        assert!(has_id("         0          0 4294967295\n", BUILD_USER));
        assert!(!has_id("         0       1000          1\n", BUILD_USER));
        assert!(has_id("0 1000 1\n1879113000 5 1000\n", BUILD_USER));
        assert!(!has_id("0 1000\nx y z\n", BUILD_USER));
    }

    #[test]
    fn a_forbidding_switch_is_named_with_its_remedy() {
        let cases = [
            (Facts { user_namespaces: Some(0), ..facts(0) }, "sysctl -w user.max_user_namespaces=15000"),
            (Facts { user_namespaces: None, ..facts(0) }, "CONFIG_USER_NS=y"),
            (Facts { user_namespaces: None, proc: false, ..facts(0) }, "mount -t proc proc /proc"),
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
            let message = choose_user(&facts).unwrap_err().to_string();
            assert!(message.contains(remedy), "{message}");
        }
    }

    #[test]
    fn switches_for_ordinary_users_do_not_bind_root() {
        let facts = Facts { unprivileged_clone: Some(false), apparmor_restricts: Some(true), ..facts(0) };
        assert!(choose_user(&facts).unwrap().handed_over);
    }
}
