//! Carries out a plan. Every file appears under a new name, whole and on the disk, before the next step; what loaders choose by is one
//! sector, which is written in place.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use atomic_file::UnnamedFile;
use boot_entry::sector;
use boot_store::layout;
use cli::progress::Progress;
use disk_image::DiskFile;
use nix::fcntl::OFlag;
use profiles::{Digest, Name};

use super::plan::SystemPlan;
use super::step::Step;
use super::target::Target;
use crate::error::{Error, Result};
use crate::medium::{MediumImage, copying, make_slots, retention};
use crate::report::Report;

/// Carries out all steps; `before` is asked before each of them, and stops it by an error.
///
/// # Errors
/// A step failed, or was stopped. Those before it are done and remain: the same command goes on from there.
pub fn carry_out(
    plan: &SystemPlan,
    target: &Target,
    report: &Report,
    before: &mut dyn FnMut(&Step) -> Result<()>,
) -> Result<()> {
    for step in &plan.steps {
        before(step)?;
        report.detail(format_args!("{step}"));
        one(step, target, report)?;
    }
    Ok(())
}

/// Marks a generation as one that stays, or takes the mark away.
///
/// # Errors
/// The medium cannot be written to.
pub fn mark_kept(target: &Target, profile: &Name, number: u64, stays: bool) -> Result<()> {
    let mark = layout::kept_mark_of(&layout::profile(profile, number));
    match stays {
        true => write(&target.store, &mark, b""),
        false => retention::remove(&target.store, &[mark]),
    }
}

fn one(step: &Step, target: &Target, report: &Report) -> Result<()> {
    match step {
        Step::CheckImages(images) => check_images(images, target, report),
        Step::CopyImage(image, what) => {
            let meter =
                report.progress().passes(format!("copying {what}"), image.wanted.size, 2 * image.wanted.size);
            copying::copy_image(image, &meter, report, &target.store)
        }
        Step::MakeSlots => make_slots(&target.store),
        Step::WriteOnMedium(path, bytes) => write(&target.store, path, bytes),
        Step::CopyBootFile(file) => copy_boot_file(&target.esp, file, report),
        Step::CheckBootFile(file) => match is_sound(&target.esp.join(&file.path), file) {
            true => Ok(()),
            false => copy_boot_file(&target.esp, file, report),
        },
        Step::WriteOnEsp(path, bytes) => write(&target.esp, Path::new(path), bytes),
        Step::Choose(path, bytes) => write_in_place(&target.esp, Path::new(path), bytes),
        Step::RemoveFromEsp(path) => retention::remove(&target.esp, &[PathBuf::from(path)]),
        Step::RemoveFromMedium(path) => retention::remove(&target.store, std::slice::from_ref(path)),
    }
}

fn check_images(images: &[MediumImage], target: &Target, report: &Report) -> Result<()> {
    let bytes: u64 = images.iter().map(|image| image.wanted.size).sum();
    let mut damaged = Vec::new();
    {
        let meter = report.progress().meter("checking images of the medium", bytes);
        damaged.extend(images.iter().filter(|image| copying::look(image, &meter) != copying::Found::Sound));
    }
    for image in damaged {
        copying::copy_image(image, &Progress::Silent.work("copying"), report, &target.store)?;
        let path = image.files.1.display();
        report.line(format_args!("warning: {path}: was damaged on the medium, and was put there again"));
    }
    Ok(())
}

/// A whole small file under its name, on the disk.
fn write(root: &Path, inside: &Path, bytes: &[u8]) -> Result<()> {
    let new = begin(root, inside)?;
    new.handle()?.write_all(bytes).map_err(Error::on(root.join(inside).display()))?;
    new.publish()
}

fn begin(root: &Path, inside: &Path) -> Result<UnnamedFile> {
    let path = root.join(inside);
    if let Some(folder) = path.parent() {
        copying::make_folder_on(root, folder)?;
    }
    let new = UnnamedFile::beside(&path)?;
    crate::store::share(&new.handle()?).map_err(Error::on(path.display()))?;
    Ok(new)
}

/// Whether a kernel or an initramfs that is there is what its name says.
fn is_sound(path: &Path, file: &DiskFile) -> bool {
    let found = crate::store::opening::file(path).and_then(Digest::of);
    found.is_ok_and(|(digest, _)| file.digest == Some(digest))
}

/// A kernel or an initramfs: what arrived is hashed.
fn copy_boot_file(esp: &Path, file: &DiskFile, report: &Report) -> Result<()> {
    let path = esp.join(&file.path);
    let new = begin(esp, Path::new(&file.path))?;
    let mut handle = new.handle()?;
    let length = file.content.length();
    let meter = report.progress().passes(format!("copying {}", file.path), length, 2 * length);
    let source = file.content.open().map_err(Error::on(&file.path))?;
    io::copy(&mut meter.reader(source.take(length)), &mut handle).map_err(Error::on(path.display()))?;
    let hashed = handle.rewind().and_then(|()| Digest::of(meter.reader(handle)));
    let (digest, _) = hashed.map_err(Error::on(path.display()))?;
    if file.digest.is_some_and(|meant| meant != digest) {
        let cause = format!(
            "its SHA-256 is {}, and its name says another: it changed while it was copied",
            digest.hex()
        );
        return Err(Error::new(path.display(), cause).remedy("run the same command again"));
    }
    new.publish()
}

/// One sector, in place: neither a name nor a length nor a cluster changes. A file of another length, which an older Lamina or somebody
/// else wrote, is replaced this once.
fn write_in_place(root: &Path, inside: &Path, bytes: &[u8]) -> Result<()> {
    let path = root.join(inside);
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file = match File::options().write(true).custom_flags(flags).open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return write(root, inside, bytes),
        file => file.map_err(Error::on(path.display()))?,
    };
    let found = file.metadata().map_err(Error::on(path.display()))?;
    if !found.is_file() || found.len() != sector::LENGTH as u64 || bytes.len() != sector::LENGTH {
        return write(root, inside, bytes);
    }
    file.write_all_at(bytes, 0).and_then(|()| file.sync_all()).map_err(Error::on(path.display()))
}
