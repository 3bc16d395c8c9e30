//! What a node may have, and whether it has nothing else.

use std::collections::BTreeSet;

use super::Node;
use crate::suggest;

/// The names that a node may have as properties or children.
#[derive(Debug, Clone, Copy)]
enum Names {
    Only(&'static [&'static str]),
    Any,
}

/// What a node may have. Starts from [`Shape::BARE`], [`Shape::argument`] or [`Shape::arguments`].
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    most_arguments: usize,
    argument: &'static str,
    properties: Names,
    block: Option<Names>,
}

impl Shape {
    /// No arguments, no properties, no block.
    pub const BARE: Shape =
        Shape { most_arguments: 0, argument: "", properties: Names::Only(&[]), block: None };

    /// One argument; `what` names it in messages.
    pub const fn argument(what: &'static str) -> Shape {
        Shape { most_arguments: 1, argument: what, ..Shape::BARE }
    }

    /// Any number of arguments.
    pub const fn arguments(what: &'static str) -> Shape {
        Shape { most_arguments: usize::MAX, argument: what, ..Shape::BARE }
    }

    /// These properties.
    pub const fn properties(self, names: &'static [&'static str]) -> Shape {
        Shape { properties: Names::Only(names), ..self }
    }

    /// Any property.
    pub const fn any_property(self) -> Shape {
        Shape { properties: Names::Any, ..self }
    }

    /// A block of these nodes.
    pub const fn block(self, names: &'static [&'static str]) -> Shape {
        Shape { block: Some(Names::Only(names)), ..self }
    }

    /// A block of any nodes.
    pub const fn any_block(self) -> Shape {
        Shape { block: Some(Names::Any), ..self }
    }
}

impl<'a> Node<'a> {
    /// Notes whatever the node has beyond `shape`. Always returns the node, so that reading goes on and finds more.
    pub fn shape(self, shape: &Shape) -> Option<Node<'a>> {
        self.check_arguments(shape);
        self.check_properties(shape);
        match (shape.block, self.kdl.children()) {
            (Some(Names::Only(names)), Some(_)) => self.block().allow(names),
            (None, Some(_)) => self.error(
                format!("'{}' takes no block", self.name()),
                "remove the braces and what is between them",
            ),
            _ => {}
        }
        Some(self)
    }

    fn check_arguments(&self, shape: &Shape) {
        for entry in self.entries(None).skip(shape.most_arguments) {
            if self.reading.is_full() {
                return;
            }
            let (message, help) = match shape.most_arguments {
                0 => (
                    format!("'{}' takes no value of its own", self.name()),
                    "remove it, or write it as NAME=VALUE",
                ),
                _ => (
                    format!("'{}' takes one {}", self.name(), shape.argument),
                    "remove what is too much; a text with spaces needs quotes",
                ),
            };
            self.reading.note(&self.entry_span(entry), message, help);
        }
    }

    fn check_properties(&self, shape: &Shape) {
        let mut seen = BTreeSet::new();
        for entry in self.kdl.entries() {
            let Some(name) = entry.name().map(kdl::KdlIdentifier::value) else { continue };
            if self.reading.is_full() {
                return;
            }
            if !seen.insert(name) {
                let message = format!("the property '{name}' stands twice");
                self.reading.note(&self.entry_span(entry), message, "keep one");
            }
            if let Names::Only(names) = shape.properties
                && !names.contains(&name)
            {
                let message = format!("unknown property '{name}' of '{}'", self.name());
                self.reading.note(&self.entry_span(entry), message, suggest::remedy(name, names));
            }
        }
    }
}
