//! What lies at an address now: the SHA-256 and the size that pin it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use profiles::Digest;

use super::curl::{self, Transfer};
use super::failure::{Failure, Kind, Tried};
use super::location::Location;
use super::mirror::Mirror;
use super::patience::Turns;
use super::{Event, Fetcher, Progress};
use crate::error::{Error, Result};

/// Bytes of the longest file that is pinned: a server that never ends is left.
const LONGEST: u64 = 16 << 30;

/// What pins a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
    /// How many they are.
    pub size: u64,
    /// Where redirects led.
    pub redirected: Option<String>,
    /// The server said how long it is, or it is a file: the transfer cannot have been cut off unnoticed.
    pub whole: bool,
    /// The server says that it packed the bytes so, although nobody asked: another server may give the file itself.
    pub encoding: Option<String>,
}

impl Fetcher {
    /// Reads what `mirror` gives now and keeps nothing of it; `folder` is where relative `file:` addresses begin, and `name` is for
    /// `progress`.
    ///
    /// # Errors
    /// No place that the mirror stands for gave a file: why, for each.
    pub fn pin(&self, mirror: &Mirror, folder: &Path, name: &str, progress: &dyn Progress) -> Result<Pin> {
        let locations = mirror.locations(folder, &self.archives)?;
        let mut turns = Turns::new(&self.patience, locations.len());
        let mut tried: Vec<Tried> = Vec::new();
        while let Some(turn) = turns.next(|after| progress.report(name, Event::Again { after })) {
            let failure = match read(&locations[turn]) {
                Ok(pin) => return Ok(pin),
                Err(Failure { kind: Kind::Here(error), .. }) => return Err(error),
                Err(failure) => failure,
            };
            turns.failed(turn, &failure);
            tried.retain(|earlier| earlier.turn != Some(turn));
            tried.push(Tried::new(turn, mirror, &locations[turn], failure));
        }
        let causes: Vec<String> = tried.iter().map(|tried| format!("\n  {tried}")).collect();
        Err(Error::new(name, format!("cannot be read{}", causes.concat()))
            .remedy("check the address; look at the network and the proxy"))
    }
}

fn read(location: &Location) -> Result<Pin, Failure> {
    match location {
        Location::Url { url, proxy } => read_url(url, proxy.as_deref()),
        Location::File(path) => read_file(path),
        Location::Crate(version) => read_file(&super::crates::in_cache(version)?),
    }
}

fn read_file(path: &Path) -> Result<Pin, Failure> {
    let missing = |error: std::io::Error| Failure::new(Kind::NotThere, error);
    if !std::fs::metadata(path).map_err(missing)?.is_file() {
        return Err(Failure::new(Kind::NotThere, "is not a regular file"));
    }
    let (sha256, size) = hash(File::open(path).map_err(missing)?).and_then(not_empty)?;
    Ok(Pin { sha256, size, redirected: None, whole: true, encoding: None })
}

fn read_url(url: &str, proxy: Option<&str>) -> Result<Pin, Failure> {
    let mut curl = curl::start(url, proxy, LONGEST).map_err(Failure::here)?;
    let body = curl.stdout.take().ok_or_else(|| Failure::here(Error::new("curl", "has no output")))?;
    let hashed = hash(body);
    if hashed.is_err() {
        // One that has ended already is no error.
        let _ = curl.kill();
    }
    let ended = curl.wait_with_output().map_err(|error| Failure::here(Error::caused("curl", error)))?;
    let transfer = Transfer::of(ended.status, &ended.stderr, hashed.is_err()).map_err(Failure::here)?;
    let redirected = transfer.redirected.clone();
    let (whole, encoding) = (transfer.has_length, transfer.encoding.clone());
    let pinned = match transfer.failure() {
        Some(failure) => Err(failure),
        None => hashed.and_then(not_empty),
    };
    match pinned {
        Ok((sha256, size)) => Ok(Pin { sha256, size, redirected, whole, encoding }),
        Err(failure) => Err(Failure { redirected, ..failure }),
    }
}

fn not_empty((sha256, size): (Digest, u64)) -> Result<(Digest, u64), Failure> {
    match size {
        0 => Err(Failure::new(Kind::Unreachable, "gives an empty file, which no source is")),
        _ => Ok((sha256, size)),
    }
}

fn hash(bytes: impl Read) -> Result<(Digest, u64), Failure> {
    let (sha256, size) = Digest::of(bytes.take(LONGEST + 1))
        .map_err(|error| Failure::new(Kind::Unreachable, format!("cannot be read: {error}")))?;
    if size > LONGEST {
        return Err(Failure::new(Kind::Unreachable, format!("gives more than {LONGEST} bytes")));
    }
    Ok((sha256, size))
}
