//! Kernel modules: the list that mkinitramfs wrote, loaded in its order (dependencies first).

use std::ffi::CString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};

use crate::cmdline::{self, Parameter};
use crate::error::Failure;
use crate::paths;
use crate::report::ModuleRecord;

const REMEDY: &str = "make the initramfs again with mkinitramfs";

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Module {
    name: String,
    /// `None`: built into the kernel.
    file: Option<PathBuf>,
}

/// Reads the list: `NAME<TAB>PATH` or `NAME<TAB>builtin` a line, `#` begins a comment line.
fn parse(text: &str) -> Result<Vec<Module>, Failure> {
    let numbered = (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let module = |(number, line): (usize, &str)| {
        let (name, file) = line
            .split_once('\t')
            .filter(|(name, file)| !name.is_empty() && !file.is_empty())
            .ok_or_else(|| {
                Failure::new(format!("{}:{number}: not `NAME<TAB>PATH`: {line:?}", paths::MODULES))
                    .try_this(REMEDY)
            })?;
        let file = (file != "builtin").then(|| Path::new("/").join(file));
        Ok(Module { name: name.to_owned(), file })
    };
    numbered.map(module).collect()
}

/// Loads what the list names. A module that does not load is no error yet: the machine may not need it, and the
/// message about the missing store names it.
pub fn load(parameters: &[Parameter]) -> Result<ModuleRecord, Failure> {
    let mut record = ModuleRecord::default();
    let text = match fs::read_to_string(paths::MODULES) {
        Ok(text) => text,
        // A kernel with everything built in needs no list.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(record),
        Err(error) => {
            return Err(Failure::new(format!("cannot read {}: {error}", paths::MODULES)).try_this(REMEDY));
        }
    };
    for Module { name, file } in parse(&text)? {
        let Some(file) = file.filter(|_| !is_present(&name)) else {
            record.present.push(name);
            continue;
        };
        match insert(&file, &cmdline::module_options(parameters, &name)) {
            Ok(()) => record.loaded.push(name),
            Err(Errno::EEXIST) => record.present.push(name),
            Err(errno) => record.failed.push(format!("{name}: {}", explain(errno))),
        }
    }
    Ok(record)
}

/// `/sys/module` has a folder for each loaded module, and for built-in ones that have parameters.
fn is_present(name: &str) -> bool {
    Path::new("/sys/module").join(name.replace('-', "_")).exists()
}

/// finit_module(2).
fn insert(file: &Path, options: &str) -> Result<(), Errno> {
    let as_errno = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(0));
    let file = File::open(file).map_err(as_errno)?;
    let options = CString::new(options).map_err(|_| Errno::EINVAL)?;
    finit_module(&file, &options, ModuleInitFlags::empty())
}

/// The errors of finit_module(2) in the words of what to do.
fn explain(errno: Errno) -> String {
    match errno {
        Errno::ENOEXEC => "made for another kernel: make the initramfs again for this one".into(),
        Errno::ENOENT => "the file, or a symbol that it needs, is missing".into(),
        Errno::ENODEV => "its hardware is not in this machine".into(),
        Errno::EKEYREJECTED | Errno::ENOKEY => "not signed with a key that this kernel trusts".into(),
        errno => errno.desc().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read() {
        let modules = parse("# made for 6.1\nloop\tlib/modules/6.1/loop.ko\next4\tbuiltin\n\n").unwrap();
        assert_eq!(modules[0].file.as_deref(), Some(Path::new("/lib/modules/6.1/loop.ko")));
        assert_eq!((modules[1].name.as_str(), modules.len()), ("ext4", 2));
        assert_eq!(modules[1].file, None);
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
