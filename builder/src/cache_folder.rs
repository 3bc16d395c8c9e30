//! Where files lie that can be had again: downloads, and what is made from them.

use std::path::PathBuf;

use crate::error::{Error, Result};

/// A folder of the cache: `name` in `$LAMINA_CACHE`, else in `~/.cache/lamina` (`$XDG_CACHE_HOME/lamina` where that is set).
///
/// # Errors
/// No variable says where.
pub fn of(name: &str) -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("LAMINA_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|cache| cache.join("lamina")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/lamina")))
        .map(|cache| cache.join(name))
        .ok_or_else(|| {
            Error::new("cache", "neither LAMINA_CACHE nor HOME is set").remedy("set LAMINA_CACHE to a folder")
        })
}
