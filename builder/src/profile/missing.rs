//! What programs and libraries of a profile's layers need and do not find.

use verified_store::CheckedImage;

use crate::error::{Error, Result};
use crate::linking::{self, Finding, ImageFacts, Layer};
use crate::stacking::LayerPaths;
use crate::store::{BuildRecord, Store};

/// Looks at the first `stack` layers as a stack, bottom first, and at each of the others on top of that.
pub(super) fn find(
    store: &Store,
    records: &[&BuildRecord],
    images: &[CheckedImage],
    contents: &[LayerPaths],
    stack: usize,
) -> Result<Vec<Finding>> {
    let facts = records.iter().zip(images).map(|(record, image)| {
        let damaged = |error| {
            Error::caused(store.image_path(&record.digest).display(), error).remedy(format!(
                "run `lamina store verify`; {} makes it again once it is removed",
                record.remade_by()
            ))
        };
        linking::facts_of(store, &record.digest, image).map_err(damaged)
    });
    let facts: Vec<ImageFacts> = facts.collect::<Result<_>>()?;
    let both = facts.iter().zip(contents);
    let layers: Vec<Layer<'_>> =
        both.map(|(facts, LayerPaths { name, paths })| Layer { name, facts, paths }).collect();
    Ok(linking::findings(&layers, stack))
}
