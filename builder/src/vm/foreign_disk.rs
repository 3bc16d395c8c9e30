//! `--disk` and `--usb`: images and devices that somebody has.

use std::fs::{self, File};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use disk_image::{DiskFormat, other_files};
use vm::image_lock;

use crate::disk::device;
use crate::error::{Error, Result};
use crate::regular_file;

/// Sees that an image or a device can be a disk of a guest. One that the guest writes to, `keeps`, is nobody else's. One that names other
/// files, which the guest could read then, is taken where that is known, `backing`.
///
/// # Errors
/// It cannot.
pub fn can_be_one(image: &Path, keeps: bool, backing: bool) -> Result<()> {
    let is_device = fs::metadata(image).is_ok_and(|found| found.file_type().is_block_device());
    if !is_device {
        let file = regular_file::open(image)?;
        is_free(&file, image, keeps)?;
        return if backing { Ok(()) } else { stands_alone(&file, image) };
    }
    if keeps {
        let found = device::observe(image)?;
        found.judge()?;
        return device::open_exclusively(&found).map(drop);
    }
    let open = File::open(image).map(drop);
    open.map_err(|error| Error::caused(image.display(), error).remedy("only root may read most devices"))
}

/// Sees that no other guest has it.
///
/// # Errors
/// One has.
pub fn is_free(file: &File, image: &Path, writes: bool) -> Result<()> {
    match image_lock::is_in_the_way(file, writes) {
        false => Ok(()),
        true => Err(Error::new(image.display(), "is in use by another guest")
            .remedy("end that one first, or give this one a copy (`cp --sparse=always`)")),
    }
}

fn stands_alone(file: &File, image: &Path) -> Result<()> {
    let found = other_files::beside(file, DiskFormat::of_name(image)).map_err(Error::on(image.display()))?;
    let Some(other) = found else { return Ok(()) };
    let cause = format!("names {other}, and the guest could read what is in it");
    let format = DiskFormat::of_name(image).word();
    Err(Error::new(image.display(), cause).remedy(format!(
        "where it is your own and this is meant, add `--backing`, or make one image of both: `qemu-img convert -f {format} -O {format} IMAGE NEW`; \
         convert none that is a stranger's, for that reads the other file too"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn an_image_that_names_a_file_of_ours_is_taken_only_where_that_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("secret"), "secret").unwrap();
        let made = Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-b", "secret", "-F", "raw", "disk.qcow2", "1M"])
            .current_dir(folder.path())
            .status();
        assert!(made.unwrap().success());
        let error = can_be_one(&path("disk.qcow2"), false, false).unwrap_err();
        assert!(error.cause().starts_with("names the backing file 'secret'"), "{error}");
        assert!(error.known_remedy().is_some_and(|remedy| remedy.contains("`--backing`")), "{error}");
        can_be_one(&path("disk.qcow2"), false, true).unwrap();
        // By its name it is read byte for byte.
        fs::rename(path("disk.qcow2"), path("disk.img")).unwrap();
        can_be_one(&path("disk.img"), true, false).unwrap();
    }
}
