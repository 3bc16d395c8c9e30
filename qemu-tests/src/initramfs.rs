//! The initramfs of a story, written by the product's own `mkinitramfs` and kept by what it is made of.

use std::ffi::OsString;
use std::fs;
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
            for file in files_below(file) {
                hash.update(file.as_os_str().as_encoded_bytes());
                hash.update(fs::read(&file).map_err(Failure::at(&file))?);
            }
        }
        for path in self.store.iter().flat_map(|store| files_below(store)) {
            hash.update(path.to_string_lossy().as_bytes());
            if path.extension().is_some_and(|extension| extension == "kdl") {
                hash.update(fs::read(&path).map_err(Failure::at(&path))?);
            }
        }
        Ok(hex(&hash.finalize()))
    }
}

/// Every file below `folder`, sorted.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries.into_iter().flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
