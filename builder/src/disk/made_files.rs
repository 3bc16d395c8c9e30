//! Files that are made from others and take long to make: a kernel out of its package, an initramfs. They stay in the cache of this
//! user, where a second disk finds them.
//!
//! Such a file is called `KEY-DIGEST`. KEY is the SHA-256 of a text that names all that it is made from, DIGEST that of its bytes:
//! both stand in one name, which appears in one step, and a file that is not what its name says is made again.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use atomic_file::UnnamedFile;
use cache_folder::{entries, keep_newest, note_use};
use disk_image::{Content, DiskFile};
use profiles::Digest;

use crate::error::{Error, Result};
use crate::regular_file;
use crate::report::Report;

/// So many files stay, those that were used last: three for each of a handful of kernels. An initramfs has some 30 MB.
const KEPT: usize = 24;

/// The longest kernel package, kernel or initramfs, in bytes: x86 loads an initramfs below 2 GiB (`initrd_addr_max`, Documentation/arch/x86/boot.rst
/// of the kernel).
pub const MOST_BYTES: u64 = 2 << 30;

/// The folder of such files.
#[derive(Debug)]
pub struct MadeFiles {
    /// None: nothing is kept.
    folder: Option<PathBuf>,
    report: Report,
}

/// One of them, open: it can be read as long as this value lives, whoever tidies up the folder.
#[derive(Debug)]
pub struct MadeFile {
    file: File,
    /// Where it lies, when it has a name that stays.
    kept_at: Option<PathBuf>,
    /// SHA-256 of its bytes, which have been read.
    pub digest: Digest,
    /// Its length in bytes.
    pub length: u64,
}

impl MadeFile {
    /// Takes an open file, and hashes it.
    ///
    /// # Errors
    /// It cannot be read, or is longer than [`MOST_BYTES`].
    pub fn new(mut file: File) -> io::Result<MadeFile> {
        file.rewind()?;
        let (digest, length) = Digest::of((&file).take(MOST_BYTES + 1))?;
        if length > MOST_BYTES {
            return Err(io::Error::new(ErrorKind::FileTooLarge, "is larger than 2 GiB, which is the limit"));
        }
        Ok(MadeFile { file, kept_at: None, digest, length })
    }

    /// A file that somebody has named.
    ///
    /// # Errors
    /// It is no regular file, is empty, or longer than [`MOST_BYTES`].
    pub fn given(path: &Path) -> Result<MadeFile> {
        let (file, _) = regular_file::open_bounded(path, MOST_BYTES)?;
        MadeFile::new(file).map(|made| made.kept(path)).map_err(Error::on(path.display()))
    }

    /// The same, which lies there.
    pub fn kept(self, path: &Path) -> MadeFile {
        MadeFile { kept_at: Some(path.to_owned()), ..self }
    }

    /// Where another program finds it after this one has ended.
    ///
    /// # Errors
    /// It was made, and could not be kept.
    pub fn place(&self) -> Result<&Path> {
        self.kept_at.as_deref().ok_or_else(|| {
            Error::new("cache", "what was made for the guest could not be kept there")
                .remedy("set LAMINA_CACHE to a folder that can be written to")
        })
    }

    /// A path by which other programs open it too, as long as this value lives.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()))
    }

    /// The file under its name on a disk.
    pub fn on_disk(&self, path: String) -> DiskFile {
        DiskFile { path, content: Content::File(self.path(), self.length), digest: Some(self.digest) }
    }
}

impl MadeFiles {
    /// Those of this user; where there is no place for them, nothing is kept.
    pub fn of_this_user(report: &Report) -> MadeFiles {
        MadeFiles { folder: cache_folder::of("made").ok(), report: *report }
    }

    /// In this folder, which is made when it is needed.
    pub fn below(folder: PathBuf) -> MadeFiles {
        MadeFiles { folder: Some(folder), report: Report::default() }
    }

    /// The file that is made from what `sources` names; `make` writes it into an open, empty file when it is not there. Everything
    /// that can change a byte of the file must be a line of `sources`.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn get(&self, sources: &[String], make: impl FnOnce(&File) -> Result<()>) -> Result<MadeFile> {
        let key = Digest::of_bytes(sources.join("\n"));
        if let Some(found) = self.find(&key) {
            return Ok(found);
        }
        let file = tempfile::tempfile().map_err(Error::on(std::env::temp_dir().display()))?;
        make(&file)?;
        let mut made = MadeFile::new(file).map_err(Error::on("a temporary file"))?;
        match self.keep(&key, &made) {
            Ok(path) => made.kept_at = path,
            // A disk can be made without, only more slowly the next time.
            Err(why) => self.report.detail(format_args!(
                "not kept for the next disk: {}: {}",
                why.object(),
                why.cause()
            )),
        }
        Ok(made)
    }

    /// One that can be read. All others can be made again.
    fn find(&self, key: &Digest) -> Option<MadeFile> {
        let folder = self.folder.as_deref()?;
        let beginning = format!("{}-", key.hex());
        for (_, path) in entries(folder).ok()? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some(hex) = name.strip_prefix(&beginning) else { continue };
            let read = File::open(&path).and_then(MadeFile::new);
            if let Ok(found) = read
                && found.digest.hex() == hex
            {
                note_use(&found.file);
                return Some(found.kept(&path));
            }
            self.report.detail(format_args!("{}: is damaged, and made again", path.display()));
            let _ = fs::remove_file(&path);
        }
        None
    }

    fn keep(&self, key: &Digest, made: &MadeFile) -> Result<Option<PathBuf>> {
        let Some(folder) = &self.folder else { return Ok(None) };
        fs::create_dir_all(folder).map_err(Error::on(folder.display()))?;
        let path = folder.join(format!("{}-{}", key.hex(), made.digest.hex()));
        let unnamed = UnnamedFile::beside(&path)?;
        let mut source = File::open(made.path()).map_err(Error::on("a temporary file"))?;
        io::copy(&mut source, &mut unnamed.handle()?).map_err(Error::on(folder.display()))?;
        unnamed.publish()?;
        keep_newest(folder, KEPT, |_| true).map_err(Error::on(folder.display()))?;
        Ok(Some(path))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::FileTimes;
    use std::io::Write;
    use std::time::{Duration, SystemTime};

    use super::*;

    fn get(cache: &MadeFiles, source: &str, made: &mut u32) -> String {
        let make = |mut file: &File| {
            *made += 1;
            file.write_all(format!("made from {source}").as_bytes()).map_err(Error::on("test"))
        };
        let file = cache.get(&[source.to_owned()], make).unwrap();
        fs::read_to_string(file.path()).unwrap()
    }

    #[test]
    fn what_was_made_once_is_found_until_it_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let cache = MadeFiles::below(folder.path().join("made"));
        let mut made = 0;
        for _ in 0..2 {
            assert_eq!(get(&cache, "a", &mut made), "made from a");
        }
        assert_eq!(get(&cache, "b", &mut made), "made from b");
        assert_eq!(made, 2);
        for (_, path) in entries(&folder.path().join("made")).unwrap() {
            fs::write(path, "made from a stone").unwrap();
        }
        assert_eq!(get(&cache, "a", &mut made), "made from a");
        assert_eq!(get(&cache, "a", &mut made), "made from a");
        assert_eq!(made, 3);
    }

    #[test]
    fn what_was_not_used_for_longest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let cache = MadeFiles::below(folder.path().to_owned());
        let mut made = 0;
        get(&cache, "first", &mut made);
        for (_, path) in entries(folder.path()).unwrap() {
            let long_ago = SystemTime::now() - Duration::from_secs(1000);
            File::open(path).unwrap().set_times(FileTimes::new().set_modified(long_ago)).unwrap();
        }
        (0..KEPT).for_each(|number| drop(get(&cache, &number.to_string(), &mut made)));
        assert_eq!(entries(folder.path()).unwrap().len(), KEPT);
        get(&cache, "0", &mut made);
        assert_eq!(made as usize, KEPT + 1);
        get(&cache, "first", &mut made);
        assert_eq!(made as usize, KEPT + 2);
    }

    #[test]
    fn a_place_that_cannot_be_written_to_is_no_fault() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let mut made = 0;
        assert_eq!(get(&MadeFiles::below(file.join("made")), "a", &mut made), "made from a");
    }
}
