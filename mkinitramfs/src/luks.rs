//! What opens disks that LUKS encrypts: cryptsetup, and the kernel's part of it. Which disk, and who is asked, is for a hook of a drop-in.

use kernel_package::KernelPackage;

use crate::contents::{Contents, Source};
use crate::programs::{self, FOLDERS, Libraries, MakerFile};
use fault::Error;

const PROGRAM: &str = "sbin/cryptsetup";
/// The module without which nothing is opened.
const TARGET: &str = "dm_crypt";
/// What headers usually name, and what makes it fast: the kernel would ask a modprobe for them, which the initramfs does not have. Those
/// that a kernel has not are built in or not wanted.
const ALGORITHMS: [&str; 11] = [
    "aesni_intel",
    "aes_generic",
    "sha256_ssse3",
    "sha256_generic",
    "sha512_ssse3",
    "sha512_generic",
    "xts",
    "cbc",
    "ecb",
    "essiv",
    // cryptsetup reads key slots through it.
    "algif_skcipher",
];
/// GNU's C library loads it when a thread ends, as those of Argon2 do, and ends the program when it is not there; no list of a program names it.
const FOR_THREADS: &str = "libgcc_s.so.1";
const REMEDY: &str = "install it with all that it needs (Debian's cryptsetup-bin)";

/// The modules, by name.
///
/// # Errors
/// The kernel has no dm-crypt.
pub(crate) fn modules(kernel: &KernelPackage) -> Result<Vec<String>, Error> {
    let has = |name: &&str| kernel.module(name).is_some() || kernel.is_builtin(name);
    if !has(&TARGET) {
        let cause = format!("the kernel {} has no dm-crypt (CONFIG_DM_CRYPT)", kernel.release());
        return Err(Error::new("--luks", cause).remedy("take a kernel that has it"));
    }
    Ok([TARGET].into_iter().chain(ALGORITHMS).filter(has).map(str::to_owned).collect())
}

/// Adds cryptsetup.
///
/// # Errors
/// This machine does not have it, or not all that it needs.
pub(crate) fn add(contents: &mut Contents, libraries: &mut Libraries) -> Result<MakerFile, Error> {
    let program = programs::find("cryptsetup").ok_or_else(|| {
        Error::new("--luks", format!("this machine has no cryptsetup in {}", FOLDERS.join(", ")))
            .remedy(REMEDY)
    })?;
    let (bytes, mut linked) = programs::read(&program)?;
    if linked.interpreter.as_deref().is_some_and(|loader| loader.contains("ld-linux")) {
        linked.needed.push(FOR_THREADS.to_owned());
    }
    libraries.add(&program, &linked, REMEDY)?;
    contents.add(PROGRAM, 0o755, Source::Bytes(bytes))?;
    Ok(MakerFile { path: PROGRAM.to_owned(), reason: "opens encrypted disks".to_owned() })
}
