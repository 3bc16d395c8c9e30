//! The pins of a tree, `pins.kdl` beside `packages/`: which version of a package is taken, whoever needs it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;

use profiles::decode::{Node, Shape, read};
use profiles::quote::Quoted;
use profiles::version::Condition;
use profiles::{Name, Span};

use crate::error::{Error, Result};
use crate::text_file;

/// The file, in the folder of a tree.
pub const PINS_FILE: &str = "pins.kdl";

/// The format; another one is refused.
const FORMAT: u64 = 1;

/// How many closing braces are tried for a place of a new line.
const MOST_BRACES: usize = 16;

const PINS: Shape = Shape::BARE.properties(&["format"]).any_block();
const PIN: Shape = Shape::argument("condition");

/// One of them.
#[derive(Debug, Clone)]
pub struct Pin {
    /// The versions that will do; mostly one.
    pub condition: Condition,
    /// Where it stands.
    pub span: Span,
    /// The bytes of the text at which the condition stands.
    written: Range<usize>,
}

/// All of a tree, by the name of the package.
#[derive(Debug, Clone, Default)]
pub struct Pins(BTreeMap<Name, Pin>);

impl Pins {
    /// Reads them; `label` names the text in messages.
    ///
    /// # Errors
    /// Every mistake, with its place.
    pub fn parse(label: &str, bytes: &[u8]) -> Result<Self> {
        let pins = read(label, bytes, |top| {
            top.allow(&["pins"]);
            all(top.required("pins")?)
        });
        pins.map_err(Error::on(""))
    }

    /// That of a package.
    pub fn of(&self, package: &Name) -> Option<&Pin> {
        self.0.get(package)
    }

    /// Takes over those of a higher tree, in place of what is said of the same packages here.
    pub(super) fn join(&mut self, higher: Pins) {
        self.0.extend(higher.0);
    }

    /// What is said of all but one.
    fn others(&self, package: &Name) -> Vec<(&Name, &Condition)> {
        let others = self.0.iter().filter(|(name, _)| *name != package);
        others.map(|(name, pin)| (name, &pin.condition)).collect()
    }

    /// The names that are pinned.
    pub fn names(&self) -> impl Iterator<Item = (&Name, &Pin)> {
        self.0.iter()
    }
}

fn all(node: Node<'_>) -> Option<Pins> {
    let node = node.shape(&PINS)?;
    let found = node.property::<u64>("format")?;
    if found != FORMAT {
        let message = format!("the pins have format {found}, this version reads format {FORMAT}");
        return node.refuse_property(
            "format",
            message,
            "use the version of Lamina that wrote them, or a newer one",
        );
    }
    let block = node.block();
    let mut pins = BTreeMap::new();
    let mut sound = true;
    for node in block.nodes() {
        match pin(node) {
            Some((name, pin)) => {
                if pins.insert(name, pin).is_some() {
                    node.error(format!("'{}' is pinned a second time", node.name()), "keep one");
                    sound = false;
                }
            }
            None => sound = false,
        }
    }
    sound.then_some(Pins(pins))
}

fn pin(node: Node<'_>) -> Option<(Name, Pin)> {
    let condition = node.shape(&PIN)?.argument("condition");
    match Name::parse(node.name()) {
        Ok(name) => {
            let written = node.argument_range()?;
            Some((name, Pin { condition: condition?, span: node.span(), written }))
        }
        Err(error) => node.refuse(error.to_string(), "each line here starts with the name of a package"),
    }
}

/// The text with the pin of a package changed, added, or, without a condition, taken away. All else stays as it is, comments too.
///
/// # Errors
/// The text holds no pins; nothing is pinned that could be taken away.
pub fn pin_in(
    label: &str,
    text: Option<&str>,
    package: &Name,
    condition: Option<&Condition>,
) -> Result<String> {
    let quoted = |condition: &Condition| {
        let written = condition.to_string();
        // What is meant by a version alone is this one.
        Quoted(written.strip_prefix('=').unwrap_or(&written)).to_string()
    };
    let line = |condition: &Condition| format!("    {package} {}\n", quoted(condition));
    let Some(text) = text else {
        let Some(condition) = condition else { return Err(not_pinned(package)) };
        return Ok(format!("pins format={FORMAT} {{\n{}}}\n", line(condition)));
    };
    let pins = Pins::parse(label, text.as_bytes())?;
    let edits = match (pins.of(package), condition) {
        (None, None) => return Err(not_pinned(package)),
        (Some(pin), Some(condition)) => vec![(pin.written.clone(), quoted(condition))],
        (Some(pin), None) => vec![(whole_lines(text, pin.span.range().start), String::new())],
        (None, Some(condition)) => places_for_one_more(text, &line(condition)),
    };
    // Several nodes on one line, or a comment that hides one: nothing is written that does not say what was meant.
    let changed = edits.into_iter().map(|(range, new)| {
        let mut changed = text.to_owned();
        changed.replace_range(range, &new);
        changed
    });
    let is_meant = |changed: &String| {
        Pins::parse(label, changed.as_bytes()).is_ok_and(|read| {
            read.of(package).map(|pin| &pin.condition) == condition
                && read.others(package) == pins.others(package)
        })
    };
    changed.into_iter().find(is_meant).ok_or_else(|| {
        Error::new(label, format!("has no line of its own for the pin of {package}"))
            .remedy("write each pin, and the brace at the end, on its own line")
    })
}

/// Where another line may belong: before one of the last closing braces, of which some may stand in comments.
fn places_for_one_more(text: &str, line: &str) -> Vec<(Range<usize>, String)> {
    let braces = text.rmatch_indices('}').take(MOST_BRACES);
    let place = |(end, _): (usize, &str)| {
        let begin = text[..end].trim_end_matches([' ', '\t']).len();
        let gap = if text[..begin].ends_with('\n') { "" } else { "\n" };
        (begin..begin, format!("{gap}{line}"))
    };
    braces.map(place).collect()
}

fn not_pinned(package: &Name) -> Error {
    Error::new(format!("package {package}"), "is not pinned")
        .remedy("`lamina explain PACKAGE` says what decides about its version")
}

/// From the begin of the line with byte `at` to the begin of the next.
fn whole_lines(text: &str, at: usize) -> Range<usize> {
    let begin = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1);
    begin..end
}

/// The pins of a tree; none where it has no file of them.
///
/// # Errors
/// The file is there and cannot be read.
pub(super) fn of_tree(tree: &Path) -> Result<Pins> {
    let label = tree.join(PINS_FILE).display().to_string();
    text_of_tree(tree)?.map_or_else(|| Ok(Pins::default()), |bytes| Pins::parse(&label, &bytes))
}

/// What the file of them has, where there is one.
///
/// # Errors
/// It is there and cannot be read.
pub fn text_of_tree(tree: &Path) -> Result<Option<Vec<u8>>> {
    let path = tree.join(PINS_FILE);
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        _ => text_file::read_below(tree, &path).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn condition(text: &str) -> Condition {
        Condition::parse(text).unwrap()
    }

    #[test]
    fn a_pin_is_added_changed_and_taken_away_and_all_else_stays() {
        let first = pin_in("pins.kdl", None, &name("zlib"), Some(&condition("1.2.13"))).unwrap();
        assert_eq!(first, "pins format=1 {\n    zlib \"1.2.13\"\n}\n");
        let text =
            "// Ours.\npins format=1 {\n    // because\n    curl \"<9\" // why\n    zlib \"1.2.13\"\n}\n";
        let pinned = |package: &str, to: Option<&str>| {
            pin_in("pins.kdl", Some(text), &name(package), to.map(condition).as_ref())
        };
        assert_eq!(pinned("zlib", Some(">=1,<2")).unwrap(), text.replace("\"1.2.13\"", "\">=1,<2\""));
        assert_eq!(pinned("zlib", None).unwrap(), text.replace("    zlib \"1.2.13\"\n", ""));
        assert_eq!(pinned("nano", Some("7")).unwrap(), text.replace("\n}", "\n    nano \"7\"\n}"));
        assert_eq!(pinned("curl", Some("8")).unwrap(), text.replace("\"<9\"", "\"8\""), "the comment stays");
        let braces = "pins format=1 {\n    zlib \"1\"\n} // } the end }\n";
        let added = pin_in("pins.kdl", Some(braces), &name("nano"), Some(&condition("7"))).unwrap();
        assert_eq!(added, braces.replace("\n} //", "\n    nano \"7\"\n} //"));
        assert!(pinned("nano", None).unwrap_err().to_string().contains("is not pinned"));
        let one_line = "pins format=1 { zlib \"1\"; curl \"2\"; }";
        let message = pin_in("pins.kdl", Some(one_line), &name("zlib"), None).unwrap_err().to_string();
        assert!(message.contains("there is no 'pins'") || message.contains("line of its own"), "{message}");
        let added = pin_in("pins.kdl", Some(one_line), &name("nano"), Some(&condition("7"))).unwrap();
        assert!(Pins::parse("x", added.as_bytes()).unwrap().of(&name("nano")).is_some(), "{added}");
    }

    #[test]
    fn every_mistake_has_its_place() {
        for (text, part) in [
            ("", "there is no 'pins'"),
            ("pins", "lacks the property 'format'"),
            ("pins format=2 {\n}", "pins.kdl:1:6: error: the pins have format 2"),
            ("pins format=1 {\n    zlib\n}", "pins.kdl:2:5: error: 'zlib' lacks its condition"),
            ("pins format=1 {\n    zlib \"1 2\"\n}", "pins.kdl:2:10: error: 'zlib': '1 2' is no version"),
            (
                "pins format=1 {\n    zlib \"1\"\n    zlib \"2\"\n}",
                "pins.kdl:3:5: error: 'zlib' is pinned a second time",
            ),
            ("pins format=1 {\n    \"a/b\" \"1\"\n}", "pins.kdl:2:5: error: the name holds '/'"),
        ] {
            let message = Pins::parse("pins.kdl", text.as_bytes()).unwrap_err().to_string();
            assert!(message.contains(part), "{text}\n{message}");
        }
    }
}
