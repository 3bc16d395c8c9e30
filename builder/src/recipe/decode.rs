//! From the text of a recipe to a [`Recipe`]. Every error has its place; one reading reports many.

use std::collections::BTreeMap;
use std::path::Path;

use profiles::decode::{Block, Node, Shape, Value, read};
use profiles::{Name, suggest, written};

use super::folder::APART;
use super::{
    DEBIAN_DESCRIPTION, DEBIAN_PINS, Dependency, Feature, Making, PathMetadata, Recipe, RecipeFile,
    STEP_NAMES, Variants, feature_name,
};
use crate::error::{Error, Result};
use crate::fetch::{Mirror, Source, without_passwords};
use crate::limits::LimitWishes;
use crate::shell_word::quote;
use profiles::version::{Condition, Version};

mod values;

pub(super) use values::file_name;
use values::{Attribute, Capabilities, FileName, FilePath, Id, ImagePath, Line, Mode, PlainName};

const RECIPE: Shape = Shape::argument("name").block(&[
    "version",
    "description",
    "license",
    "homepage",
    "source",
    "patch",
    "file",
    "feature",
    "variant",
    "build-depends",
    "depends",
    "step",
    "metadata",
    "attribute",
    "override",
    "bootstrap",
    "debian",
    "limits",
    APART,
]);
const ONE_TEXT: Shape = Shape::argument("text");
const SOURCE: Shape = Shape::argument("file name").properties(&["sha256", "size"]).block(&["mirror"]);
const FEATURE: Shape = Shape::argument("name").properties(&["default"]).block(&["description"]);
const VARIANT: Shape = Shape::arguments("name").properties(&["default"]);
const DEPENDENCY: Shape = Shape::BARE.properties(&["version", "feature"]);
const STEP: Shape = Shape::arguments("script");
const LIMITS: Shape = Shape::BARE.properties(&["timeout", "silence", "memory", "processes", "tmpfs"]);
const METADATA: Shape = Shape::argument("path").properties(&["mode", "user", "group", "capabilities"]);

/// Reads a recipe that lies in `folder`; `label` names the text in messages.
pub(super) fn recipe(label: &str, bytes: &[u8], folder: &Path) -> Result<Recipe> {
    let recipe = read(label, bytes, |top| {
        top.allow(&["recipe"]);
        whole(top.required("recipe")?.shape(&RECIPE)?, folder)
    });
    recipe.map_err(Error::on(""))
}

fn whole(node: Node<'_>, folder: &Path) -> Option<Recipe> {
    let block = node.block();
    let name = node.argument::<Name>("name");
    let version = one::<Version>(&block, "version");
    let description = one::<Line>(&block, "description");
    let license = one::<Line>(&block, "license");
    let homepage = optional::<Line>(&block, "homepage");
    let bootstrap = optional::<Name>(&block, "bootstrap");
    let sources = distinct(&block, "source", source, |source| &source.file);
    let patches = distinct(&block, "patch", recipe_file, |file| &file.path);
    let files = distinct(&block, "file", recipe_file, |file| &file.path);
    let features = distinct(&block, "feature", feature, |feature| &feature.name);
    let features = features.filter(|features| have_own_variables(&block, features));
    let variants = block.one("variant").map(variants);
    let build_depends = dependencies(&block, "build-depends", features.as_deref());
    let depends = dependencies(&block, "depends", features.as_deref());
    let metadata = distinct(&block, "metadata", metadata, |entry| &entry.path);
    let attributes = distinct(&block, "attribute", attribute, |name| name);
    let overrides = written::overrides(&block);
    let limits = block.one("limits").map_or(Some(LimitWishes::default()), limits);
    let apart = block.one(APART).map_or(Some(false), |node| node.shape(&Shape::BARE).map(|_| true));
    let making = making(&node, &block, files.as_deref());
    let bootstrap = bootstrap?.or_else(|| Name::parse("bootstrap").ok())?;
    let variants = match variants {
        Some(found) => Some(found?),
        None => None,
    };
    let mut features = features?;
    features.sort_by(|a, b| a.name.cmp(&b.name));
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
        features,
        variants,
        build_depends: build_depends?,
        depends: depends?,
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
    let path = node.shape(&Shape::argument("file name"))?.argument::<FilePath>("file name")?;
    Some(RecipeFile { path: path.0, span: node.span() })
}

fn feature(node: Node<'_>) -> Option<Feature> {
    let node = node.shape(&FEATURE)?;
    let (name, default) = (node.argument::<PlainName>("name"), node.property("default"));
    let description = optional::<Line>(&node.block(), "description");
    Some(Feature { name: name?.0, default: default?, description: description?.map(|line| line.0) })
}

/// Notes a feature whose variable another one has.
fn have_own_variables(block: &Block<'_>, features: &[Feature]) -> bool {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for (node, feature) in block.all("feature").zip(features) {
        let variable = feature_name::feature_variable(&feature.name);
        if let Some(first) = seen.get(&variable) {
            node.error(
                format!("the features '{first}' and '{}' have one variable, {variable}", feature.name),
                "rename one of them",
            );
            return false;
        }
        seen.insert(variable, &feature.name);
    }
    true
}

fn variants(node: Node<'_>) -> Option<Variants> {
    let node = node.shape(&VARIANT)?;
    let names = node.arguments::<PlainName>("name");
    let default = node.property::<PlainName>("default");
    let names: Vec<String> = names?.into_iter().map(|name| name.0).collect();
    let default = default?.0;
    if !names.contains(&default) {
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        return node.refuse_property(
            "default",
            format!("the default '{default}' is none of the variants"),
            suggest::remedy(&default, &known),
        );
    }
    Some(Variants { names, default })
}

fn dependencies(block: &Block<'_>, name: &str, features: Option<&[Feature]>) -> Option<Vec<Dependency>> {
    let Some(node) = block.one(name) else { return Some(Vec::new()) };
    let nodes: Vec<Node<'_>> = node.shape(&Shape::BARE.any_block())?.block().nodes().collect();
    let found: Vec<Option<Dependency>> = nodes.iter().map(|node| dependency(*node, features)).collect();
    for (index, node) in nodes.iter().enumerate() {
        if nodes[..index].iter().any(|earlier| earlier.name() == node.name()) {
            return node.refuse(format!("'{}' stands twice in '{name}'", node.name()), "keep one");
        }
    }
    found.into_iter().collect()
}

fn dependency(node: Node<'_>, features: Option<&[Feature]>) -> Option<Dependency> {
    let node = node.shape(&DEPENDENCY)?;
    let Ok(name) = Name::parse(node.name()) else {
        return node
            .refuse(format!("'{}' is not the name of a package", node.name()), "write a package's name");
    };
    let condition = node.optional::<Condition>("version").unwrap_or_default();
    let feature = node.optional::<String>("feature");
    if let (Some(wanted), Some(features)) = (&feature, features)
        && !features.iter().any(|feature| feature.name == *wanted)
    {
        let known: Vec<&str> = features.iter().map(|feature| feature.name.as_str()).collect();
        return node.refuse_property(
            "feature",
            format!("this recipe has no feature '{wanted}'"),
            suggest::remedy(wanted, &known),
        );
    }
    Some(Dependency { name, condition, feature, span: node.span() })
}

fn making(recipe: &Node<'_>, block: &Block<'_>, files: Option<&[RecipeFile]>) -> Option<Making> {
    let steps = distinct(block, "step", step, |(name, _)| name);
    if let Some(debian) = block.one("debian") {
        let _ = debian.shape(&Shape::BARE)?;
        if !steps?.is_empty() {
            return debian.refuse("a recipe has steps or 'debian', not both", "remove one of them");
        }
        for needed in [DEBIAN_DESCRIPTION, DEBIAN_PINS] {
            if files.is_some_and(|files| files.iter().all(|file| file.path != needed)) {
                // Without the node the id of the build would not know the file.
                return debian
                    .refuse(format!("this needs the file {needed}"), format!("add: file \"{needed}\""));
            }
        }
        return Some(Making::Debian);
    }
    let mut scripts = BTreeMap::new();
    for (name, script) in steps? {
        let name = STEP_NAMES.into_iter().find(|known| *known == name)?;
        scripts.insert(name, script);
    }
    if !scripts.contains_key("install") {
        return recipe.refuse(
            "the recipe has no step \"install\"",
            "add one that fills the folder $OUT; see docs/recipes.md",
        );
    }
    Some(Making::Steps(scripts))
}

fn step(node: Node<'_>) -> Option<(String, String)> {
    let words = node.shape(&STEP)?.arguments::<String>("name and script")?;
    let [name, script] = words.as_slice() else {
        return node.refuse("a step has a name and a script", "write: step \"make\" \"\"\" ... \"\"\"");
    };
    if !STEP_NAMES.contains(&name.as_str()) {
        return node.refuse(format!("there is no step '{name}'"), suggest::remedy(name, &STEP_NAMES));
    }
    if script.contains('\0') {
        return node.refuse(format!("the script of '{name}' has a NUL character"), "remove it");
    }
    Some((name.clone(), script.clone()))
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
