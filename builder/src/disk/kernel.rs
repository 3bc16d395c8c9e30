//! The kernel and the initramfs that serve all profiles of a disk.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use disk_image::programs::find_program;
use disk_image::{Content, DiskFile};
use kernel_package::KernelPackage;
use profiles::Digest;

use crate::digest::digest_file;
use crate::error::{Error, Result};

/// What the entries name.
#[derive(Debug)]
pub struct BootFiles {
    /// Of the kernel, as `uname -r` prints it.
    pub release: String,
    /// The kernel, `lamina/linux-HEX`: named by its SHA-256, so that entries that want the same one share it.
    pub linux: DiskFile,
    /// The initramfs, `lamina/initrd-HEX`.
    pub initrd: DiskFile,
}

/// Where the initramfs comes from.
#[derive(Debug, Clone)]
pub enum InitramfsSource {
    /// It is there already.
    File(PathBuf),
    /// The program `mkinitramfs` makes it with this init.
    Made {
        /// The static program that becomes /init.
        init: PathBuf,
    },
}

/// Reads the kernel out of its package, and the initramfs; `scratch` is an open, empty file for one that is made, and stays open as
/// long as the result is used.
///
/// # Errors
/// One of them cannot be read or made.
pub fn boot_files(package: &Path, initramfs: &InitramfsSource, scratch: &File) -> Result<BootFiles> {
    let kernel = KernelPackage::open(package)?;
    let bytes = kernel.vmlinuz()?;
    let digest = Digest::of(bytes.as_slice()).map_err(Error::on(package.display()))?.0;
    let linux =
        DiskFile { digest: Some(digest), ..DiskFile::bytes(format!("lamina/linux-{}", digest.hex()), bytes) };
    let path = match initramfs {
        InitramfsSource::File(path) => path.clone(),
        InitramfsSource::Made { init } => make(package, init, scratch)?,
    };
    let (digest, length) = digest_file(&path)?;
    let initrd = DiskFile {
        path: format!("lamina/initrd-{}", digest.hex()),
        content: Content::File(path, length),
        digest: Some(digest),
    };
    Ok(BootFiles { release: kernel.release().to_owned(), linux, initrd })
}

/// Runs `mkinitramfs` with all groups of modules that it takes by itself.
fn make(package: &Path, init: &Path, scratch: &File) -> Result<PathBuf> {
    if !init.is_file() {
        return Err(Error::new(init.display(), "init, which the initramfs starts, is not there").remedy(
            "`make init` builds it; give it with `--init FILE`, or a whole initramfs with `--initramfs FILE`",
        ));
    }
    let program = match beside("mkinitramfs").filter(|path| path.is_file()) {
        Some(program) => program,
        None => find_program("mkinitramfs", "").map_err(|_| {
            Error::new("mkinitramfs", "is neither beside this program nor on PATH")
                .remedy("`make build` makes it; or give a whole initramfs with `--initramfs FILE`")
        })?,
    };
    let output = scratch.try_clone().map_err(Error::on("a temporary file"))?;
    let mut command = Command::new(&program);
    command.arg("--kernel").arg(package).arg("--init").arg(init).args(["--output", "-"]);
    let ended = command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::piped())
        .output()
        .map_err(Error::on(program.display()))?;
    match ended.status.success() {
        // Other programs open it as well.
        true => Ok(PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), scratch.as_raw_fd()))),
        false => {
            let said = String::from_utf8_lossy(&ended.stderr);
            Err(Error::new(program.display(), said.trim().trim_start_matches("mkinitramfs: ")))
        }
    }
}

/// A file that is called so in the folder of this program.
pub fn beside(name: &str) -> Option<PathBuf> {
    fs::canonicalize("/proc/self/exe").ok()?.parent().map(|folder| folder.join(name))
}
