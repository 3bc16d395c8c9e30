//! Microcode, which the kernel takes before it unpacks anything: from a plain archive in front of the initramfs
//! (Documentation/arch/x86/microcode.rst, "Early load microcode").

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cpio::newc::{Builder, ModeFileType, trailer};
use decompress::Compression;
use fault::Error;

use crate::host_file;

const FOLDERS: [&str; 3] = ["kernel", "kernel/x86", "kernel/x86/microcode"];
/// What is looked into besides a folder itself, so that the folder with all firmware will do.
const SUBFOLDERS: [&str; 2] = ["amd-ucode", "intel-ucode"];
/// Of one file, unpacked: the largest of linux-firmware and of Intel have 0.5 MB.
const LARGEST: u64 = 64 << 20;
/// What the archive is filled up to: cpio's own block. The kernel asks for 4.
const BLOCK: usize = 512;
/// Where an update begins, as Intel's processors want it (Software Developer's Manual, volume 3A, 10.11.6) and older kernels do not see to.
const ALIGNMENT: usize = 16;

/// Who makes the processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Vendor {
    Amd,
    Intel,
}

/// The archive in front of the initramfs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Early {
    /// The archive, filled up with zeros.
    pub bytes: Vec<u8>,
    /// Its files.
    pub files: Vec<EarlyFile>,
}

/// A file of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct EarlyFile {
    /// As the kernel looks for it.
    pub path: &'static str,
    /// Bytes of it.
    pub size: u64,
    /// How many updates of processors are in it.
    pub updates: usize,
}

/// Joins the microcode of files and of all files of folders, in their order. None when nothing is named.
///
/// # Errors
/// A file is no microcode or is damaged; a folder has none.
pub(crate) fn early(places: &[PathBuf]) -> Result<Option<Early>, Error> {
    if places.is_empty() {
        return Ok(None);
    }
    let mut joined = [(Vendor::Amd, Vec::new(), 0), (Vendor::Intel, Vec::new(), 0)];
    let mut add = |vendor: Vendor, bytes: &[u8], count: usize| {
        for (one, joined, updates) in &mut joined {
            if *one == vendor {
                joined.extend_from_slice(bytes);
                *updates += count;
            }
        }
    };
    for place in places {
        if place.is_dir() {
            add_folder(place, &mut add)?;
        } else {
            let bytes = unpacked(place)?;
            let vendor = vendor(&bytes).ok_or_else(|| {
                Error::new(place.display(), "is no microcode of Intel or AMD").remedy(
                    "give a file of Intel's intel-ucode/ or of linux-firmware's amd-ucode/, or such a folder",
                )
            })?;
            add(vendor, &bytes, updates(vendor, place, &bytes)?);
        }
    }
    archive(&joined).map(Some).map_err(Error::on("the archive of the microcode"))
}

/// What in a folder is no microcode (a list, a signature, a readme) is passed over.
fn add_folder(folder: &Path, add: &mut impl FnMut(Vendor, &[u8], usize)) -> Result<(), Error> {
    let mut found = false;
    for folder in std::iter::once(folder.to_owned()).chain(SUBFOLDERS.map(|name| folder.join(name))) {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let files: io::Result<Vec<PathBuf>> = entries.map(|entry| entry.map(|it| it.path())).collect();
        let mut files = files.map_err(Error::on(folder.display()))?;
        files.sort();
        for file in files.iter().filter(|file| file.is_file()) {
            let bytes = unpacked(file)?;
            let Some(vendor) = vendor(&bytes) else { continue };
            add(vendor, &bytes, updates(vendor, file, &bytes)?);
            found = true;
        }
    }
    let none = || {
        Error::new(folder.display(), "has no microcode of Intel or AMD")
            .remedy("distributions have it in /lib/firmware/intel-ucode and /lib/firmware/amd-ucode")
    };
    if found { Ok(()) } else { Err(none()) }
}

/// Some distributions keep firmware compressed.
fn unpacked(path: &Path) -> Result<Vec<u8>, Error> {
    let packed = host_file::read(path).map_err(Error::on(path.display()))?;
    let mut bytes = Vec::new();
    let read = Compression::of_magic(&packed).reader(packed.as_slice()).and_then(|inside| {
        inside.take(LARGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LARGEST { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(()) }
    });
    read.map(|()| bytes).map_err(Error::on(path.display()))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// By the first bytes: of Intel the version of the header and of the loader, of AMD the magic number `DMA\0`.
fn vendor(bytes: &[u8]) -> Option<Vendor> {
    match (word(bytes, 0)?, word(bytes, 20)) {
        (0x0041_4d44, _) => Some(Vendor::Amd),
        (1, Some(1)) => Some(Vendor::Intel),
        _ => None,
    }
}

fn updates(vendor: Vendor, file: &Path, bytes: &[u8]) -> Result<usize, Error> {
    let count = match vendor {
        Vendor::Amd => amd_updates(bytes),
        Vendor::Intel => intel_updates(bytes),
    };
    count.map_err(|cause| Error::new(file.display(), cause).remedy("take it anew from where it came from"))
}

/// Updates one behind the other: a header of 48 bytes with the lengths of the data and of all, and 32-bit words whose sum is 0
/// (Software Developer's Manual, volume 3A, 10.11.1).
fn intel_updates(bytes: &[u8]) -> Result<usize, String> {
    let (mut rest, mut count) = (bytes, 0);
    while !rest.is_empty() {
        let damaged = |what: &str| format!("is damaged at byte {}: {what}", bytes.len() - rest.len());
        if vendor(rest) != Some(Vendor::Intel) {
            return Err(damaged("there is no header of an update"));
        }
        let (data, whole) = (word(rest, 28), word(rest, 32));
        // Of the first updates neither was written.
        let whole = if data == Some(0) { 2048 } else { whole.unwrap_or(0) as usize };
        let update = rest.get(..whole).filter(|it| it.len() > 48 && it.len().is_multiple_of(4));
        let update = update.ok_or_else(|| damaged("an update has another length than its header says"))?;
        let words = (0..whole).step_by(4).filter_map(|at| word(update, at));
        if words.fold(0, u32::wrapping_add) != 0 {
            return Err(damaged("the sum of an update is wrong"));
        }
        rest = &rest[whole..];
        count += 1;
    }
    Ok(count)
}

/// Containers one behind the other: a magic number, a table of processors (section type 0), and updates (type 1), each with its length
/// (arch/x86/kernel/cpu/microcode/amd.c).
fn amd_updates(bytes: &[u8]) -> Result<usize, String> {
    let (mut at, mut count) = (0, 0);
    while at < bytes.len() {
        let damaged = |what: &str| format!("is damaged at byte {at}: {what}");
        let (begin, wanted) = match vendor(&bytes[at..]) {
            Some(Vendor::Amd) => (at + 4, 0),
            _ => (at, 1),
        };
        if word(bytes, begin) != Some(wanted) {
            return Err(damaged("there is neither an update nor a table of processors"));
        }
        let size = word(bytes, begin + 4).filter(|size| *size > 0).map(|size| size as usize);
        let end = size.and_then(|size| size.checked_add(begin + 8)).filter(|end| *end <= bytes.len());
        at = end.ok_or_else(|| damaged("a section is cut short"))?;
        count += wanted as usize;
    }
    if count == 0 { Err("has a table of processors and no update".to_owned()) } else { Ok(count) }
}

fn archive(joined: &[(Vendor, Vec<u8>, usize)]) -> io::Result<Early> {
    let mut out = Vec::new();
    let mut number = 0;
    for folder in FOLDERS {
        number += 1;
        let header =
            Builder::new(folder).ino(number).mode(0o755).nlink(2).set_mode_file_type(ModeFileType::Directory);
        out = header.write(out, 0).finish()?;
    }
    let mut files = Vec::new();
    for (vendor, bytes, updates) in joined.iter().filter(|(_, bytes, _)| !bytes.is_empty()) {
        number += 1;
        let path = match vendor {
            Vendor::Amd => "kernel/x86/microcode/AuthenticAMD.bin",
            Vendor::Intel => "kernel/x86/microcode/GenuineIntel.bin",
        };
        let size = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let header = Builder::new(&aligned(path, out.len())).ino(number).mode(0o644).nlink(1);
        let mut writer = header.set_mode_file_type(ModeFileType::Regular).write(out, size);
        io::Write::write_all(&mut writer, bytes)?;
        out = writer.finish()?;
        files.push(EarlyFile { path, size: u64::from(size), updates: *updates });
    }
    let mut bytes = trailer(out)?;
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    Ok(Early { bytes, files })
}

/// The name with as many zeros behind it as bring the data behind its header at `offset` to a multiple of [`ALIGNMENT`].
fn aligned(name: &str, offset: usize) -> String {
    let header = 110;
    let data = |zeros: usize| offset + (header + name.len() + 1 + zeros).next_multiple_of(4);
    let zeros = (0..ALIGNMENT).find(|zeros| data(*zeros).is_multiple_of(ALIGNMENT)).unwrap_or(0);
    format!("{name}{}", "\0".repeat(zeros))
}

impl fmt::Display for EarlyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.path.rsplit('/').next().unwrap_or(self.path);
        let (size, updates) =
            (cli::numbers::human_size(self.size), cli::numbers::count(self.updates, "update"));
        write!(f, "  {name:24} {size:>10}  microcode, in front of all: {updates}")
    }
}
