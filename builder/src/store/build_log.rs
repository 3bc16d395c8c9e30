//! The log of one build: a file that one process writes at a time, and by whose lock processes agree who builds.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

use super::Store;
use super::opening::SHARED;
use crate::error::{Error, Result};

/// A log becomes at most so long, in bytes. The longest of an honest build that we know has some 100 MiB.
pub const LONGEST_LOG: u64 = 256 << 20;

/// A log that this process holds locked (flock(2)). Who has the log of a build, and nobody else, makes that build; the
/// kernel lets it go with the process, however that ends.
#[derive(Debug)]
pub struct BuildLog {
    path: PathBuf,
    file: Flock<File>,
    length: u64,
}

impl Store {
    /// Takes the log at `path`, a name in `logs/`, as it is, and says with `waiting` when another process has it first.
    pub fn take_log(&self, path: &Path, waiting: impl FnOnce()) -> Result<BuildLog> {
        let mut waiting = Some(waiting);
        self.folder(path.parent().unwrap_or(&self.root), SHARED)?;
        super::refuse_folder(path)?;
        loop {
            // Not emptied: somebody may be writing, and who waited finds the log of the build that it waited for.
            let Some(file) = open_or_make(path).map_err(Error::on(path.display()))? else { continue };
            let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(file) => file,
                Err((file, Errno::EWOULDBLOCK)) => {
                    if let Some(say) = waiting.take() {
                        say();
                    }
                    wait_for(file, path)?
                }
                Err((_, errno)) => return Err(Error::caused(path.display(), errno)),
            };
            // Else somebody replaced it meanwhile: the lock of a file without its name keeps nobody out.
            if is_still_at(&file, path) {
                return Ok(BuildLog { path: path.to_path_buf(), file, length: 0 });
            }
        }
    }

    /// Puts a new and empty log in the place of one that is held: that one may be somebody else's, with other names, rights or
    /// readers. Those who wait for the old file see that it lost its name.
    pub fn begin_log(&self, held: &mut BuildLog) -> Result<()> {
        let scratch = self.scratch("log")?;
        let made = scratch.path().join("log");
        let folder = self.folder(held.path.parent().unwrap_or(&self.root), SHARED)?;
        let name = held.path.file_name().unwrap_or_default();
        let attempt = || -> io::Result<Flock<File>> {
            let file = File::options().append(true).create_new(true).open(&made)?;
            super::share(&file)?;
            let file =
                Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| io::Error::from(errno))?;
            atomic_file::move_into(&file, (rustix::fs::CWD, &made), (&folder, name))?;
            Ok(file)
        };
        held.file = attempt().map_err(Error::on(held.path.display()))?;
        held.length = 0;
        Ok(())
    }
}

impl BuildLog {
    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends output; what is too much is left out.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let room = usize::try_from(LONGEST_LOG - self.length).unwrap_or(usize::MAX).min(bytes.len());
        self.file.write_all(&bytes[..room]).map_err(Error::on(self.path.display()))?;
        self.length += room as u64;
        Ok(())
    }

    /// Nothing more goes in.
    pub fn is_full(&self) -> bool {
        self.length >= LONGEST_LOG
    }
}

/// `None`: it came or went between two looks, or what was there has no use and was removed.
fn open_or_make(path: &Path) -> io::Result<Option<File>> {
    // A link or a FIFO is no log; to read is enough for a lock, and others may own the file.
    let plain = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let found = match File::options().read(true).custom_flags(plain).open(path) {
        Ok(file) if file.metadata()?.is_file() => return Ok(Some(file)),
        Ok(_) => None,
        Err(error) => Some(error),
    };
    match found {
        Some(error) if error.kind() == ErrorKind::NotFound => {}
        _ => match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => return Ok(None),
        },
    }
    match File::options().append(true).create_new(true).open(path) {
        Ok(file) => super::share(&file).map(|()| Some(file)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}

fn wait_for(file: File, path: &Path) -> Result<Flock<File>> {
    let mut file = file;
    loop {
        match Flock::lock(file, FlockArg::LockExclusive) {
            Ok(locked) => return Ok(locked),
            Err((again, Errno::EINTR)) => file = again,
            Err((_, errno)) => return Err(Error::caused(path.display(), errno)),
        }
    }
}

fn is_still_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(named)) => (ours.dev(), ours.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn store() -> (tempfile::TempDir, Store, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let path = store.root().join("logs/a.log");
        (folder, store, path)
    }

    #[test]
    fn a_second_one_waits_says_so_and_finds_the_log() {
        let (_folder, store, path) = store();
        let mut first = store.take_log(&path, || panic!("nobody had it")).unwrap();
        first.file.write_all(b"of an earlier build").unwrap();
        store.begin_log(&mut first).unwrap();
        first.write(b"of the first").unwrap();
        let (say, told) = mpsc::channel();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| store.take_log(&path, || say.send(()).unwrap()).map(|_| ()));
            told.recv().unwrap();
            // It waits, and the log is still the first one's.
            assert_eq!(fs::read_to_string(&path).unwrap(), "of the first");
            drop(first);
            second.join().unwrap().unwrap();
        });
        assert_eq!(fs::read_to_string(&path).unwrap(), "of the first");
    }

    #[test]
    fn a_log_that_was_begun_anew_meanwhile_is_waited_for() {
        let (_folder, store, path) = store();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        let (say, told) = mpsc::channel();
        let mut first = store.take_log(&path, || ()).unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                store.take_log(&path, || say.send(()).unwrap()).map(|log| log.file.metadata().unwrap().ino())
            });
            told.recv().unwrap();
            // The second waits for the file that loses its name now.
            store.begin_log(&mut first).unwrap();
            let ours = first.file.metadata().unwrap().ino();
            drop(first);
            assert_eq!(second.join().unwrap().unwrap(), ours);
        });
    }

    #[test]
    fn what_is_no_log_gives_way_and_nothing_behind_a_link_is_touched() {
        let (folder, store, path) = store();
        let other = folder.path().join("other");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&other, "precious").unwrap();
        let make: [&dyn Fn(); 2] = [&|| std::os::unix::fs::symlink(&other, &path).unwrap(), &|| {
            nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap()
        }];
        for make in make {
            let _ = fs::remove_file(&path);
            make();
            let mut log = store.take_log(&path, || ()).unwrap();
            store.begin_log(&mut log).unwrap();
            log.write(b"log").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "log");
            assert_eq!(fs::read_to_string(&other).unwrap(), "precious");
        }
        // Another name of the log keeps its contents as well.
        let _ = fs::remove_file(&path);
        fs::hard_link(&other, &path).unwrap();
        let mut log = store.take_log(&path, || ()).unwrap();
        store.begin_log(&mut log).unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "precious");
    }

    #[test]
    fn a_log_has_an_end() {
        let (_folder, store, path) = store();
        let mut log = store.take_log(&path, || ()).unwrap();
        store.begin_log(&mut log).unwrap();
        log.length = LONGEST_LOG - 3;
        log.write(b"abcdef").unwrap();
        assert!(log.is_full());
        log.write(b"more").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "abc");
    }
}
