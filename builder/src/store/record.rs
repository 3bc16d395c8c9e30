//! The record of a build: what was made from what.
//!
//! `builds/ID.kdl` in the store; inside the image the same without the image's own digest and size.

mod canonical;

use std::collections::BTreeMap;

use profiles::decode::{Block, Node, Shape, Value, read};
use profiles::quote::Quoted;
use profiles::resolved::VerityRef;
use profiles::{Choice, Diagnostics, Digest, Name};

use crate::choice::shown;
use crate::error::{Error, Result};

/// Where records lie in an image: `usr/share/lamina/NAME.kdl`.
pub const RECORD_FOLDER: &str = "usr/share/lamina";

/// The licence of an image that says what a profile says, whose words are its author's.
pub const PROFILE_LICENSE: &str = "LicenseRef-profile";

/// What the image of a profile's settings is called, before the name of the profile.
pub const SYSTEM: &str = "system-";

/// What the image of the indexes of a profile's kernel modules is called, before the name of the profile.
pub const INDEXES: &str = "module-indexes-";

/// The licences of what was imported with a kernel, which its package says.
pub const KERNEL_LICENSE: &str = "LicenseRef-kernel-package";

/// What is known of a finished build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRecord {
    /// The package.
    pub name: Name,
    /// As the recipe has it.
    pub version: String,
    /// The id of the build.
    pub id: Digest,
    /// The digest of the image.
    pub digest: Digest,
    /// The image's length in bytes.
    pub size: u64,
    /// What opens the image through dm-verity; records of earlier versions have none.
    pub verity: Option<VerityRef>,
    /// An SPDX expression.
    pub license: String,
    /// What it is for, such as `x86_64-linux`.
    pub target: String,
    /// The variant, when the recipe has any.
    pub variant: Option<String>,
    /// Every feature of the recipe, and what was chosen for it.
    pub features: BTreeMap<String, Choice>,
    /// The layers under the build, bottom first.
    pub build_root: Vec<Dependency>,
    /// Names of the packages it needs to run.
    pub depends: Vec<Name>,
    /// What it was made from.
    pub sources: Vec<SourceRecord>,
}

/// A layer that a build used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The package.
    pub name: Name,
    /// As its recipe had it.
    pub version: String,
    /// The id of its build.
    pub id: Digest,
    /// The digest of its image.
    pub digest: Digest,
}

/// A source that a build used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRecord {
    /// Its name in `/sources`.
    pub file: String,
    /// SHA-256 of the file.
    pub sha256: Digest,
}

/// The newest format of records; a newer one is refused.
const FORMAT: u64 = 2;
/// The first one, in which features are on or off. A record that needs no more is written in it, so that its image has the bits that it
/// always had.
const SWITCHES: u64 = 1;

const BUILD: Shape = Shape::argument("name").properties(&["format"]).block(&[
    "version", "id", "license", "target", "variant", "feature", "source", "layer", "depends", "image",
]);
const IMAGE: Shape =
    Shape::BARE.properties(&["digest", "size", "root-hash", "salt", "data-blocks", "fec-roots"]);
const TEXT: Shape = Shape::argument("text");

impl BuildRecord {
    /// That of an image which no recipe makes, and which is not written yet: without choices, layers and sources. `target` is as in a recipe's.
    pub fn without_recipe(
        name: Name,
        version: String,
        id: Digest,
        license: &str,
        target: &str,
    ) -> BuildRecord {
        BuildRecord {
            name,
            version,
            id,
            digest: Digest::from_bytes([0; 32]),
            size: 0,
            verity: None,
            license: license.to_owned(),
            target: target.to_owned(),
            variant: None,
            features: BTreeMap::new(),
            build_root: Vec::new(),
            depends: Vec::new(),
            sources: Vec::new(),
        }
    }

    /// The same as a layer that something was made from.
    pub fn as_dependency(&self) -> Dependency {
        Dependency {
            name: self.name.clone(),
            version: self.version.clone(),
            id: self.id,
            digest: self.digest,
        }
    }

    /// What was chosen for the build, as ` variant +on -off name=value`; empty where there was nothing to choose.
    pub fn choices(&self) -> String {
        let features = self.features.iter().map(|(name, choice)| format!(" {}", shown(name, choice)));
        self.variant.iter().map(|variant| format!(" {variant}")).chain(features).collect()
    }

    /// Whether a recipe has made it: not so modules of a kernel that was imported, and what a profile says.
    pub fn is_of_recipe(&self) -> bool {
        ![KERNEL_LICENSE, PROFILE_LICENSE].contains(&self.license.as_str())
    }

    /// The command that makes it again.
    pub fn remade_by(&self) -> String {
        let name = self.name.as_str();
        match self.license.as_str() {
            KERNEL_LICENSE => "`lamina kernel import`".to_owned(),
            PROFILE_LICENSE => {
                let profile = [SYSTEM, INDEXES].iter().find_map(|start| name.strip_prefix(start));
                format!("`lamina build {}`", profile.unwrap_or(name))
            }
            _ => format!("`lamina build {name}`"),
        }
    }

    /// The record as it stands in the store.
    pub fn to_kdl(&self) -> String {
        let verity = self.verity.map_or(String::new(), |verity| format!(" {verity}"));
        let image = format!("    image digest=\"{}\" size={}{verity}\n", self.digest, self.size);
        self.write_kdl(&image)
    }

    /// The record as it travels inside the image, whose digest it cannot hold.
    pub fn to_kdl_inside(&self) -> String {
        self.write_kdl("")
    }

    /// Reads a record of the store; `label` names the text in messages.
    pub fn parse(label: &str, bytes: &[u8]) -> Result<Self> {
        decode(label, bytes)
            .map_err(|error| Error::caused("", error).remedy("remove this record and build again"))
    }

    fn format(&self) -> u64 {
        let has_values = self.features.values().any(|choice| matches!(choice, Choice::Of(_)));
        if has_values { FORMAT } else { SWITCHES }
    }

    fn write_kdl(&self, image: &str) -> String {
        let mut text = format!("build {} format={} {{\n", Quoted(self.name.as_str()), self.format());
        let mut line = |line: String| text.push_str(&format!("    {line}\n"));
        line(format!("version {}", Quoted(&self.version)));
        line(format!("id \"{}\"", self.id.hex()));
        line(format!("license {}", Quoted(&self.license)));
        line(format!("target {}", Quoted(&self.target)));
        if let Some(variant) = &self.variant {
            line(format!("variant {}", Quoted(variant)));
        }
        for (name, choice) in &self.features {
            line(match choice {
                Choice::Of(value) => format!("feature {} value={}", Quoted(name), Quoted(value.as_str())),
                Choice::On => format!("feature {} on=#true", Quoted(name)),
                Choice::Off => format!("feature {} on=#false", Quoted(name)),
            });
        }
        for source in &self.sources {
            line(format!("source {} sha256=\"{}\"", Quoted(&source.file), source.sha256.hex()));
        }
        for layer in &self.build_root {
            line(format!(
                "layer {} version={} id=\"{}\" digest=\"{}\"",
                Quoted(layer.name.as_str()),
                Quoted(&layer.version),
                layer.id.hex(),
                layer.digest
            ));
        }
        for name in &self.depends {
            line(format!("depends {}", Quoted(name.as_str())));
        }
        text.push_str(image);
        text.push_str("}\n");
        text
    }
}

pub(super) fn decode(label: &str, bytes: &[u8]) -> Result<BuildRecord, Diagnostics> {
    match canonical::read(bytes) {
        Some(record) => Ok(record),
        None => parsed(label, bytes),
    }
}

/// What the parser makes of any text.
fn parsed(label: &str, bytes: &[u8]) -> Result<BuildRecord, Diagnostics> {
    read(label, bytes, |top| {
        top.allow(&["build"]);
        record(top.required("build")?)
    })
}

fn record(node: Node<'_>) -> Option<BuildRecord> {
    let found = node.property::<u64>("format")?;
    if !(SWITCHES..=FORMAT).contains(&found) {
        let message =
            format!("the record has format {found}, this version reads formats {SWITCHES} to {FORMAT}");
        return node.refuse_property("format", message, "build again with this version of Lamina");
    }
    let node = node.shape(&BUILD)?;
    let block = node.block();
    let image = block.required("image")?.shape(&IMAGE)?;
    let features = block.all("feature").map(feature);
    let layers = block.all("layer").map(layer);
    let sources = block.all("source").map(source);
    let depends = block.all("depends").map(|node| node.shape(&TEXT)?.argument("name"));
    Some(BuildRecord {
        name: node.argument("name")?,
        version: one(&block, "version")?,
        id: one(&block, "id")?,
        digest: image.property("digest")?,
        size: image.property("size")?,
        verity: VerityRef::read(image)?,
        license: one(&block, "license")?,
        target: one(&block, "target")?,
        variant: block.one("variant").and_then(|node| node.shape(&TEXT)?.argument("variant")),
        features: features.collect::<Option<_>>()?,
        build_root: layers.collect::<Option<_>>()?,
        depends: depends.collect::<Option<_>>()?,
        sources: sources.collect::<Option<_>>()?,
    })
}

fn one<T: Value>(block: &Block<'_>, name: &str) -> Option<T> {
    block.required(name)?.shape(&TEXT)?.argument(name)
}

fn feature(node: Node<'_>) -> Option<(String, Choice)> {
    let node = node.shape(&Shape::argument("name").properties(&["on", "value"]))?;
    let choice = match node.has("value") {
        true => Choice::Of(node.property("value")?),
        false if node.property("on")? => Choice::On,
        false => Choice::Off,
    };
    Some((node.argument("name")?, choice))
}

fn source(node: Node<'_>) -> Option<SourceRecord> {
    let node = node.shape(&Shape::argument("name").properties(&["sha256"]))?;
    Some(SourceRecord { file: node.argument("name")?, sha256: node.property("sha256")? })
}

fn layer(node: Node<'_>) -> Option<Dependency> {
    let node = node.shape(&Shape::argument("name").properties(&["version", "id", "digest"]))?;
    Some(Dependency {
        name: node.argument("name")?,
        version: node.property("version")?,
        id: node.property("id")?,
        digest: node.property("digest")?,
    })
}
