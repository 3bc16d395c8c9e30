//! What `make` prepared for the guests. Nothing here builds anything: a piece that is missing is an error that names the
//! `make` target which makes it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The emulator, from Debian's `qemu-system-x86`.
pub const QEMU: &str = "qemu-system-x86_64";

/// A kernel that the stories boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// `6.1` or `6.12`: the name of its folder under `out/kernels`.
    pub series: String,
    /// The unpacked kernel package: `boot/vmlinuz-VERSION` and `lib/modules/VERSION`.
    pub folder: PathBuf,
    /// The compressed kernel that QEMU loads.
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

/// The same, built from Debian's packages alone.
pub fn init_by_debian() -> Result<PathBuf, Failure> {
    made("debian/init", "make vm-pieces")
}

/// The program that writes an initramfs.
pub fn mkinitramfs() -> Result<PathBuf, Failure> {
    made("mkinitramfs", "make build")
}

/// The newest kernel of a series, unpacked.
pub fn kernel(series: &str) -> Result<Kernel, Failure> {
    let folder = made(&format!("kernels/{series}"), "make kernels")?;
    let boot = folder.join("boot");
    let vmlinuz = fs::read_dir(&boot)
        .map_err(Failure::at(&boot))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-")))
        .ok_or_else(|| Failure::new(format!("{}: no vmlinuz-* in it: run `make kernels`", boot.display())))?;
    Ok(Kernel { series: series.to_owned(), folder, vmlinuz })
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
