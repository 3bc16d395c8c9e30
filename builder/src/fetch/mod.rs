//! Sources by their SHA-256: from the cache, or from the first mirror that gives the right bytes.
//!
//! A source is known by its hash; where it comes from is nobody's business. So a plain `http://` mirror is as good as any,
//! and a mirror that gives other bytes is passed over with a word about what it gave. Nothing is ever seen under its
//! final name, `HEX`, before it was written, hashed and synced; until then it has no name at all, so that a process may be
//! killed at any moment and leaves nothing behind.
//!
//! Downloads go through the program `curl`: it honours the proxies and certificates that the machine was set up with, in
//! every way that people set them up, which no library does.

mod apt;
mod crate_version;
mod crates;
mod curl;
mod download;
mod events;
mod failure;
mod location;
mod mirror;
mod passwords;
mod patience;
mod pin;
mod source;
mod tied_program;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use apt::Archives;
use atomic_file::UnnamedFile;
pub use events::{Console, Event, Progress};
pub use mirror::Mirror;
use nix::fcntl::OFlag;
pub use passwords::without_passwords;
use profiles::Digest;
pub use source::Source;

use crate::error::{Error, Result};
use download::Download;
use failure::{Failure, Kind, Tried};
use location::Location;
pub use patience::Patience;
pub use pin::Pin;

/// Downloads run at the same time at most this often: enough to hide latency, few enough to be polite.
const CONNECTIONS: usize = 4;

/// A mirror, and one of the places that it stands for.
type Candidate = (Mirror, Location);

/// Gets sources into a folder, where each has its hash as its name.
#[derive(Debug)]
pub struct Fetcher {
    folder: PathBuf,
    /// Whether `folder` is that of the cache, and no store's.
    is_cache: bool,
    cache: Option<PathBuf>,
    archives: Archives,
    patience: Patience,
}

impl Fetcher {
    /// Sources go to `folder`, which is made when it is not there.
    pub fn new(folder: PathBuf) -> Self {
        let (archives, patience) = (Archives::of_this_machine(), Patience::default());
        Fetcher { folder, is_cache: false, cache: None, archives, patience }
    }

    /// Sources go to the cache of this user and to no store.
    ///
    /// # Errors
    /// No variable says where it is.
    pub fn of_cache() -> Result<Self> {
        Ok(Fetcher { is_cache: true, ..Fetcher::new(Fetcher::default_cache()?) })
    }

    /// Looks in a second folder of the same form before any mirror, and leaves there what a mirror gave.
    pub fn with_cache(mut self, cache: PathBuf) -> Self {
        self.cache = (cache != self.folder).then_some(cache);
        self
    }

    /// Takes `debian:` mirrors from these archives instead of those of this machine's apt configuration.
    pub fn with_archives(mut self, archives: Archives) -> Self {
        self.archives = archives;
        self
    }

    /// Waits and tries again in this way.
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Where the cache is when nobody says: `sources` in [`cache_folder`](cache_folder::of).
    pub fn default_cache() -> Result<PathBuf> {
        cache_folder::of("sources")
    }

    /// Where a source is once it was fetched.
    pub fn path_of(&self, source: &Source) -> PathBuf {
        self.folder.join(source.sha256.hex())
    }

    /// Gets one source; `folder_of_recipe` is where relative `file:` mirrors begin. The bytes at the path returned have
    /// been hashed by this call.
    ///
    /// # Errors
    /// No mirror gave it: the error says what each mirror gave.
    pub fn fetch(
        &self,
        source: &Source,
        folder_of_recipe: &Path,
        progress: &dyn Progress,
    ) -> Result<PathBuf> {
        let path = self.path_of(source);
        if !self.is_cache {
            crate::store::make_shared_folder(&self.folder)?;
        }
        if is_there(&path, source)? {
            progress.report(&source.file, Event::Present);
            return Ok(path);
        }
        if self.take_from_cache(source)? {
            progress.report(&source.file, Event::Present);
            return Ok(path);
        }
        if self.is_cache {
            cache_folder::make(&self.folder)?;
        }
        let taken = self.take_from_mirrors(source, folder_of_recipe, progress);
        taken.map_err(|error| if self.is_cache { cache_folder::helped(error) } else { error })?;
        Ok(path)
    }

    /// Whether a file of the source's name and size is in the store or in the cache. Nothing is hashed.
    pub fn seems_there(&self, source: &Source) -> bool {
        let has_size = |path: PathBuf| fs::metadata(path).is_ok_and(|found| found.len() == source.size);
        let cached = self.cache.as_ref().map(|cache| cache.join(source.sha256.hex()));
        [Some(self.path_of(source)), cached].into_iter().flatten().any(has_size)
    }

    /// Gets the sources of one recipe, a few at a time, and returns their paths in the same order.
    ///
    /// # Errors
    /// As [`Fetcher::fetch_each`].
    pub fn fetch_all(
        &self,
        sources: &[Source],
        folder_of_recipe: &Path,
        progress: &dyn Progress,
    ) -> Result<Vec<PathBuf>> {
        let wanted: Vec<_> =
            sources.iter().map(|source| (source.clone(), folder_of_recipe.to_path_buf())).collect();
        self.fetch_each(&wanted, progress)
    }

    /// Gets sources, each with the folder of its recipe, a few at a time, and returns their paths in the same order.
    ///
    /// # Errors
    /// As [`Fetcher::fetch`], for the first in the list that failed; no new downloads begin after a failure.
    pub fn fetch_each(&self, sources: &[(Source, PathBuf)], progress: &dyn Progress) -> Result<Vec<PathBuf>> {
        let next = AtomicUsize::new(0);
        let results: Mutex<Vec<Option<Result<PathBuf>>>> = Mutex::new(vec![None; sources.len()]);
        let locked = || results.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        std::thread::scope(|scope| {
            for _ in 0..CONNECTIONS.min(sources.len()) {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some((source, folder)) = sources.get(index) else { return };
                        let result = self.fetch(source, folder, progress);
                        if result.is_err() {
                            next.store(sources.len(), Ordering::Relaxed);
                        }
                        locked()[index] = Some(result);
                    }
                });
            }
        });
        // After a failure the later ones were never begun; `collect` stops at the failure before it meets them or
        // skips them, and in neither case are they an answer.
        let done: Vec<PathBuf> =
            std::mem::take(&mut *locked()).into_iter().flatten().collect::<Result<_>>()?;
        debug_assert_eq!(done.len(), sources.len());
        Ok(done)
    }

    fn take_from_cache(&self, source: &Source) -> Result<bool> {
        let Some(cache) = &self.cache else { return Ok(false) };
        let cached = cache.join(source.sha256.hex());
        if !is_there(&cached, source)? {
            return Ok(false);
        }
        copy(&cached, &self.path_of(source))?;
        Ok(true)
    }

    fn take_from_mirrors(&self, source: &Source, recipe: &Path, progress: &dyn Progress) -> Result<()> {
        let (candidates, mut tried) = self.candidates(source, recipe)?;
        let mut turns = patience::Turns::new(&self.patience, candidates.len());
        while let Some(turn) = turns.next(|wait| progress.report(&source.file, Event::Again { after: wait }))
        {
            let (mirror, location) = &candidates[turn];
            let failure = match self.try_location(source, location, progress) {
                Ok(()) => {
                    progress.report(&source.file, Event::Done { from: &mirror.to_string() });
                    return Ok(());
                }
                Err(Failure { kind: Kind::Here(error), .. }) => return Err(error),
                Err(Failure { kind: Kind::WrongSize(found), .. }) => {
                    return Err(failure::wrong_size(source, found));
                }
                Err(failure) => failure,
            };
            turns.failed(turn, &failure);
            let failure = Tried::new(turn, mirror, location, failure);
            progress.report(&source.file, Event::MirrorFailed { why: &failure.to_string() });
            tried.retain(|earlier: &Tried| earlier.turn != Some(turn));
            tried.push(failure);
        }
        let by_hand = self.cache.as_deref().unwrap_or(&self.folder).join(source.sha256.hex());
        Err(failure::no_mirror(source, &tried, &by_hand.display().to_string()))
    }

    /// Every place in the order to try, and the mirrors that stand for none.
    fn candidates(&self, source: &Source, recipe: &Path) -> Result<(Vec<Candidate>, Vec<Tried>)> {
        let (mut candidates, mut without) = (Vec::new(), Vec::new());
        for mirror in &source.mirrors {
            let mirror = Mirror::parse(mirror)?;
            match mirror.locations(recipe, &self.archives) {
                Ok(locations) => {
                    candidates.extend(locations.into_iter().map(|location| (mirror.clone(), location)));
                }
                Err(error) => without.push(Tried::nowhere(&mirror, &error)),
            }
        }
        Ok((candidates, without))
    }

    fn try_location(
        &self,
        source: &Source,
        location: &Location,
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        let target = self.path_of(source);
        let download = Download::begin(source, &target).map_err(Failure::here)?;
        let complete = match location {
            Location::Url { url, proxy } => download.read_url(url, proxy.as_deref(), progress)?,
            Location::File(path) => download.read_file(path, progress)?,
            Location::Crate(version) => download.read_file(&crates::in_cache(version)?, progress)?,
        };
        self.keep(complete, &target, source).map_err(Failure::here)
    }

    /// Gives a complete source its name, in the cache too.
    fn keep(&self, complete: UnnamedFile, target: &Path, source: &Source) -> Result<()> {
        // A store that others read is read by all, whatever the umask.
        crate::store::share(&complete.handle()?).map_err(Error::on(target.display()))?;
        complete.publish()?;
        if let Some(cache) = &self.cache {
            cache_folder::make(cache)?;
            copy(target, &cache.join(source.sha256.hex())).map_err(cache_folder::helped)?;
        }
        Ok(())
    }
}

/// Whether the source is at `path`. A file that is there and has other bytes is damaged, and is removed.
fn is_there(path: &Path, source: &Source) -> Result<bool> {
    // What is no file, such as a FIFO, is not waited for; the download says that it is in the way.
    let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
    // A folder is told by what reading it gives.
    let may_end = |found: fs::Metadata| found.is_file() || found.is_dir();
    let Some(file) = file.ok().filter(|file| file.metadata().is_ok_and(may_end)) else {
        return Ok(false);
    };
    let (digest, length) = Digest::of(file).map_err(Error::on(path.display()))?;
    if digest == source.sha256 {
        return if length == source.size { Ok(true) } else { Err(failure::wrong_size(source, length)) };
    }
    fs::remove_file(path).map_err(Error::on(path.display()))?;
    Ok(false)
}

/// Puts the bytes of `from` at `to` too, unless they are there: the same file under a second name where that is possible.
fn copy(from: &Path, to: &Path) -> Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(_) => replace(from, to),
    }
}

/// Puts a copy of `from` at `to`, in place of what is there.
pub(crate) fn replace(from: &Path, to: &Path) -> Result<()> {
    let file = UnnamedFile::beside(to)?;
    let mut original = File::open(from).map_err(Error::on(from.display()))?;
    io::copy(&mut original, &mut file.handle()?).map_err(Error::on(to.display()))?;
    crate::store::share(&file.handle()?).map_err(Error::on(to.display()))?;
    file.publish()
}

#[cfg(test)]
mod tests;
