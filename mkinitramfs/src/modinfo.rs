//! What a kernel module says of itself: the section `.modinfo`, `KEY=VALUE` strings that end in zero bytes
//! (kernel: include/linux/moduleparam.h, include/linux/module.h).

use crate::elf;

/// The parts of `.modinfo` that decide about loading.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ModInfo {
    /// The modules whose symbols this one uses (`depends=a,b`).
    pub(crate) depends: Vec<String>,
    /// The modules, or aliases of modules, that should be there first, when there are such (`softdep=pre: a b post: c`).
    pub(crate) wanted_before: Vec<String>,
    /// Other names that it answers to, as they stand: algorithms, file systems, patterns of devices (`alias=crypto-crc32c`).
    pub(crate) aliases: Vec<String>,
    /// Files that it asks the kernel for, below the folders of firmware (`firmware=rtl_nic/rtl8168g-2.fw`); some are patterns.
    pub(crate) firmware: Vec<String>,
    /// The kernel release it was made for: the first word of `vermagic=`.
    pub(crate) release: String,
}

impl ModInfo {
    /// Reads the section of a module's bytes.
    ///
    /// # Errors
    /// Says why the bytes are no kernel module.
    pub(crate) fn read(module: &[u8]) -> Result<ModInfo, String> {
        Ok(ModInfo::parse(elf::section(module, ".modinfo")?))
    }

    fn parse(section: &[u8]) -> ModInfo {
        let mut info = ModInfo::default();
        for line in section.split(|byte| *byte == 0) {
            let line = String::from_utf8_lossy(line);
            match line.split_once('=') {
                Some(("depends", names)) => info.depends.extend(names.split(',').filter_map(name)),
                Some(("alias", text)) => info.aliases.push(text.trim().to_owned()),
                Some(("firmware", text)) => info.firmware.push(text.trim().to_owned()),
                Some(("softdep", text)) => info.wanted_before.extend(before(text)),
                Some(("vermagic", text)) => {
                    info.release = text.split_whitespace().next().unwrap_or_default().to_owned();
                }
                _ => {}
            }
        }
        info
    }
}

/// A module's name as the kernel writes it, with underscores.
pub(crate) fn name(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.replace('-', "_"))
}

/// The names behind `pre:`.
fn before(softdep: &str) -> Vec<String> {
    let mut is_before = false;
    let mut names = Vec::new();
    for word in softdep.split_whitespace() {
        match word {
            "pre:" => is_before = true,
            "post:" => is_before = false,
            _ if is_before => names.extend(name(word)),
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dependencies_of_both_kinds() {
        let section = b"license=GPL\0alias=crypto-crc32c\0softdep=pre: sha256 lib-crc post: late\0depends=netfs,9p-net\0\
            firmware=rtl_nic/a.fw\0vermagic=6.1.0-50-cloud-amd64 SMP preempt mod_unload modversions \0\0softdep=post: x\0";
        let info = ModInfo::parse(section);
        assert_eq!(info.depends, ["netfs", "9p_net"]);
        assert_eq!(info.wanted_before, ["sha256", "lib_crc"]);
        assert_eq!(info.aliases, ["crypto-crc32c"]);
        assert_eq!(info.firmware, ["rtl_nic/a.fw"]);
        assert_eq!(info.release, "6.1.0-50-cloud-amd64");
        assert_eq!(ModInfo::parse(b"depends=\0"), ModInfo::default());
    }
}
