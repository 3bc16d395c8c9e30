//! What is linked statically has no file that a loader would have to complete: it runs in any stack.

use std::path::Path;

use squashfs::Image;

use crate::choice::linkage::Linkage;
use crate::error::{Error, Result};
use crate::graph::Package;
use crate::linking::{ImageFacts, first_dynamic};
use crate::recipe::Making;

/// Refuses the image of a static package that has a program or a library of the other kind. What is put together from Debian packages
/// is as Debian linked it.
///
/// # Errors
/// The first such file.
pub(super) fn check(package: &Package, image: &Path) -> Result<()> {
    let is_static = Linkage::of(&package.selection) == Some(Linkage::Static);
    if !is_static || matches!(package.recipe.making, Making::Debian) {
        return Ok(());
    }
    let object = || format!("package {}", package.recipe.name);
    let opened = Image::open(image).map_err(Error::on(object()))?;
    let facts = ImageFacts::read(&opened).map_err(Error::on(object()))?;
    match first_dynamic(&facts) {
        None => Ok(()),
        Some(file) => {
            let cause = format!(
                "is linked statically, and /{} is not: a loader would have to complete it",
                file.path
            );
            let remedy = "let its steps ask `$LINKAGE`, or say `cannot \"static\" \"WHY\"` in its recipe";
            Err(Error::new(object(), cause).remedy(remedy))
        }
    }
}
