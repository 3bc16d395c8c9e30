//! The store: images, build records, the texts of ids, sources, kernels, locked profiles and logs, in one folder.
//!
//! Its layout stands in ARCHITECTURE.md. Every file appears by rename, complete and synced, so that any process may be
//! killed at any moment; a name is never written twice with other contents.

mod build_log;
mod finding;

pub mod generations;
mod id_texts;
mod image;
mod kernels;
mod made_image;
pub(crate) mod opening;
mod record;
mod tree_stamp;
mod trees;
mod unpacked;
mod verify;
mod verify_profiles;

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use boot_store::layout;
use nix::fcntl::{Flock, FlockArg};
use profiles::Digest;

use crate::error::{Error, Result};
use crate::new_folder;
use crate::scratch::{self, Scratch};
use crate::text_file;

pub use build_log::{BuildLog, LONGEST_LOG};
use opening::SHARED;

pub use finding::wrong_length;
pub use id_texts::LONGEST_ID_TEXT;
pub use kernels::{KERNELS, KernelRecord, modules_name};
pub use made_image::{MadeImage, write_with_record};
pub(crate) use opening::{make_shared_folder, share};
pub use record::{
    BuildRecord, Dependency, INDEXES, KERNEL_LICENSE, PROFILE_LICENSE, RECORD_FOLDER, SYSTEM, SourceRecord,
};
pub(crate) use unpacked::refuse_overlay_marks;
pub use verify::VerifyReport;

/// An opened store.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The store at `root`. Nothing is written, and nothing needs to be there yet: what is read of a store that is missing is
    /// empty, and what is written makes its own folders.
    ///
    /// # Errors
    /// `root` is there and is no folder, or cannot be reached.
    pub fn open(root: &Path) -> Result<Self> {
        let remedy = "give the folder of a store with `--store DIR` or LAMINA_STORE";
        let on = |error: io::Error| Error::caused(root.display(), error).remedy(remedy);
        match fs::metadata(root) {
            Ok(found) if !found.is_dir() => Err(Error::new(root.display(), "is not a folder").remedy(remedy)),
            Ok(_) => fs::canonicalize(root).map_err(on).map(|root| Store { root }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::path::absolute(root).map_err(on).map(|root| Store { root })
            }
            Err(error) => Err(on(error)),
        }
    }

    /// Removes what killed processes left in `tmp/`, as far as this process may. Gives what could not be removed and was set
    /// aside now; nothing here is an error.
    pub fn sweep(&self) -> Vec<Error> {
        scratch::sweep(&self.tmp())
    }

    /// Where the store is when nobody says: `$LAMINA_STORE`, else `$XDG_DATA_HOME/lamina/store` where that is absolute, else
    /// `~/.local/share/lamina/store`.
    pub fn default_path() -> Result<PathBuf> {
        let variable =
            |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        variable("LAMINA_STORE")
            .or_else(|| {
                // The XDG Base Directory Specification: a relative path is invalid, and ignored.
                let data = variable("XDG_DATA_HOME").filter(|data| data.is_absolute());
                data.map(|data| data.join("lamina/store"))
            })
            .or_else(|| variable("HOME").map(|home| home.join(".local/share/lamina/store")))
            .ok_or_else(|| {
                Error::new("store", "neither LAMINA_STORE nor HOME is set").remedy("give `--store DIR`")
            })
    }

    /// The folder of the store, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `images/HEX.sqfs`.
    pub fn image_path(&self, digest: &Digest) -> PathBuf {
        self.root.join(layout::image(digest))
    }

    /// `trees/HEX`: the image unpacked and stamped; [`Store::unpacked`] is the way to it.
    fn tree_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("trees").join(digest.hex())
    }

    /// `stacks/KEY`: what the layers of a build's root do to each other.
    pub fn stack_path(&self, key: &Digest) -> PathBuf {
        self.root.join("stacks").join(key.hex())
    }

    /// `elf/HEX`: what the programs and libraries of an image ask for and give.
    pub fn elf_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("elf").join(digest.hex())
    }

    /// `logs/ID.log`.
    pub fn log_path(&self, id: &Digest) -> PathBuf {
        self.root.join("logs").join(format!("{}.log", id.hex()))
    }

    /// `logs/ID.check.log`, of the second build that `--check` makes.
    pub fn check_log_path(&self, id: &Digest) -> PathBuf {
        self.root.join("logs").join(format!("{}.check.log", id.hex()))
    }

    /// `checks/ID/`: both results of a `--check` that failed.
    pub fn check_path(&self, id: &Digest) -> PathBuf {
        self.root.join("checks").join(id.hex())
    }

    /// `builds/ID.kdl`.
    pub fn record_path(&self, id: &Digest) -> PathBuf {
        self.root.join("builds").join(format!("{}.kdl", id.hex()))
    }

    /// The folder of downloaded sources, `sources/`.
    pub fn sources(&self) -> PathBuf {
        self.root.join("sources")
    }

    /// The folder of locked profiles, `profiles/`.
    pub fn profiles(&self) -> PathBuf {
        self.root.join("profiles")
    }

    fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// A folder of this process under `tmp/`, gone when dropped; `label` is for people who look.
    pub fn scratch(&self, label: &str) -> Result<Scratch> {
        let tmp = self.tmp();
        Scratch::make(&tmp, label, opening::ANOTHER_STORE, || self.folder(&tmp, scratch::PRIVATE).map(drop))
    }

    /// Makes `folder` and waits until no other process holds it; flock(2) lets it go with the value or with the process.
    pub fn hold(&self, folder: &Path) -> Result<Flock<File>> {
        let file = new_folder::listed(&self.folder(folder, SHARED)?).map_err(Error::on(folder.display()))?;
        Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, errno)| Error::caused(folder.display(), errno))
    }

    /// Writes `bytes` to `path` inside the store so that it is there whole or not at all.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let scratch = self.scratch("write")?;
        let temporary = scratch.path().join("file");
        fs::write(&temporary, bytes).map_err(Error::on(temporary.display()))?;
        self.publish(&temporary, path)
    }

    /// Moves a finished file or folder from scratch to its place: synced, renamed, and the folder synced. A file may be read by
    /// all, whatever the umask; the mode of a folder is its maker's.
    pub fn publish(&self, from: &Path, to: &Path) -> Result<()> {
        let parent = to.parent().unwrap_or(&self.root);
        let folder = self.folder(parent, SHARED)?;
        let name = to.file_name().unwrap_or_default();
        let attempt = || -> io::Result<()> {
            let file = File::open(from)?;
            if file.metadata()?.is_file() {
                share(&file)?;
            }
            atomic_file::move_into(&file, (rustix::fs::CWD, from), (&folder, name))
        };
        attempt().map_err(Error::on(to.display()))
    }

    /// A folder of the store, which is made where it is missing; never what a link leads to.
    fn folder(&self, path: &Path, mode: u32) -> Result<OwnedFd> {
        opening::make_root(&self.root)?;
        opening::store_folder(&self.root, path, mode)
    }

    /// The record of the build `id`, when it is there and its image has the size it says.
    ///
    /// This is the whole check of an up-to-date build: one small file and one `stat`. `lamina store verify` hashes.
    pub fn finished_build(&self, id: &Digest) -> Result<Option<BuildRecord>> {
        refuse_folder(&self.record_path(id))?;
        // A damaged record is as good as none: the build writes it anew.
        let Ok(Some(record)) = self.record(id) else { return Ok(None) };
        let image = self.image_path(&record.digest);
        refuse_folder(&image)?;
        // A link is no image: init follows none.
        match fs::symlink_metadata(&image) {
            Ok(image) if image.is_file() && image.len() == record.size => Ok(Some(record)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::caused(image.display(), error)),
        }
    }

    /// The record of the build `id`, whatever became of its image.
    ///
    /// # Errors
    /// It is damaged.
    pub fn record(&self, id: &Digest) -> Result<Option<BuildRecord>> {
        let path = self.record_path(id);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            _ => self.read_record(&path).map(Some),
        }
    }

    /// Every record, sorted by name, version and id, and every one that is damaged. An error is only for a folder that cannot be
    /// read.
    pub fn records(&self) -> Result<Records> {
        let mut records = Records::default();
        for path in files_in(&self.root.join("builds"))? {
            match self.read_record(&path) {
                Ok(record) => records.sound.push(record),
                Err(finding) => records.damaged.push(finding),
            }
        }
        let sound = &mut records.sound;
        sound.sort_by(|a, b| (&a.name, &a.version, a.id.hex()).cmp(&(&b.name, &b.version, b.id.hex())));
        Ok(records)
    }

    fn read_record(&self, path: &Path) -> Result<BuildRecord> {
        let object = path.strip_prefix(&self.root).unwrap_or(path).display().to_string();
        let damaged = |cause: String| {
            let remedy = "remove it; `lamina build` makes it again when it is needed";
            Error::new(&object, cause).remedy(remedy)
        };
        let bytes = text_file::read(path).map_err(|error| damaged(error.cause().to_owned()))?;
        let record = record::decode(&object, &bytes).map_err(|errors| {
            let first = errors.iter().next().map(|it| format!("line {}: {}", it.position().0, it.message()));
            damaged(first.unwrap_or_default())
        })?;
        match self.record_path(&record.id) == path {
            true => Ok(record),
            false => Err(damaged(format!("is the record of another build, {}", record.id.hex()))),
        }
    }
}

/// What `builds/` holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    /// The records that can be read.
    pub sound: Vec<BuildRecord>,
    /// Those that cannot.
    pub damaged: Vec<Error>,
}

/// Refuses a folder where a file will be published, before work is done for it: no file takes the place of one.
fn refuse_folder(path: &Path) -> Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
        let cause = "is a folder, and a file of the store belongs there";
        return Err(Error::new(path.display(), cause).remedy("move it out of the store, or remove it"));
    }
    Ok(())
}

/// The entries of a folder, sorted by name; none where the folder is missing.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::on(folder.display()))?,
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(Error::on(folder.display()))?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod scratch_tests;
#[cfg(test)]
mod tests;
