//! A disk that is looked at without a mount: its small files as copies in a temporary folder, its large ones as empty files of their
//! length until somebody wants what is in them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Component, Path, PathBuf};

use boot_entry::paths::{BOOT_FILES, ENTRIES, GRUB, GRUB_CFG, LOADER_CONF, UEFI_PROGRAM};
use boot_store::layout::{self, DEFAULT_FOLDER};
use disk_image::read::{DiskReader, EspReader, MOST_TEXT};
use ext4_view::{Ext4, Ext4Error, Metadata};
use profiles::Digest;

use super::opening;
use crate::error::{Error, Result};
use crate::scratch::temporary::TemporaryFolder;
use crate::system::room::FreeRoom;

/// A folder with more names is refused: each would become a file.
const MOST_NAMES: usize = 65_536;

/// The folders that stand in for the two partitions of a disk: `fill_…` puts the bytes into a large file.
pub struct DiskCopies {
    folder: TemporaryFolder,
    /// `None` where the store is none of the copies.
    store: Option<Ext4>,
    esp: EspReader,
    /// Of the EFI system partition.
    pub esp_room: FreeRoom,
    /// Of the store.
    pub store_room: FreeRoom,
    filled: BTreeSet<PathBuf>,
}

impl std::fmt::Debug for DiskCopies {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("DiskCopies").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl DiskCopies {
    /// Reads the disk.
    ///
    /// # Errors
    /// It has no partition table, or not both partitions; a file system is damaged; there is no room for copies.
    pub fn read(path: &Path) -> Result<DiskCopies> {
        let disk = opening::look(path)?;
        let named = |error: Error| {
            let remedy =
                error.known_remedy().unwrap_or("`lamina disk inspect` says what is damaged").to_owned();
            Error::new(path.display(), format!("{}: {}", error.object(), error.cause())).remedy(remedy)
        };
        let both = || -> Result<DiskCopies> {
            let (store, room) = (disk.store()?, disk.store_room()?);
            let mut copies = DiskCopies::of_esp(&disk)?;
            copies.store_room = FreeRoom { free: room.0, cluster: room.1 };
            copies.copy_store(&store)?;
            copies.store = Some(store);
            Ok(copies)
        };
        both().map_err(named)
    }

    /// Reads the EFI system partition of a disk alone.
    ///
    /// # Errors
    /// There is none, or it is damaged; files of it share clusters.
    pub fn of_esp(disk: &DiskReader) -> Result<DiskCopies> {
        let esp = disk.esp()?;
        let (free, cluster) = esp.room()?;
        // What is read of such files is not what belongs to them, and to free what one of them has takes it from the other.
        if let Some(shared) = esp.shared_clusters()?.first() {
            return Err(shared.damage());
        }
        let folder = TemporaryFolder::make("disk")?;
        let (esp_room, store_room) = (FreeRoom { free, cluster }, FreeRoom { free: 0, cluster: 1 });
        let copies = DiskCopies { folder, store: None, esp, esp_room, store_room, filled: BTreeSet::new() };
        copies.copy_esp()?;
        Ok(copies)
    }

    /// The folder in place of the store's file system.
    pub fn medium(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// The folder in place of the EFI system partition.
    pub fn esp(&self) -> PathBuf {
        self.folder.path().join("esp")
    }

    /// Puts into the files of images what is in them on the disk.
    ///
    /// # Errors
    /// One cannot be read; there is no room for it.
    pub fn fill_images(&mut self, digests: impl IntoIterator<Item = Digest>) -> Result<()> {
        let medium = self.medium();
        let Some(store) = &self.store else { return Ok(()) };
        for digest in digests {
            let inside = Path::new(DEFAULT_FOLDER).join(layout::image(&digest));
            if !self.filled.insert(inside.clone()) {
                continue;
            }
            let target = medium.join(&inside);
            if !target.is_file() {
                continue;
            }
            let path = format!("/{}", inside.display());
            let mut source = store.open(path.as_str()).map_err(Error::on(&path))?;
            let mut file = File::create(&target).map_err(Error::on(target.display())).map_err(in_copies)?;
            io::copy(&mut source, &mut file).map_err(Error::on(&path)).map_err(in_copies)?;
        }
        Ok(())
    }

    /// The same for files of the EFI system partition.
    ///
    /// # Errors
    /// Likewise.
    pub fn fill_on_esp(&mut self, paths: impl IntoIterator<Item = String>) -> Result<()> {
        for path in paths {
            let target = below(&self.esp(), Path::new(&path))?;
            make_folder(target.parent().unwrap_or(Path::new("/")))?;
            let mut file = File::create(&target).map_err(Error::on(target.display())).map_err(in_copies)?;
            self.esp.copy(&path, &mut file).map_err(in_copies)?;
        }
        Ok(())
    }

    /// The same for the program that UEFI starts, where there is one.
    ///
    /// # Errors
    /// Likewise.
    pub fn fill_loader(&mut self) -> Result<()> {
        match self.esp.has(UEFI_PROGRAM) {
            true => self.fill_on_esp([UEFI_PROGRAM.to_owned()]),
            false => Ok(()),
        }
    }

    fn copy_store(&self, store: &Ext4) -> Result<()> {
        let profiles = Path::new(DEFAULT_FOLDER).join(layout::PROFILES);
        make_folder(&self.medium().join(&profiles))?;
        for (profile, kind) in entries(store, &profiles, MOST_NAMES)? {
            let folder = profiles.join(&profile);
            match kind {
                Kind::Folder => {
                    make_folder(&below(&self.medium(), &folder)?)?;
                    self.copy_texts(store, &folder)?;
                }
                // A link to a folder must stay what nobody can list.
                Kind::Other => self.put_link(&folder)?,
                Kind::File(length) => self.copy_text(store, &folder, length)?,
            }
        }
        self.copy_texts(store, &Path::new(DEFAULT_FOLDER).join("boot"))?;
        let images = Path::new(DEFAULT_FOLDER).join(layout::IMAGES);
        for (name, kind) in entries(store, &images, MOST_NAMES)? {
            let path = images.join(name);
            match kind {
                Kind::File(length) => empty(&below(&self.medium(), &path)?, length)?,
                Kind::Folder => make_folder(&below(&self.medium(), &path)?)?,
                Kind::Other => self.put_link(&path)?,
            }
        }
        Ok(())
    }

    fn copy_texts(&self, store: &Ext4, folder: &Path) -> Result<()> {
        for (name, kind) in entries(store, folder, MOST_NAMES)? {
            let inside = folder.join(name);
            match kind {
                Kind::Folder => make_folder(&below(&self.medium(), &inside)?)?,
                Kind::Other => self.put_link(&inside)?,
                Kind::File(length) => self.copy_text(store, &inside, length)?,
            }
        }
        Ok(())
    }

    fn copy_text(&self, store: &Ext4, inside: &Path, length: u64) -> Result<()> {
        let target = below(&self.medium(), inside)?;
        if length > MOST_TEXT {
            return empty(&target, length);
        }
        let path = format!("/{}", inside.display());
        let file = store.open(path.as_str()).map_err(Error::on(&path))?;
        let mut bytes = Vec::new();
        file.take(MOST_TEXT).read_to_end(&mut bytes).map_err(Error::on(&path))?;
        put(&target, &bytes)
    }

    fn put_link(&self, inside: &Path) -> Result<()> {
        let target = below(&self.medium(), inside)?;
        make_folder(target.parent().unwrap_or(Path::new("/")))?;
        std::os::unix::fs::symlink("nowhere", &target).map_err(Error::on(target.display()))
    }

    fn copy_esp(&self) -> Result<()> {
        make_folder(&self.esp())?;
        for folder in [ENTRIES, GRUB, BOOT_FILES] {
            for name in self.esp.names(folder)? {
                let path = format!("{folder}/{name}");
                self.copy_of_esp(&path, folder != BOOT_FILES)?;
            }
        }
        let chosen = [LOADER_CONF, GRUB_CFG].into_iter().filter(|path| self.esp.has(path));
        chosen.into_iter().try_for_each(|path| self.copy_of_esp(path, true))
    }

    fn copy_of_esp(&self, path: &str, is_text: bool) -> Result<()> {
        let target = below(&self.esp(), Path::new(path))?;
        match self.esp.length(path)? {
            None => make_folder(&target),
            Some(length) if is_text && length <= MOST_TEXT => put(&target, &self.esp.read(path)?),
            Some(length) => empty(&target, length),
        }
    }
}

/// Where a copy lies. What names it is a disk of somebody: an entry's path, and names of a FAT, can have any characters.
fn below(folder: &Path, inside: &Path) -> Result<PathBuf> {
    match inside.components().all(|it| matches!(it, Component::Normal(_))) {
        true => Ok(folder.join(inside)),
        false => Err(Error::new(inside.display(), "on the disk leads out of its partition")
            .remedy("nothing of Lamina is called so: look at where this disk comes from")),
    }
}

/// What is in a folder of the store, but for names that are no text: Lamina has given none. Nothing where the folder is missing.
///
/// One pass: to look a name up reads the folder from its beginning.
fn entries(store: &Ext4, inside: &Path, most: usize) -> Result<Vec<(String, Kind)>> {
    let path = format!("/{}", inside.display());
    let read = || -> Result<Option<Vec<_>>, Ext4Error> {
        let (mut entries, mut count) = (Vec::new(), 0);
        for entry in store.read_dir(path.as_str())? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.as_str(), Ok("." | "..")) {
                continue;
            }
            count += 1;
            if count > most {
                return Ok(None);
            }
            if let Ok(name) = name.as_str() {
                entries.push((name.to_owned(), Kind::of(&entry.metadata()?)));
            }
        }
        Ok(Some(entries))
    };
    match read() {
        Ok(Some(entries)) => Ok(entries),
        Ok(None) => Err(Error::new(&path, format!("has more than {most} entries, too many to be copied"))
            .remedy(
                "mount the disk and remove what is no file of Lamina there, or give `--medium DIR --esp DIR`",
            )),
        Err(Ext4Error::NotFound) => Ok(Vec::new()),
        Err(error) => Err(Error::on(&path)(error)),
    }
}

enum Kind {
    /// Its length in bytes.
    File(u64),
    Folder,
    Other,
}

impl Kind {
    fn of(found: &Metadata) -> Kind {
        match found.file_type() {
            kind if kind.is_dir() => Kind::Folder,
            kind if kind.is_regular_file() => Kind::File(found.len()),
            _ => Kind::Other,
        }
    }
}

/// The disk is read, and its copies are written: only those can have no room.
fn in_copies(error: Error) -> Error {
    let is_full = |said: &io::Error| matches!(said.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    match error.system_said().filter(is_full) {
        None => error,
        Some(said) => {
            Error::new(std::env::temp_dir().display(), format!("copies of what the disk holds: {said}"))
                .because_of(said)
                .remedy("make room there, or set TMPDIR to a folder with room")
        }
    }
}

fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(Error::on(folder.display())).map_err(in_copies)
}

fn put(target: &Path, bytes: &[u8]) -> Result<()> {
    make_folder(target.parent().unwrap_or(Path::new("/")))?;
    let written = File::create(target).and_then(|mut file| file.write_all(bytes));
    written.map_err(Error::on(target.display())).map_err(in_copies)
}

/// A hole of a file.
fn empty(target: &Path, length: u64) -> Result<()> {
    make_folder(target.parent().unwrap_or(Path::new("/")))?;
    let made = File::create(target).and_then(|file| file.set_len(length));
    made.map_err(Error::on(target.display())).map_err(in_copies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_too_many_names_is_refused_and_not_cut() {
        let folder = tempfile::tempdir().unwrap();
        let (files, image) = (folder.path().join("files"), folder.path().join("image"));
        fs::create_dir_all(files.join("all")).unwrap();
        (0..7).for_each(|number| fs::write(files.join(format!("all/{number}")), "x").unwrap());
        let made =
            std::process::Command::new(disk_image::programs::find_program("mkfs.ext4", "e2fsprogs").unwrap())
                .args(["-q", "-d"])
                .args([&files, &image])
                .arg("1M")
                .status();
        assert!(made.unwrap().success());
        let store = disk_image::ext4::open(&File::open(&image).unwrap(), 0, 1 << 20).unwrap();
        let names = |most| entries(&store, Path::new("all"), most).map(|it| it.len());
        assert_eq!((names(7).unwrap(), names(8).unwrap()), (7, 7));
        for most in [0, 4, 6] {
            let error = names(most).err().unwrap().to_string();
            assert!(error.starts_with(&format!("/all: has more than {most} entries")), "{error}");
        }
    }

    #[test]
    fn nothing_that_a_disk_says_leads_out_of_the_copy() {
        let folder = Path::new("/tmp/copy/esp");
        assert_eq!(
            below(folder, Path::new("lamina/linux-1")).unwrap(),
            Path::new("/tmp/copy/esp/lamina/linux-1")
        );
        for path in ["../../home/x", "/etc/passwd", "lamina/../../x", ".."] {
            let error = below(folder, Path::new(path)).unwrap_err().to_string();
            assert!(error.contains("leads out of its partition\nhelp: "), "{error}");
        }
    }
}
