//! The menu entry that a good boot came from: the loader has counted a try in its name, and the name without the count ends that
//! (Boot Loader Specification, "Boot counting").
//!
//! Which entry it was is told by the entry itself: it binds the profile that runs by digest, and names the kernel that runs. Its file
//! lies on a FAT beside the store. FAT may lose a file that a power cut meets while it is renamed: so the new name is a new file, whole and
//! synced before it has the name, and the old file goes last. At every moment one of both is there.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use crate::esp::{self, Fault};
use crate::medium::lock;
use crate::{Result, System};
use boot_entry::paths::{ENTRIES, GRUB_TRIES};
use boot_entry::{BootEntry, EntryFileName, GrubTries};
use boot_report::BootReport;

/// An entry is as long as a kernel command line, and some words.
const MOST_BYTES: u64 = 16 << 10;

/// Ends the counting of the entry that this system was booted from. Returns the names of entries that are not counted any more; none
/// where nobody counts.
///
/// # Errors
/// There is such an entry, and it cannot be written.
pub fn bless(system: &System, report: &BootReport) -> Result<Vec<String>> {
    let Some(profile) = &report.profile else { return Ok(Vec::new()) };
    // Only UEFI has a loader that counts in the names of entries.
    let by_name = system.path("/sys/firmware/efi").exists();
    let _alone = lock(system)?;
    let bound = format!("{}@{}", profile.name, profile.digest);
    let found = esp::first_beside(system, report, |node| {
        let stop = |esp: &Path| stop_counting_in(esp, &bound, &report.kernel, by_name);
        let names = esp::with_mounted(system, node, stop)?;
        Ok((!names.is_empty()).then_some(names))
    })?;
    Ok(found.unwrap_or_default())
}

/// Makes the partition writable where there is something to do.
fn stop_counting_in(esp: &Path, bound: &str, release: &str, by_name: bool) -> Result<Vec<String>, Fault> {
    let booted = booted_entries(esp, bound, release)?;
    let by_grub = counted_by_grub(esp)?.filter(|id| booted.iter().any(|it| it.id == *id));
    let found: Vec<BootedEntry> = booted.into_iter().filter(|it| it.is_counted && by_name).collect();
    if !found.is_empty() || by_grub.is_some() {
        esp::make_writable(esp)?;
    }
    let mut names = found.iter().map(|it| stop_counting(esp, it)).collect::<Result<Vec<_>, _>>()?;
    if let Some(id) = by_grub {
        stop_counting_by_grub(esp)?;
        names.push(format!("{id} (GRUB)"));
    }
    Ok(names)
}

/// The id of the entry that GRUB counts. What is no block counts nothing.
fn counted_by_grub(esp: &Path) -> io::Result<Option<String>> {
    let block = text(&esp.join(GRUB_TRIES))?;
    Ok(block.and_then(|block| GrubTries::parse(&block).ok().flatten()).map(|it| it.entry))
}

/// In place: the block is one sector, and has the same length always.
fn stop_counting_by_grub(esp: &Path) -> io::Result<()> {
    let block = GrubTries::block(None);
    let mut file = File::options().write(true).open(esp.join(GRUB_TRIES))?;
    file.write_all(block.as_bytes())?;
    file.sync_all()
}

/// An entry by which this system may have been booted.
#[derive(Debug, PartialEq, Eq)]
struct BootedEntry {
    file: String,
    id: String,
    /// Whether the name of its file has a count in it.
    is_counted: bool,
}

/// The entries that boot this profile first, with this kernel.
///
/// # Errors
/// There is none among those that can be read, and one that cannot.
fn booted_entries(esp: &Path, bound: &str, release: &str) -> io::Result<Vec<BootedEntry>> {
    let folder = esp.join(ENTRIES);
    let (mut found, mut unread) = (Vec::new(), None);
    for file in esp::entry_names(esp)? {
        let Some(EntryFileName { id, tries }) = EntryFileName::parse(&file) else { continue };
        let text = text(&folder.join(&file)).unwrap_or_else(|error| {
            unread = Some(io::Error::new(error.kind(), format!("{ENTRIES}/{file}: {error}")));
            None
        });
        let Some(Ok(entry)) = text.map(|text| BootEntry::parse(&text)) else { continue };
        let same_kernel = entry.version.as_deref().is_none_or(|version| version == release);
        if entry.candidates().next() == Some(bound) && same_kernel {
            found.push(BootedEntry { file, id, is_counted: tries.is_some() });
        }
    }
    match unread.filter(|_| found.is_empty()) {
        Some(error) => Err(error),
        None => Ok(found),
    }
}

/// Of a file that loaders read; `None` of what is none.
fn text(path: &Path) -> io::Result<Option<Vec<u8>>> {
    use ErrorKind::{InvalidData, IsADirectory, NotADirectory, NotFound};
    match read(path) {
        Err(error) if matches!(error.kind(), NotFound | NotADirectory | IsADirectory | InvalidData) => {
            Ok(None)
        }
        read => read.map(Some),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MOST_BYTES {
        true => Err(ErrorKind::InvalidData.into()),
        false => Ok(bytes),
    }
}

/// Gives the entry the name without a count; returns that.
fn stop_counting(esp: &Path, counted: &BootedEntry) -> Result<String, Fault> {
    let folder = esp.join(ENTRIES);
    let (old, new) = (folder.join(&counted.file), format!("{}.conf", counted.id));
    // Not by the crate `atomic-file`, which would be 20 KB more of PID 1: nobody else writes here, and FAT knows no files without a name.
    let part = folder.join(format!(".{}.new", counted.id));
    let mut file = File::create(&part)?;
    file.write_all(&read(&old)?)?;
    file.sync_all()?;
    fs::rename(&part, folder.join(&new))?;
    // The new name has neither length nor blocks until the file is written once more (`vfat_rename` of the kernel's fs/fat/namei_vfat.c).
    let _ = file.set_permissions(file.metadata()?.permissions());
    file.sync_all()?;
    File::open(&folder)?.sync_all()?;
    fs::remove_file(&old)?;
    File::open(&folder)?.sync_all()?;
    Ok(new)
}

#[cfg(test)]
mod tests {
    use profiles::Digest;

    use super::*;

    fn counted_entries(esp: &Path, bound: &str, release: &str) -> io::Result<Vec<BootedEntry>> {
        let booted = booted_entries(esp, bound, release)?;
        Ok(booted.into_iter().filter(|it| it.is_counted).collect())
    }

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes()).unwrap().0
    }

    /// An EFI system partition that is a folder, with these files of entries.
    fn esp(entries: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(ENTRIES)).unwrap();
        for (name, text) in entries {
            fs::write(folder.path().join(ENTRIES).join(name), text).unwrap();
        }
        folder
    }

    fn entry(profile: &str, kernel: &str) -> String {
        let digest = digest(profile);
        format!(
            "title x\nversion {kernel}\nlinux /linux\noptions lamina.profile={profile}@{digest} lamina.fallback=other@{digest}\n"
        )
    }

    #[test]
    fn only_the_entry_that_was_booted_is_counted_no_more() {
        let folder = esp(&[
            ("lamina-web-2+1-2.conf", &entry("web", "6.1")),
            ("lamina-web-2-old+2-1.conf", &entry("web", "5.10")),
            ("lamina-web-1.conf", &entry("web", "6.1")),
            ("lamina-mail-2+2-1.conf", &entry("mail", "6.1")),
            ("lamina-other-2+2-1.conf", &entry("unlike", "6.1")),
            ("debian+3.conf", "title x\nlinux /vmlinuz\n"),
            ("broken+3.conf", "\u{fffd}"),
        ]);
        let bound = format!("web@{}", digest("web"));
        let found = counted_entries(folder.path(), &bound, "6.1").unwrap();
        assert_eq!(found.iter().map(|it| it.file.as_str()).collect::<Vec<_>>(), ["lamina-web-2+1-2.conf"]);
        assert_eq!(stop_counting(folder.path(), &found[0]).ok().unwrap(), "lamina-web-2.conf");
        let text = fs::read_to_string(folder.path().join(ENTRIES).join("lamina-web-2.conf")).unwrap();
        assert_eq!(text, entry("web", "6.1"));
        let mut left: Vec<_> =
            fs::read_dir(folder.path().join(ENTRIES)).unwrap().map(|it| it.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left.len(), 7);
        assert!(!left.iter().any(|name| name == "lamina-web-2+1-2.conf"), "{left:?}");
        assert_eq!(counted_entries(folder.path(), &bound, "6.1").unwrap(), []);
        assert_eq!(counted_entries(&folder.path().join("none"), &bound, "6.1").unwrap(), []);
    }

    #[test]
    fn grub_counts_no_more_what_was_booted_and_goes_on_with_what_was_not() {
        for (counted, ends) in [("lamina-web-2", true), ("lamina-web-1", false), ("", false)] {
            let folder = esp(&[
                ("lamina-web-2.conf", &entry("web", "6.1")),
                ("lamina-web-1.conf", &entry("older", "6.1")),
            ]);
            let block = folder.path().join(GRUB_TRIES);
            fs::create_dir_all(block.parent().unwrap()).unwrap();
            let before = match counted {
                "" => "no block".to_owned(),
                id => GrubTries::block(Some(&GrubTries::of(id, 2))),
            };
            fs::write(&block, &before).unwrap();
            let booted = booted_entries(folder.path(), &format!("web@{}", digest("web")), "6.1").unwrap();
            let found =
                counted_by_grub(folder.path()).unwrap().filter(|id| booted.iter().any(|it| it.id == *id));
            assert_eq!(found.is_some(), ends, "{counted}");
            if ends {
                stop_counting_by_grub(folder.path()).unwrap();
                assert_eq!(GrubTries::parse(&fs::read(&block).unwrap()), Ok(None));
            }
        }
    }

    /// A link that leads to itself can be opened by nobody, root neither.
    #[test]
    fn what_was_booted_is_not_passed_over_because_it_cannot_be_read() {
        let folder = esp(&[("lamina-web-2+1-2.conf", &entry("web", "6.1"))]);
        let entries = folder.path().join(ENTRIES);
        for (name, target) in [("lamina-web-1+2-1.conf", "lamina-web-1+2-1.conf"), ("gone.conf", "nowhere")] {
            std::os::unix::fs::symlink(target, entries.join(name)).unwrap();
        }
        fs::create_dir(entries.join("folder.conf")).unwrap();
        fs::write(entries.join("long.conf"), " ".repeat(20_000)).unwrap();
        let bound = |name: &str| format!("{name}@{}", digest(name));
        assert_eq!(booted_entries(folder.path(), &bound("web"), "6.1").unwrap().len(), 1);
        let error = booted_entries(folder.path(), &bound("mail"), "6.1").unwrap_err().to_string();
        assert!(error.contains("loader/entries/lamina-web-1+2-1.conf: "), "{error}");
        fs::remove_file(entries.join("lamina-web-1+2-1.conf")).unwrap();
        assert_eq!(booted_entries(folder.path(), &bound("mail"), "6.1").unwrap(), []);

        let block = folder.path().join(GRUB_TRIES);
        fs::create_dir_all(block.parent().unwrap()).unwrap();
        assert_eq!(counted_by_grub(folder.path()).unwrap(), None);
        std::os::unix::fs::symlink(block.file_name().unwrap(), &block).unwrap();
        assert!(counted_by_grub(folder.path()).is_err());
    }

    #[test]
    fn a_folder_of_entries_that_cannot_be_listed_is_not_one_without() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(esp::entry_names(folder.path()).unwrap(), Vec::<String>::new());
        fs::write(folder.path().join("loader"), "a file").unwrap();
        assert_eq!(esp::entry_names(folder.path()).unwrap(), Vec::<String>::new());
        fs::remove_file(folder.path().join("loader")).unwrap();
        std::os::unix::fs::symlink("loader", folder.path().join("loader")).unwrap();
        assert!(esp::entry_names(folder.path()).is_err());
    }

    /// A power cut between both files of an earlier blessing.
    #[test]
    fn a_blessing_that_was_cut_short_is_ended() {
        let text = entry("web", "6.1");
        let folder = esp(&[("lamina-web-2+1-2.conf", &text), ("lamina-web-2.conf", "half")]);
        let bound = format!("web@{}", digest("web"));
        for entry in counted_entries(folder.path(), &bound, "6.1").unwrap() {
            assert_eq!(stop_counting(folder.path(), &entry).ok().unwrap(), "lamina-web-2.conf");
        }
        let entries = folder.path().join(ENTRIES);
        assert_eq!(fs::read_to_string(entries.join("lamina-web-2.conf")).unwrap(), text);
        assert_eq!(fs::read_dir(entries).unwrap().count(), 1);
    }
}
