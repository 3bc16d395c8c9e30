//! `sealed`: a profile that nothing on the kernel command line may weaken.

use std::fmt;

use crate::decode::{KdlValue, Node, Problem, Shape, Value, text};
use crate::quote::Quoted;

/// The word of a sealed profile, and which kernel parameters may stand beside it.
///
/// `sealed` alone allows what the reader of the profile knows to be harmless; `sealed "systemd.unit" "foo"` allows these
/// names besides, whatever their values are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seal {
    /// Names of kernel parameters that are allowed besides.
    pub parameters: Vec<ParameterName>,
}

/// The name of a kernel parameter, as it stands before `=`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParameterName(String);

const SEALED: Shape = Shape::arguments("parameter");

impl Seal {
    /// Reads the node.
    pub(crate) fn read(node: Node<'_>) -> Option<Seal> {
        let node = node.shape(&SEALED)?;
        let parameters = if node.has_arguments() { node.arguments("parameter")? } else { Vec::new() };
        Some(Seal { parameters })
    }

    /// Takes the other's parameters too.
    pub(crate) fn join(&mut self, other: &Seal) {
        for parameter in &other.parameters {
            if !self.parameters.contains(parameter) {
                self.parameters.push(parameter.clone());
            }
        }
    }

    /// Whether the seal names the parameter itself. As for the kernel, `-` and `_` are the same.
    pub fn names(&self, parameter: &str) -> bool {
        let same = |name: &str| name.replace('-', "_");
        self.parameters.iter().any(|allowed| same(&allowed.0) == same(parameter))
    }
}

impl fmt::Display for Seal {
    /// The node.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sealed")?;
        self.parameters.iter().try_for_each(|parameter| write!(f, " {}", Quoted(&parameter.0)))
    }
}

impl Value for ParameterName {
    fn decode(value: &KdlValue) -> Result<ParameterName, Problem> {
        let name = text(value)?;
        let plain = |character: char| character.is_ascii_graphic() && !matches!(character, '=' | '"');
        if !name.is_empty() && name.chars().all(plain) {
            return Ok(ParameterName(name.to_owned()));
        }
        Err(Problem::new(
            format!("'{}' is no name of a kernel parameter", name.escape_debug()),
            "write what stands before its `=`: letters, digits, `.`, `_` and `-`",
        ))
    }
}
