//! Paths that one layer hides from another: those that an `override` of the profile allows, and the refusal of all others.

use profiles::written::Composition;

use crate::error::Error;
use crate::stacking::Shadow;

/// More refused paths than this are counted, not listed.
const MOST_SHOWN: usize = 20;

pub(super) fn allowed(composition: &Composition, shadow: &Shadow) -> bool {
    composition.overrides.iter().any(|it| it.path.as_str() == shadow.path && it.from == shadow.seen)
}

pub(super) fn refusal(composition: &Composition, refused: &[Shadow]) -> Error {
    let mut cause = "layers hide paths of others, and the profile does not allow it".to_owned();
    let folders = refused.iter().any(|shadow| shadow.folder.is_some());
    let alike = if folders { ", give a folder the same `metadata` in both recipes" } else { "" };
    let mut remedy = format!("remove one of the two{alike}, or add to the profile");
    for shadow in refused.iter().take(MOST_SHOWN) {
        cause.push_str(&format!("\n    {shadow}"));
        let path = profiles::quote::Quoted(&shadow.path);
        remedy.push_str(&format!("\n    override {path} from=\"{}\"", shadow.seen));
    }
    if let Some(more) = refused.len().checked_sub(MOST_SHOWN).filter(|more| *more > 0) {
        cause.push_str(&format!("\n    and {more} more"));
    }
    Error::new(format!("profile {}", composition.name), cause).remedy(remedy)
}
