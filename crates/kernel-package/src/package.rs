//! A kernel: its image, its config and its modules.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use decompress::Compression;
use fault::Error;

use crate::files::Files;
use crate::place::{Place, no_such};
use crate::reading::{read_limited, refuse_special};

/// A kernel read from a Debian package or from the root folder of an unpacked one.
///
/// ```no_run
/// # fn main() -> Result<(), fault::Error> {
/// let kernel = kernel_package::KernelPackage::open("linux-image-6.1.0-50-cloud-amd64_6.1.176-1_amd64.deb".as_ref())?;
/// for module in kernel.modules() {
///     println!("{} {}", module.name, kernel.module_bytes(module)?.len());
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct KernelPackage {
    path: PathBuf,
    root: Option<PathBuf>,
    release: String,
    files: Files,
    modules: Vec<Module>,
    builtin: Vec<String>,
}

/// One kernel module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Module {
    /// The name as in `lsmod`: without ending, with underscores for dashes.
    pub name: String,
    /// The path below `lib/modules/RELEASE`, without the ending of a compressor: `kernel/drivers/block/loop.ko`.
    pub path: String,
    /// The path in the package, as it is there: one of [`KernelPackage::paths`].
    pub file: String,
}

/// How a kernel is opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct Opening<'a> {
    /// Which kernel is meant, where there are several.
    pub release: Option<&'a str>,
    /// The folder of a cache for what is read of a package ([`KernelPackage::keep`]); without it a package is unpacked each time.
    pub cache: Option<&'a Path>,
}

impl Opening<'_> {
    /// Opens what [`KernelPackage::open`] does.
    ///
    /// # Errors
    /// Those of [`KernelPackage::open`]; the kernel that is meant is not there.
    pub fn open(self, path: &Path) -> Result<KernelPackage, Error> {
        let (files, release, root) = if path.is_dir() {
            let place = Place::of(path, self.release)?;
            (Files::of_folder(&place.root, place.release.as_deref())?, place.release, Some(place.root))
        } else {
            refuse_special(path)?;
            (Files::of_package(path, self.cache)?, None, None)
        };
        let release = release.map_or_else(|| only_release(path, &files), Ok)?;
        if let Some(wanted) = self.release.filter(|wanted| *wanted != release) {
            return Err(no_such(path, wanted, [&release]));
        }
        let modules = find_modules(&files, &release);
        refuse_two(path, &release, &modules)?;
        let mut kernel =
            KernelPackage { path: path.to_owned(), root, release, files, modules, builtin: Vec::new() };
        kernel.builtin = kernel.read_builtin()?;
        Ok(kernel)
    }
}

impl KernelPackage {
    /// Opens the Debian package, or the folder with `boot` and `lib/modules` (or `usr/lib/modules`) in it, or one of `lib/modules/RELEASE`
    /// itself, at `path`.
    ///
    /// # Errors
    /// It is neither a regular file nor a folder, cannot be read, holds no kernel, or holds more than one.
    pub fn open(path: &Path) -> Result<KernelPackage, Error> {
        Opening::default().open(path)
    }

    /// The package or folder that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The root of the system that it lies in; a package is in none.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// The kernel's release as `uname -r` prints it: `6.1.0-50-cloud-amd64`.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// The paths of all its files below `boot`, `lib/modules` and `lib/firmware` (the latter two also below `usr`), sorted. A link to a file
    /// is that file, but for [`KernelPackage::links`].
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.paths()
    }

    /// The links of its firmware to its firmware, sorted: the path of each, and that of the file or folder that it leads to in the end.
    pub fn links(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.links().iter().map(|(path, to)| (path.as_str(), to.as_str()))
    }

    /// What lies there and is in neither of the two, sorted: the path of each, and why, as the end of a sentence.
    pub fn left_out(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.left_out().iter().map(|(path, why)| (path.as_str(), why.as_str()))
    }

    /// The bytes of one of [`KernelPackage::paths`], as they are there.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        let failed = |error: std::io::Error| {
            Error::new(self.path.display(), format!("reading {path}: {error}")).because_of(error)
        };
        self.files.read(path).map_err(failed)
    }

    /// The bootable kernel image.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn vmlinuz(&self) -> Result<Vec<u8>, Error> {
        self.read_first_of("kernel image", &self.places("vmlinuz"))
    }

    /// The text of the configuration the kernel was made with.
    ///
    /// # Errors
    /// There is none, it cannot be read, or is not text.
    pub fn config_text(&self) -> Result<String, Error> {
        let bytes = self.read_first_of("config", &self.places("config"))?;
        String::from_utf8(bytes).map_err(|_| Error::new(self.path.display(), "its config is not UTF-8 text"))
    }

    /// All modules, sorted by name.
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// The module with this name; dashes and underscores are the same. Of two, the one in the folder `updates` goes before, as for
    /// depmod(8).
    pub fn module(&self, name: &str) -> Option<&Module> {
        let name = name.replace('-', "_");
        let first = self.modules.partition_point(|module| module.name < name);
        let same = || self.modules[first..].iter().take_while(|module| module.name == name);
        same().find(|module| module.path.starts_with("updates/")).or_else(|| same().next())
    }

    /// The file that `modules.dep` names for a module which is not there: the kernel is incomplete.
    pub fn promised(&self, name: &str) -> Option<String> {
        let name = name.replace('-', "_");
        let index = self.index("modules.dep")?;
        let mut paths = index.lines().filter_map(|line| Some(line.split_once(':')?.0));
        let is_it = |path: &&str| {
            module_compression(path).and_then(|(stem, _)| module_name(stem)) == Some(name.clone())
        };
        paths.find(is_it).map(str::to_owned)
    }

    /// One of the tables that depmod(8) writes; a package has none.
    pub fn index(&self, name: &str) -> Option<String> {
        let place = self.index_place(name)?;
        let bytes = self.files.look_at(&place).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A module that is newer than this table of depmod(8), which then does not know what that module says.
    pub fn newer_than(&self, index: &str) -> Option<&Module> {
        let made = self.files.changed(&self.index_place(index)?)?;
        self.modules.iter().find(|module| self.files.changed(&module.file).is_some_and(|it| it > made))
    }

    fn index_place(&self, name: &str) -> Option<String> {
        roots(&self.release)
            .map(|root| format!("{root}/{name}"))
            .into_iter()
            .find(|place| self.files.has(place))
    }

    /// Keeps what was read of a package where [`Opening::cache`] says, so that the next one who reads it need not unpack it.
    ///
    /// # Errors
    /// The cache cannot be written to.
    pub fn keep(&self) -> Result<(), Error> {
        self.files.keep()
    }

    /// The bytes of a module, decompressed where the package has it as `.ko.xz`, `.ko.zst` or `.ko.gz`.
    ///
    /// # Errors
    /// It cannot be read or decompressed.
    pub fn module_bytes(&self, module: &Module) -> Result<Vec<u8>, Error> {
        self.decompressed(module, self.files.read(&module.file))
    }

    /// The same of a module that is looked at and not taken: [`KernelPackage::keep`] leaves it out.
    ///
    /// # Errors
    /// Those of [`KernelPackage::module_bytes`].
    pub fn look_at(&self, module: &Module) -> Result<Vec<u8>, Error> {
        self.decompressed(module, self.files.look_at(&module.file))
    }

    fn decompressed(&self, module: &Module, bytes: std::io::Result<Vec<u8>>) -> Result<Vec<u8>, Error> {
        let plain = bytes.and_then(|bytes| match module_compression(&module.file) {
            None | Some((_, Compression::None)) => Ok(bytes),
            Some((_, compression)) => compression.reader(&bytes[..]).and_then(read_limited),
        });
        plain.map_err(|error| {
            Error::new(self.path.display(), format!("reading the module {}: {error}", module.file))
                .remedy("the kernel is damaged: install its package again, or take another")
                .because_of(error)
        })
    }

    /// The lines of `modules.builtin`: the paths that parts of the kernel would have as modules, such as
    /// `kernel/fs/ext4/ext4.ko`.
    pub fn builtin(&self) -> &[String] {
        &self.builtin
    }

    /// Whether the part of the kernel that could be the module `name` is built in.
    pub fn is_builtin(&self, name: &str) -> bool {
        let name = name.replace('-', "_");
        self.builtin.iter().any(|path| module_name(path).is_some_and(|built_in| built_in == name))
    }

    fn read_builtin(&self) -> Result<Vec<String>, Error> {
        let places: Vec<String> = roots(&self.release).map(|root| format!("{root}/modules.builtin")).into();
        let is_there = |place: &String| self.files.has(place) || self.files.instead_of_file(place).is_some();
        if !places.iter().any(is_there) {
            // A kernel without modules has no such list.
            return Ok(Vec::new());
        }
        let bytes = self.read_first_of("modules.builtin", &places)?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }

    /// Debian has `boot/config-RELEASE`, others `lib/modules/RELEASE/config`.
    fn places(&self, what: &str) -> Vec<String> {
        let mut places = vec![format!("boot/{what}-{}", self.release)];
        places.extend(roots(&self.release).map(|root| format!("{root}/{what}")));
        places
    }

    fn read_first_of(&self, what: &str, places: &[String]) -> Result<Vec<u8>, Error> {
        let Some(place) = places.iter().find(|place| self.files.has(place)) else {
            let instead = places.iter().find_map(|it| Some((it, self.files.instead_of_file(it)?)));
            let why = match instead {
                Some((place, why)) => format!("{} {why}", place.escape_debug()),
                None => format!("looked for {}", places.join(", ")),
            };
            let remedy =
                format!("a file must lie there: get the kernel's package again, which has its {what}");
            let error = Error::new(self.path.display(), format!("it has no {what}: {why}"));
            return Err(if instead.is_some() { error.remedy(remedy) } else { error });
        };
        self.files.read(place).map_err(|error| {
            Error::new(self.path.display(), format!("reading {place}: {error}")).because_of(error)
        })
    }
}

fn roots(release: &str) -> [String; 2] {
    [format!("lib/modules/{release}"), format!("usr/lib/modules/{release}")]
}

/// Finds the one release among the files' names.
fn only_release(path: &Path, files: &Files) -> Result<String, Error> {
    let releases: BTreeSet<&str> = files
        .paths()
        // `vmlinuz-old` and its like are second names.
        .filter(|file| !files.is_link(file))
        .filter_map(|file| {
            let modules = file.strip_prefix("lib/modules/").or_else(|| file.strip_prefix("usr/lib/modules/"));
            match modules {
                Some(rest) => rest.split_once('/').map(|(release, _)| release),
                None => file.strip_prefix("boot/vmlinuz-"),
            }
        })
        .filter(|release| !release.is_empty() && !release.contains('/'))
        .collect();
    match releases.iter().collect::<Vec<_>>()[..] {
        [release] => Ok((*release).to_owned()),
        [] => {
            let why = "it holds no kernel: neither boot/vmlinuz-RELEASE nor lib/modules/RELEASE";
            let is_image =
                |path: &&str| path.strip_prefix("boot/vmlinuz-").is_some_and(|it| !it.contains('/'));
            let instead = files.no_files().find(is_image);
            let instead = instead.and_then(|it| Some((it, files.instead_of_file(it)?)));
            let why = instead.map_or(why.to_owned(), |(path, instead)| {
                format!("{why}; {} {instead}", path.escape_debug())
            });
            Err(Error::new(path.display(), why)
                .remedy("give a linux-image package, or the folder where one was unpacked"))
        }
        _ => {
            let all = releases.into_iter().collect::<Vec<_>>().join(", ");
            Err(Error::new(path.display(), format!("it holds several kernels: {all}")).remedy(
                "choose one: --release NAME of mkinitramfs, or its folder lib/modules/NAME as the kernel",
            ))
        }
    }
}

/// Where `lib` is no link, one release can lie there and below `usr`: nobody can tell which modules are those of the kernel.
fn refuse_two(path: &Path, release: &str, modules: &[Module]) -> Result<(), Error> {
    let roots = roots(release);
    let has = |root: &&String| modules.iter().any(|module| module.file.starts_with(&format!("{root}/")));
    match roots.iter().filter(has).count() {
        2 => Err(Error::new(
            path.display(),
            format!("it holds the kernel {release} twice: {}", roots.join(" and ")),
        )
        .remedy("remove one of the two folders")),
        _ => Ok(()),
    }
}

fn find_modules(files: &Files, release: &str) -> Vec<Module> {
    let roots = roots(release).map(|root| format!("{root}/"));
    let mut modules: Vec<Module> = files
        .paths()
        .filter_map(|file| {
            let below = roots.iter().find_map(|root| file.strip_prefix(root))?;
            let (stem, _) = module_compression(below)?;
            Some(Module { name: module_name(stem)?, path: stem.to_owned(), file: file.to_owned() })
        })
        .collect();
    modules.sort();
    modules
}

/// Splits `a/loop.ko.xz` into `a/loop.ko` and its compression; `None` for what is not a module.
fn module_compression(file: &str) -> Option<(&str, Compression)> {
    let name_start = file.rfind('/').map_or(0, |slash| slash + 1);
    let stem = &file[..name_start + file[name_start..].rfind(".ko")? + ".ko".len()];
    Some((stem, Compression::of(file, stem)?))
}

/// `kernel/crypto/sha256-ssse3.ko` is `sha256_ssse3`.
fn module_name(path: &str) -> Option<String> {
    let name = path.rsplit('/').next()?.strip_suffix(".ko")?;
    Some(name.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn module_files_of_every_compression_are_recognised() {
        assert_eq!(module_compression("a.ko/loop.ko.xz"), Some(("a.ko/loop.ko", Compression::Xz)));
        assert_eq!(module_compression("loop.ko"), Some(("loop.ko", Compression::None)));
        assert_eq!(module_compression("loop.ko.zst"), Some(("loop.ko", Compression::Zstd)));
        assert_eq!(module_compression("modules.builtin"), None);
        assert_eq!(module_compression("loop.ko.lz4"), None);
        assert_eq!(module_name("kernel/crypto/sha256-ssse3.ko").as_deref(), Some("sha256_ssse3"));
    }
}
