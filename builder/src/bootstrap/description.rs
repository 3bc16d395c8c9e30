//! `debian.kdl`: the packages that are wanted, and what becomes of their files.

use std::path::Path;

use profiles::decode::{self, Block, Node, Shape};

use super::pattern::Pattern;
use crate::error::{Error, Result};
use crate::text_file;

/// What the bootstrap layer is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The release of Debian that packages come from, such as `bookworm`.
    pub suite: String,
    /// Packages to take, with all that they need.
    pub want: Vec<String>,
    /// Packages to leave out though others need them.
    pub leave_out: Vec<String>,
    /// Paths that are not taken.
    pub(super) exclude: Vec<Pattern>,
    /// Symbolic links to add: path and target.
    pub links: Vec<(String, String)>,
    /// Folders to add: path and mode.
    pub folders: Vec<(String, u32)>,
    /// Files to add: path and text.
    pub files: Vec<(String, String)>,
}

const NODES: [&str; 6] = ["want", "leave-out", "exclude", "link", "folder", "file"];
const DEBIAN: Shape = Shape::BARE.properties(&["suite"]).block(&NODES);
const LIST: Shape = Shape::arguments("name");
const LINK: Shape = Shape::argument("path").properties(&["to"]);
const FOLDER: Shape = Shape::argument("path").properties(&["mode"]);
const FILE: Shape = Shape::arguments("path and text");

impl Description {
    /// Reads `debian.kdl`.
    ///
    /// # Errors
    /// It cannot be read, or says something that is not understood.
    pub fn load(path: &Path) -> Result<Description> {
        Description::parse(&path.display().to_string(), &text_file::read(path)?)
    }

    /// Reads the text of a `debian.kdl`; `label` stands in messages.
    ///
    /// # Errors
    /// All that is not understood, with its place.
    pub fn parse(label: &str, bytes: &[u8]) -> Result<Description> {
        decode::read(label, bytes, |top| {
            top.allow(&["debian"]);
            description(top.required("debian")?.shape(&DEBIAN)?)
        })
        .map_err(|diagnostics| Error::caused("", diagnostics))
    }
}

fn description(node: Node<'_>) -> Option<Description> {
    let block = node.block();
    let suite: String = node.property("suite")?;
    if !is_name(&suite) {
        return node.refuse_property(
            "suite",
            format!("'{}' is no suite", suite.escape_debug()),
            "write suite=\"bookworm\"",
        );
    }
    // Everything is read before anything is given up, so that one reading shows all errors.
    let want = names(&block, "want", is_name, PACKAGE);
    let leave_out = names(&block, "leave-out", is_name, PACKAGE);
    let exclude = names(&block, "exclude", |text| Pattern::parse(text).is_some(), PATH);
    let links = each(&block, "link", |node| {
        let node = node.shape(&LINK)?;
        Some((path(node)?, node.property("to")?))
    });
    let folders = each(&block, "folder", |node| {
        let node = node.shape(&FOLDER)?;
        Some((path(node)?, mode(node)?))
    });
    let files =
        each(&block, "file", |node| match &node.shape(&FILE)?.arguments::<String>("path and text")?[..] {
            [_, text] => Some((path(node)?, text.clone())),
            _ => node.refuse("'file' takes a path and a text", "write file \"etc/hosts\" \"TEXT\""),
        });
    Some(Description {
        suite,
        want: want?,
        leave_out: leave_out?,
        exclude: exclude?.iter().filter_map(|text| Pattern::parse(text)).collect(),
        links: links?,
        folders: folders?,
        files: files?,
    })
}

const PATH: &str = "write a path in the image without a leading slash and without '..'";
const PACKAGE: &str = "write the name of a Debian package, such as \"gcc\"";

/// The arguments of all nodes of one name.
fn names(block: &Block<'_>, name: &str, good: impl Fn(&str) -> bool, help: &str) -> Option<Vec<String>> {
    let lists = each(block, name, |node| {
        let list: Vec<String> = node.shape(&LIST)?.arguments("name")?;
        match list.iter().find(|text| !good(text)) {
            Some(bad) => node.refuse(format!("'{}' cannot stand here", bad.escape_debug()), help),
            None => Some(list),
        }
    })?;
    Some(lists.concat())
}

/// Reads every node of one name, all of them before giving up.
fn each<'a, T>(block: &Block<'a>, name: &str, read: impl Fn(Node<'a>) -> Option<T>) -> Option<Vec<T>> {
    let values: Vec<Option<T>> = block.all(name).map(read).collect();
    values.into_iter().collect()
}

fn path(node: Node<'_>) -> Option<String> {
    let path = node.arguments::<String>("path")?.swap_remove(0);
    match Pattern::parse(&path) {
        Some(_) => Some(path),
        None => node.refuse(format!("'{}' is no path in the image", path.escape_debug()), PATH),
    }
}

fn mode(node: Node<'_>) -> Option<u32> {
    let Some(text) = node.optional::<String>("mode") else { return Some(0o755) };
    match u32::from_str_radix(&text, 8) {
        Ok(mode) if mode <= 0o7777 => Some(mode),
        _ => node.refuse_property(
            "mode",
            format!("'{}' is no mode", text.escape_debug()),
            "write it like \"1777\"",
        ),
    }
}

/// deb-control(5): lower-case letters, digits, plus, minus and dots. Keeps options out of apt's command line too.
fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && text
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "+-.".contains(letter))
}
