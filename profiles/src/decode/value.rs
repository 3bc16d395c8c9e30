//! Values that a node's arguments and properties can have.

use kdl::KdlValue;

use crate::{Digest, Name};

/// Why a value cannot be read; the place is known to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl Problem {
    /// A problem and its remedy.
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Problem {
        Problem { message: message.into(), help: help.into() }
    }
}

/// A type that one KDL value can be read as.
pub trait Value: Sized {
    /// Reads the value.
    ///
    /// # Errors
    /// Says what is wrong and what to write instead.
    fn decode(value: &KdlValue) -> Result<Self, Problem>;
}

/// The string in `value`.
///
/// # Errors
/// When the value is no string.
pub fn text(value: &KdlValue) -> Result<&str, Problem> {
    let help = match value {
        KdlValue::Integer(_) | KdlValue::Float(_) => "put it between double quotes",
        _ => "write a text, quoted when it has spaces or signs",
    };
    value.as_string().ok_or_else(|| Problem::new(format!("{} where a string belongs", shown(value)), help))
}

/// A value as a message calls it.
fn shown(value: &KdlValue) -> String {
    match value {
        KdlValue::String(_) => "a string".to_owned(),
        KdlValue::Integer(number) => format!("the number {number}"),
        KdlValue::Float(number) => format!("the number {number}"),
        KdlValue::Bool(flag) => format!("#{flag}"),
        KdlValue::Null => "#null".to_owned(),
    }
}

impl Value for String {
    fn decode(value: &KdlValue) -> Result<String, Problem> {
        text(value).map(str::to_owned)
    }
}

impl Value for bool {
    fn decode(value: &KdlValue) -> Result<bool, Problem> {
        value.as_bool().ok_or_else(|| {
            Problem::new(format!("{} where #true or #false belongs", shown(value)), "write #true or #false")
        })
    }
}

impl Value for u64 {
    fn decode(value: &KdlValue) -> Result<u64, Problem> {
        let wrong = || {
            Problem::new(
                format!("{} where a whole number belongs", shown(value)),
                "write a number from 0, without quotes",
            )
        };
        value.as_integer().and_then(|number| u64::try_from(number).ok()).ok_or_else(wrong)
    }
}

impl Value for Name {
    fn decode(value: &KdlValue) -> Result<Name, Problem> {
        let help = "a name is 1 to 64 letters, digits and + - . _, and starts with a letter or digit";
        Name::parse(text(value)?).map_err(|error| Problem::new(error.to_string(), help))
    }
}

impl Value for Digest {
    fn decode(value: &KdlValue) -> Result<Digest, Problem> {
        let help = "a digest is sha256: and 64 lower-case hexadecimal digits, as sha256sum prints them";
        Digest::parse(text(value)?).map_err(|error| Problem::new(error.to_string(), help))
    }
}
