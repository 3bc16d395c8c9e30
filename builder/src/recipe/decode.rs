//! From the text of a recipe to a [`Recipe`]. Every error has its place; one reading reports many.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use profiles::decode::{Block, Node, Shape, Value, read};
use profiles::{Name, suggest, written};

use super::folder::APART;
use super::{
    Conditional, DEBIAN_DESCRIPTION, DEBIAN_PINS, Making, PathMetadata, Recipe, RecipeFile, STEP_NAMES,
    StepScript, Versions,
};
use crate::choice::Feature;
use crate::error::{Error, Result};
use crate::fetch::{Mirror, Source, without_passwords};
use crate::limits::LimitWishes;
use crate::shell_word::quote;

mod features;
mod given;
mod layers;
mod linkage;
mod values;

use given::Given;
pub(super) use values::file_name;
use values::{Attribute, Capabilities, FileName, FilePath, Id, ImagePath, Line, Mode};

const RECIPE: Shape = Shape::argument("name").block(&[
    "version",
    "versions",
    "version-scheme",
    "description",
    "license",
    "homepage",
    "source",
    "patch",
    "file",
    "feature",
    "variant",
    "linkage",
    "libc",
    "mixed",
    "libraries",
    "build-depends",
    "depends",
    "step",
    "arguments",
    "metadata",
    "attribute",
    "override",
    "bootstrap",
    "debian",
    "limits",
    APART,
]);
const ONE_TEXT: Shape = Shape::argument("text");
const SOURCE: Shape = Shape::argument("file name").properties(&["sha256", "size", "when"]).block(&["mirror"]);
const FILE: Shape = Shape::argument("file name").properties(&["when"]);
const STEP: Shape = Shape::arguments("script").properties(&["when"]);
const LIMITS: Shape = Shape::BARE.properties(&["timeout", "silence", "memory", "processes", "tmpfs"]);
const METADATA: Shape = Shape::argument("path").properties(&["mode", "user", "group", "capabilities"]);

/// Reads a recipe that lies in `folder`; `label` names the text in messages.
pub(super) fn recipe(label: &str, bytes: &[u8], folder: &Path) -> Result<Versions> {
    let recipe = read(label, bytes, |top| {
        top.allow(&["recipe"]);
        let node = top.required("recipe")?.shape(&RECIPE)?;
        let features = features::of(&node.block());
        let features = features.as_deref();
        note_unread_arguments(&node.block());
        let Some((scheme, layered)) = layers::of(node) else {
            // Its other mistakes are told as well.
            let _ = at_version(node, features, None, folder);
            return None;
        };
        let recipes: Vec<Option<Recipe>> =
            layered.into_iter().map(|layered| at_version(node, features, Some(layered), folder)).collect();
        Versions::new(scheme, recipes.into_iter().collect::<Option<_>>()?)
    });
    recipe.map_err(Error::on(""))
}

/// Notes words for steps that no part of the recipe writes: nothing would read them.
fn note_unread_arguments(recipe: &Block<'_>) {
    let parts = recipe.nodes().filter(|node| ["version", "versions"].contains(&node.name()));
    let blocks: Vec<Block<'_>> = parts.map(|node| node.block()).collect();
    let all = |name: &'static str| {
        recipe.all(name).chain(blocks.iter().flat_map(move |block| block.all(name))).collect::<Vec<_>>()
    };
    let written: BTreeSet<&str> = all("step").iter().filter_map(Node::key).collect();
    for node in all("arguments") {
        if let Some(step) = node.key().filter(|step| STEP_NAMES.contains(step) && !written.contains(step)) {
            node.error(
                format!("the recipe writes no step '{step}' that could read these words"),
                format!("add it, with \"$@\" where they belong, or remove this: step \"{step}\" \"…\""),
            );
        }
    }
}

/// What the recipe says of one version, and of all.
fn at_version(
    node: Node<'_>,
    features: Option<&[Feature]>,
    layered: Option<layers::Layered<'_>>,
    folder: &Path,
) -> Option<Recipe> {
    let block = node.block();
    let (version, blocks) = match layered {
        Some(layered) => (Some(layered.version), layered.blocks),
        None => (None, vec![node.block()]),
    };
    let name = node.argument::<Name>("name");
    let description = one::<Line>(&block, "description");
    let license = one::<Line>(&block, "license");
    let homepage = optional::<Line>(&block, "homepage");
    let bootstrap = optional::<Name>(&block, "bootstrap");
    let given = Given { blocks: &blocks, features };
    let sources = given.all("source", source, |source| source.file.clone());
    let patches = given.all("patch", recipe_file, |file| file.path.clone());
    let files = given.all("file", recipe_file, |file| file.path.clone());
    let libraries = given.dependencies("libraries");
    let shared = libraries
        .as_ref()
        .zip(features)
        .map(|(libraries, features)| linkage::shared(node, features, libraries));
    let build_depends = given.dependencies("build-depends");
    let depends = given.dependencies("depends");
    let arguments = given.arguments();
    let metadata = distinct(&block, "metadata", metadata, |entry| &entry.path);
    let attributes = distinct(&block, "attribute", attribute, |name| name);
    let overrides = written::overrides(&block);
    let limits = block.one("limits").map_or(Some(LimitWishes::default()), limits);
    let apart = block.one(APART).map_or(Some(false), |node| node.shape(&Shape::BARE).map(|_| true));
    let making = making((&node, &block), &given, files.as_deref());
    let bootstrap = bootstrap?.or_else(|| Name::parse("bootstrap").ok())?;
    let mut metadata = metadata?;
    metadata.sort_by(|a, b| a.path.cmp(&b.path));
    let mut attributes = attributes?;
    attributes.sort();
    Some(Recipe {
        name: name?,
        span: node.span(),
        version: version?,
        description: description?.0,
        license: license?.0,
        homepage: homepage?.map(|line| line.0),
        sources: sources?,
        patches: patches?,
        files: files?,
        features: features?.to_vec(),
        libraries: libraries?,
        shared: shared??,
        build_depends: build_depends?,
        depends: depends?,
        arguments: arguments?,
        making: making?,
        metadata,
        attributes,
        overrides: overrides?,
        bootstrap,
        limits: limits?,
        apart: apart?,
        folder: folder.to_path_buf(),
    })
}

/// The only argument of a node that must be there.
fn one<T: Value>(block: &Block<'_>, name: &str) -> Option<T> {
    block.required(name)?.shape(&ONE_TEXT)?.argument(name)
}

/// The only argument of a node that may be missing. The outer `None` means that an error was noted.
fn optional<T: Value>(block: &Block<'_>, name: &str) -> Option<Option<T>> {
    match block.one(name) {
        None => Some(None),
        Some(node) => node.shape(&ONE_TEXT)?.argument(name).map(Some),
    }
}

/// All nodes called `name`, no two of them with the same key.
fn distinct<T>(
    block: &Block<'_>,
    name: &str,
    decode: impl Fn(Node<'_>) -> Option<T>,
    key: impl Fn(&T) -> &String,
) -> Option<Vec<T>> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let values: Vec<Option<T>> = block
        .all(name)
        .map(|node| {
            let value = decode(node)?;
            let line = node.span().line();
            match seen.insert(key(&value).clone(), line) {
                Some(first) => node.refuse(
                    format!("{name} '{}' stands twice", key(&value)),
                    format!("keep one; the first stands on line {first}"),
                ),
                None => Some(value),
            }
        })
        .collect();
    values.into_iter().collect()
}

fn source(node: Node<'_>) -> Option<Source> {
    let node = node.shape(&SOURCE)?;
    let file = node.argument::<FileName>("file name");
    let (sha256, size) = (pinned(node, "sha256"), pinned(node, "size"));
    let mirrors: Vec<Option<String>> = node.block().all("mirror").map(mirror).collect();
    let mirrors: Option<Vec<String>> = mirrors.into_iter().collect();
    if mirrors.as_ref().is_some_and(Vec::is_empty) {
        return node.refuse("this source has no mirror", "add a block { mirror \"debian:pool/...\" }");
    }
    Some(Source { file: file?.0, sha256: sha256?, size: size?, mirrors: mirrors? })
}

/// The SHA-256 or the size of a source. Nobody has them in the head: the remedy is the command that finds them out.
fn pinned<T: Value>(node: Node<'_>, property: &str) -> Option<T> {
    let nodes = node.block();
    let mirror = nodes.all("mirror").find_map(|mirror| mirror.key());
    let help = format!(
        "`lamina source pin {}` prints the node with both",
        mirror.map_or("URL-or-FILE".to_owned(), |it| quote(&without_passwords(it)))
    );
    if !node.has(property) {
        return node.refuse(format!("'source' lacks the property '{property}'"), help);
    }
    node.property_or(property, &help)
}

fn mirror(node: Node<'_>) -> Option<String> {
    let text: String = node.shape(&ONE_TEXT)?.argument("address")?;
    match Mirror::parse(&text) {
        Ok(_) => Some(text),
        Err(error) => {
            let message = format!("{}: {}", error.object(), error.cause());
            let help = error.known_remedy().unwrap_or_default().to_owned();
            node.refuse(message, help)
        }
    }
}

fn recipe_file(node: Node<'_>) -> Option<RecipeFile> {
    let path = node.shape(&FILE)?.argument::<FilePath>("file name")?;
    Some(RecipeFile { path: path.0, span: node.span() })
}

fn making(
    (recipe, block): (&Node<'_>, &Block<'_>),
    given: &Given<'_, '_>,
    files: Option<&[Conditional<RecipeFile>]>,
) -> Option<Making> {
    let scripts = given.all("step", step, |script| script.step.clone());
    if let Some(debian) = block.one("debian") {
        let _ = debian.shape(&Shape::BARE)?;
        if !scripts?.is_empty() {
            return debian.refuse("a recipe has steps or 'debian', not both", "remove one of them");
        }
        for needed in [DEBIAN_DESCRIPTION, DEBIAN_PINS] {
            let is_it = |file: &Conditional<RecipeFile>| file.item.path == needed && file.when.is_empty();
            if files.is_some_and(|files| !files.iter().any(is_it)) {
                // Without the node the id of the build would not know the file.
                return debian
                    .refuse(format!("this needs the file {needed}"), format!("add: file \"{needed}\""));
            }
        }
        return Some(Making::Debian);
    }
    let scripts = scripts?;
    if !scripts.iter().any(|script| script.item.step == "install") {
        return recipe.refuse(
            "the recipe has no step \"install\"",
            "add one that fills the folder $OUT; see docs/recipes.md",
        );
    }
    Some(Making::Steps(scripts))
}

fn step(node: Node<'_>) -> Option<StepScript> {
    let words = node.shape(&STEP)?.arguments::<String>("name and script")?;
    let [name, text] = words.as_slice() else {
        return node.refuse("a step has a name and a script", "write: step \"make\" \"\"\" ... \"\"\"");
    };
    let step = step_name(node, name)?;
    if text.contains('\0') {
        return node.refuse(format!("the script of '{name}' has a NUL character"), "remove it");
    }
    Some(StepScript { step, text: text.clone() })
}

fn step_name(node: Node<'_>, name: &str) -> Option<String> {
    match STEP_NAMES.contains(&name) {
        true => Some(name.to_owned()),
        false => node.refuse(format!("there is no step '{name}'"), suggest::remedy(name, &STEP_NAMES)),
    }
}

fn metadata(node: Node<'_>) -> Option<PathMetadata> {
    let node = node.shape(&METADATA)?;
    let path = node.argument::<ImagePath>("path");
    let mode = node.optional::<Mode>("mode").map(|mode| mode.0);
    let (user, group) =
        (node.optional::<Id>("user").map(|id| id.0), node.optional::<Id>("group").map(|id| id.0));
    if node.property_names().next().is_none() {
        return node.refuse(
            "this node changes nothing",
            "add mode=\"0755\", user=0, group=0 or capabilities=\"cap_net_raw=ep\"",
        );
    }
    let capabilities = node.optional::<Capabilities>("capabilities").map(|found| found.0);
    Some(PathMetadata { path: path?.0, mode, user, group, capabilities })
}

fn attribute(node: Node<'_>) -> Option<String> {
    Some(node.shape(&ONE_TEXT)?.argument::<Attribute>("text")?.0)
}

fn limits(node: Node<'_>) -> Option<LimitWishes> {
    let node = node.shape(&LIMITS)?;
    if node.property_names().next().is_none() {
        return node.refuse("this node limits nothing", "add timeout=\"2h\", or another limit");
    }
    Some(LimitWishes {
        timeout: node.optional("timeout"),
        silence: node.optional("silence"),
        memory: node.optional("memory"),
        processes: node.optional("processes"),
        tmpfs: node.optional("tmpfs"),
    })
}
