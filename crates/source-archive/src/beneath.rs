//! Files, folders and links below the folder that an archive is unpacked to, made by descriptors: a name is resolved by the kernel with
//! openat2(2) and RESOLVE_BENEATH, so that it takes as long as it is deep, and no link leads out.
//!
//! The crate `tar` canonicalizes every folder on the way to a file, each from the root: one file below 1,000 folders took it 30 s.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::{Part, Problem, damaged, lossy};
use crate::limits;

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The folder that everything is unpacked to.
pub(crate) struct Root {
    folder: OwnedFd,
    /// How many folders were made on the way to others.
    made: usize,
}

/// Where an entry goes: a folder that is there, and a name in it.
pub(crate) struct Seat {
    parent: OwnedFd,
    name: Vec<u8>,
}

impl Root {
    pub fn open(path: &Path) -> Part<Root> {
        let folder = rustix::fs::open(path, FOLDER, Mode::empty())
            .map_err(|errno| Problem::Io("opening the folder to unpack into", errno.into()))?;
        Ok(Root { folder, made: 0 })
    }

    /// Makes the folders on the way to `path`, which has only normal components and at least one.
    pub fn seat(&mut self, path: &Path) -> Part<Seat> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return damaged(format!("has an entry with the name '{}'", shown(path)));
        };
        let parent = self.folder(parent)?;
        Ok(Seat { parent, name: name.as_bytes().to_vec() })
    }

    /// The folder at `path`, made with all above it where they are not there.
    fn folder(&mut self, path: &Path) -> Part<OwnedFd> {
        match self.resolve(path) {
            Ok(found) => return Ok(found),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(refused(path, errno)),
        }
        // What is there ends somewhere on the way: found by halves, as each look takes as long as the way is deep.
        let parts: Vec<&OsStr> = path.iter().collect();
        let (mut there, mut missing) = (0, parts.len());
        while missing - there > 1 {
            let middle = usize::midpoint(there, missing);
            match self.resolve(&parts[..middle].iter().collect::<PathBuf>()) {
                Ok(_) => there = middle,
                Err(Errno::NOENT) => missing = middle,
                Err(errno) => return Err(refused(path, errno)),
            }
        }
        let begin: PathBuf = parts[..there].iter().collect();
        let mut folder = self.resolve(&begin).map_err(|errno| refused(path, errno))?;
        for part in &parts[there..] {
            limits::count(&mut self.made)?;
            rustix::fs::mkdirat(&folder, *part, Mode::from_raw_mode(0o777))
                .map_err(|errno| refused(path, errno))?;
            folder = rustix::fs::openat(&folder, *part, FOLDER | OFlags::NOFOLLOW, Mode::empty())
                .map_err(|errno| refused(path, errno))?;
        }
        Ok(folder)
    }

    /// A folder below this one, also through links that stay below it.
    fn resolve(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        loop {
            match rustix::fs::openat2(&self.folder, path, FOLDER, Mode::empty(), how) {
                // A rename anywhere on the machine meanwhile (openat2(2)).
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return result,
            }
        }
    }

    /// Makes `seat` a further name of the file at `target`, which must be there and below.
    pub fn hard_link(&self, seat: &Seat, target: &Path) -> Part<()> {
        let to = || format!("has the hard link '{}' to '{}'", seat.shown(), shown(target));
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return lossy(format!("{}, which leads out of it", to()));
        };
        let linked = self.resolve(parent).and_then(|parent| {
            rustix::fs::linkat(parent, name, &seat.parent, OsStr::from_bytes(&seat.name), AtFlags::empty())
        });
        match linked {
            Ok(()) => Ok(()),
            Err(Errno::XDEV) => lossy(format!("{}, which leads out of it", to())),
            Err(Errno::NOENT) => lossy(format!("{}, which is not there before it", to())),
            Err(errno) => Err(seat.refused(errno)),
        }
    }
}

impl Seat {
    /// A new, empty file; one that is there is replaced, as by tar(1).
    pub fn file(&self, replace: bool) -> Part<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let make = || rustix::fs::openat(&self.parent, self.name(), flags, Mode::from_raw_mode(0o666));
        self.replacing(replace, make).map(File::from)
    }

    pub fn symlink(&self, target: &Path, replace: bool) -> Part<()> {
        self.replacing(replace, || rustix::fs::symlinkat(target, &self.parent, self.name()))
    }

    fn replacing<T>(&self, replace: bool, make: impl Fn() -> Result<T, Errno>) -> Part<T> {
        let made = match make() {
            Err(Errno::EXIST) if replace => {
                rustix::fs::unlinkat(&self.parent, self.name(), AtFlags::empty()).and_then(|()| make())
            }
            made => made,
        };
        made.map_err(|errno| self.refused(errno))
    }

    /// A folder, which may be there.
    pub fn folder(&self) -> Part<()> {
        match rustix::fs::mkdirat(&self.parent, self.name(), Mode::from_raw_mode(0o777)) {
            Err(Errno::EXIST) if self.is_folder() => Ok(()),
            made => made.map_err(|errno| self.refused(errno)),
        }
    }

    fn is_folder(&self) -> bool {
        rustix::fs::statat(&self.parent, self.name(), AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Directory)
    }

    /// Sets the mode of the folder that was made here.
    pub fn set_mode(&self, mode: u32) -> Part<()> {
        rustix::fs::chmodat(&self.parent, self.name(), Mode::from_raw_mode(mode), AtFlags::empty())
            .map_err(|errno| self.refused(errno))
    }

    /// Sets the times of a link.
    pub fn set_times(&self, seconds: i64) -> Part<()> {
        rustix::fs::utimensat(&self.parent, self.name(), &times(seconds), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| self.refused(errno))
    }

    fn name(&self) -> &OsStr {
        OsStr::from_bytes(&self.name)
    }

    fn shown(&self) -> String {
        self.name.escape_ascii().to_string()
    }

    fn refused(&self, errno: Errno) -> Problem {
        refused(Path::new(self.name()), errno)
    }
}

/// Sets the times of a file.
pub(crate) fn set_times(file: impl AsFd, seconds: i64) -> io::Result<()> {
    Ok(rustix::fs::futimens(file, &times(seconds))?)
}

fn times(tv_sec: i64) -> rustix::fs::Timestamps {
    let time = rustix::fs::Timespec { tv_sec, tv_nsec: 0 };
    rustix::fs::Timestamps { last_access: time, last_modification: time }
}

/// What the kernel's refusal says about the archive.
fn refused(path: &Path, errno: Errno) -> Problem {
    let name = shown(path);
    let why = match errno {
        Errno::XDEV => format!("has the name '{name}', which leads out of it through a link"),
        Errno::LOOP => format!("has the name '{name}' behind a link that leads nowhere"),
        Errno::NOTDIR => format!("has the name '{name}' below what is no folder"),
        Errno::EXIST | Errno::ISDIR | Errno::PERM => {
            format!("has '{name}' in the place of another entry of that name")
        }
        Errno::NAMETOOLONG => format!("has the name '{name}', which is too long for the file system"),
        other => return Problem::Io("unpacking it", io::Error::from(other)),
    };
    Problem::Lossy(why)
}

/// The components of a name in an archive without `.` and slashes before or between them; `None` when it leads out.
pub(crate) fn below(name: &[u8]) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for part in Path::new(OsStr::from_bytes(name)).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::ParentDir => return None,
            _ => {}
        }
    }
    Some(path)
}

/// The beginning of a name: it may have a megabyte.
pub(crate) fn shown(name: &Path) -> String {
    const MOST: usize = 200;
    let bytes = name.as_os_str().as_bytes();
    let end = if bytes.len() > MOST { "..." } else { "" };
    format!("{}{end}", bytes[..bytes.len().min(MOST)].escape_ascii())
}
