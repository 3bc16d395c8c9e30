//! The image of a profile's settings, the topmost layer of its stack.

use std::num::NonZero;
use std::path::PathBuf;

use profiles::Name;
use profiles::written::Composition;
use squashfs::Image;

use crate::error::{Error, Result};
use crate::settings::{self, Plan, Target, image};
use crate::stacking::joined::Joined;
use crate::store::{BuildRecord, MadeImage, Store};

/// The image, and what a person should know of it.
#[derive(Debug)]
pub struct SystemImage {
    /// What it was made from.
    pub record: BuildRecord,
    /// What it sets, by path.
    pub lines: Vec<SettingLine>,
    /// The accounts whose password hash is in it.
    pub hashes: Vec<String>,
    /// The image itself, when the store has it not yet.
    made: Option<MadeImage>,
}

/// A path that a setting made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingLine {
    /// In the booted system.
    pub path: String,
    /// The line of the profile, as `user me`.
    pub setting: String,
    /// The layer whose entry is not seen any more.
    pub hides: Option<Name>,
}

impl std::fmt::Display for SettingLine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {}", self.path, self.setting)?;
        match &self.hides {
            Some(hidden) => write!(out, ", in the place of that of {hidden}"),
            None => Ok(()),
        }
    }
}

impl SystemImage {
    /// Makes the image of what the profile sets, for these layers with their images, bottom first; `None` when it sets nothing. The
    /// layers that can be added lie above it.
    ///
    /// # Errors
    /// A line that the stack cannot honour; a package that is called as the image.
    pub fn make(
        composition: &Composition,
        layers: (&[&BuildRecord], &[&Image]),
        optional: &[&BuildRecord],
        (store, jobs): (&Store, NonZero<usize>),
    ) -> Result<Option<SystemImage>> {
        if composition.settings.is_empty() {
            return Ok(None);
        }
        let name = image::name(&composition.name)?;
        if layers.0.iter().chain(optional).any(|record| record.name == name) {
            let cause = format!("the image of its settings is called {name}, and so is a package of it");
            return Err(Error::new(format!("profile {}", composition.name), cause)
                .remedy("give the package another name, or the profile"));
        }
        let joined = Joined::new(layers.1);
        let target = Target { joined, init: composition.init.as_str(), image: name.as_str() };
        let plan = settings::plan(&composition.settings, &target)?;
        let record = image::record(&plan, &name, layers.0);
        let (record, made) = match store.finished_build(&record.id)? {
            Some(record) => (record, None),
            None => {
                let made = image::make(&plan, record, store, jobs)?;
                (made.record.clone(), Some(made))
            }
        };
        let lines = lines(&plan, layers.0);
        Ok(Some(SystemImage { record, lines, hashes: plan.hashes, made }))
    }

    /// Where the image lies.
    pub fn path(&self, store: &Store) -> PathBuf {
        self.made.as_ref().map_or_else(|| store.image_path(&self.record.digest), MadeImage::path)
    }

    /// Puts it into the store.
    pub fn publish(&self, store: &Store) -> Result<()> {
        self.made.iter().try_for_each(|made| store.publish_made(made))
    }

    /// What to say of the hashes, when there are any.
    pub fn warning(&self) -> Option<String> {
        (!self.hashes.is_empty()).then(|| {
            let whose = self.hashes.join(", ");
            format!(
                "the image {} holds the password hash of {whose}: whoever has the image can read it and try passwords",
                self.record.name
            )
        })
    }
}

fn lines(plan: &Plan, layers: &[&BuildRecord]) -> Vec<SettingLine> {
    let line = |(path, entry): (&Vec<u8>, &settings::Planned)| {
        Some(SettingLine {
            path: format!("/{}", path.escape_ascii()),
            setting: entry.setting.clone()?,
            hides: entry.hides.and_then(|layer| layers.get(layer)).map(|record| record.name.clone()),
        })
    };
    plan.entries.iter().filter_map(line).collect()
}
