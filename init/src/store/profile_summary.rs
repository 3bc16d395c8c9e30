//! A profile as a list of them shows it.

use profiles::Name;

/// One of the profiles of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileSummary {
    /// The folder below `profiles/`.
    pub name: Name,
    /// Its own words about itself.
    pub description: Option<String>,
}
