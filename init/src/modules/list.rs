//! The list of modules that mkinitramfs wrote: what there is, what each needs, and what asks for it.

use std::path::{Path, PathBuf};

use initramfs_format::module_list::{self, Line};
use initramfs_format::pattern;

use crate::error::Failure;
use crate::paths;

pub(super) const REMEDY: &str = "make the initramfs again with mkinitramfs";

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Module {
    /// As in `lsmod`, with underscores.
    pub name: String,
    /// `None`: built into the kernel.
    pub file: Option<PathBuf>,
    /// `None`: nothing is known of it, and it is loaded at once.
    pub lazy: Option<Lazy>,
}

/// What is known of a module that waits until it is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Lazy {
    /// Modules that are loaded before it.
    pub needs: Vec<String>,
    /// Patterns of what it drives, with tabs between them.
    aliases: String,
    /// What the patterns begin with, each once: `pci`, `fs`. Most modules have hundreds for one bus or none.
    kinds: Vec<String>,
}

/// What comes before the first `:` or `-`; `acpi*:LNRO0005:*` is of the kind `acpi`.
fn kind(alias: &str) -> &str {
    alias.split([':', '-', '*']).next().unwrap_or_default()
}

impl Lazy {
    fn new(needs: &str, aliases: &str) -> Self {
        let needs = needs.split(',').filter(|need| !need.is_empty()).map(str::to_owned).collect();
        let mut lazy = Self { needs, aliases: aliases.to_owned(), kinds: Vec::new() };
        let mut kinds: Vec<String> = Vec::new();
        for kind in lazy.aliases().map(kind) {
            if !kinds.iter().any(|known| known == kind) {
                kinds.push(kind.to_owned());
            }
        }
        lazy.kinds = kinds;
        lazy
    }

    /// Its aliases: patterns as in [`pattern`].
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        self.aliases.split('\t').filter(|alias| !alias.is_empty())
    }
}

impl Module {
    /// Whether it is called so, or drives what is called so: `loop`, `fs-squashfs`, `pci:v00001AF4d00001001sv...`.
    pub fn answers(&self, wanted: &str) -> bool {
        let drives = |lazy: &Lazy| {
            lazy.kinds.iter().any(|it| it == kind(wanted))
                && lazy.aliases().any(|alias| pattern::matches(alias, wanted))
        };
        self.name == wanted || self.lazy.as_ref().is_some_and(drives)
    }
}

/// Reads the list.
pub(super) fn parse(text: &str) -> Result<Vec<Module>, Failure> {
    let module = |(number, line)| Line::parse(line).map(Module::from).ok_or_else(|| broken(number, line));
    module_list::lines(text).map(module).collect()
}

impl From<Line<'_>> for Module {
    fn from(line: Line<'_>) -> Self {
        Self {
            name: line.name.to_owned(),
            file: line.file.map(|file| Path::new("/").join(file)),
            lazy: line.waits.map(|waits| Lazy::new(waits.needs, waits.aliases)),
        }
    }
}

fn broken(number: u32, line: &str) -> Failure {
    Failure::new(format!("{}:{number}: not `NAME<TAB>PATH`: {line:?}", paths::MODULES)).try_this(REMEDY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read() {
        let text = "# made for 6.1\nloop\tlib/modules/6.1/loop.ko\next4\tbuiltin\n\n\
                    vfat\tvfat.ko\tfat,nls_ascii\tfs-vfat\tfs-x\nnls_ascii\tnls.ko\t\n";
        let modules = parse(text).unwrap();
        assert_eq!(modules[0].file.as_deref(), Some(Path::new("/lib/modules/6.1/loop.ko")));
        assert_eq!((modules[1].name.as_str(), modules.len()), ("ext4", 4));
        assert_eq!((&modules[1].file, &modules[0].lazy), (&None, &None));
        let vfat = modules[2].lazy.as_ref().unwrap();
        assert_eq!(vfat.needs, ["fat", "nls_ascii"]);
        assert_eq!(vfat.aliases().collect::<Vec<_>>(), ["fs-vfat", "fs-x"]);
        assert_eq!(modules[3].lazy, Some(Lazy::default()));
    }

    #[test]
    fn modules_answer_to_their_names_and_aliases() {
        let modules = parse("virtio_blk\tx\tvirtio\tvirtio:d00000002v*\nloop\ty\n").unwrap();
        assert!(modules[0].answers("virtio_blk") && modules[0].answers("virtio:d00000002v00001AF4"));
        assert!(!modules[0].answers("virtio:d00000001v00001AF4") && !modules[0].answers("virtio"));
        assert!(modules[1].answers("loop") && !modules[1].answers(""));
    }

    #[test]
    fn a_broken_line_is_named() {
        for broken in ["loop x", "\tx", "loop\t", "\u{1b}[2J\0"] {
            let failure = parse(&format!("loop\tx\n{broken}\n")).unwrap_err();
            assert!(failure.why.starts_with("/etc/lamina/modules:2: "), "{}", failure.why);
            assert!(!failure.why.contains(char::is_control), "{}", failure.why);
        }
    }

    #[test]
    fn an_empty_list_is_no_modules() {
        assert_eq!(parse("").unwrap(), []);
        assert_eq!(parse("\n# nothing\n\n").unwrap(), []);
    }
}
