//! Images on their way to a medium: what arrives is hashed, not what was meant to be sent; and what lies there already is read from
//! the medium itself.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use atomic_file::UnnamedFile;
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

/// Reads what is on the medium under the name of an image. A link counts as damage: init follows none.
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

/// Copies a small file.
pub(crate) fn copy(from: &Path, to: &Path, meter: &Meter, medium: &Path) -> Result<()> {
    filled(from, to, meter, medium)?.publish()
}

/// A file with the bytes of another; on file systems that can, the two share their blocks (FICLONE, ioctl_ficlone(2)).
fn filled(from: &Path, to: &Path, meter: &Meter, medium: &Path) -> Result<UnnamedFile> {
    if let Some(parent) = to.parent() {
        make_folder_on(medium, parent)?;
    }
    let source = regular_file::open(from)?;
    let target = UnnamedFile::beside(to)?;
    let file = target.handle()?;
    // A medium is read by others than who fills it.
    crate::store::share(&file).map_err(Error::on(to.display()))?;
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
