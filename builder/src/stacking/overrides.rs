//! Paths that one layer hides from another: those that an `override` of a profile or a recipe allows, and the refusal of all others.

use std::fmt::Display;

use profiles::quote::Quoted;
use profiles::written::Override;

use super::Shadow;
use crate::error::Error;

/// More refused paths than this are counted, not listed.
const MOST_SHOWN: usize = 20;

/// Whether this line allows what a layer hides.
pub fn allows(line: &Override, shadow: &Shadow) -> bool {
    line.path.as_str() == shadow.path && line.from == shadow.seen
}

/// What hides, and the lines that would allow it, behind `cause` and `remedy`.
pub fn refusal(object: impl Display, cause: &str, remedy: &str, refused: &[Shadow]) -> Error {
    let (mut cause, mut remedy) = (cause.to_owned(), remedy.to_owned());
    for shadow in refused.iter().take(MOST_SHOWN) {
        cause.push_str(&format!("\n    {shadow}"));
        remedy.push_str(&format!("\n    override {} from=\"{}\"", Quoted(&shadow.path), shadow.seen));
    }
    if let Some(more) = refused.len().checked_sub(MOST_SHOWN).filter(|more| *more > 0) {
        cause.push_str(&format!("\n    and {more} more"));
    }
    Error::new(object, cause).remedy(remedy)
}
