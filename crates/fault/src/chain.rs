//! An error and what it came from, down to the answer of the system.

use std::error::Error;
use std::io;

/// An error and its sources in one text, each that the text does not have already.
pub fn with_sources(cause: &dyn Error) -> String {
    let mut text = cause.to_string();
    for source in std::iter::successors(cause.source(), |inner| (*inner).source()) {
        let source = source.to_string();
        if !text.contains(&source) {
            text.push_str(": ");
            text.push_str(&source);
        }
    }
    text
}

/// The first error in the chain that is the system's, of whichever crate that called it.
pub(crate) fn system_error(cause: &(dyn Error + 'static)) -> Option<io::Error> {
    std::iter::successors(Some(cause), |inner| (*inner).source()).find_map(as_system_error)
}

fn as_system_error(cause: &(dyn Error + 'static)) -> Option<io::Error> {
    if let Some(errno) = cause.downcast_ref::<nix::errno::Errno>() {
        return Some((*errno).into());
    }
    if let Some(errno) = cause.downcast_ref::<rustix::io::Errno>() {
        return Some((*errno).into());
    }
    let error = cause.downcast_ref::<io::Error>()?;
    // What it wraps is not in its chain of sources, only what that came from.
    match (error.raw_os_error(), error.get_ref()) {
        (Some(number), _) => Some(io::Error::from_raw_os_error(number)),
        (None, Some(inner)) => system_error(inner).or_else(|| Some(error.kind().into())),
        (None, None) => Some(error.kind().into()),
    }
}
