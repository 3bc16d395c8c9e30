//! The id of a build: the SHA-256 of a text with one line for everything that can change the result.
//!
//! The text is described in docs/recipes.md, "The id". It is data, so that two ids can be compared line by line.

use std::fmt;

use profiles::Digest;

use crate::choice::{Selection, shown};
use crate::image::format::ImageFormat;
use crate::image::path_metadata::PathMetadata;
use crate::recipe::{Dependency, Instructions, Making, Recipe, STEP_NAMES, StepWork};
use crate::shell_word::plain;

/// Raised when this builder begins to make other bits from the same recipe.
pub const BUILD_FORMAT: u32 = 3;

/// What packages are built for.
pub const TARGET: &str = "x86_64-linux";

/// Everything that makes a build what it is.
#[derive(Debug, Clone)]
pub struct Ingredients<'a> {
    /// The recipe.
    pub recipe: &'a Recipe,
    /// What of it holds for this build.
    pub instructions: &'a Instructions,
    /// The chosen features and variant.
    pub selection: &'a Selection,
    /// What must be below it when it runs.
    pub run_depends: &'a [Dependency],
    /// The id of the bootstrap layer; `None` for the bootstrap layer itself.
    pub bootstrap: Option<Digest>,
    /// Name and id of each other layer under the build.
    pub build_root: Vec<(String, Digest)>,
    /// Name and digest of each patch, in order.
    pub patches: Vec<(String, Digest)>,
    /// Name and digest of each other file.
    pub files: Vec<(String, Digest)>,
    /// What the image is written as.
    pub image: ImageFormat,
}

impl Ingredients<'_> {
    /// The text that is hashed. Names and paths have no control characters, so no line can pretend to be another.
    pub fn canonical(&self) -> String {
        let recipe = self.recipe;
        let mut lines = vec![
            format!("lamina build {BUILD_FORMAT}"),
            format!("name {}", recipe.name.as_str()),
            format!("version {}", recipe.version),
            format!("license {}", recipe.license),
            format!("target {TARGET}"),
            format!("image {}", self.image),
        ];
        lines.extend(self.bootstrap.as_ref().map(|id| format!("bootstrap {}", id.hex())));
        lines.extend(self.selection.variant().map(|variant| format!("variant {variant}")));
        lines
            .extend(self.selection.features().map(|(feature, choice)| format!("feature {feature} {choice}")));
        lines.extend(self.instructions.shared().into_iter().map(|name| format!("shared {name}")));
        lines.extend(sorted(
            self.instructions.sources.iter().map(|s| format!("source {} sha256:{}", s.file, s.sha256.hex())),
        ));
        lines.extend(
            self.patches.iter().map(|(name, digest)| format!("patch {name} sha256:{}", digest.hex())),
        );
        lines.extend(sorted(
            self.files.iter().map(|(name, digest)| format!("file {name} sha256:{}", digest.hex())),
        ));
        lines.extend(sorted(recipe.metadata.iter().map(|entry| entry.to_string())));
        lines.extend(recipe.attributes.iter().map(|name| format!("attribute {name}")));
        lines.extend(sorted(
            self.build_root.iter().map(|(name, id)| format!("build-depend {name} {}", id.hex())),
        ));
        lines.extend(sorted(self.run_depends.iter().map(depend)));
        if matches!(recipe.making, Making::Debian) {
            lines.push("debian".to_owned());
        }
        for name in STEP_NAMES {
            let Some(step) = self.instructions.steps.get(name) else { continue };
            match &step.work {
                StepWork::Script(script) => {
                    lines.push(format!("step {name} sha256:{}", Digest::of_bytes(script).hex()));
                }
                // Which source is the first, no other line says.
                StepWork::Unpack(file) => {
                    lines.push(format!("step {name} default={} {file}", source_archive::RULES));
                }
            }
            lines.extend(step.arguments.iter().map(|word| format!("argument {name} {word}")));
        }
        lines.join("\n") + "\n"
    }

    /// The id.
    pub fn id(&self) -> Digest {
        Digest::of_bytes(self.canonical())
    }
}

/// As in the text that an id is made of: `metadata /usr/bin/su mode=4755 user=0`.
impl fmt::Display for PathMetadata {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Between quotes where it has blanks: it could end in what looks like the rest of the line.
        write!(out, "metadata {}", plain(&self.path))?;
        if let Some(mode) = self.mode {
            write!(out, " mode={mode:04o}")?;
        }
        if let Some(user) = self.user {
            write!(out, " user={user}")?;
        }
        if let Some(group) = self.group {
            write!(out, " group={group}")?;
        }
        match self.capabilities {
            Some(capabilities) => write!(out, " capabilities={capabilities}"),
            None => Ok(()),
        }
    }
}

/// What must be below a package, and what was asked of it.
fn depend(dependency: &Dependency) -> String {
    let choices = dependency.choices.iter().map(|(name, choice)| format!(" {}", shown(name, choice)));
    format!("depend {} {}{}", dependency.name, dependency.condition, choices.collect::<String>())
}

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_pretend_to_be_the_rest_of_its_line() {
        let of = |path: &str, mode: Option<u32>| {
            let path = path.to_owned();
            PathMetadata { path, mode, user: Some(0), group: None, capabilities: None }.to_string()
        };
        assert_eq!(of("/x", Some(0o4755)), "metadata /x mode=4755 user=0");
        assert_eq!(of("/x mode=4755", None), "metadata '/x mode=4755' user=0");
        assert_ne!(of("/x' mode=4755 '", None), of("/x", Some(0o4755)));
    }
}
