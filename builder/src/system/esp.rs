//! What lies on an EFI system partition: entries, what the loaders show, kernels, and how much room there is.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use boot_entry::entry::listed_at;
use boot_entry::grub_tries::NoBlock;
use boot_entry::paths::{self, BOOT_FILES, ENTRIES, GRUB, GRUB_CFG, GRUB_LAST, GRUB_TRIES, LOADER_CONF};
use boot_entry::{BootEntry, EntryFileName, GrubTries, LoaderConf, grub, grub_last, sector};
use stack::beneath::Folder;

use super::room::FreeRoom;
use crate::error::{Error, Result, beneath};

/// More of an entry, or of a loader's file, is not read.
const MOST_TEXT: u64 = 1 << 16;
/// Nor of a script of GRUB.
const MOST_SCRIPT: u64 = 1 << 20;
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
    /// No menu: it is empty, or an older Lamina wrote it.
    Nothing,
    /// What somebody else has written, with that text.
    Other(Vec<u8>),
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
    /// Menus for GRUB, by file name, with their text.
    pub grub_menus: BTreeMap<String, Vec<u8>>,
    /// What GRUB's block says; `None` where there is none.
    pub grub_tries: Option<Result<Option<GrubTries>, NoBlock>>,
    /// GRUB's block that says what it has started last.
    pub grub_last: Option<Vec<u8>>,
    /// Kernels and initramfs files: path from the root of the partition, and length in bytes.
    pub boot_files: BTreeMap<String, u64>,
    /// What is a folder, a link or something else under the name of an entry, a menu, a kernel or an initramfs: paths, likewise.
    pub no_files: BTreeSet<String>,
    /// What is not read, or not to its end, and may name any kernel: paths, each with why.
    pub unread: BTreeMap<String, &'static str>,
    /// The files by which loaders choose that can be written in place, for they have the length of a sector.
    pub in_place: BTreeSet<&'static str>,
    /// How much fits.
    pub room: FreeRoom,
}

impl Esp {
    /// Reads the partition that is mounted at a folder, or a folder that looks like one.
    ///
    /// # Errors
    /// It cannot be read; what loaders choose by is no file. What others wrote, or what is damaged, stands in the result.
    pub fn read(folder: &Path) -> Result<Esp> {
        let opened = Folder::open(folder, Path::new("")).map_err(Error::on(folder.display()))?;
        let mut reader = Reader { folder, opened, no_files: BTreeSet::new(), unread: BTreeMap::new() };
        let mut entries = reader.entries()?;
        entries.sort_by_cached_key(|it: &EspEntry| listed_at(&it.name, it.entry.as_ref().ok()));
        let conf = reader.choice(LOADER_CONF)?;
        let grub_cfg = reader.choice(GRUB_CFG)?;
        let tries = reader.text(GRUB_TRIES, MOST_TEXT)?;
        let grub_last = reader.text(GRUB_LAST, MOST_TEXT)?;
        let mut in_place = BTreeSet::new();
        for (path, text) in
            [(LOADER_CONF, &conf), (GRUB_CFG, &grub_cfg), (GRUB_TRIES, &tries), (GRUB_LAST, &grub_last)]
        {
            in_place.extend(text.as_ref().filter(|it| it.len() == sector::LENGTH).map(|_| path));
        }
        let grub = match grub_cfg {
            None => Grub::Absent,
            Some(text) => match grub::shown_by(&text) {
                Some(name) => Grub::Shows(name.to_owned()),
                None if grub::may_be_replaced(&text) => Grub::Nothing,
                None => Grub::Other(text),
            },
        };
        let (grub_menus, boot_files) = (reader.grub_menus()?, reader.boot_files()?);
        Ok(Esp {
            entries,
            loader_conf: conf.map(|text| LoaderConf::parse(&text)),
            grub,
            grub_menus,
            grub_tries: tries.map(|block| GrubTries::parse(&block)),
            grub_last,
            boot_files,
            no_files: reader.no_files,
            unread: reader.unread,
            in_place,
            room: FreeRoom::of(folder)?,
        })
    }

    /// The entry that boots by itself, as far as the partition says.
    pub fn default_entry(&self) -> Option<&EspEntry> {
        let conf = self.loader_conf.as_ref()?;
        self.entries.iter().find(|entry| conf.means(&entry.name))
    }

    /// The menu that GRUB shows.
    pub fn shown_menu(&self) -> Option<&[u8]> {
        let Grub::Shows(name) = &self.grub else { return None };
        self.grub_menus.get(name).map(Vec::as_slice)
    }

    /// Whether what was started last boots by itself.
    pub fn starts_last(&self) -> bool {
        self.loader_conf.as_ref().is_some_and(LoaderConf::is_last)
            || self.shown_menu().is_some_and(grub_last::is_used_by)
    }

    /// The kernel and the initramfs files of Lamina that an entry starts, by path.
    pub fn started_by(entry: &BootEntry) -> impl Iterator<Item = &str> {
        let all = std::iter::once(&entry.linux).chain(&entry.initrd).map(|path| path.trim_start_matches('/'));
        all.filter(|path| is_boot_file(path) && path.rsplit_once('/').is_some_and(|it| it.0 == BOOT_FILES))
    }

    /// Whether one of them is there, with anything in it.
    pub fn has_boot_file(&self, path: &str) -> bool {
        self.boot_files.get(path).is_some_and(|length| *length > 0)
    }

    /// Whether an entry, or what is none and has the name of one, has this id. FAT does not know the case of letters.
    pub fn has_id(&self, id: &str) -> bool {
        let no_entries =
            self.no_files.iter().filter_map(|path| path.strip_prefix(ENTRIES)?.strip_prefix('/'));
        let names = self.entries.iter().map(|it| it.name.id.clone());
        let mut names = names.chain(no_entries.filter_map(|file| Some(EntryFileName::parse(file)?.id)));
        names.any(|it| it.eq_ignore_ascii_case(id))
    }
}

impl EspEntry {
    /// Its path on the partition.
    pub fn path(&self) -> String {
        paths::entry(&self.file)
    }
}

/// Whether a text has the file name of a kernel or an initramfs in it, however it spells the path: FAT does not know the case of letters, and
/// loaders take `\` and several `/` too.
pub fn mentions(text: &[u8], path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default().as_bytes();
    !name.is_empty() && text.windows(name.len()).any(|it| it.eq_ignore_ascii_case(name))
}

/// A partition that is being read.
struct Reader<'a> {
    folder: &'a Path,
    opened: Folder,
    no_files: BTreeSet<String>,
    unread: BTreeMap<String, &'static str>,
}

impl Reader<'_> {
    fn on(&self, inside: &str) -> impl Fn(io::Error) -> Error {
        let path = self.folder.join(inside).display().to_string();
        move |error| beneath(path.clone())(error)
    }

    fn entries(&mut self) -> Result<Vec<EspEntry>> {
        let mut entries = Vec::new();
        for file in self.names(ENTRIES)? {
            let Some(name) = EntryFileName::parse(&file).filter(|_| !file.starts_with('.')) else { continue };
            let Some(text) = self.text(&paths::entry(&file), MOST_TEXT)? else { continue };
            let entry = BootEntry::parse(&text).map_err(|why| why.to_string());
            entries.push(EspEntry { file, name, text, entry });
        }
        Ok(entries)
    }

    fn grub_menus(&mut self) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut menus = BTreeMap::new();
        for name in self.names(GRUB)?.into_iter().filter(|name| grub::is_menu(name)) {
            let text = self.text(&format!("{GRUB}/{name}"), MOST_SCRIPT)?;
            menus.extend(text.map(|text| (name, text)));
        }
        Ok(menus)
    }

    fn boot_files(&mut self) -> Result<BTreeMap<String, u64>> {
        let mut files = BTreeMap::new();
        for name in self.names(BOOT_FILES)? {
            let path = format!("{BOOT_FILES}/{name}");
            match self.opened.file(Path::new(&path)).and_then(|file| file.metadata()) {
                Ok(found) => _ = files.insert(path, found.len()),
                Err(error) if error.kind() == ErrorKind::InvalidInput => {
                    self.no_files.extend(is_boot_file(&path).then_some(path));
                }
                // It went meanwhile, or is of no concern here.
                Err(error) if error.kind() == ErrorKind::NotFound || !is_boot_file(&path) => {}
                Err(error) => return Err(self.on(&path)(error)),
            }
        }
        Ok(files)
    }

    /// The names in a folder that are text, sorted; none where there is no such folder. An entry with another one is a loader's all the same.
    fn names(&mut self, folder: &str) -> Result<Vec<String>> {
        let names = match self.opened.all_names(Path::new(folder)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            names => names.map_err(self.on(folder))?,
        };
        if names.len() > MOST_NAMES {
            let why = format!("it has {} entries, of which at most {MOST_NAMES} are read", names.len());
            return Err(self.on(folder)(io::Error::new(ErrorKind::InvalidData, why)));
        }
        let mut texts = Vec::new();
        for name in names {
            match String::from_utf8(name) {
                Ok(name) => texts.push(name),
                Err(other) if folder == ENTRIES => {
                    let path = format!("{folder}/{}", String::from_utf8_lossy(other.as_bytes()));
                    self.unread.insert(path, "has a name that is no text, and is not read");
                }
                Err(_) => {}
            }
        }
        texts.sort();
        Ok(texts)
    }

    /// What a file says; `None` where there is none, or something else under its name. What is there and cannot be read is neither.
    fn text(&mut self, path: &str, most: u64) -> Result<Option<Vec<u8>>> {
        match read(&self.opened, path, most) {
            Ok(text) => {
                let too_long = text.as_ref().filter(|it| it.len() as u64 > most);
                self.unread.extend(too_long.map(|_| (path.to_owned(), "is too long to be read")));
                Ok(text)
            }
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                self.no_files.insert(path.to_owned());
                Ok(None)
            }
            Err(error) => Err(self.on(path)(error)),
        }
    }

    /// A file that loaders choose by: without it nobody knows what boots.
    fn choice(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let shown = self.folder.join(path);
        let remedy = "remove it: loaders read a short file there";
        let text = read(&self.opened, path, MOST_SCRIPT).map_err(|error| match error.kind() {
            ErrorKind::InvalidInput => Error::caused(shown.display(), error).remedy(remedy),
            _ => self.on(path)(error),
        })?;
        if text.as_ref().is_some_and(|it| it.len() as u64 > MOST_SCRIPT) {
            return Err(Error::new(shown.display(), "is too long to be read").remedy(remedy));
        }
        Ok(text)
    }
}

/// Whether a path is that of a kernel or an initramfs of Lamina.
pub fn is_boot_file(path: &str) -> bool {
    paths::digest_of_boot_file(path).is_some()
}

/// One byte more than `most`, where there is more.
fn read(opened: &Folder, path: &str, most: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match opened.file(Path::new(path)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut text = Vec::new();
    file.take(most + 1).read_to_end(&mut text)?;
    Ok(Some(text))
}
