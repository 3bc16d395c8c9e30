//! A directory of this machine from an image.
//!
//! Every name is made with an `*at` call relative to its open parent, which was itself made a moment before, and is never
//! followed if it is a link: an image cannot name a place outside the target. Directories are closed to others while
//! they are filled; their own permissions and times come last.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags};

use super::file::Part;
use super::{FileData, Image, Item};
use crate::Error;
use crate::entry::{Device, Kind, Metadata, Xattr};

/// What to do with device nodes other than overlayfs's whiteout, which anyone may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialFiles {
    /// Make them, which needs root.
    Make,
    /// Leave them out and list them in [`Unpacked::skipped`].
    Skip,
}

/// How to unpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnpackOptions {
    /// Whether to give everything its owner and group. Without that, setuid and setgid bits are left out too, since they
    /// would name the wrong owner.
    pub owners: bool,
    /// What to do with device nodes.
    pub devices: SpecialFiles,
    /// Whether to restore `trusted.` and `security.` attributes, and those of links and special files, too.
    pub all_xattrs: bool,
}

impl UnpackOptions {
    /// All that root can restore.
    pub fn root() -> Self {
        Self { owners: true, devices: SpecialFiles::Make, all_xattrs: true }
    }

    /// All that an ordinary user can restore.
    pub fn user() -> Self {
        Self { owners: false, devices: SpecialFiles::Skip, all_xattrs: false }
    }
}

/// What was unpacked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// How many names were made.
    pub names: u64,
    /// How many bytes of files were written, holes not counted.
    pub bytes: u64,
    /// The paths of the device nodes that were left out.
    pub skipped: Vec<Vec<u8>>,
}

impl Image {
    /// Unpacks everything into `target`, which must not exist, or be an empty directory. After an error part of the tree
    /// is there: unpack into a temporary directory, and rename that.
    pub fn unpack(&self, target: &Path, options: &UnpackOptions) -> Result<Unpacked, Error> {
        let root = open_empty(target)?;
        let mut unpacker = Unpacker {
            image: self,
            target,
            options,
            parents: vec![root],
            directories: Vec::new(),
            first_names: HashMap::new(),
            unpacked: Unpacked::default(),
        };
        for item in self.walk() {
            let item = item?;
            unpacker.item(&item)?;
        }
        unpacker.finish_directories()?;
        Ok(unpacker.unpacked)
    }
}

fn open_empty(target: &Path) -> Result<OwnedFd, Error> {
    match fs::create_dir(target) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mut listing = fs::read_dir(target).map_err(|error| Error::io("list", target, error))?;
            if listing.next().is_some() {
                let error = io::Error::from(io::ErrorKind::DirectoryNotEmpty);
                return Err(Error::io("unpack into", target, error));
            }
        }
        Err(error) => return Err(Error::io("create", target, error)),
    }
    rustix::fs::open(target, DIRECTORY, Mode::empty()).map_err(|error| Error::io("open", target, error))
}

/// How directories are opened.
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

struct Unpacker<'a> {
    image: &'a Image,
    target: &'a Path,
    options: &'a UnpackOptions,
    /// The open directories from the target down to where the walk is.
    parents: Vec<OwnedFd>,
    /// All directories, parents first; their metadata is set at the end, last first.
    directories: Vec<(Vec<u8>, Metadata)>,
    /// The first name of every inode that says it has several.
    first_names: HashMap<u64, Vec<u8>>,
    unpacked: Unpacked,
}

impl Unpacker<'_> {
    fn item(&mut self, item: &Item) -> Result<(), Error> {
        if item.path.is_empty() {
            self.directories.push((Vec::new(), item.metadata.clone()));
            return Ok(());
        }
        let depth = item.path.iter().filter(|&&byte| byte == b'/').count();
        self.parents.truncate(depth + 1);
        let name = item.path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let name = OsStr::from_bytes(name);
        if item.kind == Kind::Directory {
            self.directory(item, name)?;
        } else if let Some(first) = self.first_names.get(&item.identity) {
            self.hard_link(first, name).map_err(self.failed("link", item))?;
        } else if !self.wanted(&item.kind) {
            self.unpacked.skipped.push(item.path.clone());
            return Ok(());
        } else {
            match &item.kind {
                Kind::File(data) => self.file(item, name, data)?,
                kind => self.special(&item.metadata, name, kind).map_err(self.failed("create", item))?,
            }
            if item.links > 1 {
                self.first_names.insert(item.identity, item.path.clone());
            }
        }
        self.unpacked.names += 1;
        Ok(())
    }

    fn wanted(&self, kind: &Kind<FileData>) -> bool {
        match kind {
            Kind::CharDevice(Device { major: 0, minor: 0 }) => true,
            Kind::CharDevice(_) | Kind::BlockDevice(_) => self.options.devices == SpecialFiles::Make,
            _ => true,
        }
    }

    fn parent(&self) -> &OwnedFd {
        self.parents.last().expect("the target stays open")
    }

    fn failed<E: Into<io::Error>>(
        &self,
        action: &'static str,
        item: &Item,
    ) -> impl FnOnce(E) -> Error + use<E> {
        let path = self.place(&item.path);
        move |error| Error::io(action, path, error)
    }

    fn place(&self, path: &[u8]) -> PathBuf {
        self.target.join(OsStr::from_bytes(path))
    }

    fn directory(&mut self, item: &Item, name: &OsStr) -> Result<(), Error> {
        rustix::fs::mkdirat(self.parent(), name, Mode::RWXU).map_err(self.failed("create", item))?;
        let opened = rustix::fs::openat(self.parent(), name, DIRECTORY, Mode::empty())
            .map_err(self.failed("open", item))?;
        self.parents.push(opened);
        self.directories.push((item.path.clone(), item.metadata.clone()));
        Ok(())
    }

    /// `first` was made by this unpacking, and so were the directories that lead to it.
    fn hard_link(&self, first: &[u8], name: &OsStr) -> io::Result<()> {
        let slash = first.iter().rposition(|&byte| byte == b'/');
        let (folder, file) = slash.map_or((&b""[..], first), |at| (&first[..at], &first[at + 1..]));
        let folder = self.reopen(folder)?;
        Ok(rustix::fs::linkat(folder, OsStr::from_bytes(file), self.parent(), name, AtFlags::empty())?)
    }

    fn reopen(&self, directory: &[u8]) -> io::Result<OwnedFd> {
        let path = if directory.is_empty() { b"." } else { directory };
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        Ok(rustix::fs::openat2(&self.parents[0], OsStr::from_bytes(path), DIRECTORY, Mode::empty(), beneath)?)
    }

    fn file(&mut self, item: &Item, name: &OsStr, data: &FileData) -> Result<(), Error> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(self.parent(), name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(self.failed("create", item))?;
        let mut file = File::from(file);
        let mut reader = self.image.reader(data);
        while let Some(part) = reader.next_part()? {
            match part {
                Part::Hole(len) => {
                    let ahead = SeekFrom::Current(len as i64);
                    file.seek(ahead).map_err(self.failed("write", item))?;
                }
                Part::Bytes(bytes) => {
                    file.write_all(bytes.bytes()).map_err(self.failed("write", item))?;
                    self.unpacked.bytes += bytes.bytes().len() as u64;
                }
            }
        }
        // A hole at the end leaves nothing behind it that would give the file its size.
        file.set_len(data.len()).map_err(self.failed("write", item))?;
        self.finish(&file, &item.metadata).map_err(self.failed("set the metadata of", item))
    }

    /// Owner before mode and attributes: changing the owner clears setuid bits and capabilities.
    fn finish(&self, file: impl AsFd, metadata: &Metadata) -> io::Result<()> {
        let file = file.as_fd();
        if self.options.owners {
            let (uid, gid) = owner(metadata);
            rustix::fs::fchown(file, uid, gid)?;
        }
        rustix::fs::fchmod(file, self.mode(metadata))?;
        for xattr in self.xattrs(metadata) {
            let name = OsStr::from_bytes(&xattr.name);
            rustix::fs::fsetxattr(file, name, &xattr.value, XattrFlags::empty())?;
        }
        Ok(rustix::fs::futimens(file, &times(metadata))?)
    }

    /// Links, devices, fifos, sockets.
    fn special(&self, metadata: &Metadata, name: &OsStr, kind: &Kind<FileData>) -> io::Result<()> {
        let parent = self.parent();
        if let Kind::Symlink(target) = kind {
            rustix::fs::symlinkat(OsStr::from_bytes(target), parent, name)?;
        } else {
            let (file_type, device) = match kind {
                Kind::BlockDevice(device) => (FileType::BlockDevice, *device),
                Kind::CharDevice(device) => (FileType::CharacterDevice, *device),
                Kind::Fifo => (FileType::Fifo, Device { major: 0, minor: 0 }),
                _ => (FileType::Socket, Device { major: 0, minor: 0 }),
            };
            let device = rustix::fs::makedev(device.major, device.minor);
            rustix::fs::mknodat(parent, name, file_type, Mode::RUSR | Mode::WUSR, device)?;
        }
        if self.options.owners {
            let (uid, gid) = owner(metadata);
            rustix::fs::chownat(parent, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        if !matches!(kind, Kind::Symlink(_)) {
            rustix::fs::chmodat(parent, name, self.mode(metadata), AtFlags::empty())?;
        }
        if self.options.all_xattrs && !metadata.xattrs.is_empty() {
            // There is no `lsetxattrat` before Linux 6.13; this path has the open parent in it, and is not followed.
            let path = PathBuf::from(format!("/proc/self/fd/{}", parent.as_raw_fd())).join(name);
            for xattr in &metadata.xattrs {
                let name = OsStr::from_bytes(&xattr.name);
                rustix::fs::lsetxattr(&path, name, &xattr.value, XattrFlags::empty())?;
            }
        }
        Ok(rustix::fs::utimensat(parent, name, &times(metadata), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn mode(&self, metadata: &Metadata) -> Mode {
        Mode::from_raw_mode(metadata.mode & if self.options.owners { 0o7777 } else { 0o1777 })
    }

    fn xattrs<'b>(&self, metadata: &'b Metadata) -> impl Iterator<Item = &'b Xattr> + use<'b> {
        let all = self.options.all_xattrs;
        metadata.xattrs.iter().filter(move |xattr| all || xattr.name.starts_with(b"user."))
    }

    /// The deepest first, so that none is closed, or changed, after its time is set.
    fn finish_directories(&mut self) -> Result<(), Error> {
        for (path, metadata) in std::mem::take(&mut self.directories).iter().rev() {
            self.reopen(path)
                .and_then(|directory| self.finish(directory, metadata))
                .map_err(|error| Error::io("set the metadata of", self.place(path), error))?;
        }
        Ok(())
    }
}

fn times(metadata: &Metadata) -> Timestamps {
    let time = Timespec { tv_sec: metadata.mtime, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

/// An id of all ones means "no change" to chown, and no image of ours has it.
fn owner(metadata: &Metadata) -> (Option<Uid>, Option<Gid>) {
    let real = |id: u32| (id != u32::MAX).then_some(id);
    (real(metadata.uid).map(Uid::from_raw), real(metadata.gid).map(Gid::from_raw))
}
