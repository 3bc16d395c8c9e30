//! Scratch in the folder for temporary files (TMPDIR): the entries lie in one folder of this user, `lamina-UID`, which is there as long as
//! one of them is. What a killed command leaves, the next command of the same user removes, whichever it is.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{PRIVATE, Scratch, lock_tmp};
use crate::error::{Error, Result};
use crate::new_folder::{self, Rule};

/// So many names are tried: where all may write, others can take one, and in a user namespace the root of the machine has one of them.
const NAMES: usize = 8;
const ELSEWHERE: &str = "set TMPDIR to a folder that you may write to, and that has room";

/// A temporary folder of this process, gone when dropped.
#[derive(Debug)]
pub struct TemporaryFolder {
    /// Always there, until it is dropped.
    scratch: Option<Scratch>,
    place: PathBuf,
}

impl TemporaryFolder {
    /// Makes one; `label` is for people who look.
    ///
    /// # Errors
    /// TMPDIR cannot be written to, or has no room; others have taken all names there.
    pub fn make(label: &str) -> Result<TemporaryFolder> {
        for place in places() {
            if !is_free_or_own(&place).map_err(|error| failed(&place, error))? {
                continue;
            }
            let ready = || match new_folder::fresh(&place, Rule::NothingInherited(PRIVATE)) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
                // Another process has removed it between, for it was empty: it is made again.
                Err(error) if error.kind() == ErrorKind::NotFound && is_above(&place) => Ok(()),
                made => made.map_err(|error| failed(&place, error)),
            };
            let scratch = Scratch::make(&place, label, ELSEWHERE, ready)?;
            return Ok(TemporaryFolder { scratch: Some(scratch), place });
        }
        let cause =
            format!("others have taken the names lamina-{0} to lamina-{0}-{1} there", user(), NAMES - 1);
        Err(Error::new(std::env::temp_dir().display(), cause)
            .remedy("set TMPDIR to a folder of your own, or have root remove those of them that nobody uses"))
    }

    /// Leaves it to the program that this process becomes; the first command after the end of that one removes it.
    ///
    /// # Errors
    /// fcntl(2).
    pub fn leave_to_next_program(mut self) -> io::Result<()> {
        self.scratch.take().map_or(Ok(()), Scratch::leave_to_next_program)
    }

    /// Its path, absolute.
    pub fn path(&self) -> &Path {
        self.scratch.as_ref().map_or(&self.place, Scratch::path)
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        drop(self.scratch.take());
        remove_empty(&self.place);
    }
}

/// Removes what killed commands of this user left. Gives what could not be removed, and is said for the first time.
pub fn sweep() -> Vec<Error> {
    let own = places().filter(|place| fs::symlink_metadata(place).is_ok_and(|found| is_own(&found)));
    own.flat_map(|place| {
        let left = super::sweep(&place);
        remove_empty(&place);
        left
    })
    .collect()
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn places() -> impl Iterator<Item = PathBuf> {
    let folder = std::env::temp_dir();
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    let first = format!("lamina-{}", user());
    (0..NAMES).map(move |number| match number {
        0 => folder.join(&first),
        number => folder.join(format!("{first}-{number}")),
    })
}

fn is_own(found: &fs::Metadata) -> bool {
    found.is_dir() && found.uid() == user()
}

/// Whether entries may lie there: in a folder that only this user writes to.
fn is_free_or_own(place: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(place) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        found => {
            let found = found?;
            if is_own(&found) && found.mode() & 0o077 != 0 {
                // It is no link, and nobody else may put one in the place of a folder of ours.
                match fs::set_permissions(place, fs::Permissions::from_mode(PRIVATE)) {
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    set => set?,
                }
            }
            Ok(is_own(&found))
        }
    }
}

/// Whether there is a folder for temporary files at all.
fn is_above(place: &Path) -> bool {
    place.parent().is_some_and(Path::is_dir)
}

/// With the lock held, nobody is about to make an entry.
fn remove_empty(place: &Path) {
    if let Ok(Some(_guard)) = lock_tmp(place) {
        let _ = fs::remove_dir(place);
    }
}

fn failed(place: &Path, error: io::Error) -> Error {
    let folder = place.parent().unwrap_or(place);
    Error::caused(folder.display(), error).remedy(ELSEWHERE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folder for all goes with the last of them, and comes with the next, at any moment.
    #[test]
    fn many_at_once_do_not_disturb_each_other() {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let folder = TemporaryFolder::make("test").unwrap();
                        fs::write(folder.path().join("file"), "x").unwrap();
                        assert_eq!(sweep(), []);
                        assert!(folder.path().join("file").exists());
                    }
                });
            }
        });
    }
}
