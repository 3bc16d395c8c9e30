//! A small typed reading layer over KDL: what is not known is refused, with its place and a remedy, and one reading
//! reports several errors at once.
//!
//! A reader declares the [`Shape`] of each node, then takes what it needs. Everything it takes is an `Option`: `None`
//! means that an error was noted, and [`read`] returns all noted errors in the end.
//!
//! ```
//! use profiles::decode::{Shape, read};
//!
//! const COLOUR: Shape = Shape::argument("name").properties(&["red"]);
//! let colour = read("paint.kdl", b"colour \"rust\" red=183", |top| {
//!     top.allow(&["colour"]);
//!     let node = top.required("colour")?.shape(&COLOUR)?;
//!     Some((node.argument::<String>("name")?, node.property::<u64>("red")?))
//! });
//! assert_eq!(colour, Ok(("rust".to_owned(), 183)));
//!
//! let refused = read("paint.kdl", b"colour \"rust\" rde=183", |top| top.required("colour")?.shape(&COLOUR).map(|_| ()));
//! assert!(refused.unwrap_err().to_string().contains("help: did you mean 'red'?"));
//! ```

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use kdl::{KdlDocument, KdlEntry, KdlNode};

use crate::lexer;
use crate::suggest;
use crate::{Diagnostic, Diagnostics, Source, Span};

mod parse;
mod shape;
mod value;

pub use kdl::KdlValue;
pub use shape::Shape;
pub use value::{Problem, Value, text};

/// Reads a KDL text of at most 1 MiB, nested at most 32 deep and of at most 16,384 nodes, arguments and properties, with `decode`; `label`
/// names it in messages.
///
/// # Errors
/// Everything that the parser or `decode` noted, by position.
pub fn read<T>(
    label: &str,
    bytes: &[u8],
    decode: impl FnOnce(&Block<'_>) -> Option<T>,
) -> Result<T, Diagnostics> {
    let (source, root) = parse::document(label, bytes)?;
    let reading = Reading { source, errors: RefCell::default() };
    let value = decode(&Block { nodes: root.children(), owner: None, reading: &reading });
    let end = Span::new(&reading.source, 0, 0);
    Diagnostics::unless(reading.errors.into_inner())?;
    value.ok_or_else(|| {
        end.error("this text could not be read", "report this: its reader gave no reason").into()
    })
}

/// Most errors that are noted of one text.
const MOST_ERRORS: usize = 100;

/// One text being read: where errors gather.
struct Reading {
    source: Arc<Source>,
    errors: RefCell<Vec<Diagnostic>>,
}

impl Reading {
    fn span(&self, at: (usize, usize)) -> Span {
        Span::new(&self.source, at.0, at.1)
    }

    /// Notes an error, unless there are many already: finding lines in a long text takes time. Loops end when it is full, because the
    /// words of an error that is not noted take time too, with names of half a megabyte.
    fn note(&self, span: &Span, message: impl Into<String>, help: impl Into<String>) {
        if !self.is_full() {
            self.errors.borrow_mut().push(span.error(message, help));
        }
    }

    fn has_errors(&self) -> bool {
        !self.errors.borrow().is_empty()
    }

    fn is_full(&self) -> bool {
        self.errors.borrow().len() >= MOST_ERRORS
    }
}

/// The nodes between two braces, or of a whole text.
pub struct Block<'a> {
    nodes: Option<&'a KdlDocument>,
    owner: Option<Node<'a>>,
    reading: &'a Reading,
}

impl<'a> Block<'a> {
    /// All nodes, in written order.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'a>> + use<'a> {
        let reading = self.reading;
        self.nodes.into_iter().flat_map(KdlDocument::nodes).map(move |kdl| Node { kdl, reading })
    }

    /// The nodes called `name`, in written order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = Node<'a>> {
        self.nodes().filter(move |node| node.name() == name)
    }

    /// The node called `name`, when there is one; a second one is noted as an error.
    pub fn one(&self, name: &str) -> Option<Node<'a>> {
        let mut nodes = self.all(name);
        let first = nodes.next()?;
        for again in nodes {
            let help = format!("keep one; the first stands on line {}", first.span().line());
            again.error(format!("'{name}' stands twice"), help);
        }
        Some(first)
    }

    /// The node called `name`; a missing one is noted as an error.
    pub fn required(&self, name: &str) -> Option<Node<'a>> {
        self.one(name).or_else(|| self.missing(name))
    }

    /// `Some(None)` without a node called `name`, else what `decode` makes of it; `None` when that failed.
    pub fn at_most_one<T>(
        &self,
        name: &str,
        decode: impl FnOnce(Node<'a>) -> Option<T>,
    ) -> Option<Option<T>> {
        self.one(name).map_or(Some(None), |node| decode(node).map(Some))
    }

    /// What `decode` makes of every node called `name`. Reads on behind a failure, so that all errors are noted.
    pub fn each<T>(&self, name: &str, decode: impl FnMut(Node<'a>) -> Option<T>) -> Option<Vec<T>> {
        let read: Vec<Option<T>> = self.all(name).map(decode).collect();
        read.into_iter().collect()
    }

    /// Notes every node called `name` whose first argument another one had before.
    pub fn distinct(&self, name: &str) {
        let mut first: BTreeMap<&str, Node<'a>> = BTreeMap::new();
        for node in self.all(name) {
            let Some(key) = node.key() else { continue };
            if self.reading.is_full() {
                return;
            }
            match first.get(key) {
                None => _ = first.insert(key, node),
                Some(before) => {
                    let help = format!("keep one; the first stands on line {}", before.span().line());
                    node.error(format!("'{name}' names '{key}' a second time"), help);
                }
            }
        }
    }

    /// Notes every node whose name is not in `names`.
    pub fn allow(&self, names: &[&str]) {
        let owner = self.owner.map_or("this file".to_owned(), |node| format!("'{}'", node.name()));
        for node in self.nodes().filter(|node| !names.contains(&node.name())) {
            if self.reading.is_full() {
                return;
            }
            node.error(
                format!("unknown node '{}' in {owner}", node.name()),
                suggest::remedy(node.name(), names),
            );
        }
    }

    /// Whether a node was refused that may have been meant as `name`: that `name` is missing too helps nobody.
    pub fn has_slip(&self, name: &str) -> bool {
        let is_slip = |node: Node<'_>| suggest::nearest(node.name(), [name]).is_some();
        self.reading.has_errors() && self.nodes().any(is_slip)
    }

    fn missing<T>(&self, name: &str) -> Option<T> {
        if self.has_slip(name) {
            return None;
        }
        match self.owner {
            Some(owner) => owner.refuse(
                format!("'{}' has no '{name}'", owner.name()),
                format!("add a line '{name} ...' to its block"),
            ),
            None => {
                let start = self.reading.span((0, 0));
                let help = format!("start the file with '{name} ...'");
                self.reading.note(&start, format!("there is no '{name}' in this file"), help);
                None
            }
        }
    }
}

/// One node: a name, arguments, properties and a block.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    kdl: &'a KdlNode,
    reading: &'a Reading,
}

impl<'a> Node<'a> {
    /// The node's name.
    pub fn name(&self) -> &'a str {
        self.kdl.name().value()
    }

    /// Where the name stands.
    pub fn span(&self) -> Span {
        self.reading.span(parse::span(self.kdl.name().span().offset(), self.kdl.name().span().len()))
    }

    /// Notes an error at the node's name.
    pub fn error(&self, message: impl Into<String>, help: impl Into<String>) {
        self.reading.note(&self.span(), message, help);
    }

    /// Notes an error at the node's name and returns `None`: the last words of a reader that cannot go on.
    pub fn refuse<T>(&self, message: impl Into<String>, help: impl Into<String>) -> Option<T> {
        self.error(message, help);
        None
    }

    /// The first argument; a missing one is noted, called `what`.
    pub fn argument<T: Value>(&self, what: &str) -> Option<T> {
        match self.entries(None).next() {
            Some(entry) => self.value(entry),
            None => self.refuse(
                format!("'{}' lacks its {what}", self.name()),
                format!("write it after '{}'", self.name()),
            ),
        }
    }

    /// The first argument when it is a string: what tells nodes of one name apart.
    pub fn key(&self) -> Option<&'a str> {
        self.entries(None).next().and_then(|entry| entry.value().as_string())
    }

    /// Whether there is an argument.
    pub fn has_arguments(&self) -> bool {
        self.entries(None).next().is_some()
    }

    /// All arguments that can be read; the others are noted. At least one is needed, called `what`.
    pub fn arguments<T: Value>(&self, what: &str) -> Option<Vec<T>> {
        let entries: Vec<&KdlEntry> = self.entries(None).collect();
        if entries.is_empty() {
            return self.argument::<T>(what).map(|only| vec![only]);
        }
        let values: Vec<Option<T>> = entries.into_iter().map(|entry| self.value(entry)).collect();
        values.into_iter().collect()
    }

    /// The property called `name`; a missing one is noted.
    pub fn property<T: Value>(&self, name: &str) -> Option<T> {
        match self.entries(Some(name)).next() {
            Some(entry) => self.value(entry),
            None => self.refuse(
                format!("'{}' lacks the property '{name}'", self.name()),
                format!("add {name}=VALUE"),
            ),
        }
    }

    /// The property called `name`, which is there; one that cannot be read is noted with `help` in place of the usual one.
    pub fn property_or<T: Value>(&self, name: &str, help: &str) -> Option<T> {
        let entry = self.entries(Some(name)).next()?;
        match T::decode(entry.value()) {
            Ok(value) => Some(value),
            Err(problem) => self.refuse_property(
                name,
                format!("'{name}' of '{}': {}", self.name(), problem.message),
                help,
            ),
        }
    }

    /// The property called `name`, when it stands there and can be read; an unreadable one is noted.
    pub fn optional<T: Value>(&self, name: &str) -> Option<T> {
        self.entries(Some(name)).next().and_then(|entry| self.value(entry))
    }

    /// Whether there is a property called `name`.
    pub fn has(&self, name: &str) -> bool {
        self.entries(Some(name)).next().is_some()
    }

    /// The names of all properties, in written order.
    pub fn property_names(&self) -> impl Iterator<Item = &'a str> {
        self.kdl.entries().iter().filter_map(|entry| entry.name().map(kdl::KdlIdentifier::value))
    }

    /// The bytes of the text at which the property called `name` stands, name and value: for writers that change one.
    pub fn property_range(&self, name: &str) -> Option<Range<usize>> {
        self.entries(Some(name)).next().map(|entry| self.entry_span(entry).range())
    }

    /// Whether the property called `name` is `#true` or `#false`.
    pub fn is_switch(&self, name: &str) -> bool {
        self.entries(Some(name)).next().is_some_and(|entry| entry.value().as_bool().is_some())
    }

    /// The bytes of the text at which the first argument stands.
    pub fn argument_range(&self) -> Option<Range<usize>> {
        self.entries(None).next().map(|entry| self.entry_span(entry).range())
    }

    /// The byte of the text behind the name, the arguments and the properties.
    pub fn head_end(&self) -> usize {
        let ends = self.kdl.entries().iter().map(|entry| self.entry_span(entry).range().end);
        ends.max().unwrap_or_else(|| self.span().range().end)
    }

    /// Notes an error at the property called `name`, or at the node when there is none, and returns `None`.
    pub fn refuse_property<T>(
        &self,
        name: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Option<T> {
        let span =
            self.entries(Some(name)).next().map_or_else(|| self.span(), |entry| self.entry_span(entry));
        self.reading.note(&span, message, help);
        None
    }

    /// The nodes of the block; none when there is no block.
    pub fn block(&self) -> Block<'a> {
        Block { nodes: self.kdl.children(), owner: Some(*self), reading: self.reading }
    }

    fn entries(&self, name: Option<&str>) -> impl Iterator<Item = &'a KdlEntry> {
        self.kdl.entries().iter().filter(move |entry| entry.name().map(kdl::KdlIdentifier::value) == name)
    }

    fn entry_span(&self, entry: &KdlEntry) -> Span {
        self.reading.span(parse::span(entry.span().offset(), entry.span().len()))
    }

    fn value<T: Value>(&self, entry: &KdlEntry) -> Option<T> {
        match T::decode(entry.value()) {
            Ok(value) => Some(value),
            Err(Problem { message, help }) => {
                let what = entry.name().map_or(format!("'{}'", self.name()), |name| {
                    format!("'{}' of '{}'", name.value(), self.name())
                });
                self.reading.note(&self.entry_span(entry), format!("{what}: {message}"), help);
                None
            }
        }
    }
}
