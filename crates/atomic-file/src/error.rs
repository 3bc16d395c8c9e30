//! Errors about files and folders, as this crate makes them.

use std::path::Path;

pub use fault::Error;

/// An error about `object` with what to do about it.
pub(crate) fn refusal(object: &Path, cause: impl Into<String>, remedy: &str) -> Error {
    Error::new(object.display(), cause.into()).remedy(remedy)
}

/// For `map_err`: what the system said of `object`.
pub(crate) fn on<E: std::error::Error + Send + Sync + 'static>(object: &Path) -> impl FnOnce(E) -> Error {
    Error::on(object.display())
}
