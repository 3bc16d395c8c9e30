//! `lock.kdl`: every package of the layer, pinned.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use profiles::Digest;
use profiles::decode::{self, Node, Shape};
use profiles::quote::Quoted;

use super::description::Description;
use crate::error::{Error, Result};
use crate::fetch::Mirror;
use crate::fetch::Source;
use crate::text_file;

/// The pinned packages of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pins {
    /// The release of Debian, as in the description.
    pub suite: String,
    /// Every package, sorted by name.
    pub packages: Vec<PinnedPackage>,
}

/// One pinned package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedPackage {
    /// Its name, such as `zlib1g`.
    pub name: String,
    /// Its version with epoch and revision.
    pub version: String,
    /// What the file hashes to.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Where it lies below the archive: `pool/main/...`.
    pub path: String,
}

const FORMAT: u64 = 1;
const PINS: Shape = Shape::BARE.properties(&["format", "suite"]).block(&["package"]);
const PACKAGE: Shape = Shape::argument("name").properties(&["version", "sha256", "size", "path"]);

impl Pins {
    /// Reads `lock.kdl`.
    ///
    /// # Errors
    /// It cannot be read, or says something that is not understood.
    pub fn load(path: &Path) -> Result<Pins> {
        Pins::parse(&path.display().to_string(), &text_file::read(path)?)
    }

    /// Reads the text of a `lock.kdl`; `label` stands in messages.
    ///
    /// # Errors
    /// All that is not understood, with its place; a format newer than this program.
    pub fn parse(label: &str, bytes: &[u8]) -> Result<Pins> {
        decode::read(label, bytes, |top| {
            top.allow(&["lock"]);
            let node = top.required("lock")?.shape(&PINS)?;
            let format: u64 = node.property("format")?;
            if format != FORMAT {
                let message = format!("this lock has format {format}, this program reads {FORMAT}");
                return node.refuse_property("format", message, "make it again: lamina bootstrap lock");
            }
            let packages: Vec<Option<PinnedPackage>> = node.block().all("package").map(package).collect();
            Some(Pins {
                suite: node.property("suite")?,
                packages: packages.into_iter().collect::<Option<_>>()?,
            })
        })
        .map_err(|diagnostics| Error::caused("", diagnostics))
    }

    /// The text of the file.
    pub fn to_kdl(&self) -> String {
        let mut text = "// Made from debian.kdl by `lamina bootstrap lock`.\n".to_owned();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "lock format={FORMAT} suite={} {{", Quoted(&self.suite));
        for package in &self.packages {
            let _ = writeln!(
                text,
                "    package {} version={} sha256=\"{}\" size={} path={}",
                Quoted(&package.name),
                Quoted(&package.version),
                package.sha256.hex(),
                package.size,
                Quoted(&package.path)
            );
        }
        text + "}\n"
    }

    /// Whether the pins can have been made from this description; the cause when it cannot.
    pub(super) fn check_against(&self, description: &Description) -> Result<(), String> {
        if self.suite != description.suite {
            return Err(format!(
                "it is of {}, {} wants {}",
                self.suite,
                super::DESCRIPTION_FILE,
                description.suite
            ));
        }
        let names: BTreeSet<&str> = self.packages.iter().map(|package| package.name.as_str()).collect();
        if names.len() != self.packages.len() {
            return Err("it has a package twice".to_owned());
        }
        if let Some(missing) = description.want.iter().find(|name| !names.contains(name.as_str())) {
            return Err(format!("it lacks {missing}, which {} wants", super::DESCRIPTION_FILE));
        }
        match description.leave_out.iter().find(|name| names.contains(name.as_str())) {
            Some(extra) => Err(format!("it has {extra}, which {} leaves out", super::DESCRIPTION_FILE)),
            None => Ok(()),
        }
    }
}

fn package(node: Node<'_>) -> Option<PinnedPackage> {
    let node = node.shape(&PACKAGE)?;
    let path: String = node.property("path")?;
    if let Err(error) = Mirror::parse(&format!("debian:{path}")) {
        return node.refuse_property("path", error.to_string(), "make the lock again: lamina bootstrap lock");
    }
    Some(PinnedPackage {
        name: node.argument("name")?,
        version: node.property("version")?,
        sha256: node.property("sha256")?,
        size: node.property("size")?,
        path,
    })
}

impl PinnedPackage {
    /// What to fetch. After a point release the old version of a package may be left in the archive of security updates
    /// only, or the other way round; the fetcher tries both for either mirror.
    pub fn source(&self) -> Source {
        Source {
            file: self.path.rsplit('/').next().unwrap_or(&self.path).to_owned(),
            sha256: self.sha256,
            size: self.size,
            mirrors: vec![format!("debian:{}", self.path)],
        }
    }

    /// Whether a package is the one that was pinned, by its own words: a hash that was pinned for another name is a mistake.
    pub(super) fn check(&self, control: &deb::Control) -> Result<()> {
        if (control.package(), control.version()) == (&self.name, &self.version) {
            return Ok(());
        }
        let cause = format!(
            "the file pinned for {} {} is {} {}",
            self.name,
            self.version,
            control.package(),
            control.version()
        );
        Err(Error::new(super::PINS_FILE, cause).remedy("make it again: lamina bootstrap lock"))
    }
}
