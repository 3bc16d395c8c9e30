//! What a loader would start, by its documents: the reader of entries. It reads the EFI system partition with mtools, and knows nothing
//! of the product's own code.
//!
//! systemd-boot: systemd-boot(7), loader.conf(5), and the Boot Loader Specification ("Type #1", "Boot counting", "Sorting"). GRUB: the
//! menu as a script of `menuentry`, and `set default` (GRUB manual). A kernel or an initramfs that is not what its name says, by
//! SHA-256, is one that dies.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::copying::copy_out;
use super::made_disk::Place;
use crate::failure::Failure;
use crate::store::sha256;

/// A loader of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loader {
    /// On UEFI. It counts tries in the names of entries.
    SystemdBoot,
    /// On a BIOS. It counts nothing: who sees a kernel die chooses another entry.
    Grub,
}

impl Loader {
    /// For titles.
    pub fn name(self) -> &'static str {
        match self {
            Self::SystemdBoot => "systemd-boot",
            Self::Grub => "GRUB",
        }
    }
}

/// One entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// The name of its file; GRUB's have none.
    pub file: String,
    /// Names it.
    pub id: String,
    /// Tries that are left, where they are counted.
    pub left: Option<u32>,
    sort_key: Option<String>,
    /// The kernel, as a path on the partition.
    pub linux: String,
    /// The initramfs files.
    pub initrd: Vec<String>,
    /// The kernel command line.
    pub options: String,
}

impl Entry {
    /// The digests of the profiles that it may boot: the one that it is for, and what takes its place.
    pub fn bound(&self) -> Vec<String> {
        let words = ["lamina.profile=", "lamina.fallback="];
        let values = words
            .iter()
            .flat_map(|word| self.options.split(' ').filter_map(move |it| it.strip_prefix(*word)));
        let named = values.flat_map(|value| value.split(','));
        named.filter_map(|it| Some(it.split_once("@sha256:")?.1.to_owned())).collect()
    }
}

/// What a loader starts next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The entry.
    pub entry: Entry,
    /// Whether somebody had to choose it.
    pub by_hand: bool,
}

/// The menu of a disk, and what has become of its tries.
#[derive(Debug)]
pub struct Menu {
    loader: Loader,
    folder: PathBuf,
    entries: Vec<Entry>,
    default: Option<String>,
    /// What GRUB starts in its place when that has no try left.
    instead: Option<String>,
    /// By path: whether the file is what its name says.
    whole: BTreeMap<String, bool>,
}

impl Menu {
    /// Copies the partition of `disk` into `folder`, which is emptied, and reads its menu.
    pub fn read(loader: Loader, disk: &Path, esp: Place, folder: &Path) -> Result<Self, Failure> {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).map_err(Failure::at(folder))?;
        copy_out(disk, esp, folder)?;
        let mut menu = Self {
            loader,
            folder: folder.to_owned(),
            entries: Vec::new(),
            default: None,
            instead: None,
            whole: BTreeMap::new(),
        };
        match loader {
            Loader::SystemdBoot => menu.read_entries(),
            Loader::Grub => menu.read_script(),
        }
        Ok(menu)
    }

    /// The entry that is started now; what the loader counts is counted.
    pub fn start(&mut self) -> Option<Started> {
        self.sort();
        let shown: Vec<usize> = (0..self.entries.len()).filter(|at| self.is_shown(*at)).collect();
        let default = self.default_now();
        let is_default = |at: &&usize| fits(&default, &self.entries[**at].id);
        let chosen = *shown.iter().find(is_default).or(shown.first())?;
        let entry = &mut self.entries[chosen];
        let left = entry.left.filter(|left| *left > 0);
        entry.left = left.map(|left| left - 1).or(entry.left);
        let entry = entry.clone();
        if self.is_whole(&entry) || left.is_some() {
            return Some(Started { entry, by_hand: false });
        }
        // It dies each time, and nothing changes by that.
        let all: Vec<Entry> = shown.iter().map(|at| self.entries[*at].clone()).collect();
        all.into_iter().find(|entry| self.is_whole(entry)).map(|entry| Started { entry, by_hand: true })
    }

    /// GRUB takes another one when the one that boots by itself has no try left.
    fn default_now(&self) -> String {
        let default = self.default.clone().unwrap_or_default();
        let is_given_up = self.entries.iter().any(|it| it.id == default && it.left == Some(0));
        self.instead.clone().filter(|_| is_given_up).unwrap_or(default)
    }

    /// Whether kernel and initramfs of an entry are what their names say.
    pub fn is_whole(&mut self, entry: &Entry) -> bool {
        [&entry.linux].into_iter().chain(&entry.initrd).all(|path| {
            let file = self.folder.join(path.trim_start_matches('/'));
            let meant = path.rsplit('-').next().unwrap_or_default();
            let look = || sha256(&file).is_ok_and(|digest| digest == meant);
            *self.whole.entry(path.clone()).or_insert_with(look)
        })
    }

    /// The entry of the profile with this digest.
    pub fn of_profile(&self, digest: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.bound().first().is_some_and(|it| it == digest))
    }

    /// A file that an entry names, as it was copied from the disk.
    pub fn file(&self, path: &str) -> PathBuf {
        self.folder.join(path.trim_start_matches('/'))
    }

    /// Where an entry stands in the menu, from 0 on.
    pub fn position(&self, id: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.id == id)
    }

    /// systemd-boot shows no entry whose kernel is missing; GRUB shows all.
    fn is_shown(&self, at: usize) -> bool {
        self.loader == Loader::Grub || self.file(&self.entries[at].linux).is_file()
    }

    /// Without a try left: last. Then by sort key; of equal ones, the highest id first.
    fn sort(&mut self) {
        if self.loader == Loader::SystemdBoot {
            self.entries.sort_by(|a, b| {
                let key = |it: &Entry| (it.left == Some(0), it.sort_key.is_none(), it.sort_key.clone());
                key(a).cmp(&key(b)).then_with(|| b.id.cmp(&a.id))
            });
        }
    }

    fn read_entries(&mut self) {
        let conf = read(&self.folder.join("loader/loader.conf"));
        self.default = value(&conf, "default").last().map(str::to_owned);
        let files = fs::read_dir(self.folder.join("loader/entries")).into_iter().flatten().flatten();
        let entries = files.filter_map(|file| {
            let name = file.file_name().into_string().ok()?;
            let (id, left) = id_of(&name)?;
            let text = read(&file.path());
            let owned = |key: &str| value(&text, key).last().map(str::to_owned);
            let options = value(&text, "options").collect::<Vec<_>>().join(" ");
            let initrd = value(&text, "initrd").map(str::to_owned).collect();
            let (sort_key, linux) = (owned("sort-key"), owned("linux")?);
            Some(Entry { file: name, id, left, sort_key, linux, initrd, options })
        });
        self.entries = entries.collect();
    }

    /// Words stand in single quotes, and the entries of these disks have none inside.
    fn read_script(&mut self) {
        let shown = read(&self.folder.join("grub/grub.cfg"));
        let Some(name) = shown.lines().find_map(|line| line.strip_prefix("source $prefix/")) else { return };
        let script = read(&self.folder.join("grub").join(name));
        let quoted = |line: &str| line.split('\'').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
        for line in script.lines() {
            let is_inside = line.starts_with(' ');
            let line = line.trim_start();
            let words = quoted(line);
            let last = self.entries.last_mut();
            match (line.split(' ').next().unwrap_or_default(), last) {
                ("set", _) if line.starts_with("set default=") => {
                    let place = if is_inside { &mut self.instead } else { &mut self.default };
                    *place = words.into_iter().next();
                }
                ("menuentry", _) => {
                    let id = words.into_iter().nth(1).unwrap_or_default();
                    self.entries.push(Entry { id, ..Entry::default() });
                }
                ("linux", Some(entry)) => {
                    entry.linux = words.first().cloned().unwrap_or_default();
                    entry.options = words.get(1..).unwrap_or_default().join(" ");
                }
                ("initrd", Some(entry)) => entry.initrd = words,
                _ => {}
            }
        }
        if self.instead.is_some() {
            self.read_tries();
        }
    }

    /// GRUB's environment block: a first line, variables, and `#` to the end.
    fn read_tries(&mut self) {
        let block = read(&self.folder.join("grub/tries.env"));
        let Some(variables) = block.strip_prefix("# GRUB Environment Block\n") else { return };
        let variable =
            |name: &str| variables.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let (id, left) = (variable("lamina_entry"), variable("lamina_tries"));
        let counted = self.entries.iter_mut().find(|entry| Some(entry.id.as_str()) == id);
        if let Some((entry, left)) = counted.zip(left.and_then(|left| left.parse().ok())) {
            entry.left = Some(left);
        }
    }
}

fn read(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// What the lines with this key say.
fn value<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| {
        let (found, value) = line.trim().split_once([' ', '\t'])?;
        (found == key).then_some(value.trim())
    })
}

/// `ID+LEFT-DONE.conf` or `ID.conf`: the id with `.conf`, as patterns of loader.conf(5) mean it, and the tries that are left.
fn id_of(file: &str) -> Option<(String, Option<u32>)> {
    let stem = file.strip_suffix(".conf")?;
    let counted =
        stem.rsplit_once('+').and_then(|(id, tries)| Some((id, tries.split('-').next()?.parse().ok()?)));
    let (id, left) = counted.map_or((stem, None), |(id, left)| (id, Some(left)));
    Some((format!("{id}.conf"), left))
}

/// Whether a pattern with `*` and `[0-9]` fits the whole of a text, in whatever case.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_ascii_lowercase(), text.to_ascii_lowercase());
    fit(&pattern, &text)
}

fn fit(pattern: &str, text: &str) -> bool {
    if let Some(rest) = pattern.strip_prefix('*') {
        return (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| fit(rest, &text[at..]));
    }
    if let Some(rest) = pattern.strip_prefix("[0-9]") {
        return text.starts_with(|first: char| first.is_ascii_digit()) && fit(rest, &text[1..]);
    }
    let mut letters = (pattern.chars(), text.chars());
    match (letters.0.next(), letters.1.next()) {
        (None, None) => true,
        (Some(a), Some(b)) if a == b => fit(letters.0.as_str(), letters.1.as_str()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn menu(entries: &[(&str, Option<u32>, &str)]) -> Menu {
        let folder = tempfile::tempdir().unwrap().keep();
        fs::create_dir_all(folder.join("lamina")).unwrap();
        fs::write(folder.join("lamina/linux-torn"), "to").unwrap();
        let whole = "linux-2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        fs::write(folder.join("lamina").join(whole), "foo").unwrap();
        let entries = entries.iter().map(|(id, left, linux)| Entry {
            id: format!("{id}.conf"),
            left: *left,
            sort_key: Some(id.to_string()),
            linux: format!("/lamina/{}", if *linux == "whole" { whole } else { linux }),
            ..Entry::default()
        });
        let entries = entries.collect();
        let default = Some("a-[0-9]*.conf".to_owned());
        Menu { loader: Loader::SystemdBoot, folder, entries, default, instead: None, whole: BTreeMap::new() }
    }

    fn ids(menu: &mut Menu, count: usize) -> Vec<(String, bool)> {
        let starts = (0..count)
            .map(|_| menu.start().map_or(("none".to_owned(), false), |it| (it.entry.id, it.by_hand)));
        let starts = starts.collect();
        fs::remove_dir_all(&menu.folder).unwrap();
        starts
    }

    #[test]
    fn what_dies_is_counted_until_another_one_is_chosen() {
        let mut counted =
            menu(&[("a-1", Some(2), "linux-torn"), ("a-2", None, "whole"), ("b-1", None, "whole")]);
        let expected = [("a-1.conf", false), ("a-1.conf", false), ("a-2.conf", false)];
        assert_eq!(ids(&mut counted, 3), expected.map(|(id, by_hand)| (id.to_owned(), by_hand)));
        let mut uncounted = menu(&[("a-1", None, "linux-torn"), ("b-1", None, "whole")]);
        assert_eq!(ids(&mut uncounted, 1), [("b-1.conf".to_owned(), true)]);
        let mut missing = menu(&[("a-1", None, "linux-missing"), ("b-1", None, "whole")]);
        assert_eq!(ids(&mut missing, 1), [("b-1.conf".to_owned(), false)]);
        let mut nothing = menu(&[("a-1", None, "linux-torn")]);
        assert_eq!(ids(&mut nothing, 1), [("none".to_owned(), false)]);
    }

    #[test]
    fn patterns_fit_as_a_whole() {
        assert!(fits("lamina-web-[0-9]*.conf", "Lamina-web-12_-0a.conf") && fits("*", ""));
        assert!(!fits("lamina-web-[0-9]*.conf", "lamina-web-x.conf") && !fits("a", "ab"));
        assert_eq!(id_of("a+3-0.conf"), Some(("a.conf".to_owned(), Some(3))));
        assert_eq!(id_of("a+x.conf"), Some(("a+x.conf".to_owned(), None)));
        assert_eq!(id_of("a.efi"), None);
    }

    #[test]
    fn grub_takes_another_one_when_no_try_is_left() {
        let entries: [(&str, Option<u32>, &str); 2] = [("web-2", Some(0), "0"), ("web-1", None, "1")];
        let mut grub = menu(&entries);
        grub.loader = Loader::Grub;
        grub.default = Some("web-2.conf".to_owned());
        assert_eq!(grub.default_now(), "web-2.conf");
        grub.instead = Some("web-1.conf".to_owned());
        assert_eq!(grub.default_now(), "web-1.conf");
        grub.entries[0].left = Some(1);
        assert_eq!(grub.default_now(), "web-2.conf");
        fs::remove_dir_all(&grub.folder).unwrap();
    }
}
