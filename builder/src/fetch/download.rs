//! One attempt at one place: the bytes go into a file without a name, and are hashed on their way.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use atomic_file::UnnamedFile;
use profiles::Digest;
use sha2::{Digest as _, Sha256};

use super::curl::{self, Transfer};
use super::events::{Event, Progress};
use super::failure::{Failure, Kind};
use super::source::Source;
use crate::error::{Error, Result};

const BUFFER_BYTES: usize = 128 << 10;

/// How much behind the expected end is read and hashed, and kept nowhere: only the hash of the whole tells whether the size in the recipe
/// is wrong, or the file. A server that never ends is left after so many bytes, or after so long; one that announces more is not
/// listened to, and what it announced is shown.
const MOST_BEYOND: u64 = 64 << 20;
const LONGEST_BEYOND: Duration = Duration::from_secs(60);

/// A file that has no name yet, and what it must become.
pub(super) struct Download<'a> {
    source: &'a Source,
    /// Where it will appear.
    target: &'a Path,
    file: UnnamedFile,
}

/// What came.
struct Taken {
    file: UnnamedFile,
    digest: Digest,
    length: u64,
    /// It was read to its end.
    whole: bool,
}

impl<'a> Download<'a> {
    /// The file will appear at `target`.
    pub fn begin(source: &'a Source, target: &'a Path) -> Result<Download<'a>> {
        Ok(Download { source, target, file: UnnamedFile::beside(target)? })
    }

    pub fn read_file(self, path: &Path, progress: &dyn Progress) -> Result<UnnamedFile, Failure> {
        let source = self.source;
        let missing = |error: io::Error| {
            let kind =
                if error.kind() == io::ErrorKind::NotFound { Kind::NotThere } else { Kind::Unreachable };
            Failure::new(kind, format!("cannot be opened: {error}"))
        };
        // A FIFO without a writer would be waited for.
        let found = std::fs::metadata(path).map_err(missing)?;
        if !found.is_file() {
            return Err(Failure::new(Kind::Unreachable, "is not a regular file"));
        }
        let file = File::open(path).map_err(missing)?;
        self.take(file, progress)?.judge(source, true)
    }

    pub fn read_url(
        self,
        url: &str,
        proxy: Option<&str>,
        progress: &dyn Progress,
    ) -> Result<UnnamedFile, Failure> {
        let source = self.source;
        let mut curl =
            curl::start(url, proxy, source.size.saturating_add(MOST_BEYOND)).map_err(Failure::here)?;
        let body = curl.stdout.take().ok_or_else(|| Failure::here(Error::new("curl", "has no output")))?;
        let taken = self.take(body, progress);
        let whole = taken.as_ref().is_ok_and(|taken| taken.whole);
        if !whole {
            // It may be waiting for a server and not notice that nobody listens any more. One that has ended is no error.
            let _ = curl.kill();
        }
        let ended = curl.wait_with_output().map_err(|error| Failure::here(Error::caused("curl", error)))?;
        let transfer = Transfer::of(ended.status, &ended.stderr, !whole).map_err(Failure::here)?;
        let redirected = transfer.redirected.clone();
        taken
            .and_then(|taken| transfer_of(taken, transfer, source))
            .map_err(|failure| Failure { redirected, ..failure })
    }

    /// Copies and hashes.
    fn take(self, mut bytes: impl Read, progress: &dyn Progress) -> Result<Taken, Failure> {
        let (mut hasher, mut buffer, mut length) = (Sha256::new(), vec![0; BUFFER_BYTES], 0u64);
        let here = |error: io::Error| Failure::here(Error::caused(self.target.display(), error));
        let mut file = self.file.handle().map_err(Failure::here)?;
        let (size, mut beyond) = (self.source.size, None);
        let whole = loop {
            let count = match bytes.read(&mut buffer) {
                Ok(0) => break true,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(Failure::new(Kind::Unreachable, format!("cannot be read: {error}")));
                }
            };
            hasher.update(&buffer[..count]);
            length += count as u64;
            if length > size {
                let since = *beyond.get_or_insert_with(Instant::now);
                if length - size > MOST_BEYOND || since.elapsed() > LONGEST_BEYOND {
                    break false;
                }
                continue;
            }
            file.write_all(&buffer[..count]).map_err(here)?;
            progress.report(&self.source.file, Event::Bytes { done: length, of: size });
        };
        let digest = Digest::from_bytes(hasher.finalize().into());
        Ok(Taken { file: self.file, digest, length, whole })
    }
}

/// What curl says comes first: a connection that broke is the reason for a short file.
fn transfer_of(taken: Taken, transfer: Transfer, source: &Source) -> Result<UnnamedFile, Failure> {
    let ended = transfer.has_length;
    if transfer.too_long {
        return Err(match transfer.announced {
            Some(announced) => longer(source, announced),
            None => longer(source, format_args!("more than {}", taken.length)),
        });
    }
    match transfer.failure() {
        Some(failure) => Err(failure),
        None => taken.judge(source, ended),
    }
}

/// The file is so much longer than the source that it was not read to its end.
fn longer(source: &Source, length: impl std::fmt::Display) -> Failure {
    let words = format!("gives another file: {length} bytes where {} are expected", source.size);
    Failure::new(Kind::OtherBytes, words)
}

impl Taken {
    /// Whether it is the source. `ended`: the end is surely the end of the file, and not that of a connection.
    fn judge(self, source: &Source, ended: bool) -> Result<UnnamedFile, Failure> {
        let (length, size) = (self.length, source.size);
        if !self.whole {
            return Err(longer(source, format_args!("more than {length}")));
        }
        if self.digest == source.sha256 {
            return match length == size {
                true => Ok(self.file),
                false => Err(Failure::new(Kind::WrongSize(length), "")),
            };
        }
        if length < size && !ended {
            let words = format!("ends after {length} of {size} bytes, and the server did not say its length");
            return Err(Failure::new(Kind::Passing(None), words));
        }
        Err(Failure::other_bytes(source, self.digest, length))
    }
}
