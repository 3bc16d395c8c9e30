//! A package file: its control fields now, its contents on demand.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::archive::{self, ArchiveMember};
use crate::contents::Contents;
use crate::control::Control;
use crate::error::{Error, Part, malformed, unsupported, while_doing};
use crate::tar_dialect;
use decompress::Compression;

/// The control archive holds a few small text files; a larger one is an attack or damage.
const MOST_CONTROL_BYTES: u64 = 64 << 20;
/// The control file of the largest package in Debian is below 100 KiB.
const MOST_CONTROL_FILE_BYTES: u64 = 4 << 20;
/// The largest package in Debian unpacks to a few GiB. More than this from one package is taken for a decompression bomb.
const MOST_DATA_BYTES: u64 = 16 << 30;

/// A Debian package whose outer structure is sound and whose control file has been read.
#[derive(Debug)]
pub struct Package {
    path: PathBuf,
    file: File,
    control: Control,
    data: ArchiveMember,
    compression: Compression,
}

impl Package {
    /// Opens the package at `path` and reads its control fields.
    ///
    /// # Errors
    /// The file cannot be read, is cut short, or is not a Debian package of format 2.
    pub fn open(path: &Path) -> Result<Package, Error> {
        Package::read(path).map_err(|problem| problem.of(path))
    }

    fn read(path: &Path) -> Part<Package> {
        let mut file = File::open(path).map_err(while_doing("opening"))?;
        let metadata = file.metadata().map_err(while_doing("reading its size"))?;
        if !metadata.is_file() {
            return malformed("it is not a regular file");
        }
        let members = archive::members(&mut file, metadata.len())?;
        check_format(&mut file, members.first())?;
        let find = |stem: &str| {
            let mut found = members.iter().filter(|member| member.name.starts_with(stem));
            match (found.next(), found.next()) {
                (Some(member), None) => Ok(member.clone()),
                // To take one of them would lose the files of the other.
                (Some(one), Some(other)) => {
                    malformed(format!("it has two members `{stem}`: `{}` and `{}`", one.name, other.name))
                }
                (None, _) => malformed(format!("it has no member `{stem}`")),
            }
        };
        let control = read_control(&mut file, &find("control.tar")?)?;
        let data = find("data.tar")?;
        let compression = compression_of(&data.name, "data.tar")?;
        Ok(Package { path: path.to_owned(), file, control, data, compression })
    }

    /// Where the package lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the package says about itself.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Decompresses the package's files into `scratch`, an empty file open for reading and writing, and finds each in it.
    ///
    /// An unlinked temporary file serves best: a killed process then leaves nothing behind.
    ///
    /// # Errors
    /// The package is damaged, a member's path leaves the package, or the scratch file cannot be written.
    pub fn contents(&self, mut scratch: File) -> Result<Contents, Error> {
        self.decompress(&mut scratch)
            .and_then(|length| Contents::index(scratch, length))
            .map_err(|problem| problem.of(&self.path))
    }

    fn decompress(&self, scratch: &mut File) -> Part<u64> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.data.offset)).map_err(while_doing("seeking"))?;
        let reader = self.compression.reader(file.take(self.data.length));
        let mut plain = reader.map_err(while_doing("decompressing its data"))?.take(MOST_DATA_BYTES);
        let length = io::copy(&mut plain, scratch).map_err(while_doing("decompressing its data"))?;
        if length == MOST_DATA_BYTES {
            return malformed(format!("its data is larger than {} GiB", MOST_DATA_BYTES >> 30));
        }
        scratch.flush().map_err(while_doing("writing the scratch file"))?;
        Ok(length)
    }
}

fn check_format(file: &mut File, first: Option<&ArchiveMember>) -> Part<()> {
    let Some(member) = first.filter(|member| member.name == "debian-binary") else {
        return malformed("its first member is not `debian-binary`");
    };
    let mut version = String::new();
    file.seek(SeekFrom::Start(member.offset)).map_err(while_doing("seeking"))?;
    file.take(member.length.min(64))
        .read_to_string(&mut version)
        .map_err(while_doing("reading debian-binary"))?;
    if !version.starts_with("2.") {
        return malformed(format!(
            "its format is `{}`; this reader knows 2.0",
            version.trim().escape_default()
        ));
    }
    Ok(())
}

/// The compression of a member, from its name; deb(5) lists them all.
fn compression_of(name: &str, stem: &str) -> Part<Compression> {
    match Compression::of(name, stem) {
        Some(compression) => Ok(compression),
        None => unsupported(format!(
            "member `{name}` has an unknown compression; known are {stem}, .gz, .xz, .zst, .bz2 and .lzma"
        )),
    }
}

fn read_control(file: &mut File, member: &ArchiveMember) -> Part<Control> {
    let reading = while_doing("reading its control archive");
    file.seek(SeekFrom::Start(member.offset)).map_err(while_doing("seeking"))?;
    let compression = compression_of(&member.name, "control.tar")?;
    let plain = compression.reader(file.take(member.length)).map_err(&reading)?;
    let mut archive = tar::Archive::new(plain.take(MOST_CONTROL_BYTES));
    for entry in archive.entries().map_err(&reading)? {
        let mut entry = entry.map_err(&reading)?;
        tar_dialect::check(&mut entry)?;
        if !matches!(&*entry.path_bytes(), b"./control" | b"control") {
            continue;
        }
        let mut text = String::new();
        entry.take(MOST_CONTROL_FILE_BYTES).read_to_string(&mut text).map_err(&reading)?;
        return Control::parse(&text);
    }
    malformed("its control archive has no file `control`")
}
