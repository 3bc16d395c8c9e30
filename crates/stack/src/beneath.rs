//! Files of a medium, which somebody else has written: opened beneath one folder, and as nothing but regular files.
//!
//! openat2(2) with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS and RESOLVE_NO_XDEV: no `..`, no link and no mount
//! leads out of the folder, so that a name says where bytes lie. A file is looked at (O_PATH) before it is opened for reading: to
//! open a device node or a FIFO can already do something.
//!
//! Other places resolve names beneath a folder by other rules, and call openat2(2) themselves: an archive follows links that stay below
//! (`source-archive`), a tree that is removed and a medium that is tidied up are changed through names that are no links, and folders
//! that are made are entered one by one (`builder`). Each is one call, whose flags are the rule: a common function would be that list of
//! arguments, and the crates of formats would import this one, with all its devices and mounts, for it.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat, openat2};
use rustix::io::Errno;

/// How often openat2(2) is asked again after EAGAIN, with which it answers a rename that happens meanwhile.
const MOST_TRIES: usize = 16;

/// A folder beneath which files are opened.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    descriptor: OwnedFd,
}

impl Folder {
    /// What `folder` names beneath `root`, which is trusted: `/` of the initramfs, or the place where a medium is mounted. An
    /// empty `folder` is `root` itself.
    ///
    /// # Errors
    /// There is none; a link or a mount leads to it; the kernel is older than 5.6.
    pub fn open(root: &Path, folder: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root_descriptor = openat(CWD, root, flags, Mode::empty())?;
        if folder.as_os_str().is_empty() {
            return Ok(Self { path: root.to_owned(), descriptor: root_descriptor });
        }
        Ok(Self { path: root.join(folder), descriptor: resolve(root_descriptor.as_fd(), folder, flags)? })
    }

    /// Where it was opened, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A regular file, for reading.
    ///
    /// # Errors
    /// It is not there, or is something else than a regular file.
    pub fn file(&self, name: &Path) -> io::Result<File> {
        let seen = resolve(self.descriptor.as_fd(), name, OFlags::PATH | OFlags::CLOEXEC)?;
        match FileType::from_raw_mode(fstat(&seen)?.st_mode) {
            FileType::RegularFile => reopen(&seen),
            _ => Err(io::Error::new(ErrorKind::InvalidInput, "it is not a file")),
        }
    }

    /// Every name in a folder, as [`Folder::names`] gives them, for whoever takes what is not listed for what is not there.
    ///
    /// # Errors
    /// It is not there, or no folder; one of its names cannot be read.
    pub fn all_names(&self, name: &Path) -> io::Result<Vec<Vec<u8>>> {
        let names = self.entries(name)?.map(|entry| Ok(entry?.file_name().to_bytes().to_vec()));
        names.filter(|name| !name.as_ref().is_ok_and(|name| is_dot(name))).collect()
    }

    /// The names in a folder, in no order; `.` and `..` are not among them. An empty `name` is the folder itself.
    ///
    /// # Errors
    /// It is not there, or no folder. A name that cannot be read ends the iterator.
    pub fn names(&self, name: &Path) -> io::Result<impl Iterator<Item = Vec<u8>> + use<>> {
        let names =
            self.entries(name)?.map_while(Result::ok).map(|entry| entry.file_name().to_bytes().to_vec());
        Ok(names.filter(|name| !is_dot(name)))
    }

    fn entries(&self, name: &Path) -> io::Result<Dir> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let name = if name.as_os_str().is_empty() { Path::new(".") } else { name };
        Ok(Dir::new(resolve(self.descriptor.as_fd(), name, flags)?)?)
    }
}

/// The file that a person names, for reading: links are followed, and whatever it is, nothing else than a regular file is opened.
///
/// # Errors
/// It is not there, may not be read, or is something else, which is said in words.
pub fn regular_file(path: &Path) -> io::Result<File> {
    let seen = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let why = match FileType::from_raw_mode(fstat(&seen)?.st_mode) {
        FileType::RegularFile => return reopen(&seen),
        FileType::Directory => "is a folder, and no file",
        FileType::Fifo => "is a FIFO, and no file",
        FileType::Socket => "is a socket, and no file",
        _ => "is a device, and no file",
    };
    Err(io::Error::new(ErrorKind::InvalidInput, why))
}

/// What was looked at, by its descriptor: the name may mean something else by now. O_NONBLOCK changes nothing for files.
fn reopen(seen: &OwnedFd) -> io::Result<File> {
    let same = format!("/proc/self/fd/{}", seen.as_raw_fd());
    Ok(File::from(open(same, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?))
}

fn is_dot(name: &[u8]) -> bool {
    matches!(name, b"." | b"..")
}

/// Opens `name` beneath the folder.
fn resolve(folder: impl AsFd, name: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let how = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let mut tries = 0;
    loop {
        match openat2(&folder, name, flags, Mode::empty(), how) {
            Err(Errno::AGAIN | Errno::INTR) if tries < MOST_TRIES => tries += 1,
            result => return result.map_err(explained),
        }
    }
}

/// The kernel's words for what is refused here speak of loops and devices.
fn explained(errno: Errno) -> io::Error {
    let why = match errno {
        Errno::LOOP => "there is a symbolic link, and none is followed on a medium",
        Errno::XDEV => "it leads out of the store",
        Errno::NOSYS => "this kernel cannot open files beneath a folder (openat2, Linux 5.6)",
        _ => return errno.into(),
    };
    io::Error::new(ErrorKind::InvalidInput, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use nix::sys::stat::Mode as Permissions;
    use nix::unistd::mkfifo;

    fn read(folder: &Folder, name: &str) -> Result<String, String> {
        let mut text = String::new();
        let mut file = folder.file(Path::new(name)).map_err(|error| error.to_string())?;
        file.read_to_string(&mut text).map_err(|error| error.to_string())?;
        Ok(text)
    }

    #[test]
    fn nothing_leads_out_of_the_directory() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("store/profiles")).unwrap();
        fs::write(root.path().join("secret"), "secret").unwrap();
        fs::write(root.path().join("store/profiles/1.kdl"), "one").unwrap();
        symlink("../secret", root.path().join("store/out")).unwrap();
        symlink("profiles", root.path().join("store/in")).unwrap();
        symlink("store", root.path().join("link")).unwrap();
        let store = Folder::open(root.path(), Path::new("store")).unwrap();
        assert_eq!(read(&store, "profiles/1.kdl"), Ok("one".into()));
        let link = "there is a symbolic link, and none is followed on a medium";
        for name in ["out", "in/1.kdl", "profiles/../out"] {
            assert_eq!(read(&store, name), Err(link.into()), "{name}");
        }
        for name in ["../secret", "/etc/passwd", "profiles/../../secret"] {
            assert_eq!(read(&store, name), Err("it leads out of the store".into()), "{name}");
        }
        let linked = Folder::open(root.path(), Path::new("link")).unwrap_err();
        assert_eq!(linked.to_string(), link);
    }

    #[test]
    fn another_mount_is_not_part_of_the_directory() {
        let proc = Folder::open(Path::new("/"), Path::new("proc")).unwrap_err();
        assert_eq!(proc.to_string(), "it leads out of the store");
    }

    #[test]
    fn only_regular_files_are_opened() {
        let root = tempfile::tempdir().unwrap();
        mkfifo(&root.path().join("fifo"), Permissions::S_IRWXU).unwrap();
        fs::create_dir(root.path().join("folder")).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(root.path().join("socket")).unwrap();
        let folder = Folder::open(root.path(), Path::new("")).unwrap();
        for (name, kind) in [("fifo", "FIFO"), ("folder", "folder"), ("socket", "socket")] {
            assert_eq!(read(&folder, name), Err("it is not a file".into()), "{name}");
            let error = regular_file(&root.path().join(name)).unwrap_err();
            assert_eq!(error.to_string(), format!("is a {kind}, and no file"));
        }
        let device = regular_file(Path::new("/dev/null")).unwrap_err();
        assert_eq!(device.to_string(), "is a device, and no file");
        fs::write(root.path().join("file"), "text").unwrap();
        symlink("file", root.path().join("link")).unwrap();
        let mut text = String::new();
        regular_file(&root.path().join("link")).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        fs::remove_file(root.path().join("file")).unwrap();
        fs::remove_file(root.path().join("link")).unwrap();
        assert_eq!(folder.file(Path::new("nothing")).unwrap_err().kind(), ErrorKind::NotFound);
        let mut names: Vec<_> = folder.names(Path::new("")).unwrap().collect();
        names.sort();
        assert_eq!(names, [&b"fifo"[..], b"folder", b"socket"]);
    }
}
