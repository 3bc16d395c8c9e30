//! What `make` prepared for the guests. Nothing here builds anything: a piece that is missing is an error that names the
//! `make` target which makes it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use kernel_package::KernelPackage;
use sha2::{Digest, Sha256};
use soak_guest::hex;
use tempfile::TempDir;

use crate::failure::Failure;

/// A kernel that the stories boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// The Debian package.
    pub package: PathBuf,
    /// SHA-256 of the package, 64 hex digits.
    pub digest: String,
    /// The compressed kernel out of it, which QEMU loads.
    pub vmlinuz: PathBuf,
}

/// The root of this repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// `LAMINA_CACHE`, by default `~/.cache/lamina`.
pub fn cache() -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_else(|| "/".into()));
    env::var_os("LAMINA_CACHE").map_or_else(|| home().join(".cache/lamina"), PathBuf::from)
}

/// A folder that vanishes with its story. In the cache and not in /tmp: images are hard-linked from the store, which is there too.
pub fn scratch(name: &str) -> Result<TempDir, Failure> {
    let folder = cache().join("scratch");
    fs::create_dir_all(&folder).map_err(Failure::at(&folder))?;
    tempfile::Builder::new().prefix(name).tempdir_in(&folder).map_err(Failure::at(&folder))
}

/// `LAMINA_STORE`, by default the store in the cache: what `make packages` fills.
pub fn store() -> PathBuf {
    env::var_os("LAMINA_STORE").map_or_else(|| cache().join("store"), PathBuf::from)
}

/// `LAMINA_OUT`, by default `out/`: what `make` hands out.
pub fn out() -> PathBuf {
    env::var_os("LAMINA_OUT").map_or_else(|| repository().join("out"), PathBuf::from)
}

/// PID 1 of the initramfs.
pub fn init() -> Result<PathBuf, Failure> {
    made("init", "make init")
}

/// The program that the soak tests run inside their guests, static.
pub fn soak_guest() -> Result<PathBuf, Failure> {
    made("soak-guest", "make soak-guest")
}

/// [`init`], built from Debian's packages alone.
pub fn init_by_debian() -> Result<PathBuf, Failure> {
    made("debian/init", "make vm-pieces")
}

/// The init that panics where the variable `PANIC_FOR_TESTS` tells it to, and is never shipped.
pub fn init_that_panics() -> Result<PathBuf, Failure> {
    made("panics/init", "make vm-pieces")
}

/// The builder's command.
pub fn lamina() -> Result<PathBuf, Failure> {
    made("lamina", "make build")
}

/// The program that writes an initramfs.
pub fn mkinitramfs() -> Result<PathBuf, Failure> {
    made("mkinitramfs", "make build")
}

/// The folder with the archive of a release, its checksum, and the recipe that makes a package of it.
pub fn release() -> Result<PathBuf, Failure> {
    made("release/SHA256SUMS", "make release").map(|list| list.with_file_name(""))
}

/// A kernel of `lamina kernel list`. `make kernels` links its package from the cache, where its name is its SHA-256. `LAMINA_OWN_KERNEL`, the folder
/// of an unpacked one, stands for all of them: so `make soak` tells stories on the kernel of `make kernel`.
pub fn kernel(name: &str) -> Result<Kernel, Failure> {
    if let Some(folder) = env::var_os("LAMINA_OWN_KERNEL") {
        return own_kernel(Path::new(&folder));
    }
    let link = made(&format!("kernels/{name}.deb"), "make kernels")?;
    let package = link.canonicalize().map_err(Failure::at(&link))?;
    let digest = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let vmlinuz = cache().join("vmlinuz").join(&digest);
    if !vmlinuz.exists() {
        let read = KernelPackage::open(&package).and_then(|package| package.vmlinuz());
        replace(&vmlinuz, &read.map_err(|error| Failure::new(error.to_string()))?)?;
    }
    Ok(Kernel { package, digest, vmlinuz })
}

fn own_kernel(folder: &Path) -> Result<Kernel, Failure> {
    let package = folder.canonicalize().map_err(Failure::at(folder))?;
    let read = KernelPackage::open(&package).and_then(|package| package.vmlinuz());
    let bytes = read.map_err(|error| Failure::new(error.to_string()))?;
    let digest = hex(&Sha256::digest(&bytes));
    let vmlinuz = cache().join("vmlinuz").join(&digest);
    if !vmlinuz.exists() {
        replace(&vmlinuz, &bytes)?;
    }
    Ok(Kernel { package, digest, vmlinuz })
}

/// Writes `file` in one step, with the folder it lies in: two test programs may write it at once, and nobody sees half of it.
pub fn replace(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(Failure::at(folder))?;
    let part = tempfile::NamedTempFile::new_in(folder).map_err(Failure::at(folder))?;
    fs::write(part.path(), bytes).map_err(Failure::at(part.path()))?;
    part.persist(file).map(drop).map_err(Failure::at(file))
}

fn made(name: &str, remedy: &str) -> Result<PathBuf, Failure> {
    let path = out().join(name);
    if path.exists() {
        return Ok(path);
    }
    Err(Failure::new(format!(
        "{}: missing: run `{remedy}`, or `make vm-test` for all that the stories need",
        path.display()
    )))
}
