//! The written profile: what people write. docs/profile-language.md describes every node.
//!
//! [`Profile::parse`] reads one file; [`compose()`] joins it with the profiles that it includes. Both are pure: the
//! caller loads the files.

use std::collections::BTreeMap;

use crate::decode::{Block, Node, Shape, read};
use crate::linkage::{LIBC, LINKAGE, Libc, Linkage};
use crate::seal::Seal;
use crate::suggest;
use crate::system::{SystemPath, Verify};
use crate::version::Condition;
use crate::{Choice, Diagnostics, Name, Span, WritableTop};

mod compose;
pub mod settings;

pub use compose::{Composition, compose};
use settings::Settings;

const PROFILE: Shape = Shape::argument("name").block(&NODES);
const NODES: [&str; 15] = [
    "description",
    "include",
    "packages",
    "optional",
    "linkage",
    "libc",
    "without",
    "root",
    "verify",
    "override",
    "unresolved",
    "init",
    "sealed",
    "system",
    "kernel",
];
const PACKAGES: Shape = Shape::BARE.any_block();
const PACKAGE: Shape = Shape::BARE.any_property();
const OVERRIDE: Shape = Shape::argument("path").properties(&["from"]);
const UNRESOLVED: Shape = Shape::argument("library").properties(&["from"]);
/// The properties of a package that are no features.
const CHOICES: [&str; 2] = ["version", "variant"];

/// Each package becomes a layer, and overlayfs takes at most 500.
const MOST_PACKAGES: usize = 500;

/// One profile file.
#[derive(Debug, Clone)]
pub struct Profile {
    /// What others include it as.
    pub name: Name,
    /// Where the word `profile` stands.
    pub span: Span,
    /// One line for people.
    pub description: Option<String>,
    /// The profiles to read first, in this order.
    pub includes: Vec<Mention>,
    /// The packages that this profile puts on top, in this order.
    pub packages: Vec<Package>,
    /// The packages that `lamina.add=` can put on top, in this order.
    pub optional: Vec<Package>,
    /// What each package is asked for whose line does not say it and whose recipe can be so: its linkage, its C library.
    pub of_each: BTreeMap<String, Choice>,
    /// The packages of the included profiles to leave out.
    pub without: Vec<Mention>,
    /// What lies on top of the images, when this profile says so.
    pub root: Option<WritableTop>,
    /// How images are checked, when this profile says so.
    pub verify: Option<Verify>,
    /// The first program, when this profile says so.
    pub init: Option<SystemPath>,
    /// The paths that one package may take from packages below.
    pub overrides: Vec<Override>,
    /// What packages may need although it is not there.
    pub unresolved: Vec<Unresolved>,
    /// Whether a boot refuses overrides that would weaken it.
    pub sealed: Option<Seal>,
    /// The machine's own settings that this profile writes.
    pub settings: Option<Settings>,
    /// The kernel that it boots on, by the name under which it was imported, when this profile says so.
    pub kernel: Option<Mention>,
}

/// A name and where it is mentioned.
#[derive(Debug, Clone)]
pub struct Mention {
    /// The name.
    pub name: Name,
    /// Where it stands.
    pub span: Span,
}

/// A wish for a package.
#[derive(Debug, Clone)]
pub struct Package {
    /// The name of its recipe.
    pub name: Name,
    /// Where the wish stands.
    pub span: Span,
    /// The versions that will do.
    pub version: Condition,
    /// The variant; the recipe's default when there is none.
    pub variant: Option<Name>,
    /// The features that are chosen; the others are as the recipe says.
    pub features: BTreeMap<Name, Choice>,
}

/// Leave to shadow a path.
#[derive(Debug, Clone)]
pub struct Override {
    /// The path in the booted system.
    pub path: SystemPath,
    /// The package whose file is seen.
    pub from: Name,
    /// Where this stands.
    pub span: Span,
}

/// Leave for programs and libraries of a package to need what no layer gives.
#[derive(Debug, Clone)]
pub struct Unresolved {
    /// The library, as its dependents name it, or the path of an interpreter.
    pub library: String,
    /// The package that needs it.
    pub from: Name,
    /// Where this stands.
    pub span: Span,
}

impl Profile {
    /// Reads a profile file; `label` names it in messages.
    ///
    /// # Errors
    /// Every error in the text, by position.
    pub fn parse(label: &str, bytes: &[u8]) -> Result<Profile, Diagnostics> {
        read(label, bytes, |top| {
            top.allow(&["profile"]);
            profile(top.required("profile")?)
        })
    }
}

fn profile(node: Node<'_>) -> Option<Profile> {
    let node = node.shape(&PROFILE)?;
    let block = node.block();
    let name = node.argument("name");
    let description =
        block.at_most_one("description", |node| node.shape(&Shape::argument("text"))?.argument("text"));
    let includes = mentions(&block, "include", "profile");
    let without = mentions(&block, "without", "package");
    let (packages, optional) = (packages(&block, "packages"), packages(&block, "optional"));
    let of_each = of_each(&block);
    refuse_both_ways(&block);
    let root = block.at_most_one("root", WritableTop::read);
    let verify = block.at_most_one("verify", |node| node.shape(&Shape::argument("way"))?.argument("way"));
    let init = block.at_most_one("init", |node| node.shape(&Shape::argument("path"))?.argument("path"));
    let overrides = overrides(&block);
    let unresolved = unresolved(&block);
    let sealed = block.at_most_one("sealed", Seal::read);
    let settings = block.at_most_one("system", Settings::read);
    let kernel = block.at_most_one("kernel", |node| mention(node, "name"));
    Some(Profile {
        name: name?,
        span: node.span(),
        description: description?,
        includes: includes?,
        packages: packages?,
        optional: optional?,
        of_each: of_each?,
        without: without?,
        root: root?,
        verify: verify?,
        init: init?,
        overrides: overrides?,
        unresolved: unresolved?,
        sealed: sealed?,
        settings: settings?,
        kernel: kernel?,
    })
}

/// `linkage "dynamic"`, `libc "musl"`: what is asked of each package.
fn of_each(block: &Block<'_>) -> Option<BTreeMap<String, Choice>> {
    let shape = Shape::argument("value");
    let linkage = block.at_most_one(LINKAGE, |node| node.shape(&shape)?.argument::<Linkage>("value"));
    let libc = block.at_most_one(LIBC, |node| node.shape(&shape)?.argument::<Libc>("value"));
    let linkage = linkage?.map(|it| (LINKAGE.to_owned(), it.0));
    Some(linkage.into_iter().chain(libc?.map(|it| (LIBC.to_owned(), it.0))).collect())
}

/// Nodes such as `include "base"`: one name each, no name twice.
fn mentions(block: &Block<'_>, word: &str, what: &'static str) -> Option<Vec<Mention>> {
    let found = block.each(word, |node| mention(node, what));
    block.distinct(word);
    found
}

fn mention(node: Node<'_>, what: &'static str) -> Option<Mention> {
    Some(Mention { name: node.shape(&Shape::argument(what))?.argument(what)?, span: node.span() })
}

fn packages(block: &Block<'_>, word: &str) -> Option<Vec<Package>> {
    let Some(node) = block.one(word) else { return Some(Vec::new()) };
    let block = node.shape(&PACKAGES)?.block();
    if let Some(node) = block.nodes().nth(MOST_PACKAGES) {
        return node.refuse(format!("more than {MOST_PACKAGES} packages"), "overlayfs takes no more layers");
    }
    let packages: Vec<Option<Package>> = block.nodes().map(package).collect();
    for node in block.nodes() {
        block.one(node.name());
    }
    packages.into_iter().collect()
}

/// A package is in the stack or can be added to it: not both.
fn refuse_both_ways(block: &Block<'_>) {
    let nodes = |word| block.all(word).take(1).flat_map(|node| node.block().nodes());
    let wanted: BTreeMap<&str, Node<'_>> = nodes("packages").map(|node| (node.name(), node)).collect();
    for optional in nodes("optional") {
        if let Some(wanted) = wanted.get(optional.name()) {
            let message = format!("'{}' is both optional and wanted", optional.name());
            optional.error(message, format!("keep one; the other stands on line {}", wanted.span().line()));
        }
    }
}

fn package(node: Node<'_>) -> Option<Package> {
    let node = node.shape(&PACKAGE)?;
    let name = match Name::parse(node.name()) {
        Ok(name) => Some(name),
        Err(error) => node.refuse(error.to_string(), "each line here starts with the name of a package"),
    };
    let version = if node.has("version") { node.property("version") } else { Some(Condition::default()) };
    let variant = if node.has("variant") { node.property("variant").map(Some) } else { Some(None) };
    let features: Vec<Option<(Name, Choice)>> = node
        .property_names()
        .filter(|property| !CHOICES.contains(property))
        .map(|property| feature(&node, property))
        .collect();
    let features = features.into_iter().collect::<Option<BTreeMap<_, _>>>();
    Some(Package {
        name: name?,
        span: node.span(),
        version: version?,
        variant: variant?,
        features: features?,
    })
}

/// A property that is neither version nor variant chooses a feature; a slip in these two words must not. `#true` is neither, so what it
/// stands behind is a feature.
fn feature(node: &Node<'_>, property: &str) -> Option<(Name, Choice)> {
    if let Some(near) = suggest::nearest(property, CHOICES).filter(|_| !node.is_switch(property)) {
        return node.refuse_property(
            property,
            format!("'{property}' is no good name for a feature"),
            format!("did you mean '{near}'?"),
        );
    }
    match Name::parse(property) {
        Ok(name) => Some((name, node.property(property)?)),
        Err(error) => {
            node.refuse_property(property, error.to_string(), "write the name of a feature before '='")
        }
    }
}

/// The nodes `override "/PATH" from="PACKAGE"` of a profile or a recipe; `None` when errors were noted.
pub fn overrides(block: &Block<'_>) -> Option<Vec<Override>> {
    let found = block.each("override", |node| {
        let node = node.shape(&OVERRIDE)?;
        let (path, from) = (node.argument("path"), node.property("from"));
        Some(Override { path: path?, from: from?, span: node.span() })
    });
    block.distinct("override");
    found
}

/// The nodes `unresolved "LIBRARY" from="PACKAGE"`.
fn unresolved(block: &Block<'_>) -> Option<Vec<Unresolved>> {
    block.each("unresolved", |node| {
        let node = node.shape(&UNRESOLVED)?;
        let (library, from) = (node.argument("library"), node.property("from"));
        Some(Unresolved { library: library?, from: from?, span: node.span() })
    })
}
