//! Removes a tree whose names and depth somebody else chose: by directory descriptors, so that no path is ever too long, no link is
//! ever followed, and nothing outside of the tree is ever reached.
//!
//! At most three descriptors are open, whatever the depth. The way up is `..`, and it is only taken when it leads to the very
//! directory that it came from (device and inode number), so that a tree that is moved meanwhile ends the removal and not what lies
//! beside its new place. What is mounted below is not entered (RESOLVE_NO_XDEV, openat2(2)). A directory that lacks rights gets
//! them, through a descriptor as well.
//!
//! What cannot be removed hinders nothing else: the rest goes, and the first reason is told.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags};
use rustix::io::Errno;

/// How directories are opened: to be listed, and never by a link.
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Neither out of the directory, nor by a link, nor onto what is mounted there.
const INSIDE: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_XDEV);
/// Bytes of names that are read at a time.
const LISTING: usize = 32 << 10;
/// Directories that are remembered before they are entered; the listing begins anew for more.
const MOST_AHEAD: usize = 1024;

/// What could not be removed first, and why.
#[derive(Debug)]
pub(crate) struct Stuck {
    /// Its path below the directory that was named; cut where it is longer than a person reads.
    pub(crate) path: PathBuf,
    /// The system's answer.
    pub(crate) error: io::Error,
}

/// Removes what `name` stands for in `parent`, which is a name and no path: a file, a link, or a directory with all below it.
/// What is gone already is no error.
pub(crate) fn remove_at(parent: BorrowedFd<'_>, name: &OsStr) -> Result<(), Stuck> {
    let name = CString::new(name.as_bytes()).map_err(|_| stuck(name, Errno::INVAL))?;
    match remove_leaf(parent, &name, FileType::Unknown) {
        Leaf::Gone => return Ok(()),
        Leaf::Full => {}
        Leaf::Stays(errno) => return Err(stuck("", errno)),
    }
    let directory = enter(parent, &name).map_err(|errno| stuck("", errno))?;
    let first = Walk::new(directory)?.empty();
    match (first, rustix::fs::unlinkat(parent, &*name, AtFlags::REMOVEDIR)) {
        (_, Ok(()) | Err(Errno::NOENT)) => Ok(()),
        (Some(first), Err(_)) => Err(first),
        (None, Err(errno)) => Err(stuck("", errno)),
    }
}

fn stuck(path: impl AsRef<Path>, errno: Errno) -> Stuck {
    Stuck { path: path.as_ref().to_path_buf(), error: errno.into() }
}

/// What became of something that is no directory, or an empty one.
enum Leaf {
    Gone,
    /// It is a directory with something in it.
    Full,
    Stays(Errno),
}

fn remove_leaf(parent: BorrowedFd<'_>, name: &CStr, kind: FileType) -> Leaf {
    if kind != FileType::Directory {
        match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Leaf::Gone,
            // unlink(2) on a directory: EISDIR on Linux, EPERM by POSIX.
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(errno) => return Leaf::Stays(errno),
        }
    }
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Leaf::Gone,
        Err(Errno::NOTEMPTY | Errno::EXIST) => Leaf::Full,
        // It is none: the first answer was for what it is, a file that may not be removed.
        Err(Errno::NOTDIR) => Leaf::Stays(Errno::PERM),
        Err(errno) => Leaf::Stays(errno),
    }
}

/// Opens a directory of `parent` to empty it, with all rights that its owner can give.
fn enter(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let open = |flags| rustix::fs::openat2(parent, name, flags, Mode::empty(), INSIDE);
    let directory = match open(DIRECTORY) {
        Err(Errno::ACCESS) => {
            // O_PATH needs no right on it, and what it opened cannot be exchanged any more.
            let closed = open(OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC)?;
            let path = format!("/proc/self/fd/{}", closed.as_raw_fd());
            rustix::fs::chmod(path, Mode::RWXU)?;
            rustix::fs::openat(&closed, c".", DIRECTORY, Mode::empty())?
        }
        opened => opened?,
    };
    let mode = Mode::from_raw_mode(rustix::fs::fstat(&directory)?.st_mode);
    if !mode.contains(Mode::RWXU) {
        // Not ours: what it keeps from going is told when it does.
        let _ = rustix::fs::fchmod(&directory, Mode::RWXU);
    }
    Ok(directory)
}

/// A directory that is being emptied.
struct Level {
    /// Its name in the one above; empty for the first.
    name: CString,
    identity: (u64, u64),
    /// Directories below it that are not empty, still to be entered.
    ahead: Vec<CString>,
    /// Whether something went since the listing began: with nothing gone, another look would find the same.
    progress: bool,
    /// Whether the listing reached its end.
    listed: bool,
}

/// Goes through a tree, from its top down and up again.
struct Walk {
    here: OwnedFd,
    levels: Vec<Level>,
    first: Option<Stuck>,
}

impl Walk {
    fn new(top: OwnedFd) -> Result<Self, Stuck> {
        let level = Level::new(CString::default(), &top).map_err(|errno| stuck("", errno))?;
        Ok(Walk { here: top, levels: vec![level], first: None })
    }

    /// Empties the top; what it gives is the first thing that stayed.
    fn empty(mut self) -> Option<Stuck> {
        while let Some(level) = self.levels.last_mut() {
            let entered = match level.ahead.pop() {
                Some(name) => self.descend(name),
                None if level.listed && !level.progress => self.ascend(),
                None => self.list(),
            };
            if let Err(errno) = entered {
                // The way is lost, in a tree that somebody moves about.
                self.note(None, errno);
                break;
            }
        }
        self.first
    }

    /// Removes what is no full directory, and remembers the others. A file system may leave out names when others go meanwhile
    /// (readdir(3)), so that a listing in which something went is followed by another.
    fn list(&mut self) -> Result<(), Errno> {
        rustix::fs::seek(&self.here, rustix::fs::SeekFrom::Start(0))?;
        let (mut ahead, mut progress, mut stays) = (Vec::new(), false, Vec::new());
        let mut buffer = Vec::with_capacity(LISTING);
        let mut listing = RawDir::new(&self.here, buffer.spare_capacity_mut());
        while ahead.len() < MOST_AHEAD
            && let Some(entry) = listing.next()
        {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            match remove_leaf(self.here.as_fd(), name, entry.file_type()) {
                Leaf::Gone => progress = true,
                Leaf::Full => ahead.push(name.to_owned()),
                Leaf::Stays(errno) if stays.is_empty() => stays.push((name.to_owned(), errno)),
                Leaf::Stays(_) => {}
            }
        }
        for (name, errno) in stays {
            self.note(Some(&name), errno);
        }
        if let Some(level) = self.levels.last_mut() {
            (level.ahead, level.progress, level.listed) = (ahead, progress, true);
        }
        Ok(())
    }

    fn descend(&mut self, name: CString) -> Result<(), Errno> {
        let entered = enter(self.here.as_fd(), &name);
        let entered = entered.and_then(|below| Level::new(name.clone(), &below).map(|level| (below, level)));
        match entered {
            Ok((below, level)) => {
                self.here = below;
                self.levels.push(level);
            }
            Err(Errno::NOENT) => self.went(),
            Err(errno) => self.note(Some(&name), errno),
        }
        Ok(())
    }

    /// Back to the directory above, which loses the one that was emptied.
    fn ascend(&mut self) -> Result<(), Errno> {
        let Some(done) = self.levels.pop() else { return Ok(()) };
        let Some(above) = self.levels.last() else { return Ok(()) };
        let up = rustix::fs::openat(&self.here, c"..", DIRECTORY, Mode::empty())?;
        if identity(&up)? != above.identity {
            return Err(Errno::STALE);
        }
        self.here = up;
        match rustix::fs::unlinkat(&self.here, &*done.name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => self.went(),
            Err(errno) => self.note(Some(&done.name), errno),
        }
        Ok(())
    }

    fn went(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            level.progress = true;
        }
    }

    /// Keeps the first reason, which is the deepest: those above it are not empty because of it.
    fn note(&mut self, name: Option<&CStr>, errno: Errno) {
        if self.first.is_some() {
            return;
        }
        /// Names of a path that a person still reads.
        const SHOWN: usize = 8;
        let names = self.levels.iter().skip(1).map(|level| level.name.as_c_str()).chain(name);
        let mut path: PathBuf = names.take(SHOWN).map(|name| OsStr::from_bytes(name.to_bytes())).collect();
        if self.levels.len() > SHOWN {
            path.push("...");
        }
        self.first = Some(Stuck { path, error: errno.into() });
    }
}

impl Level {
    fn new(name: CString, directory: &OwnedFd) -> Result<Self, Errno> {
        let identity = identity(directory)?;
        Ok(Level { name, identity, ahead: Vec::new(), progress: false, listed: false })
    }
}

fn identity(directory: &OwnedFd) -> Result<(u64, u64), Errno> {
    let found = rustix::fs::fstat(directory)?;
    Ok((found.st_dev, found.st_ino))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn remove(folder: &Path, name: &str) -> Result<(), Stuck> {
        remove_at(File::open(folder).unwrap().as_fd(), OsStr::new(name))
    }

    /// Makes `depth` directories in one another, each with a file, none with any right. No path names the last.
    fn dig(folder: &Path, name: &str, depth: usize) {
        let mut here: OwnedFd = File::open(folder).unwrap().into();
        let name = format!("{name}{}", "x".repeat(200));
        let mut above = Vec::new();
        for _ in 0..depth {
            rustix::fs::mkdirat(&here, &*name, Mode::RWXU).unwrap();
            let below = rustix::fs::openat(&here, &*name, DIRECTORY, Mode::empty()).unwrap();
            let file = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
            rustix::fs::openat(&below, c"file", file, Mode::empty()).unwrap();
            above.push(std::mem::replace(&mut here, below));
            // With every descriptor open there would be too many of them.
            if above.len() > 8 {
                let closed = above.remove(0);
                rustix::fs::fchmod(&closed, Mode::empty()).unwrap();
            }
        }
    }

    #[test]
    fn any_depth_and_any_rights() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("top");
        fs::create_dir(&top).unwrap();
        for name in ["a", "b"] {
            dig(&top, name, 1500);
            // It took the rights of `top` too, and who is not root needs them for the next.
            fs::set_permissions(&top, fs::Permissions::from_mode(0o700)).unwrap();
        }
        fs::set_permissions(&top, fs::Permissions::from_mode(0o000)).unwrap();
        remove(folder.path(), "top").unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        remove(folder.path(), "top").unwrap();
    }

    #[test]
    fn many_directories_side_by_side() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..MOST_AHEAD + 100 {
            fs::create_dir_all(folder.path().join(format!("top/{number}/below"))).unwrap();
        }
        remove(folder.path(), "top").unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn links_are_removed_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (top, other) = (folder.path().join("top"), folder.path().join("other"));
        fs::create_dir_all(&top).unwrap();
        fs::create_dir_all(other.join("below")).unwrap();
        fs::write(other.join("file"), "kept").unwrap();
        fs::set_permissions(&other, fs::Permissions::from_mode(0o750)).unwrap();
        std::os::unix::fs::symlink(&other, top.join("link")).unwrap();
        std::os::unix::fs::symlink("../other/file", top.join("file")).unwrap();
        std::os::unix::fs::symlink(&other, folder.path().join("itself")).unwrap();
        remove(folder.path(), "top").unwrap();
        remove(folder.path(), "itself").unwrap();
        assert_eq!(fs::read(other.join("file")).unwrap(), b"kept");
        assert_eq!(fs::metadata(&other).unwrap().permissions().mode() & 0o777, 0o750);
        assert!(!top.exists() && other.join("below").is_dir());
    }
}
