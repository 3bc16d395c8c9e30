//! A version: its text, its scheme, and the key by which it is compared.

use std::cmp::Ordering;
use std::error::Error;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::parse_error::{Fault, ParseError, shown};
use crate::scheme::Scheme;
use crate::{date, debian, loose, plain, semantic};

/// The longest version, in bytes.
pub const MOST_BYTES: usize = 128;

/// By what versions of one scheme are compared. It is one value for all that are equal, and a list of bytes where the order can be
/// put into one: then it is total whatever the text was.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Bytes(Vec<u8>),
    Semver(::semver::Version),
}

impl Key {
    /// The order of versions. Keys of two schemes have an order too, which means nothing: who compares has compared the schemes.
    pub(crate) fn order(&self, other: &Key) -> Ordering {
        match (self, other) {
            (Key::Bytes(one), Key::Bytes(other)) => one.cmp(other),
            (Key::Semver(one), Key::Semver(other)) => one.cmp(other),
            (Key::Bytes(_), Key::Semver(_)) => Ordering::Less,
            (Key::Semver(_), Key::Bytes(_)) => Ordering::Greater,
        }
    }

    /// The order for constraints, which do not see build metadata (semver.org, 10).
    pub(crate) fn precedence(&self, other: &Key) -> Ordering {
        match (self, other) {
            (Key::Semver(one), Key::Semver(other)) => one.cmp_precedence(other),
            _ => self.order(other),
        }
    }
}

/// A version of a package, by its scheme.
///
/// Equality and order hold among versions of one scheme. Those of two schemes are not equal, and neither is the newer one:
/// `partial_cmp` is `None`, and [`Version::compare`] an error.
#[derive(Clone)]
pub struct Version {
    /// As it was written, which does not count when versions are compared.
    text: String,
    scheme: Scheme,
    key: Key,
}

impl Version {
    /// Reads a version.
    ///
    /// # Errors
    /// It is none of this scheme, or has more than [`MOST_BYTES`].
    pub fn parse(text: &str, scheme: Scheme) -> Result<Version, ParseError> {
        let key = check(text).and_then(|()| key(text, scheme));
        let key = key.map_err(|fault| fault.in_version(text, scheme))?;
        Ok(Version { text: text.to_owned(), scheme, key })
    }

    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether it comes before the release that it is named after: `1.2-rc1`, Debian's `1.2~rc1`. Dates and plain names have none.
    pub fn is_prerelease(&self) -> bool {
        match (&self.key, self.scheme) {
            (Key::Semver(version), _) => !version.pre.is_empty(),
            (_, Scheme::Loose) => loose::is_prerelease(self.as_str()),
            (_, Scheme::Debian) => debian::is_prerelease(self.as_str()),
            _ => false,
        }
    }

    /// Compares two versions of one scheme.
    ///
    /// # Errors
    /// They are of two schemes.
    pub fn compare(&self, other: &Version) -> Result<Ordering, SchemesDiffer> {
        same_scheme(self.scheme, other.scheme)?;
        Ok(self.key.order(&other.key))
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Version) -> bool {
        (self.scheme, &self.key) == (other.scheme, &other.key)
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.scheme, &self.key).hash(state);
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Version) -> Option<Ordering> {
        self.compare(other).ok()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({})", self.as_str(), self.scheme)
    }
}

/// Sorts versions, the oldest first; equal ones stay in the order in which they stand.
///
/// # Errors
/// They are of several schemes; nothing is moved then.
pub fn sort(versions: &mut [Version]) -> Result<(), SchemesDiffer> {
    if let Some(first) = versions.first() {
        versions.iter().try_for_each(|version| same_scheme(first.scheme, version.scheme))?;
    }
    versions.sort_by(|one, other| one.key.order(&other.key));
    Ok(())
}

/// Versions of two schemes have no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemesDiffer(pub Scheme, pub Scheme);

impl fmt::Display for SchemesDiffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "versions of the schemes {} and {} cannot be compared", self.0, self.1)
    }
}

impl Error for SchemesDiffer {}

pub(crate) fn same_scheme(one: Scheme, other: Scheme) -> Result<(), SchemesDiffer> {
    if one == other { Ok(()) } else { Err(SchemesDiffer(one, other)) }
}

/// What no scheme allows: with blanks, commas, `|`, `*`, and the signs of constraints in front, lists of constraints would be ambiguous.
fn check(text: &str) -> Result<(), Fault> {
    if text.is_empty() {
        return Err(Fault::new(0, "it is empty", "write a version, like \"1.2\""));
    }
    if text.len() > MOST_BYTES {
        let cause = format!("it has {} bytes, and {MOST_BYTES} are the most", text.len());
        return Err(Fault::new(text.floor_char_boundary(MOST_BYTES), cause, "is this a version?"));
    }
    let is_strange = |c: char| c.is_whitespace() || c.is_control() || ",|*".contains(c);
    if let Some((at, c)) = text.char_indices().find(|(_, c)| is_strange(*c)) {
        let cause = format!("{} belongs to no version", shown(c));
        return Err(Fault::new(at, cause, "leave it out"));
    }
    match text.chars().next() {
        Some(c) if "=!<>~^".contains(c) => {
            Err(Fault::new(0, format!("{} begins a constraint", shown(c)), "leave it out"))
        }
        _ => Ok(()),
    }
}

fn key(text: &str, scheme: Scheme) -> Result<Key, Fault> {
    match scheme {
        Scheme::Debian => debian::key(text).map(Key::Bytes),
        Scheme::Semver => semantic::key(text).map(Key::Semver),
        Scheme::Loose => loose::key(text).map(Key::Bytes),
        Scheme::Date => date::key(text).map(Key::Bytes),
        Scheme::Plain => plain::key(text).map(Key::Bytes),
    }
}
