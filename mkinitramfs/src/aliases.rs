//! Which modules stand behind a name that is none of a module: `softdep=pre: crypto-crc32c` means whatever module can compute
//! CRC32C. `depmod` writes the same table as `modules.alias` when a kernel is installed; a package does not have it yet.

use std::collections::BTreeMap;

use kernel_package::{KernelPackage, Module};

use crate::modinfo::{self, ModInfo};
use fault::Error;

/// The algorithms of a kernel by their aliases.
#[derive(Debug, Default)]
pub(crate) struct Aliases {
    modules: BTreeMap<String, Vec<String>>,
}

impl Aliases {
    /// Reads the modules that other modules ask for by an alias.
    ///
    /// # Errors
    /// A module cannot be read.
    pub(crate) fn read(kernel: &KernelPackage) -> Result<Aliases, Error> {
        let mut aliases = Aliases::default();
        for module in kernel.modules().iter().filter(|module| is_algorithm(&module.path)) {
            let bytes = bytes(kernel, module)?;
            let info = ModInfo::read(&bytes).map_err(|cause| {
                Error::new(kernel.path().display(), format!("the module {} {cause}", module.name))
            })?;
            for alias in info.aliases.iter().filter_map(|alias| modinfo::name(alias)) {
                aliases.modules.entry(alias).or_default().push(module.name.clone());
            }
        }
        Ok(aliases)
    }

    /// The modules behind `alias`, sorted. All of them are wanted: the fast ones refuse to load on processors without the
    /// instructions.
    pub(crate) fn modules(&self, alias: &str) -> &[String] {
        self.modules.get(alias).map_or(&[], Vec::as_slice)
    }
}

/// The decompressed module.
pub(crate) fn bytes(kernel: &KernelPackage, module: &Module) -> Result<Vec<u8>, Error> {
    kernel.module_bytes(module)
}

/// Whether this is one of the hundred or so modules with nothing but an algorithm: only these are asked for by an alias, and
/// reading all of a kernel's thousands would take seconds. Those of `drivers/crypto` need a device.
fn is_algorithm(path: &str) -> bool {
    let mut folders = path.rsplit('/').skip(1);
    !path.starts_with("kernel/drivers/") && folders.any(|folder| ["crypto", "lib"].contains(&folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_modules_of_algorithms_are_read() {
        for path in [
            "kernel/crypto/crc32c_generic.ko",
            "kernel/arch/x86/crypto/crc32c-intel.ko",
            "kernel/lib/libcrc32c.ko",
        ] {
            assert!(is_algorithm(path), "{path}");
        }
        for path in ["kernel/drivers/crypto/padlock-sha.ko", "kernel/fs/ext4/ext4.ko", "crypto.ko"] {
            assert!(!is_algorithm(path), "{path}");
        }
    }
}
