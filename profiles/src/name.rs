//! Names of packages, profiles, features and images.

use std::fmt;

/// Longest name in bytes: short enough for a mount point, a file name and an overlay option string.
const LONGEST: usize = 64;

/// A name that is safe as a file name, a mount point and a word of an overlay option string: 1 to 64 bytes, ASCII
/// letters, digits and `+ - . _`, first a letter or digit, without `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Accepts `text` when it is a name.
    ///
    /// # Errors
    /// Says which rule `text` breaks.
    pub fn parse(text: &str) -> Result<Name, NameError> {
        let first = text.bytes().next().ok_or(NameError::Empty)?;
        if text.len() > LONGEST {
            return Err(NameError::TooLong(text.len()));
        }
        if let Some(bad) = text.chars().find(|c| !c.is_ascii_alphanumeric() && !"+-._".contains(*c)) {
            return Err(NameError::Character(bad));
        }
        if !first.is_ascii_alphanumeric() {
            return Err(NameError::Start(char::from(first)));
        }
        if text.contains("..") {
            return Err(NameError::DotDot);
        }
        Ok(Name(text.to_owned()))
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// The rule of [`Name`] that a text breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameError {
    /// There is no character.
    Empty,
    /// More bytes than a name may have; holds the number.
    TooLong(usize),
    /// Does not start with a letter or digit; holds the first character.
    Start(char),
    /// Holds a character that no name has.
    Character(char),
    /// Holds `..`, which a path would follow upwards.
    DotDot,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Empty => write!(f, "the name is empty"),
            NameError::TooLong(bytes) => write!(f, "the name has {bytes} bytes, the limit is {LONGEST}"),
            NameError::Start(c) => write!(f, "the name starts with '{}'", c.escape_default()),
            NameError::Character(c) => write!(f, "the name holds '{}'", c.escape_default()),
            NameError::DotDot => write!(f, "the name holds '..'"),
        }
    }
}

impl std::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_names_of_real_packages() {
        for name in ["zlib", "libstdc++", "lua5.4", "base-files", "0ad", "a", "x_y"] {
            assert_eq!(Name::parse(name).expect(name).as_str(), name);
        }
    }

    #[test]
    fn refuses_what_could_leave_a_folder_or_split_an_option_string() {
        let long = "a".repeat(65);
        for (text, error) in [
            ("", NameError::Empty),
            (long.as_str(), NameError::TooLong(65)),
            ("../etc", NameError::Character('/')),
            ("..", NameError::Start('.')),
            ("-rf", NameError::Start('-')),
            ("a..b", NameError::DotDot),
            ("a,b", NameError::Character(',')),
            ("a:b", NameError::Character(':')),
            ("a\nb", NameError::Character('\n')),
            ("caf\u{e9}", NameError::Character('\u{e9}')),
        ] {
            assert_eq!(Name::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(NameError::Character('\n').to_string(), "the name holds '\\n'");
    }
}
