//! The node of a source, made from what its address gives, and written into a recipe without touching anything else there.

use std::fmt;

use profiles::Digest;
use profiles::decode::{Node, read};
use profiles::quote::Quoted;

use super::decode::file_name;
use crate::error::{Error, Result};

/// Nodes of a recipe that stand above its sources, by habit.
const ABOVE: [&str; 5] = ["version", "description", "license", "homepage", "source"];

/// What a `source` node says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedSource {
    file: String,
    sha256: Digest,
    size: u64,
    mirror: String,
}

impl PinnedSource {
    /// # Errors
    /// `file` is no name that a source may have.
    pub fn new(file: &str, sha256: Digest, size: u64, mirror: String) -> Result<PinnedSource> {
        let file = file_name(file).map_err(|cause| {
            Error::new("source", cause)
                .remedy("give the name that it shall have in /sources with `--name FILE`")
        })?;
        Ok(PinnedSource { file, sha256, size, mirror })
    }

    /// The node, its lines behind `indent`.
    fn node(&self, indent: &str) -> String {
        let mirror = self.mirrors(indent);
        format!(
            "{indent}source {} {} {}{mirror}\n",
            Quoted(&self.file),
            self.sha256_property(),
            self.size_property()
        )
    }

    fn sha256_property(&self) -> String {
        format!("sha256=\"{}\"", self.sha256.hex())
    }

    fn size_property(&self) -> String {
        format!("size={}", self.size)
    }

    fn mirrors(&self, indent: &str) -> String {
        format!(" {{\n{indent}    mirror {}\n{indent}}}", Quoted(&self.mirror))
    }
}

/// The node as it stands in a recipe.
impl fmt::Display for PinnedSource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.node("    "))
    }
}

/// Puts text at some bytes of another.
type Edit = (std::ops::Range<usize>, String);

/// The text of a recipe with this source: hash and size of a source with this name are replaced, and its mirrors stay; else a node is
/// added behind the other sources. `label` names the text in messages.
///
/// # Errors
/// The text is no KDL, or has no recipe.
pub fn pin_into(label: &str, bytes: &[u8], source: &PinnedSource) -> Result<String> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let edits = read(label, bytes, |top| {
        let recipe = top.required("recipe")?;
        let block = recipe.block();
        match block.all("source").find(|node| node.key() == Some(source.file.as_str())) {
            Some(node) => Some(replaced(node, source, &text)),
            None => added(recipe, source, &text).map(|edit| vec![edit]),
        }
    });
    let mut edits = edits.map_err(Error::on(""))?;
    // From the end, so that the places before stay where they are.
    edits.sort_by_key(|(range, _)| std::cmp::Reverse((range.start, range.end)));
    let mut edited = text;
    for (range, new) in edits {
        edited.replace_range(range, &new);
    }
    Ok(edited)
}

fn replaced(node: Node<'_>, source: &PinnedSource, text: &str) -> Vec<Edit> {
    let end = node.head_end();
    let (mut edits, mut behind) = (Vec::new(), String::new());
    for (name, property) in [("sha256", source.sha256_property()), ("size", source.size_property())] {
        match node.property_range(name) {
            Some(range) => edits.push((range, property)),
            None => behind.push_str(&format!(" {property}")),
        }
    }
    if node.block().nodes().next().is_none() && !text[end..].trim_start_matches([' ', '\t']).starts_with('{')
    {
        let (_, indent) = line_of(text, node.span().range().start);
        behind.push_str(&source.mirrors(indent));
    }
    if !behind.is_empty() {
        edits.push((end..end, behind));
    }
    edits
}

fn added(recipe: Node<'_>, source: &PinnedSource, text: &str) -> Option<Edit> {
    let block = recipe.block();
    let Some(below) = block.nodes().find(|node| !ABOVE.contains(&node.name())) else {
        return recipe.refuse("there is no place for a source", "give the recipe its steps first");
    };
    let at = below.span().range().start;
    let (start, indent) = line_of(text, at);
    if start + indent.len() != at {
        // Several nodes on one line.
        return Some((at..at, source.node("").trim_start().to_owned()));
    }
    // Comments above a node are about it.
    let mut start = start;
    while let Some(above) = text[..start].strip_suffix('\n') {
        let line = above.rfind('\n').map_or(0, |newline| newline + 1);
        if !above[line..].trim_start().starts_with("//") {
            break;
        }
        start = line;
    }
    Some((start..start, source.node(indent)))
}

/// Where the line of the byte `at` begins, and its indentation.
fn line_of(text: &str, at: usize) -> (usize, &str) {
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = &text[start..at];
    (start, &line[..line.len() - line.trim_start().len()])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn source() -> PinnedSource {
        let sha256 = Digest::parse(&"ab".repeat(32)).unwrap();
        PinnedSource::new("a-1.tar.gz", sha256, 33, "https://example.org/a-1.tar.gz".to_owned()).unwrap()
    }

    fn recipe(sources: &str) -> String {
        format!(
            "// A package.\nrecipe \"a\" {{\n    version \"1\"\n    description \"x\"\n    license \"MIT\"\n{sources}\n    \
             // How it is made.\n    step \"install\" \"true\" // done\n}}\n"
        )
    }

    fn pinned(text: &str) -> String {
        let edited = pin_into("recipe.kdl", text.as_bytes(), &source()).unwrap();
        let read = super::super::decode::recipe("recipe.kdl", edited.as_bytes(), Path::new("a"));
        let read = read.unwrap_or_else(|error| panic!("{error}\n{edited}"));
        let found =
            read.newest().sources.iter().map(|it| &it.item).find(|found| found.file == "a-1.tar.gz").unwrap();
        assert_eq!((found.sha256, found.size), (source().sha256, 33), "{edited}");
        assert_eq!(
            pin_into("x", edited.as_bytes(), &source()).unwrap(),
            edited,
            "the second time changes nothing"
        );
        edited
    }

    #[test]
    fn a_new_source_stands_behind_the_others_and_comments_stay_where_they_are() {
        let node = "    source \"a-1.tar.gz\" sha256=\"HEX\" size=33 {\n        mirror \"https://example.org/a-1.tar.gz\"\n    }\n";
        let node = node.replace("HEX", &"ab".repeat(32));
        assert_eq!(source().to_string(), node);
        let other =
            format!("    source \"b\" sha256=\"{}\" size=1 {{ mirror \"file:b\"; }}\n", "0".repeat(64));
        let comment = "    // How it is made.";
        for before in ["", &other] {
            let text = recipe(before);
            assert_eq!(pinned(&text), text.replace(comment, &(node.clone() + comment)));
        }
    }

    #[test]
    fn hash_and_size_are_replaced_or_added_and_nothing_else_is_touched() {
        let (hash, mirrors) =
            (format!("sha256=\"{}\"", "ab".repeat(32)), "{ mirror \"file:x\" /* mine */; }");
        let right = recipe(&format!("    source \"a-1.tar.gz\" {hash} size=33 {mirrors}"));
        for wrong in [
            format!("{hash} size=1"),
            "sha256=\"\" size=1".to_owned(),
            "sha256=\"00\" size=\"many\"".to_owned(),
            String::new(),
            hash.clone(),
        ] {
            let wrong = format!("    source \"a-1.tar.gz\" {wrong} {mirrors}");
            assert_eq!(pinned(&recipe(&wrong)).replace("  ", " "), right.replace("  ", " "), "{wrong}");
        }
        let other_order =
            recipe(&format!("    source size=7 \"a-1.tar.gz\" /* \u{e9} */ sha256=#null {mirrors}"));
        assert!(
            pinned(&other_order)
                .contains(&format!("source size=33 \"a-1.tar.gz\" /* \u{e9} */ {hash} {mirrors}"))
        );
        let bare = pinned(&recipe("    source \"a-1.tar.gz\""));
        assert!(
            bare.contains("size=33 {\n        mirror \"https://example.org/a-1.tar.gz\"\n    }\n"),
            "{bare}"
        );
        let one_line =
            "recipe \"a\" { version \"1\"; description \"x\"; license \"MIT\"; step \"install\" \"true\"; }";
        pinned(one_line);
    }

    #[test]
    fn what_is_no_recipe_is_refused() {
        for text in ["", "recipe \"a\"", "recipe \"a\" { version \"1\"; }", "{", "profile \"a\" {}"] {
            assert!(pin_into("recipe.kdl", text.as_bytes(), &source()).is_err(), "{text}");
        }
        for name in ["", ".", "a/b", "..", "-x", "a\nb"] {
            assert!(PinnedSource::new(name, source().sha256, 1, String::new()).is_err(), "{name}");
        }
    }
}
