//! What lies on an EFI system partition: entries, what the loaders show, kernels, and how much room there is.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use boot_entry::entry::listed_at;
use boot_entry::paths::{self, BOOT_FILES, ENTRIES, GRUB, GRUB_CFG, LOADER_CONF};
use boot_entry::{BootEntry, EntryFileName, LoaderConf, grub};
use nix::sys::statvfs::statvfs;
use stack::beneath::Directory;

use crate::error::{Error, Result};

/// More of an entry, or of a loader's file, is not read.
const MOST_TEXT: u64 = 1 << 16;
/// More names of a folder are not read.
const MOST_NAMES: usize = 4_096;

/// One file of `loader/entries`.
#[derive(Debug, Clone)]
pub struct EspEntry {
    /// The name of its file as it is there: tries can be spelled in several ways.
    pub file: String,
    /// Its name, taken apart.
    pub name: EntryFileName,
    /// Its text.
    pub text: Vec<u8>,
    /// What it says, or why it says nothing.
    pub entry: Result<BootEntry, String>,
}

/// What GRUB shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grub {
    /// There is no `grub.cfg`: this loader is not on the partition.
    Absent,
    /// The menu of this file name.
    Shows(String),
    /// Something that was written otherwise.
    Other,
}

/// Free space of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// In bytes.
    pub free: u64,
    /// What a file is rounded up to, in bytes.
    pub cluster: u64,
}

impl Room {
    /// Of the file system of a folder.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn of(folder: &Path) -> Result<Room> {
        let found = statvfs(folder).map_err(Error::on(folder.display()))?;
        let cluster = found.fragment_size().max(1);
        Ok(Room { free: found.blocks_available() * cluster, cluster })
    }

    /// What a file of this length takes.
    pub fn taken_by(self, length: u64) -> u64 {
        length.div_ceil(self.cluster) * self.cluster
    }
}

/// An EFI system partition.
#[derive(Debug, Clone)]
pub struct Esp {
    /// In the order in which systemd-boot shows them.
    pub entries: Vec<EspEntry>,
    /// Of systemd-boot; `None` where there is no such file.
    pub loader_conf: Option<LoaderConf>,
    /// What GRUB shows.
    pub grub: Grub,
    /// Menus for GRUB, by file name.
    pub grub_menus: BTreeSet<String>,
    /// Kernels and initramfs files: path from the root of the partition, and length in bytes.
    pub boot_files: BTreeMap<String, u64>,
    /// How much fits.
    pub room: Room,
}

impl Esp {
    /// Reads the partition that is mounted at a folder, or a folder that looks like one.
    ///
    /// # Errors
    /// It cannot be read. What others wrote, or what is damaged, stands in the result.
    pub fn read(folder: &Path) -> Result<Esp> {
        let directory = Directory::open(folder, Path::new("")).map_err(Error::on(folder.display()))?;
        let on = |inside: &str| {
            let path = folder.join(inside).display().to_string();
            move |why: io::Error| of_partition(path, why)
        };
        let mut entries = Vec::new();
        for file in names(&directory, ENTRIES).map_err(on(ENTRIES))? {
            let Some(name) = EntryFileName::parse(&file).filter(|_| !file.starts_with('.')) else { continue };
            let path = paths::entry(&file);
            let (text, entry) = match read(&directory, &path) {
                Ok(Some(text)) => {
                    let entry = BootEntry::parse(&text).map_err(|why| why.to_string());
                    (text, entry)
                }
                Ok(None) => continue,
                // A folder or a link under the name of an entry. What is there and cannot be read is none of these: it may be whole.
                Err(why) if why.kind() == ErrorKind::InvalidInput => (Vec::new(), Err(why.to_string())),
                Err(why) => return Err(on(&path)(why)),
            };
            entries.push(EspEntry { file, name, text, entry });
        }
        entries.sort_by_cached_key(|it: &EspEntry| listed_at(&it.name, it.entry.as_ref().ok()));
        let conf = read(&directory, LOADER_CONF).map_err(on(LOADER_CONF))?;
        let grub = match read(&directory, GRUB_CFG).map_err(on(GRUB_CFG))? {
            None => Grub::Absent,
            Some(text) => grub::shown_by(&text).map_or(Grub::Other, |name| Grub::Shows(name.to_owned())),
        };
        let in_grub = names(&directory, GRUB).map_err(on(GRUB))?;
        let mut boot_files = BTreeMap::new();
        for name in names(&directory, BOOT_FILES).map_err(on(BOOT_FILES))? {
            let path = format!("{BOOT_FILES}/{name}");
            if let Ok(found) = directory.file(Path::new(&path)).and_then(|file| file.metadata()) {
                boot_files.insert(path, found.len());
            }
        }
        Ok(Esp {
            entries,
            loader_conf: conf.map(|text| LoaderConf::parse(&text)),
            grub,
            grub_menus: in_grub.into_iter().filter(|name| grub::is_menu(name)).collect(),
            boot_files,
            room: Room::of(folder)?,
        })
    }

    /// The entry that boots by itself, as far as the partition says.
    pub fn default_entry(&self) -> Option<&EspEntry> {
        let conf = self.loader_conf.as_ref()?;
        self.entries.iter().find(|entry| conf.means(&entry.name))
    }
}

impl EspEntry {
    /// Its path on the partition.
    pub fn path(&self) -> String {
        paths::entry(&self.file)
    }
}

/// What cannot be read of it: what is refused because of what it is has no usual remedy.
fn of_partition(path: String, why: io::Error) -> Error {
    let is_other = matches!(why.kind(), ErrorKind::InvalidInput | ErrorKind::NotADirectory);
    let error = Error::caused(path, why);
    match is_other {
        true => error.remedy("put the file or folder itself there, or remove it"),
        false => error,
    }
}

/// The names in a folder that are text, sorted; none where there is no such folder.
fn names(directory: &Directory, folder: &str) -> io::Result<Vec<String>> {
    let names = match directory.all_names(Path::new(folder)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        names => names?,
    };
    if names.len() > MOST_NAMES {
        let why = format!("it has {} entries, of which at most {MOST_NAMES} are read", names.len());
        return Err(io::Error::new(ErrorKind::InvalidData, why));
    }
    let mut names: Vec<String> = names.into_iter().filter_map(|name| String::from_utf8(name).ok()).collect();
    names.sort();
    Ok(names)
}

fn read(directory: &Directory, path: &str) -> io::Result<Option<Vec<u8>>> {
    let file = match directory.file(Path::new(path)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut text = Vec::new();
    file.take(MOST_TEXT).read_to_end(&mut text)?;
    Ok(Some(text))
}
