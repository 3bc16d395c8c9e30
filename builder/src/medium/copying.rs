//! Images on their way to a medium: what arrives is hashed, not what was meant to be sent; and what lies there already is read from
//! the medium itself.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use atomic_file::UnnamedFile;
use boot_entry::sector;
use cli::numbers::count;
use cli::progress::Meter;
use nix::fcntl::OFlag;
use profiles::Digest;
use profiles::resolved::ImageRef;
use verified_store::make_sound;

use crate::error::{Error, Result};
use crate::new_folder::{self, Rule};
use crate::regular_file;
use crate::report::Report;

/// An image that belongs onto the medium.
#[derive(Debug, Clone)]
pub struct MediumImage {
    /// Where it is and will be.
    pub files: (PathBuf, PathBuf),
    /// What it must be, by the profile.
    pub wanted: ImageRef,
}

/// What lies under a name on the medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    /// It is the image.
    Sound,
    /// It is something else.
    Damaged,
}

/// Reads what is on the medium under the name of an image. A link counts as damage: init follows none. So does what cannot be read, here or
/// there: it is put there again, and nothing is lost by that.
pub(crate) fn look(image: &MediumImage, meter: &Meter) -> Found {
    let plain = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file = match File::options().read(true).custom_flags(plain).open(&image.files.1) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::Nothing,
        Err(_) => return Found::Damaged,
        Ok(file) => file,
    };
    if !file.metadata().is_ok_and(|found| found.is_file() && found.len() == image.wanted.size) {
        return Found::Damaged;
    }
    // What this machine still has in memory says nothing of the medium. It is a hint: a refusal changes nothing.
    let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    match Digest::of(meter.reader(file)) {
        Ok((digest, _)) if digest == image.wanted.digest => Found::Sound,
        _ => Found::Damaged,
    }
}

/// Copies an image, and hashes what arrived. Damage in the store's file is mended in the copy where error correction can.
pub(crate) fn copy_image(image: &MediumImage, meter: &Meter, report: &Report, medium: &Path) -> Result<()> {
    let (from, to) = (&image.files.0, &image.files.1);
    let target = filled(from, to, meter, medium)?;
    let remedy = "`lamina store verify` says how to have it again";
    let healed = make_sound(&mut target.handle()?, from, &image.wanted, meter)
        .map_err(|damage| damage.at(from, remedy))?;
    if healed > 0 {
        report.line(format_args!(
            "warning: {}: {}, mended by error correction in the copy\nhelp: {remedy}",
            from.display(),
            count(healed, "damaged block")
        ));
    }
    target.publish()
}

/// A whole small file under its name, on the disk. One of the same length, in one sector, is written in place: on FAT a name that is given
/// to another file can be lost. What cannot be opened for that is written anew, which says why where it cannot be.
pub(crate) fn write_small(root: &Path, inside: &Path, bytes: &[u8]) -> Result<()> {
    let path = root.join(inside);
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let in_place = || -> Option<File> {
        let file = File::options().write(true).custom_flags(flags).open(&path).ok()?;
        let found = file.metadata().ok()?;
        let fits = bytes.len() <= sector::LENGTH && found.len() == bytes.len() as u64;
        (found.is_file() && fits).then_some(file)
    };
    match in_place() {
        Some(file) => {
            file.write_all_at(bytes, 0).and_then(|()| file.sync_all()).map_err(Error::on(path.display()))
        }
        None => write(root, inside, bytes),
    }
}

/// A whole small file under a name that it gets when it is on the disk.
pub(crate) fn write(root: &Path, inside: &Path, bytes: &[u8]) -> Result<()> {
    let new = begin(root, inside)?;
    new.handle()?.write_all(bytes).map_err(Error::on(root.join(inside).display()))?;
    new.publish()
}

/// A file on its way to a name below a folder of a medium or a partition.
pub(crate) fn begin(root: &Path, inside: &Path) -> Result<UnnamedFile> {
    begin_at(root, &root.join(inside))
}

fn begin_at(root: &Path, path: &Path) -> Result<UnnamedFile> {
    if let Some(folder) = path.parent() {
        make_folder_on(root, folder)?;
    }
    let new = UnnamedFile::beside(path)?;
    // A medium is read by others than who fills it.
    crate::store::share(&new.handle()?).map_err(Error::on(path.display()))?;
    Ok(new)
}

/// A file with the bytes of another; on file systems that can, the two share their blocks (FICLONE, ioctl_ficlone(2)).
fn filled(from: &Path, to: &Path, meter: &Meter, medium: &Path) -> Result<UnnamedFile> {
    let source = regular_file::open(from)?;
    let target = begin_at(medium, to)?;
    let file = target.handle()?;
    if rustix::fs::ioctl_ficlone(&file, &source).is_err() {
        let mut out = BufWriter::with_capacity(1 << 17, &file);
        let copied = io::copy(&mut meter.reader(&source), &mut out).and_then(|_| out.flush());
        copied.map_err(Error::on(to.display()))?;
    } else {
        meter.advance(source.metadata().map_or(0, |found| found.len()));
    }
    Ok(target)
}

/// Makes a folder on the medium. What a link there leads to is somewhere else, and init follows none.
pub(crate) fn make_folder_on(medium: &Path, folder: &Path) -> Result<()> {
    new_folder::with_parents(medium, Rule::OnTheDisk).map_err(Error::on(medium.display()))?;
    new_folder::beneath(medium, folder, Rule::OnTheDisk).map(drop).map_err(|error| {
        Error::caused(folder.display(), error)
            .remedy("let it be a folder on the medium itself, to which you may write")
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_small_file_of_the_same_length_is_written_in_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in/it");
        let written = |bytes: &[u8]| {
            write_small(folder.path(), Path::new("in/it"), bytes).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
            fs::metadata(&path).unwrap().ino()
        };
        let first = written(&[1; 300]);
        assert_eq!(written(&[2; 300]), first);
        assert_ne!(written(&[3; 301]), first);
        let large = written(&[4; 513]);
        assert_ne!(written(&[5; 513]), large, "more than a sector can be torn");
    }
}
