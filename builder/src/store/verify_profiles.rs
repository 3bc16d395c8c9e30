//! The resolved profiles of a store, read as init will read them: each generation, and the images that it names.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use boot_store::layout;
use profiles::resolved::{BootProfile, VerityRef};
use profiles::{Digest, Name};

use super::{Store, files_in, wrong_length};
use crate::error::{Error, Result};
use crate::text_file;

/// What the profiles of a store come to.
#[derive(Debug, Default)]
pub(super) struct Profiles {
    /// Generations read.
    pub(super) count: usize,
    /// The images that they name, and what opens each, by the first that says so.
    pub(super) images: BTreeMap<Digest, (u64, Option<VerityRef>)>,
    /// What is wrong with them.
    pub(super) findings: Vec<Error>,
}

impl Store {
    /// Reads every generation of every profile. An error is only for a folder that cannot be read.
    pub(super) fn read_profiles(&self) -> Result<Profiles> {
        let mut seen = Profiles::default();
        for folder in files_in(&self.profiles())? {
            let name = folder.file_name().and_then(|name| Name::parse(name.to_str()?).ok());
            // Whatever else lies there, init does not look at it.
            let Some(name) = name.filter(|_| folder.is_dir()) else { continue };
            for file in files_in(&folder)? {
                let file_name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if let Some(profile) = file_name.strip_suffix(".minisig") {
                    if !folder.join(profile).exists() {
                        let object = format!("profiles/{name}/{file_name}");
                        seen.findings.push(finding(
                            &object,
                            "is the signature of no profile",
                            "remove it".to_owned(),
                        ));
                    }
                } else if layout::generation_of(&file_name).is_some() {
                    seen.count += 1;
                    self.read_profile(&name, &file, &mut seen);
                }
            }
        }
        Ok(seen)
    }

    fn read_profile(&self, name: &Name, file: &Path, seen: &mut Profiles) {
        let object = file.strip_prefix(self.root()).unwrap_or(file).display().to_string();
        let again = format!("remove it; `lamina profile lock {name}` makes a new generation");
        let read = text_file::read(file).map_err(|error| error.cause().to_owned()).and_then(|bytes| {
            BootProfile::parse(&object, &bytes).map_err(|errors| {
                let first = errors.iter().next();
                first.map_or(String::new(), |it| format!("line {}: {}", it.position().0, it.message()))
            })
        });
        let profile = match read {
            Ok(profile) => profile,
            Err(cause) => return seen.findings.push(finding(&object, &cause, again)),
        };
        if profile.name != *name {
            let cause = format!("is the profile '{}', which init does not look for here", profile.name);
            seen.findings.push(finding(&object, &cause, again.clone()));
        }
        for image in profile.all_images() {
            let (_, verity) = seen.images.entry(image.digest).or_insert((image.size, None));
            *verity = verity.or(image.verity);
            let path = self.image_path(&image.digest);
            let there = fs::metadata(&path).map(|found| found.len());
            let what =
                format!("{} {} ({})", image.name, image.version, layout::image(&image.digest).display());
            let cause = match there {
                Ok(length) if length == image.size => continue,
                Ok(length) => format!("its image {what} {}", wrong_length(length, image.size)),
                Err(error) => format!("its image {what} is missing: {error}"),
            };
            let remedy =
                format!("`lamina build {name}` makes what the newest generation needs; else remove this one");
            seen.findings.push(finding(&object, &cause, remedy));
        }
    }
}

fn finding(object: &str, cause: &str, remedy: String) -> Error {
    Error::new(object, cause).remedy(remedy)
}
