//! Carries out a plan. Every file appears under a new name, whole and on the disk, before the next step; what loaders choose by is one
//! sector, which is written in place.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use boot_entry::paths;
use boot_store::layout;
use cli::numbers::human_size;
use cli::progress::Progress;
use disk_image::DiskFile;

use super::esp_files::EspFiles;
use super::installed::Installed;
use super::plan::SystemPlan;
use super::room::FreeRoom;
use super::step::{ANOTHER_KERNEL, Step};
use super::target::Target;
use crate::error::{Error, Result};
use crate::medium::contents::InstalledGeneration;
use crate::medium::{MediumImage, copying, make_slots};
use crate::removing;
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
    let folders = [&target.store, &target.esp].map(|path| (path, identity(path)));
    for (at, step) in plan.steps.iter().enumerate() {
        before(step)?;
        report.detail(format_args!("{step}"));
        if let Some((path, _)) = folders.iter().find(|(path, was)| was.is_none() || identity(path) != *was) {
            return Err(Error::new(path.display(), "is not mounted any more")
                .remedy("mount it again; the same command goes on from there"));
        }
        one(step, &plan.steps[at + 1..], target, report)?;
    }
    Ok(())
}

/// Device and inode: what is written below a folder whose file system was taken away would go into the one below. So it may where nobody can tell.
fn identity(folder: &Path) -> Option<(u64, u64)> {
    fs::metadata(folder).ok().map(|it| (it.dev(), it.ino()))
}

/// Marks a generation as one that stays, or takes the mark away.
///
/// # Errors
/// The medium cannot be written to; something that is no file has the name of the mark.
pub fn mark_kept(
    target: &Target,
    installed: &Installed,
    kept: &InstalledGeneration,
    stays: bool,
) -> Result<()> {
    let mark = layout::kept_mark_of(&layout::profile(&kept.profile, kept.number));
    if installed.medium.no_files.contains(&mark) {
        return Err(Error::new(mark.display(), "is no regular file, and is not what keeps a generation")
            .remedy("remove it, or give it another name"));
    }
    match stays {
        true => copying::write(&target.store, &mark, b""),
        false => removing::remove(&target.store, &[mark]),
    }
}

/// Of the steps after it what they bring counts: damage is told before anything is written when there is no room to mend it.
fn one(step: &Step, later: &[Step], target: &Target, report: &Report) -> Result<()> {
    match step {
        Step::CheckImages(images) => check_images(images, later, target, report),
        Step::CopyImage(image, what) => {
            let meter =
                report.progress().passes(format!("copying {what}"), image.wanted.size, 2 * image.wanted.size);
            copying::copy_image(image, &meter, report, &target.store)
        }
        Step::MakeSlots => make_slots(&target.store),
        Step::WriteOnMedium(path, bytes) => copying::write_small(&target.store, path, bytes),
        Step::CopyBootFile(file) => EspFiles::of(target).copy_boot_file(file, report),
        Step::CheckBootFile(file) => check_boot_file(file, later, target, report),
        Step::ReadBootFile(path) => read_boot_file(path, target),
        Step::WriteOnEsp(path, bytes) => EspFiles::of(target).write(path, bytes),
        Step::Choose(path, bytes) => EspFiles::of(target).choose(path, bytes),
        Step::RemoveFromEsp(path) => EspFiles::of(target).remove(path),
        Step::RemoveFromMedium(path) => removing::remove(&target.store, std::slice::from_ref(path)),
    }
}

fn check_images(images: &[MediumImage], later: &[Step], target: &Target, report: &Report) -> Result<()> {
    let bytes: u64 = images.iter().map(|image| image.wanted.size).sum();
    let mut damaged = Vec::new();
    {
        let meter = report.progress().meter("checking images of the medium", bytes);
        damaged.extend(images.iter().filter(|image| copying::look(image, &meter) != copying::Found::Sound));
    }
    // FreeRoom that nobody can tell of is not counted on.
    let length =
        |image: &&MediumImage| (image.wanted.size, fs::metadata(&image.files.1).map_or(0, |it| it.len()));
    let replaced: Vec<(u64, u64)> = damaged.iter().map(length).collect();
    let coming = later.iter().map(|step| match step {
        Step::CopyImage(image, _) => image.wanted.size,
        _ => 0,
    });
    let on_it = damaged.first().map(|image| image.files.1.display().to_string()).unwrap_or_default();
    refuse_without_room(target.room()?, ("the medium", &on_it), &replaced, coming)?;
    for image in damaged {
        copying::copy_image(image, &Progress::Silent.work("copying"), report, &target.store)?;
        let path = image.files.1.display();
        report.line(format_args!("warning: {path}: was damaged on the medium, and was put there again"));
    }
    Ok(())
}

/// Files that are damaged are put there again, each beside the damaged one (lengths of the new and of the old), and others come after them.
fn refuse_without_room(
    room: FreeRoom,
    (place, damaged): (&str, &str),
    replaced: &[(u64, u64)],
    coming: impl Iterator<Item = u64>,
) -> Result<()> {
    let taken = room.most_taken(replaced, coming);
    if replaced.is_empty() || taken <= room.free {
        return Ok(());
    }
    let (free, taken) = (human_size(room.free), human_size(taken));
    let cause = format!(
        "has {free} free, and {taken} are needed: {damaged} is damaged, and is written anew before it goes"
    );
    Err(Error::new(place, cause)
        .remedy("`lamina system gc --keep 1` says what can go, and removes it; or remove the damaged file"))
}

fn check_boot_file(file: &DiskFile, later: &[Step], target: &Target, report: &Report) -> Result<()> {
    let esp = EspFiles::of(target);
    if esp.is_sound(file) {
        return Ok(());
    }
    let old = esp.length(&file.path);
    let coming = later.iter().map(|step| match step {
        Step::CopyBootFile(file) => file.content.length(),
        Step::WriteOnEsp(_, bytes) => bytes.len() as u64,
        _ => 0,
    });
    let place = ("the EFI system partition", file.path.as_str());
    refuse_without_room(target.esp_room()?, place, &[(file.content.length(), old)], coming)?;
    esp.copy_boot_file(file, report)?;
    let path = esp.shown(&file.path);
    report.line(format_args!("warning: {path}: was damaged on the ESP, and was put there again"));
    Ok(())
}

fn read_boot_file(path: &str, target: &Target) -> Result<()> {
    let files = EspFiles::of(target);
    let shown = files.shown(path);
    let found = files.digest(path).map_err(|error| Error::on(&shown)(error).remedy(ANOTHER_KERNEL))?;
    match paths::digest_of_boot_file(path) == Some(found) {
        true => Ok(()),
        false => Err(Error::new(
            shown,
            "is damaged: it is not what its name says, and what comes would start with it",
        )
        .remedy(ANOTHER_KERNEL)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_without_the_room_to_mend_it_is_refused() {
        let refused = |free, replaced: &[(u64, u64)], coming: &[u64]| {
            let room = FreeRoom { free, cluster: 512 };
            refuse_without_room(room, ("the medium", "images/x"), replaced, coming.iter().copied())
        };
        assert!(refused(0, &[], &[512]).is_ok(), "the plan has counted it");
        assert!(refused(1024, &[(1024, 1024), (512, 512)], &[1024]).is_ok());
        let why = refused(512, &[(1024, 1024)], &[]).unwrap_err().to_string();
        assert!(
            why.starts_with("the medium: has 512 B free, and 1.0 KiB are needed: images/x is damaged"),
            "{why}"
        );
        assert!(refused(1024, &[(1024, 1024)], &[2048]).is_err());
    }
}
