//! A library in the place of the one that images were built with: a fix that reaches every program without building one of them again.

use profiles::Name;

use super::lock::Builds;
use crate::error::{Error, Result};
use crate::linking::{Libraries, facts_of, stands_in_for};
use crate::store::{BuildRecord, Store};

/// A build that is put in the place of a layer.
#[derive(Debug, Clone)]
pub struct Replacement {
    /// The layer.
    pub of: Name,
    /// What comes in its place.
    pub by: BuildRecord,
}

/// `builds` with each replacement in the place of the layer that it is for, which programs cannot tell: it has every library of that layer
/// under the same name at the same path, with at least the same symbols and versions.
///
/// # Errors
/// There is no such layer; a program would miss something, with all that is missing; an image is damaged.
pub fn replace<'a>(
    profile: &Name,
    builds: Builds<'a>,
    replacements: &'a [Replacement],
    store: &Store,
) -> Result<Builds<'a>> {
    let mut builds = builds;
    for (at, Replacement { of, by }) in replacements.iter().enumerate() {
        if replacements[..at].iter().any(|before| before.of == *of) {
            return Err(
                Error::new(format!("--replace {of}"), "stands twice").remedy("give each layer one build")
            );
        }
        let layers = builds.stack.iter_mut().chain(&mut builds.optional);
        let Some(layer) = { layers }.find(|layer| layer.name == *of) else {
            let cause = format!("is no layer of the profile {profile}, so nothing can take its place there");
            return Err(Error::new(format!("package {of}"), cause)
                .remedy(format!("`lamina profile check {profile}` lists the layers")));
        };
        check(layer, by, store)?;
        *layer = by;
    }
    replacements.iter().try_for_each(|replacement| check_among(&replacement.by, &builds))?;
    Ok(builds)
}

/// Refuses a build that has the name of another layer, or needs a package to run that is no layer.
fn check_among(new: &BuildRecord, builds: &Builds<'_>) -> Result<()> {
    let named =
        |name: &Name| builds.stack.iter().chain(&builds.optional).filter(|it| it.name == *name).count();
    if named(&new.name) > 1 {
        let cause = format!("cannot take the place of another layer: {} is a layer already", new.name);
        return Err(Error::new(shown(new), cause).remedy("leave that layer out, or take another build"));
    }
    match new.depends.iter().find(|needed| named(needed) == 0) {
        None => Ok(()),
        Some(needed) => {
            let cause = format!("needs {needed} to run, which is no layer of the profile");
            Err(Error::new(shown(new), cause).remedy(format!("name {needed} in the profile")))
        }
    }
}

fn check(old: &BuildRecord, new: &BuildRecord, store: &Store) -> Result<()> {
    let (was, is) = (libraries(old, store)?, libraries(new, store)?);
    let Err(missing) = stands_in_for(&was, &is) else { return Ok(()) };
    let missing: Vec<String> = missing.iter().map(|difference| format!("\n    {difference}")).collect();
    let cause = format!("cannot take the place of {}: {}", shown(old), missing.concat());
    Err(Error::new(shown(new), cause).remedy(format!(
        "take a version that has the same, or build what needs it anew: `lamina built-with --using {}`",
        old.name
    )))
}

fn libraries(record: &BuildRecord, store: &Store) -> Result<Libraries> {
    let image = store.open_image(&record.digest, record.verity.as_ref())?;
    let read = || Libraries::read(image.image(), &facts_of(store, &record.digest, &image)?);
    read().map_err(|error| Error::caused(store.image_path(&record.digest).display(), error))
}

fn shown(record: &BuildRecord) -> String {
    format!("{} {} ({})", record.name, record.version, &record.id.hex()[..12])
}
