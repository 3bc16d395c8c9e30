//! A place that bytes can be read from now.

use std::fmt;
use std::path::PathBuf;

use super::crate_version::CrateVersion;
use super::passwords::without_passwords;

/// A place that bytes can be read from now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Location {
    /// For curl; with the proxy that apt is told to use, where it is told one.
    Url { url: String, proxy: Option<String> },
    /// A file of this machine.
    File(PathBuf),
    /// For cargo, into its own cache.
    Crate(CrateVersion),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Url { url, .. } => f.write_str(&without_passwords(url)),
            Location::File(path) => path.display().fmt(f),
            Location::Crate(version) => write!(f, "crate:{version}"),
        }
    }
}
