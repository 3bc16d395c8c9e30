//! Why a place did not give a source, and what is most likely wrong.

use std::fmt;
use std::time::Duration;

use profiles::Digest;

use super::location::Location;
use super::mirror::Mirror;
use super::source::Source;
use crate::error::Error;
use crate::shell_word::quote;

/// One attempt that failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// What it means.
    pub kind: Kind,
    /// A sentence.
    pub words: String,
    /// Where redirects led.
    pub redirected: Option<String>,
}

/// What a failure means for the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// The same attempt may go well later; the server may ask for a while.
    Passing(Option<Duration>),
    /// The place does not answer, or refuses.
    Unreachable,
    /// The place answers, and has no such file.
    NotThere,
    /// The place gives a whole file, and it is another one.
    OtherBytes,
    /// The bytes are those with the recipe's SHA-256, and there are not as many as it says.
    WrongSize(u64),
    /// This machine is at fault: no other place would help.
    Here(Error),
}

impl Failure {
    pub fn new(kind: Kind, words: impl fmt::Display) -> Failure {
        Failure { kind, words: words.to_string(), redirected: None }
    }

    /// An error of this machine.
    pub fn here(error: Error) -> Failure {
        Failure::new(Kind::Here(error), "")
    }

    /// The whole file came, and its hash is another one.
    pub fn other_bytes(source: &Source, found: Digest, length: u64) -> Failure {
        let size = match length == source.size {
            true => format!("as many bytes as expected ({length})"),
            false => format!("{length} bytes where {} are expected", source.size),
        };
        let (expected, found) = (source.sha256.hex(), found.hex());
        Failure::new(
            Kind::OtherBytes,
            format!("gives another file: {size}, expected sha256 {expected}, found {found}"),
        )
    }
}

/// A place that was tried.
#[derive(Debug)]
pub(super) struct Tried {
    /// Which candidate it was; `None` for a mirror that stands for no place.
    pub turn: Option<usize>,
    place: String,
    /// What `lamina source pin` takes for it.
    address: String,
    failure: Failure,
}

impl Tried {
    pub fn new(turn: usize, mirror: &Mirror, location: &Location, failure: Failure) -> Tried {
        let (written, read) = (mirror.to_string(), location.to_string());
        let place = if written == read { read.clone() } else { format!("{written}: {read}") };
        let address = if matches!(mirror, Mirror::File(_)) { read } else { written };
        Tried { turn: Some(turn), place, address, failure }
    }

    /// A mirror that stands for no place on this machine.
    pub fn nowhere(mirror: &Mirror, error: &Error) -> Tried {
        let failure = Failure::new(Kind::Unreachable, error);
        Tried { turn: None, place: mirror.to_string(), address: mirror.to_string(), failure }
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.place)?;
        if let Some(redirected) = &self.failure.redirected {
            write!(out, " (redirected to {redirected})")?;
        }
        write!(out, ": {}", self.failure.words)
    }
}

/// The error when no place gave the source: every failure, and a remedy that begins with what is likely. `by_hand` is where the file
/// may be put.
pub(super) fn no_mirror(source: &Source, tried: &[Tried], by_hand: &str) -> Error {
    let mut cause = format!("no mirror gave the bytes with {}", source.sha256);
    for failure in tried {
        cause.push_str("\n  ");
        cause.push_str(&failure.to_string().replace('\n', "\n    "));
    }
    let other = tried.iter().find(|tried| tried.failure.kind == Kind::OtherBytes);
    let all = |kind: Kind| !tried.is_empty() && tried.iter().all(|tried| tried.failure.kind == kind);
    let likely = match other {
        Some(tried) => format!(
            "the recipe's sha256 is not that of this file, by a slip or because it was released anew: compare both with what its authors \
             publish; `lamina source pin {}` prints the node for the file that is there now. Else",
            quote(&tried.address)
        ),
        None if all(Kind::NotThere) => {
            "look at the address: there is no such file (old releases are often moved). Else".to_owned()
        }
        None => "look at the network and the proxy, or".to_owned(),
    };
    Error::new(&source.file, cause).remedy(format!(
        "{likely} get the file another way and put it at {by_hand}, or add a mirror to the recipe: mirror \"file:/PATH\""
    ))
}

/// The error for a source whose bytes are right and whose size in the recipe is not.
pub(super) fn wrong_size(source: &Source, found: u64) -> Error {
    let cause = format!(
        "the recipe says size={}, and the file with its sha256 has {found} bytes ({})",
        source.size,
        source.sha256.hex()
    );
    Error::new(&source.file, cause).remedy(format!("write size={found} where the source is pinned"))
}
