//! The firmware that modules ask the kernel for, put where the kernel looks for it
//! (kernel: Documentation/driver-api/firmware/fw_search_path.rst).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use decompress::Compression;
use initramfs_format::pattern;

use crate::contents::{Contents, Source};
use crate::kernel_modules::Picked;
use fault::Error;

/// Where this machine has it.
const FOLDER: &str = "/lib/firmware";
/// Where it lies in the initramfs.
const INSIDE: &str = "lib/firmware";
/// The largest of linux-firmware has 40 MB.
const MOST_BYTES: u64 = 256 << 20;
/// As the kernel takes them, one after the other (drivers/base/firmware_loader/main.c).
const ENDINGS: [&str; 3] = ["", ".zst", ".xz"];

/// Firmware that went in, and what is not there.
#[derive(Debug, Default)]
pub(crate) struct Firmware {
    /// Paths in the initramfs, with the modules that ask for each.
    pub files: Vec<(String, String)>,
    /// What was not found.
    pub warning: Option<String>,
}

/// The folder of the system with this root, and of this machine where that has none.
pub(crate) fn of_system(root: Option<&Path>) -> PathBuf {
    let own = root.map(|root| root.join(INSIDE)).filter(|folder| folder.is_dir());
    own.unwrap_or_else(|| FOLDER.into())
}

/// A folder that somebody named.
///
/// # Errors
/// It is none.
pub(crate) fn named(folder: &Path) -> Result<PathBuf, Error> {
    match folder.is_dir() {
        true => Ok(folder.to_owned()),
        false => Err(Error::new(folder.display(), "is not a folder")
            .remedy("--firmware takes a folder with firmware, as /lib/firmware")),
    }
}

/// Adds what the modules name and `folder` has, decompressed: any kernel reads it then.
///
/// # Errors
/// A file of the folder cannot be read.
pub(crate) fn add(
    contents: &mut Contents,
    picked: &[Picked],
    release: &str,
    folder: &Path,
) -> Result<Firmware, Error> {
    let mut firmware = Firmware::default();
    let mut missing = BTreeMap::new();
    for (name, modules) in asked_for(picked) {
        let found = find(folder, release, &name);
        if found.is_empty() {
            missing.insert(name, modules);
            continue;
        }
        for (name, path) in found {
            let inside = format!("{INSIDE}/{name}");
            if contents.get(&inside).is_some() {
                continue;
            }
            let bytes = read(&path).map_err(|error| Error::caused(path.display(), error))?;
            contents.add(&inside, 0o644, Source::Bytes(bytes))?;
            firmware.files.push((inside, modules.join(", ")));
        }
    }
    firmware.warning = warning(folder, &missing);
    Ok(firmware)
}

/// What the modules name, each once, with who does. A path that leaves the folder is nobody's firmware.
fn asked_for(picked: &[Picked]) -> BTreeMap<String, Vec<String>> {
    let mut asked: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for module in picked {
        let stays = |name: &&String| name.split('/').all(|part| !["", ".", ".."].contains(&part));
        for name in module.firmware.iter().filter(stays) {
            let modules = asked.entry(name.clone()).or_default();
            if !modules.contains(&module.name) {
                modules.push(module.name.clone());
            }
        }
    }
    asked
}

/// The files behind a name or a pattern of names, with the name that each has without its compression.
fn find(folder: &Path, release: &str, name: &str) -> Vec<(String, PathBuf)> {
    let folders = [
        folder.join("updates").join(release),
        folder.join("updates"),
        folder.join(release),
        folder.to_owned(),
    ];
    if !name.contains(['*', '?', '[']) {
        let places = ENDINGS
            .iter()
            .flat_map(|ending| folders.iter().map(move |it| it.join(format!("{name}{ending}"))));
        return places.filter(|path| path.is_file()).take(1).map(|path| (name.to_owned(), path)).collect();
    }
    // A pattern stands for files of one folder.
    let (below, last) = name.rsplit_once('/').unwrap_or(("", name));
    let mut names = BTreeSet::new();
    for entry in folders.iter().filter_map(|it| fs::read_dir(it.join(below)).ok()).flatten().flatten() {
        let Ok(file) = entry.file_name().into_string() else { continue };
        let plain = ENDINGS[1..].iter().find_map(|ending| file.strip_suffix(ending)).unwrap_or(&file);
        if pattern::matches(last, plain) {
            names.insert(if below.is_empty() { plain.to_owned() } else { format!("{below}/{plain}") });
        }
    }
    let plain = |name: &String| !name.contains(['*', '?', '[']);
    names.iter().filter(|name| plain(name)).flat_map(|name| find(folder, release, name)).collect()
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let compression = match path.extension().and_then(|ending| ending.to_str()) {
        Some("zst") => Compression::Zstd,
        Some("xz") => Compression::Xz,
        _ => Compression::None,
    };
    let mut bytes = Vec::new();
    compression.reader(File::open(path)?)?.take(MOST_BYTES).read_to_end(&mut bytes)?;
    match bytes.len() as u64 == MOST_BYTES {
        true => {
            Err(io::Error::new(io::ErrorKind::FileTooLarge, "is larger than 256 MiB, which no firmware is"))
        }
        false => Ok(bytes),
    }
}

/// In one line: drivers name the firmware of all devices that they know, and a machine has few of them.
fn warning(folder: &Path, missing: &BTreeMap<String, Vec<String>>) -> Option<String> {
    let first = missing.keys().next()?;
    let more = match missing.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let modules: BTreeSet<&str> = missing.values().flatten().map(String::as_str).collect();
    let modules = modules.into_iter().collect::<Vec<_>>().join(", ");
    Some(format!(
        "firmware is not in {}: {first}{more}, named by {modules}; what needs it may not work: install it, or name its folder with --firmware",
        folder.display()
    ))
}
