//! One open image file.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use block_probe::ByteSource;
use block_probe::image_kind::ImageKind;
use nix::fcntl::OFlag;
use rustix::fs::{Advice, fadvise};
use sha2::{Digest, Sha256};

use crate::beneath::Folder;
use crate::{Error, Result};

/// Bytes read and hashed at a time: large enough that system calls do not count, small enough for a small machine.
const CHUNK: usize = 1 << 20;

/// Bytes at the end of a squashfs that a mount reads: enough for the tables of an image with thousands of files.
const TABLES: u64 = 64 << 10;
/// Bytes at the beginning of a hash tree, where its upper levels are.
const TREE: u64 = 16 << 10;

/// An image opened once: what [`OpenImage::digest`] has read is what [`crate::loop_device::attach`] gives to the
/// kernel, whatever happens to the name meanwhile.
#[derive(Debug)]
pub struct OpenImage {
    pub(crate) file: File,
    path: PathBuf,
    size: u64,
    superblocks: Option<Superblocks>,
}

/// The bytes where an image may have its superblock, read once for all who look at it: an image is one of hundreds.
#[derive(Debug)]
struct Superblocks {
    /// At byte 0: struct squashfs_super_block, and the options of the compressor behind it.
    squashfs: [u8; 104],
    /// At byte 1024: struct erofs_super_block.
    erofs: [u8; 128],
}

impl Superblocks {
    const EROFS: usize = 1024;

    /// `None` when the file is shorter, or cannot be read: whoever asks the file itself learns why.
    fn read(file: &File) -> Option<Self> {
        let bytes = file.array::<{ Self::EROFS + 128 }>(0)?;
        let (squashfs, erofs) = (*bytes.first_chunk()?, *bytes.last_chunk()?);
        Some(Self { squashfs, erofs })
    }

    /// `length` bytes at `offset`, when they are among these.
    fn get(&self, offset: u64, length: usize) -> Option<&[u8]> {
        let offset = usize::try_from(offset).ok()?;
        let end = offset.checked_add(length)?;
        self.squashfs
            .get(offset..end)
            .or_else(|| self.erofs.get(offset.checked_sub(Self::EROFS)?..end.checked_sub(Self::EROFS)?))
    }
}

impl ByteSource for OpenImage {
    fn fill(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self.superblocks.as_ref().and_then(|read| read.get(offset, buffer.len())) {
            Some(bytes) => {
                buffer.copy_from_slice(bytes);
                Ok(())
            }
            None => self.file.fill(buffer, offset),
        }
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.size)
    }
}

impl OpenImage {
    /// Opens the image for reading. Only regular files and block devices are images.
    pub fn open(path: &Path) -> Result<Self> {
        let error = |cause| Error::new("open the image", path.display(), cause);
        // O_NONBLOCK: a FIFO under an image's name must not hang PID 1. It changes nothing for files and devices.
        let flags = (OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).bits();
        let file = File::options().read(true).custom_flags(flags).open(path).map_err(error)?;
        let metadata = file.metadata().map_err(error)?;
        if !metadata.is_file() && !metadata.file_type().is_block_device() {
            let why = "it is neither a regular file nor a block device".to_owned();
            return Err(Error::refused("open the image", path.display(), why, "copy the image there again"));
        }
        let superblocks = Superblocks::read(&file);
        Ok(Self { file, path: path.to_owned(), size: metadata.len(), superblocks })
    }

    /// Opens an image of a store: a regular file, wherever the store's own names lead.
    pub fn beneath(store: &Folder, name: &Path) -> Result<Self> {
        let path = store.path().join(name);
        let error = |cause| Error::new("open the image", path.display(), cause);
        let file = store.file(name).map_err(error)?;
        let size = file.metadata().map_err(error)?.len();
        let superblocks = Superblocks::read(&file);
        Ok(Self { file, path, size, superblocks })
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Length in bytes when it was opened.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Which file system it holds.
    ///
    /// # Errors
    /// Neither squashfs nor EROFS: what is there instead is named, where it is known. An EROFS with data in other files.
    pub fn file_system(&self) -> Result<ImageKind> {
        let kind = ImageKind::of(self).ok_or_else(|| {
            let found = match block_probe::superblock::probe(&self.file) {
                Some(other) => format!("it is neither squashfs nor EROFS, but {}", other.kind),
                None => "it is neither squashfs nor EROFS".to_owned(),
            };
            let remedy = "build the image again, and copy it to the medium again";
            Error::refused("recognise the image", self.path.display(), found, remedy)
        })?;
        in_one_file(kind, self, &self.path)
    }

    /// Asks the kernel to read what a mount will need, without waiting: the tables of inodes, folders and ids, which a squashfs
    /// has at its end (`Documentation/filesystems/squashfs.rst`), and the top of the hash tree that may follow. The file system is
    /// `length` bytes long.
    pub fn read_ahead(&self, length: u64) {
        let tables = length.min(self.size).saturating_sub(TABLES);
        // Advice: a file system that does not take it reads later.
        let _ = fadvise(&self.file, tables, NonZeroU64::new(TABLES + TREE), Advice::WillNeed);
    }

    /// SHA-256 of the whole file; `progress` is told the number of bytes of each piece that was hashed.
    pub fn digest(&self, mut progress: impl FnMut(usize)) -> Result<[u8; 32]> {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; CHUNK.min(usize::try_from(self.size).unwrap_or(CHUNK).max(1))];
        let mut offset = 0;
        loop {
            match self.file.read_at(&mut buffer, offset) {
                Ok(0) => return Ok(hasher.finalize().into()),
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    offset += count as u64;
                    progress(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let object = format!("{} at byte {offset}", self.path.display());
                    return Err(Error::new("read", object, error)
                        .with_remedy("the medium is damaged or was removed: copy the image to another one"));
                }
            }
        }
    }
}

/// `kind`, as an error about the file at `path` when parts of it lie in other files.
pub(crate) fn in_one_file(kind: ImageKind, source: &impl ByteSource, path: &Path) -> Result<ImageKind> {
    if kind.is_whole(source) {
        return Ok(kind);
    }
    let why = "its data is in other files as well, and a layer is one file".to_owned();
    let remedy = "make it anew without other devices: `lamina image create`, or mkfs.erofs without --blobdev";
    Err(Error::refused("use the image", path.display(), why, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_of_the_descriptor_not_of_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sqfs");
        std::fs::write(&path, b"abc").unwrap();
        let image = OpenImage::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, b"other").unwrap();
        let mut told = 0;
        let digest = image.digest(|count| told += count).unwrap();
        // SHA-256 of "abc": FIPS 180-2, appendix B.1.
        assert_eq!(digest[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!((told, image.size()), (3, 3));
    }

    #[test]
    fn a_missing_image_is_named() {
        let error = OpenImage::open(Path::new("/nowhere/a.sqfs")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/a.sqfs"), "{error}");
    }

    #[test]
    fn a_directory_is_no_image() {
        let error = OpenImage::open(Path::new("/")).unwrap_err();
        assert!(error.why().contains("neither a regular file"), "{}", error.why());
    }

    #[test]
    fn the_magic_tells_the_file_system() {
        let kind_of = |offset: usize, magic: &[u8]| {
            let file = tempfile::NamedTempFile::new().unwrap();
            let mut bytes = vec![0; 8192];
            bytes[offset..offset + magic.len()].copy_from_slice(magic);
            std::fs::write(file.path(), bytes).unwrap();
            OpenImage::open(file.path()).unwrap().file_system().map_err(|error| error.why())
        };
        assert_eq!(kind_of(0, b"hsqs"), Ok(ImageKind::Squashfs));
        assert_eq!(kind_of(1024, b"\xe2\xe1\xf5\xe0"), Ok(ImageKind::Erofs));
        // EROFS with the magic, and with a device table.
        let mut superblock = [0; 84];
        superblock[..4].copy_from_slice(b"\xe2\xe1\xf5\xe0");
        superblock[80] = 0x8;
        let partial = kind_of(1024, &superblock);
        assert_eq!(partial, Err("its data is in other files as well, and a layer is one file".into()));
        let other = kind_of(0, b"LUKS\xba\xbe");
        assert_eq!(other, Err("it is neither squashfs nor EROFS, but crypto_LUKS".into()));
        assert_eq!(kind_of(0, b""), Err("it is neither squashfs nor EROFS".into()));
    }

    #[test]
    fn what_was_read_of_an_image_is_what_its_file_has() {
        let bytes: Vec<u8> = (0_u32..2048).flat_map(u32::to_le_bytes).collect();
        for length in [0, 103, 104, 1024, 1151, 1152, 8192] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &bytes[..length]).unwrap();
            let image = OpenImage::open(file.path()).unwrap();
            for offset in [0, 1, 96, 100, 1000, 1024, 1104, 1148, 1152, u64::MAX - 2] {
                let (held, stored) = (image.array::<4>(offset), image.file.array::<4>(offset));
                assert_eq!(held, stored, "{length} bytes, at {offset}");
            }
        }
    }

    #[test]
    fn an_empty_image_has_a_digest() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let digest = OpenImage::open(file.path()).unwrap().digest(|_| ()).unwrap();
        assert_eq!(digest[..4], [0xe3, 0xb0, 0xc4, 0x42]);
    }
}
