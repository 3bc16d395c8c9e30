//! What a node may have.

/// The names that a node may have as properties or children.
#[derive(Debug, Clone, Copy)]
pub(super) enum Names {
    Only(&'static [&'static str]),
    Any,
}

/// What a node may have. Starts from [`Shape::BARE`], [`Shape::argument`] or [`Shape::arguments`].
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub(super) most_arguments: usize,
    pub(super) argument: &'static str,
    pub(super) properties: Names,
    pub(super) block: Option<Names>,
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
