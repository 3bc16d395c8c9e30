//! The schemes, and their names.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// How versions are read and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Scheme {
    /// Debian's: epoch, upstream version and revision, `~` before the end.
    Debian,
    /// Semantic Versioning 2.0.0, strict.
    Semver,
    /// What most projects write. It reads nearly everything, so it is what holds where no scheme is named.
    #[default]
    Loose,
    /// Dates.
    Date,
    /// Names without a meaning.
    Plain,
}

impl Scheme {
    /// All of them.
    pub const ALL: [Scheme; 5] = [Scheme::Debian, Scheme::Semver, Scheme::Loose, Scheme::Date, Scheme::Plain];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Debian => "debian",
            Scheme::Semver => "semver",
            Scheme::Loose => "loose",
            Scheme::Date => "date",
            Scheme::Plain => "plain",
        }
    }

    /// What it is, in one line.
    pub fn description(self) -> &'static str {
        match self {
            Scheme::Debian => "as dpkg compares: 1:1.2~rc1-1",
            Scheme::Semver => "Semantic Versioning 2.0.0, strict: 1.2.0-rc.1",
            Scheme::Loose => "what projects write: 1.2, v1.2.0, 1.2rc1, 9.8p1",
            Scheme::Date => "dates: 2024-01-31, 20240131, 2024.1",
            Scheme::Plain => "names, in the order of their bytes",
        }
    }

    /// Whether `~` and `^` mean something: only where numbers say what is compatible.
    pub fn has_compatible_versions(self) -> bool {
        matches!(self, Scheme::Debian | Scheme::Semver | Scheme::Loose)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No scheme is called so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownScheme(pub String);

impl fmt::Display for UnknownScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is no scheme of versions", self.0)
    }
}

impl Error for UnknownScheme {}

impl FromStr for Scheme {
    type Err = UnknownScheme;

    fn from_str(text: &str) -> Result<Scheme, UnknownScheme> {
        let found = Scheme::ALL.into_iter().find(|scheme| scheme.name() == text);
        found.ok_or_else(|| UnknownScheme(text.to_owned()))
    }
}
