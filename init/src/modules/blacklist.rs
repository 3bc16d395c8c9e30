//! Modules that the kernel command line keeps out: `modprobe.blacklist=NAME,NAME` of modprobe(8), and `module_blacklist=` of the kernel itself.
//!
//! As there, a module of `modprobe.blacklist=` is not loaded because a device or a file system asks for it; one that needs it brings it all
//! the same (modprobe.d(5), `blacklist`). The kernel refuses those of `module_blacklist=` to everybody.

use kernel_command_line::Parameter;

/// The names, with underscores.
#[derive(Debug, Default)]
pub(super) struct Blacklist(Vec<String>);

impl Blacklist {
    /// Reads them off the kernel command line; several parameters add up, as modprobe has it.
    pub fn read(parameters: &[Parameter]) -> Self {
        let of = |parameter: &Parameter| {
            let ours = matches!(
                parameter.name.replace('-', "_").as_str(),
                "modprobe.blacklist" | "module_blacklist"
            );
            parameter.value.clone().filter(|_| ours)
        };
        let names = parameters.iter().filter_map(of);
        Self(names.flat_map(|names| names.split(',').map(underscored).collect::<Vec<_>>()).collect())
    }

    /// Whether it names the module.
    pub fn names(&self, module: &str) -> bool {
        !self.0.is_empty() && self.0.contains(&underscored(module))
    }
}

/// For the kernel and its tools `-` and `_` are one character in the name of a module.
fn underscored(name: &str) -> String {
    name.trim().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_add_up_and_both_spellings_are_one_name() {
        let line = "modprobe.blacklist=virtio-blk,,loop modprobe.blacklist=a module_blacklist=b_c modprobe.blacklist blacklist=d";
        let blacklist = Blacklist::read(&kernel_command_line::parse(line));
        for name in ["virtio_blk", "virtio-blk", "loop", "a", "b-c"] {
            assert!(blacklist.names(name), "{name}");
        }
        for name in ["d", "virtio", "b"] {
            assert!(!blacklist.names(name), "{name}");
        }
    }
}
