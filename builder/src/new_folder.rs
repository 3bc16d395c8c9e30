//! Folders that this program makes in a store, on a medium, in a cache and in the root of a sandbox: wherever it matters what the umask
//! says, what the folder above hands down, or what somebody else has put there. How a folder is reached is a function, and what it gets
//! is a [`Rule`].
//!
//! | function | on the way to the folder |
//! |---|---|
//! | [`beneath`] | name by name from a folder that may be a link itself; a link or a file under a name is refused, for somebody else may write there |
//! | [`with_parents`] | as the user's own path leads, through links too |
//! | [`fresh`] | the folder above is our own, and nothing has the name |

use std::ffi::OsStr;
use std::fmt;
use std::fs::{File, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Component, Path, PathBuf};

use nix::unistd::{getegid, geteuid};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, openat};
use rustix::io::Errno;

/// To go on from; this needs no right to list it.
const ENTERED: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const LISTED: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// The set-group-id bit of a folder, by which what is made in it belongs to its group (inode(7)).
const SET_GROUP: u32 = 0o2000;

/// What a new folder gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// All as the umask and the folder above say: it is the user's own.
    Ordinary,
    /// The same, and its name is on the disk before anything is put into it: a medium can be pulled out at any moment.
    OnTheDisk,
    /// This mode, whatever the umask; of a shared group's folder above the group and its bit stay. What root makes in the store of
    /// another belongs to that one: he has to write there too. On FAT, which keeps no modes, there is nothing to be set.
    OfStore(u32),
    /// This mode, and nothing that the folder above hands down and the new one would hand on to all that a build makes: no group, no
    /// bit for it, and no lists of access rights, under which modes come out otherwise (acl(5)).
    NothingInherited(u32),
}

/// Why there is no folder at the end of a path.
#[derive(Debug)]
pub(crate) enum NoFolder {
    /// This name on the way is a symbolic link.
    Link(PathBuf),
    /// This one is something else that is no folder.
    Other(PathBuf),
    /// The system says so.
    System(io::Error),
}

impl fmt::Display for NoFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoFolder::Link(_) => {
                f.write_str("is a symbolic link, and no folder of a store or a medium may be one")
            }
            NoFolder::Other(_) => io::Error::from(Errno::NOTDIR).fmt(f),
            NoFolder::System(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for NoFolder {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            NoFolder::System(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for NoFolder {
    fn from(error: io::Error) -> Self {
        NoFolder::System(error)
    }
}

/// The folder `path` below `root`, which may be a link itself. It and those between are made where they are missing. The descriptor is
/// there to go on from (O_PATH); [`listed`] gives one that can be locked and synced.
///
/// # Errors
/// A name on the way is a link or no folder; a folder cannot be made.
pub(crate) fn beneath(root: &Path, path: &Path, rule: Rule) -> Result<OwnedFd, NoFolder> {
    let below = path.strip_prefix(root).map_err(io::Error::other)?;
    let mut here = openat(CWD, root, ENTERED, Mode::empty()).map_err(io::Error::from)?;
    let mut shown = root.to_path_buf();
    for name in below.components() {
        let Component::Normal(name) = name else {
            return Err(NoFolder::System(io::ErrorKind::InvalidInput.into()));
        };
        shown.push(name);
        let enter = || openat(&here, name, ENTERED | OFlags::NOFOLLOW, Mode::empty());
        let entered = match enter() {
            Err(Errno::NOENT) => match make(here.as_fd(), name, rule) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
                _ => enter(),
            },
            entered => entered,
        };
        here = match entered {
            Err(Errno::NOTDIR | Errno::LOOP) => return Err(what_is_there(here.as_fd(), name, shown)),
            entered => entered.map_err(io::Error::from)?,
        };
    }
    Ok(here)
}

/// The kernel says of a link to a folder what it says of a file: "Not a directory".
fn what_is_there(above: BorrowedFd<'_>, name: &OsStr, shown: PathBuf) -> NoFolder {
    let found = rustix::fs::statat(above, name, AtFlags::SYMLINK_NOFOLLOW);
    match found.map(|found| FileType::from_raw_mode(found.st_mode)) {
        Ok(kind) if kind.is_symlink() => NoFolder::Link(shown),
        _ => NoFolder::Other(shown),
    }
}

/// A folder at a path that the user gave, with those above it.
///
/// # Errors
/// Something else is there; it cannot be made.
pub(crate) fn with_parents(folder: &Path, rule: Rule) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder_above(folder);
    with_parents(above, rule)?;
    // Behind a `..` there is one by now.
    let Some(name) = folder.file_name() else { return Ok(()) };
    match make(openat(CWD, above, ENTERED, Mode::empty())?.as_fd(), name, rule) {
        Err(_) if folder.is_dir() => Ok(()),
        made => made,
    }
}

/// A folder under a name that nothing has.
///
/// # Errors
/// Something has the name; it cannot be made.
pub(crate) fn fresh(folder: &Path, rule: Rule) -> io::Result<()> {
    let above = openat(CWD, folder_above(folder), ENTERED, Mode::empty())?;
    make(above.as_fd(), folder.file_name().unwrap_or_default(), rule)
}

fn folder_above(path: &Path) -> &Path {
    path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn make(above: BorrowedFd<'_>, name: &OsStr, rule: Rule) -> io::Result<()> {
    let mode = match rule {
        Rule::Ordinary | Rule::OnTheDisk => 0o777,
        Rule::OfStore(mode) | Rule::NothingInherited(mode) => mode,
    };
    rustix::fs::mkdirat(above, name, Mode::from_raw_mode(mode))?;
    let new = || openat(above, name, LISTED | OFlags::NOFOLLOW, Mode::empty()).map(File::from);
    match rule {
        Rule::Ordinary => Ok(()),
        Rule::OnTheDisk => listed(above)?.sync_all(),
        Rule::OfStore(mode) => {
            let (new, above) = (new()?, rustix::fs::fstat(above)?);
            if geteuid().is_root() && above.st_uid != 0 {
                fchown(&new, Some(above.st_uid), Some(above.st_gid))?;
            }
            let inherited = new.metadata()?.mode() & SET_GROUP;
            set_mode(&new, mode | inherited)
        }
        Rule::NothingInherited(mode) => {
            let new = new()?;
            for list in ["system.posix_acl_default", "system.posix_acl_access"] {
                match rustix::fs::fremovexattr(&new, list) {
                    // There is none, or the file system has no such lists.
                    Ok(()) | Err(Errno::NODATA | Errno::NOTSUP) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
            fchown(&new, None, Some(getegid().as_raw()))?;
            new.set_permissions(Permissions::from_mode(mode))
        }
    }
}

/// A folder that was entered, to be locked and synced.
pub(crate) fn listed(folder: impl AsFd) -> io::Result<File> {
    Ok(openat(folder, c".", LISTED, Mode::empty())?.into())
}

/// Sets the mode of what this process made in a store. On FAT, which keeps no modes, there is nothing to be set.
pub(crate) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    if file.metadata()?.mode() & 0o7777 == mode {
        return Ok(());
    }
    match file.set_permissions(Permissions::from_mode(mode)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        set => set,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn each_rule_gives_its_mode_and_keeps_or_sheds_the_bit_of_a_group() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("shared")).unwrap();
        fs::set_permissions(path("shared"), Permissions::from_mode(0o2775)).unwrap();
        for (name, rule, expected) in [
            ("store", Rule::OfStore(0o755), 0o2755),
            ("tmp", Rule::OfStore(0o700), 0o2700),
            ("build", Rule::NothingInherited(0o755), 0o755),
        ] {
            let made = path("shared").join(name);
            fresh(&made, rule).unwrap();
            assert_eq!(mode(&made), expected, "{rule:?}");
            assert_eq!(fresh(&made, rule).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        }
    }

    #[test]
    fn a_link_is_followed_on_the_users_way_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("real")).unwrap();
        fs::write(path("file"), "").unwrap();
        symlink("real", path("link")).unwrap();
        with_parents(&path("link/a/../b/c"), Rule::Ordinary).unwrap();
        assert!(path("real/b/c").is_dir() && path("real/a").is_dir());
        assert!(with_parents(&path("file"), Rule::Ordinary).is_err());
        beneath(&path("link"), &path("link/d/e"), Rule::OnTheDisk).unwrap();
        assert!(path("real/d/e").is_dir());
        let below = |name: &str| beneath(folder.path(), &path(name), Rule::OfStore(0o755));
        assert!(matches!(below("link/f"), Err(NoFolder::Link(at)) if at == path("link")));
        assert!(matches!(below("file/f"), Err(NoFolder::Other(at)) if at == path("file")));
        assert!(matches!(below("real/../f"), Err(NoFolder::System(_))) && !path("real/f").exists());
    }
}
