//! The kernel and the initramfs that serve all profiles of a disk.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;

use boot_entry::{StartedWith, paths};
use disk_image::DiskFile;
use disk_image::programs::find_program;
use installation::{beside, own_init};
use kernel_package::KernelPackage;
use profiles::Digest;

use super::made_files::{MOST_BYTES, MadeFile, MadeFiles};
use crate::digest::digest_file;
use crate::error::{Error, Result};
use crate::presence;
use crate::regular_file;
use crate::scratch::temporary::TemporaryFolder;

/// What the entries name.
#[derive(Debug)]
pub struct BootFiles {
    /// Of the kernel, as `uname -r` prints it.
    pub release: String,
    /// The kernel, `lamina/linux-HEX`: named by its SHA-256, so that entries that want the same one share it.
    pub linux: DiskFile,
    /// The initramfs, `lamina/initrd-HEX`.
    pub initrd: DiskFile,
    /// They are read from these: the kernel, the initramfs.
    pub(super) open: Vec<MadeFile>,
}

/// Where the kernel comes from.
#[derive(Debug, Clone)]
pub struct KernelSource {
    /// A package, or the folder of an unpacked one.
    pub path: PathBuf,
    /// SHA-256 of the package, where its bytes have been hashed just now.
    pub digest: Option<Digest>,
    /// What it lies in, where it was put together for this command.
    pub scratch: Option<Rc<TemporaryFolder>>,
}

impl KernelSource {
    /// What lies there.
    pub fn at(path: PathBuf, digest: Option<Digest>) -> KernelSource {
        KernelSource { path, digest, scratch: None }
    }
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

impl InitramfsSource {
    /// What `--initramfs` names, else one that is made with the init of `--init` or of this installation.
    ///
    /// # Errors
    /// There is no init.
    pub fn of_options(init: Option<&PathBuf>, initramfs: Option<&PathBuf>) -> Result<InitramfsSource> {
        if let Some(file) = initramfs {
            return Ok(InitramfsSource::File(file.clone()));
        }
        let init = init.cloned().or_else(own_init).ok_or_else(|| {
            Error::new("init", installation::NOT_FOUND)
                .remedy("`make init` builds it; give it with `--init FILE`, or a whole initramfs with `--initramfs FILE`")
        })?;
        Ok(InitramfsSource::Made { init })
    }
}

impl BootFiles {
    /// Those with these bytes, of a kernel of this release.
    pub fn of(release: String, linux: MadeFile, initrd: MadeFile) -> BootFiles {
        BootFiles {
            release,
            linux: linux.on_disk(paths::linux(&linux.digest)),
            initrd: initrd.on_disk(paths::initrd(&initrd.digest)),
            open: vec![linux, initrd],
        }
    }

    /// The kernel and the initramfs, where another program finds them after this one has ended.
    ///
    /// # Errors
    /// One of them was made, and could not be kept.
    pub fn places(&self) -> Result<[&Path; 2]> {
        match self.open.as_slice() {
            [linux, initrd] => Ok([linux.place()?, initrd.place()?]),
            _ => Err(Error::new("the kernel", "is on the medium alone").remedy("give one with `--kernel`")),
        }
    }

    /// As entries name them.
    pub fn started_with(&self) -> StartedWith {
        StartedWith {
            linux: format!("/{}", self.linux.path),
            initrd: vec![format!("/{}", self.initrd.path)],
            version: Some(self.release.clone()),
        }
    }
}

/// Reads the kernel out of its package, and the initramfs. What takes long is done once, and found in `made` from then on.
///
/// # Errors
/// One of them cannot be read or made.
pub fn boot_files(kernel: &KernelSource, initramfs: &InitramfsSource, made: &MadeFiles) -> Result<BootFiles> {
    let (release, linux) = kernel_of(kernel, made)?;
    let initrd = match initramfs {
        InitramfsSource::File(path) => MadeFile::given(path)?,
        InitramfsSource::Made { init } => {
            let sources = of_package(&kernel.digest()?, "initramfs");
            mkinitramfs_from(init, &sources, made, |run| run(&kernel.path))?
        }
    };
    Ok(BootFiles::of(release, linux, initrd))
}

fn of_package(package: &Digest, what: &str) -> Vec<String> {
    vec![format!("lamina {what} 1"), package.to_string()]
}

/// The release of a kernel, and its bootable file.
///
/// # Errors
/// The package cannot be read, or has none.
pub fn kernel_of(kernel: &KernelSource, made: &MadeFiles) -> Result<(String, MadeFile)> {
    let package = kernel.digest()?;
    // A package is decompressed to the last byte before its first file can be read: once, if at all.
    let mut opened = None;
    let release = made.get(&of_package(&package, "release"), |file| {
        let package = open(kernel, &mut opened)?;
        write(file, package.release().as_bytes())
    })?;
    let linux = made.get(&of_package(&package, "linux"), |file| {
        let bytes = open(kernel, &mut opened)?.vmlinuz()?;
        write(file, &bytes)
    })?;
    let mut text = String::new();
    let read = File::open(release.path()).and_then(|file| file.take(4096).read_to_string(&mut text));
    read.map_err(Error::on("the release of the kernel"))?;
    Ok((text, linux))
}

/// An initramfs with this init, of the kernel that `with_kernel` hands over as a package or folder; `sources` names that one.
pub(super) fn mkinitramfs_from(
    init: &Path,
    sources: &[String],
    made: &MadeFiles,
    with_kernel: impl FnOnce(&dyn Fn(&Path) -> Result<()>) -> Result<()>,
) -> Result<MadeFile> {
    let init = &present(init)?;
    let program = mkinitramfs()?;
    let mut sources = sources.to_vec();
    // The program holds the table of what a kernel needs, and its version.
    for path in [&program, init] {
        sources.push(digest_file(path)?.0.to_string());
    }
    made.get(&sources, |file| with_kernel(&|kernel| make(&program, kernel, init, file)))
}

impl KernelSource {
    /// SHA-256 of the package; of a folder, that of the paths and bytes of all its files.
    fn digest(&self) -> Result<Digest> {
        if let Some(digest) = self.digest {
            return Ok(digest);
        }
        if !self.path.is_dir() {
            kernel_package::refuse_special(&self.path)?;
            let (file, _) = regular_file::open_bounded(&self.path, MOST_BYTES)?;
            return Ok(Digest::of(file).map_err(Error::on(self.path.display()))?.0);
        }
        let folder = KernelPackage::open(&self.path)?;
        let mut lines = String::new();
        for path in folder.paths() {
            let digest = Digest::of_bytes(folder.read(path)?);
            lines.push_str(&format!("{digest} {path:?}\n"));
        }
        Ok(Digest::of_bytes(lines))
    }
}

fn open<'a>(source: &KernelSource, opened: &'a mut Option<KernelPackage>) -> Result<&'a KernelPackage> {
    let package = match opened.take() {
        Some(package) => package,
        None => KernelPackage::open(&source.path)?,
    };
    Ok(opened.insert(package))
}

fn write(mut file: &File, bytes: &[u8]) -> Result<()> {
    file.write_all(bytes).map_err(Error::on("a temporary file"))
}

fn present(init: &Path) -> Result<PathBuf> {
    match presence::of(init)? {
        Some(_) => regular_file::open_bounded(init, MOST_BYTES).map(|_| init.to_owned()),
        None => Err(Error::new(init.display(), "init, which the initramfs starts, is not there").remedy(
            "`make init` builds it; give it with `--init FILE`, or a whole initramfs with `--initramfs FILE`",
        )),
    }
}

fn mkinitramfs() -> Result<PathBuf> {
    match beside("mkinitramfs").filter(|path| path.is_file()) {
        Some(program) => Ok(program),
        None => find_program("mkinitramfs", "").map_err(|_| {
            Error::new("mkinitramfs", "is neither beside this program nor on PATH")
                .remedy("`make build` makes it; or give a whole initramfs with `--initramfs FILE`")
        }),
    }
}

/// Runs `mkinitramfs` with all groups of modules that it takes by itself.
fn make(program: &Path, package: &Path, init: &Path, file: &File) -> Result<()> {
    let output = file.try_clone().map_err(Error::on("a temporary file"))?;
    let mut command = Command::new(program);
    command.arg("--kernel").arg(package).arg("--init").arg(init).args(["--output", "-"]);
    let ended = command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::piped())
        .output()
        .map_err(Error::on(program.display()))?;
    match ended.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&ended.stderr);
            Err(Error::new(program.display(), said.trim().trim_start_matches("mkinitramfs: ")))
        }
    }
}
