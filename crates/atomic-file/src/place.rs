//! Where a name leads: its folder, held open, and what has the name there. Everything later goes through these descriptors, so that
//! nobody can put another folder or another link under the path meanwhile.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat, readlink, readlinkat};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use nix::unistd::geteuid;

use crate::Error;
use crate::error::{on, refusal};

/// The kernel follows no more links either (MAXSYMLINKS, path_resolution(7)).
const MOST_LINKS: usize = 40;

/// A name in an open folder.
#[derive(Debug)]
pub(crate) struct Place {
    /// What the caller named, for messages.
    pub shown: PathBuf,
    /// The folder, for messages.
    pub folder_shown: PathBuf,
    /// The folder, opened with O_PATH.
    pub folder: OwnedFd,
    /// The name in it: one component.
    pub name: OsString,
    /// What has the name.
    pub found: Option<Found>,
}

/// What has a name, opened with O_PATH and not followed.
#[derive(Debug)]
pub(crate) struct Found {
    pub node: OwnedFd,
    /// The kind of file (inode(7)).
    pub kind: SFlag,
    owner: u32,
}

impl Found {
    fn of(node: OwnedFd) -> io::Result<Found> {
        let stat = fstat(&node)?;
        let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
        Ok(Found { node, kind, owner: stat.st_uid })
    }

    /// Its path in `/proc`, which leads to it whatever has its name by now.
    pub fn link(&self) -> PathBuf {
        descriptor_path(&self.node)
    }
}

impl Place {
    /// The name itself: a symbolic link stays one.
    pub fn of(path: &Path) -> Result<Place, Error> {
        Place::in_folder(AT_FDCWD, path, path)
    }

    /// Where the name leads after all symbolic links at its end, also where they lead to nothing yet.
    ///
    /// Links and FIFOs that somebody else put into a folder where everybody may put something (`/tmp`) are refused, whatever
    /// `protected_symlinks` and `protected_fifos` say (Documentation/admin-guide/sysctl/fs.rst of the kernel).
    pub fn followed(path: &Path) -> Result<Place, Error> {
        let mut place = Place::of(path)?;
        for _ in 0..MOST_LINKS {
            let Some(found) = &place.found else { return Ok(place) };
            match found.kind {
                SFlag::S_IFLNK => {
                    place.refuse_planted(found, "link")?;
                    place = place.next(found)?;
                }
                SFlag::S_IFIFO => {
                    place.refuse_planted(found, "FIFO")?;
                    return Ok(place);
                }
                _ => return Ok(place),
            }
        }
        Err(on(path)(io::Error::from(Errno::ELOOP)).remedy("correct the links"))
    }

    fn in_folder(start: impl AsFd, path: &Path, shown: &Path) -> Result<Place, Error> {
        let bytes = path.as_os_str().as_bytes();
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let name = match path.file_name() {
            Some(name) if !bytes.ends_with(b"/") && !bytes.ends_with(b"/.") => name,
            _ => return Err(refusal(shown, "is a folder", "give the name of a file")),
        };
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let opened = openat(start, folder, flags, Mode::empty())
            .map_err(|errno| no_file_here(folder, io::Error::from(errno)))?;
        let found = find(&opened, name).map_err(on(shown))?;
        Ok(Place {
            shown: shown.to_path_buf(),
            folder_shown: folder.to_path_buf(),
            folder: opened,
            name: name.to_os_string(),
            found,
        })
    }

    /// Where the link leads that has this name.
    fn next(&self, link: &Found) -> Result<Place, Error> {
        let failed = |errno: Errno| on(&self.shown)(io::Error::from(errno));
        if fstatfs(&link.node).map_err(failed)?.filesystem_type() == PROC_SUPER_MAGIC {
            return self.next_in_proc();
        }
        // readlinkat(2) with an empty path reads the link that the descriptor is.
        let target = PathBuf::from(readlinkat(&link.node, "").map_err(failed)?);
        Place::in_folder(&self.folder, &target, &self.shown)
    }

    /// The text of such a link can be no path (`pipe:[1]`, proc_pid_fd(5)), so that only the kernel can follow it.
    fn next_in_proc(&self) -> Result<Place, Error> {
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        let opened = openat(&self.folder, &*self.name, flags, Mode::empty());
        let found = opened.map_err(io::Error::from).and_then(Found::of).map_err(on(&self.shown))?;
        if found.kind == SFlag::S_IFREG {
            // Whoever opened it goes on writing to it, and not to the file that would take its name.
            let cause = "is an open file of a process";
            return Err(refusal(&self.shown, cause, "give the file's own name"));
        }
        let folder = self.folder.try_clone().map_err(on(&self.shown))?;
        let (shown, folder_shown) = (self.shown.clone(), self.folder_shown.clone());
        Ok(Place { shown, folder_shown, folder, name: self.name.clone(), found: Some(found) })
    }

    fn refuse_planted(&self, found: &Found, kind: &str) -> Result<(), Error> {
        let folder = fstat(&self.folder).map_err(io::Error::from).map_err(on(&self.folder_shown))?;
        let for_all = (Mode::S_ISVTX | Mode::S_IWOTH).bits();
        let owner = found.owner;
        if folder.st_mode & for_all != for_all || owner == geteuid().as_raw() || owner == folder.st_uid {
            return Ok(());
        }
        let cause = format!("is a {kind} of user {owner} in a folder where everybody may put one");
        Err(refusal(&self.shown, cause, "give another name, or a folder of your own"))
    }

    /// The folder's real path.
    pub fn real_folder(&self) -> io::Result<PathBuf> {
        Ok(PathBuf::from(readlink(&descriptor_path(&self.folder))?))
    }
}

fn find(folder: &OwnedFd, name: &OsStr) -> io::Result<Option<Found>> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match openat(folder, name, flags, Mode::empty()) {
        Ok(node) => Found::of(node).map(Some),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

pub(crate) fn descriptor_path(descriptor: &impl AsRawFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", descriptor.as_raw_fd()))
}

pub(crate) fn no_file_here(folder: &Path, error: io::Error) -> Error {
    let cause = format!("cannot make a file in this folder: {error}");
    refusal(folder, cause, "choose a folder that exists and that you may write to").because_of(error)
}
