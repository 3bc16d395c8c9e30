//! What the ELF files of an image ask of the loader, and what they give: those alone that can have to do with loading.

use std::collections::{BTreeMap, HashMap};
use std::io;

use elf_linkage::{Error, Kind, Linkage, MAGIC, Machine, Source};
use serde::{Deserialize, Serialize};
use squashfs::{AnywhereReader, FileData, Image, Item};

/// What programs of a system of ours are made for (`graph::package_id::TARGET`).
pub(super) const MACHINE: Machine = Machine::X86_64;
/// Where musl's loader is told in which folders it looks, below the root.
const MUSL_FOLDERS: &str = "etc/ld-musl-x86_64.path";
/// Bytes of that file.
const LONGEST_LIST: u64 = 64 << 10;
/// The header of the smaller ones has so many bytes.
const SHORTEST: u64 = 52;
/// Nothing below these is loaded by a loader: modules and firmware are the kernel's, and what debuggers read is no program.
const ELSEWHERE: [&[u8]; 5] =
    [b"usr/lib/modules/", b"lib/modules/", b"usr/lib/firmware/", b"lib/firmware/", b"usr/lib/debug/"];

/// A program or a library of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElfFile {
    /// Without a leading slash.
    pub path: String,
    /// What it asks of the loader, and what it gives to others.
    pub linkage: Linkage,
}

impl ElfFile {
    /// Whether it is made for the machines that our systems run on.
    pub(super) fn is_ours(&self) -> bool {
        self.linkage.machine == MACHINE
    }

    /// Whether a loader has to do with it.
    fn is_dynamic(&self) -> bool {
        let Linkage { interpreter, needed, soname, .. } = &self.linkage;
        interpreter.is_some() || soname.is_some() || !needed.is_empty()
    }
}

/// A file that begins as ELF and cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// Without a leading slash.
    pub path: String,
    /// Why, to stand behind its path.
    pub why: String,
}

/// What there is to say about the ELF files of an image, and by which other paths they can be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageFacts {
    /// Programs that a loader loads, and libraries; each path of a file with several is there.
    pub files: Vec<ElfFile>,
    /// Those that nothing can be said about.
    pub unreadable: Vec<Unreadable>,
    /// Symbolic links and their targets.
    pub links: BTreeMap<String, String>,
    /// Where musl's loader looks, when the image says it.
    pub musl_folders: Option<String>,
}

/// A program or library that no `static` image has: one with an interpreter, with libraries that it needs, or with a name by which others
/// need it. Files for other machines do not count.
pub fn first_dynamic(facts: &ImageFacts) -> Option<&ElfFile> {
    facts.files.iter().find(|file| file.is_ours() && file.is_dynamic())
}

impl ImageFacts {
    /// Reads an image: of most files the first four bytes.
    ///
    /// # Errors
    /// It is damaged. What is wrong with an ELF file is no error: images have such files for a purpose.
    pub fn read(image: &Image) -> Result<ImageFacts, squashfs::Error> {
        let mut facts = ImageFacts::default();
        // Of files with several names: what was seen under the first one.
        let mut seen: HashMap<u64, Option<Result<Linkage, String>>> = HashMap::new();
        for item in image.walk() {
            let item = item?;
            // One that is no text cannot be asked for either, but what lies there can ask.
            let path = match std::str::from_utf8(&item.path) {
                Ok(path) => path.to_owned(),
                Err(_) => item.path.escape_ascii().to_string(),
            };
            match &item.kind {
                squashfs::Kind::Symlink(target) => {
                    facts.links.extend(String::from_utf8(target.clone()).ok().map(|target| (path, target)));
                }
                squashfs::Kind::File(data) => {
                    if path == MUSL_FOLDERS && data.len() <= LONGEST_LIST {
                        let text = image.read(&item.path)?;
                        facts.musl_folders = Some(String::from_utf8_lossy(&text).into_owned());
                    }
                    let found = match seen.get(&item.identity) {
                        Some(known) => known.clone(),
                        None => linkage_of(image, &item, data)?,
                    };
                    if item.links > 1 {
                        seen.insert(item.identity, found.clone());
                    }
                    match found {
                        Some(Ok(linkage)) => facts.files.push(ElfFile { path, linkage }),
                        Some(Err(why)) => facts.unreadable.push(Unreadable { path, why }),
                        None => {}
                    }
                }
                _ => {}
            }
        }
        Ok(facts)
    }
}

/// What a file is linked with; `None` of one that no loader loads, an error of one that begins as ELF and can be nothing of the kind.
fn linkage_of(
    image: &Image,
    item: &Item,
    data: &FileData,
) -> Result<Option<Result<Linkage, String>>, squashfs::Error> {
    if data.len() < SHORTEST || ELSEWHERE.iter().any(|folder| item.path.starts_with(folder)) {
        return Ok(None);
    }
    let mut file = InImage::new(image, data);
    let mut start = [0; MAGIC.len()];
    file.reader.read_exact_at(&mut start, 0)?;
    if start != MAGIC {
        return Ok(None);
    }
    let found = Linkage::read(&mut file);
    if let Some(error) = file.damaged {
        return Err(error);
    }
    Ok(match found {
        Ok(linkage) => is_loaded(&linkage).then_some(Ok(linkage)),
        Err(Error::NotElf) => None,
        Err(error) => Some(Err(error.to_string())),
    })
}

/// Whether a loader has to do with the file, or may find it when it looks for another.
fn is_loaded(linkage: &Linkage) -> bool {
    match linkage.kind {
        Kind::Executable => linkage.interpreter.is_some() || !linkage.needed.is_empty(),
        Kind::Shared => linkage.dynamic,
        Kind::Relocatable | Kind::Other => false,
    }
}

/// A file of an image. The damage of an image is not that of an ELF file in it.
pub(super) struct InImage<'a> {
    reader: AnywhereReader<'a>,
    length: u64,
    /// What is wrong with the image.
    pub(super) damaged: Option<squashfs::Error>,
}

impl<'a> InImage<'a> {
    pub(super) fn new(image: &'a Image, data: &'a FileData) -> Self {
        InImage { reader: image.anywhere(data), length: data.len(), damaged: None }
    }
}

impl Source for InImage<'_> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.length)
    }

    fn read_exact_at(&mut self, room: &mut [u8], offset: u64) -> io::Result<()> {
        self.reader.read_exact_at(room, offset).map_err(|error| {
            let told = io::Error::other(error.to_string());
            self.damaged.get_or_insert(error);
            told
        })
    }
}
