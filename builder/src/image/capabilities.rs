//! The capabilities of a program (capabilities(7)), as an extended attribute of its file.

use std::fmt;

/// The family of capabilities of programs (capabilities(7)).
pub const CAPABILITY: &str = "security.capability";

/// Capabilities of a file as the kernel stores them: `struct vfs_cap_data` of include/uapi/linux/capability.h, revision 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileCapabilities {
    effective: bool,
    permitted: u64,
    inheritable: u64,
}

/// By number, as in include/uapi/linux/capability.h.
const CAPABILITIES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

const REVISION_2: u32 = 0x0200_0000;
const REVISION_3: u32 = 0x0300_0000;
const EFFECTIVE: u32 = 1;

impl FileCapabilities {
    /// Reads what setcap(8) writes: `cap_net_raw,cap_net_admin=ep`, several groups with spaces. `+` will do for `=`.
    ///
    /// # Errors
    /// In words: an unknown capability or flag; `e` for a part of them, which a file cannot have.
    pub fn parse(text: &str) -> Result<FileCapabilities, String> {
        let (mut effective, mut permitted, mut inheritable) = (0_u64, 0_u64, 0_u64);
        for group in text.split_ascii_whitespace() {
            let (names, flags) = group
                .split_once(['=', '+'])
                .ok_or_else(|| format!("`{group}` has no `=` with flags behind it"))?;
            let bits = names.split(',').try_fold(0, |bits, name| Ok::<u64, String>(bits | bit(name)?))?;
            if flags.is_empty() || flags.chars().any(|flag| !"eip".contains(flag)) {
                return Err(format!("`{flags}` are no flags: they are letters of `eip`"));
            }
            for (flag, set) in [('e', &mut effective), ('i', &mut inheritable), ('p', &mut permitted)] {
                *set |= if flags.contains(flag) { bits } else { 0 };
            }
        }
        if permitted | inheritable == 0 {
            return Err("no capability is permitted or inheritable".to_owned());
        }
        if effective != 0 && effective != permitted | inheritable {
            return Err("`e` counts for a whole file: give it to every capability, or to none".to_owned());
        }
        Ok(FileCapabilities { effective: effective != 0, permitted, inheritable })
    }

    /// The value of [`CAPABILITY`]: 20 bytes, little-endian.
    pub fn value(self) -> Vec<u8> {
        let (low, high) = (|set: u64| set as u32, |set: u64| (set >> 32) as u32);
        let magic = REVISION_2 | if self.effective { EFFECTIVE } else { 0 };
        [magic, low(self.permitted), low(self.inheritable), high(self.permitted), high(self.inheritable)]
            .into_iter()
            .flat_map(u32::to_le_bytes)
            .collect()
    }
}

impl fmt::Display for FileCapabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut groups = Vec::new();
        let both = self.permitted & self.inheritable;
        let sets = [(both, "ip"), (self.inheritable & !both, "i"), (self.permitted & !both, "p")];
        for (set, flags) in sets.into_iter().filter(|(set, _)| *set != 0) {
            let names: Vec<String> = (0..CAPABILITIES.len())
                .filter(|number| set >> number & 1 != 0)
                .map(|number| format!("cap_{}", CAPABILITIES[number]))
                .collect();
            groups.push(format!("{}={}{flags}", names.join(","), if self.effective { "e" } else { "" }));
        }
        f.write_str(&groups.join(" "))
    }
}

fn bit(name: &str) -> Result<u64, String> {
    let number = name
        .strip_prefix("cap_")
        .and_then(|name| CAPABILITIES.iter().position(|known| *known == name))
        .ok_or_else(|| format!("`{name}` is no capability, as cap_net_raw is"))?;
    Ok(1 << number)
}

/// The value of [`CAPABILITY`] without the user namespace in which it was set (revision 3): its root is the image's.
pub fn without_namespace(value: &mut Vec<u8>) {
    let magic = value.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
    if let Some(magic) = magic.filter(|magic| magic & 0xff00_0000 == REVISION_3 && value.len() == 24) {
        value[..4].copy_from_slice(&(magic & 0x00ff_ffff | REVISION_2).to_le_bytes());
        value.truncate(20);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are those that setcap(8) of libcap 2.66 wrote on a file.
    #[test]
    fn capabilities_have_the_bytes_that_setcap_writes() {
        for (text, words, shown) in [
            ("cap_net_raw=ep", [0x0200_0001, 1 << 13, 0, 0, 0], "cap_net_raw=ep"),
            ("cap_net_admin,cap_chown+ep", [0x0200_0001, 0x1001, 0, 0, 0], "cap_chown,cap_net_admin=ep"),
            ("cap_bpf=p", [0x0200_0000, 0, 0, 1 << 7, 0], "cap_bpf=p"),
            (
                "cap_kill=eip cap_syslog=ei",
                [0x0200_0001, 1 << 5, 1 << 5, 0, 1 << 2],
                "cap_kill=eip cap_syslog=ei",
            ),
        ] {
            let found = FileCapabilities::parse(text).unwrap();
            let words: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
            assert_eq!((found.value(), found.to_string()), (words, shown.to_owned()), "{text}");
            assert_eq!(FileCapabilities::parse(shown), Ok(found));
        }
    }

    #[test]
    fn what_a_file_cannot_have_is_refused_in_words() {
        for (text, part) in [
            ("", "no capability is permitted"),
            ("cap_kill", "has no `=`"),
            ("cap_kill=", "are no flags"),
            ("cap_kill=x", "are no flags"),
            ("kill=ep", "`kill` is no capability"),
            ("cap_none=ep", "`cap_none` is no capability"),
            ("=ep", "`` is no capability"),
            ("cap_kill=e", "no capability is permitted"),
            ("cap_kill=ep cap_chown=p", "`e` counts for a whole file"),
        ] {
            let error = FileCapabilities::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn capabilities_of_a_user_namespace_become_those_of_the_image() {
        let value = FileCapabilities::parse("cap_net_raw=ep").unwrap().value();
        let mut namespaced = [&0x0300_0001_u32.to_le_bytes(), &value[4..], &1000_u32.to_le_bytes()].concat();
        without_namespace(&mut namespaced);
        assert_eq!(namespaced, value);
        for other in [value, Vec::new(), vec![0, 0, 0, 3]] {
            let mut same = other.clone();
            without_namespace(&mut same);
            assert_eq!(same, other);
        }
    }
}
