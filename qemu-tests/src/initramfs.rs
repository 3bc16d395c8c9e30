//! The initramfs of a story, written by the product's own `mkinitramfs` and kept by what it is made of.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};
use soak_guest::hex;

use crate::artifacts::{self, Kernel};
use crate::failure::Failure;

/// An initramfs that is not written yet.
#[derive(Debug)]
pub struct Initramfs {
    kernel: Kernel,
    init: Option<PathBuf>,
    rescue_shell: Option<PathBuf>,
    store: Option<PathBuf>,
    options: Vec<OsString>,
}

impl Initramfs {
    /// Our init and the modules of `kernel` that it needs; no rescue shell and no store.
    pub fn new(kernel: &Kernel) -> Self {
        Self { kernel: kernel.clone(), init: None, rescue_shell: None, store: None, options: Vec::new() }
    }

    /// Takes another init than the one that is shipped.
    #[must_use]
    pub fn init(mut self, init: &Path) -> Self {
        self.init = Some(init.to_owned());
        self
    }

    /// Adds a static shell for failed boots.
    #[must_use]
    pub fn rescue_shell(mut self, busybox: &Path) -> Self {
        self.rescue_shell = Some(busybox.to_owned());
        self
    }

    /// Packs the profiles and images of the store in `folder`.
    #[must_use]
    pub fn store(mut self, folder: &Path) -> Self {
        self.store = Some(folder.to_owned());
        self
    }

    /// Adds an option of `mkinitramfs`; a value that is a file counts by its content.
    #[must_use]
    pub fn option(mut self, name: &str, value: Option<&Path>) -> Self {
        self.options.push(name.into());
        self.options.extend(value.map(|value| value.as_os_str().to_owned()));
        self
    }

    /// Runs `mkinitramfs`, unless the same inputs have been packed before.
    pub fn write(&self) -> Result<PathBuf, Failure> {
        let program = artifacts::mkinitramfs()?;
        let init = self.init.clone().map_or_else(artifacts::init, Ok)?;
        let folder = artifacts::cache().join("initramfs");
        fs::create_dir_all(&folder).map_err(Failure::at(&folder))?;
        let path = folder.join(format!("{}.img", self.key(&program, &init)?));
        if path.exists() {
            return Ok(path);
        }
        let mut command = Command::new(&program);
        command.arg("--kernel").arg(&self.kernel.package).arg("--init").arg(&init).arg("--output").arg(&path);
        // A test boots it once or twice: packing hard would take longer than it saves.
        command.args(["--level", "3"]);
        if let Some(busybox) = &self.rescue_shell {
            command.arg("--busybox").arg(busybox);
        }
        if let Some(store) = &self.store {
            command.arg("--store").arg(store);
        }
        command.args(&self.options);
        let output = command.stdin(Stdio::null()).output().map_err(Failure::at(&program))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::new(format!("{command:?} ended with {}: {said}", output.status)));
        }
        Ok(path)
    }

    /// SHA-256 over all that can change the result. The images of a store are named by their digests already.
    fn key(&self, program: &Path, init: &Path) -> Result<String, Failure> {
        let mut hash = Sha256::new();
        hash.update(self.kernel.digest.as_bytes());
        for file in [Some(program), Some(init), self.rescue_shell.as_deref()] {
            let bytes = file.map_or(Ok(Vec::new()), |file| fs::read(file).map_err(Failure::at(file)))?;
            hash.update(Sha256::digest(bytes));
        }
        for option in &self.options {
            hash.update(option.as_encoded_bytes());
            // Also `NAME=FILE`.
            let text = option.to_string_lossy();
            let file = Path::new(text.split_once('=').map_or(&*text, |(_, file)| file));
            if file.is_file() {
                hash.update(fs::read(file).map_err(Failure::at(file))?);
            }
            for path in all_below(file) {
                add(&mut hash, &path).map_err(Failure::at(&path))?;
            }
        }
        for path in self.store.iter().flat_map(|store| all_below(store)) {
            hash.update(path.to_string_lossy().as_bytes());
            if path.extension().is_some_and(|extension| extension == "kdl") {
                hash.update(fs::read(&path).map_err(Failure::at(&path))?);
            }
        }
        Ok(hex(&hash.finalize()))
    }
}

/// All of it that a drop-in passes on: path, kind and permission bits, and what is in it or where it leads.
fn add(hash: &mut Sha256, path: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    hash.update(path.as_os_str().as_encoded_bytes());
    hash.update(found.mode().to_le_bytes());
    if found.is_symlink() {
        hash.update(fs::read_link(path)?.as_os_str().as_encoded_bytes());
    } else if found.is_file() {
        hash.update(fs::read(path)?);
    }
    Ok(())
}

/// Every path below `folder`, a folder before what is in it. No link is followed.
fn all_below(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    let with_its_own = |path: PathBuf| {
        let below = if path.is_symlink() { Vec::new() } else { all_below(&path) };
        [path].into_iter().chain(below)
    };
    entries.into_iter().flat_map(with_its_own).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn the_key_is_another_one_when_anything_in_a_drop_in_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("d/files/etc")).expect("a drop-in");
        fs::write(path("d/files/etc/app"), "one").expect("a file");
        symlink("nowhere", path("d/files/link")).expect("a link");
        fs::write(path("program"), "").expect("a program");
        let kernel = Kernel { package: path("k"), digest: "0".to_owned(), vmlinuz: path("v") };
        let initramfs = Initramfs::new(&kernel).option("--drop-in", Some(&path("d")));
        let key = || initramfs.key(&path("program"), &path("program")).expect("a key");
        let mut keys = vec![key()];
        assert_eq!(keys[0], key());
        let mode = |name: &str, mode| fs::set_permissions(path(name), fs::Permissions::from_mode(mode));
        mode("d/files/etc/app", 0o755).expect("another mode");
        keys.push(key());
        mode("d/files/etc", 0o700).expect("another mode of a folder");
        keys.push(key());
        fs::remove_file(path("d/files/link"))
            .and_then(|()| symlink("else", path("d/files/link")))
            .expect("a link");
        keys.push(key());
        fs::create_dir(path("d/files/empty")).expect("a folder");
        keys.push(key());
        fs::write(path("d/files/etc/app"), "two").expect("other bytes");
        keys.push(key());
        let all = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }
}
