//! A profile as a list of them shows it.

use profiles::Name;

/// One of the profiles of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileSummary {
    /// Its name.
    pub name: Name,
    /// Its own words about itself.
    pub description: Option<String>,
}
