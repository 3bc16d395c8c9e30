//! Constraints: `>=1.2, <2`, `~1.2`, `^1.2`, `!=1.5`.

use std::borrow::Cow;
use std::fmt;

use crate::compatible::{Reach, first_beyond};
use crate::parse_error::{Fault, ParseError};
use crate::range::Range;
use crate::scheme::Scheme;
use crate::version::{SchemesDiffer, Version};
use crate::{debian, loose, semantic};

/// The longest constraint, in bytes.
pub const MOST_BYTES_OF_A_CONSTRAINT: usize = 1024;

/// What a part of a constraint asks of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `=`, which is also what a version alone means.
    Equal,
    /// `!=`
    NotEqual,
    /// `<`: older, and no pre-release of the version either.
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `~`: from the version on, before the next second number: `~1.2.3` is `>=1.2.3, <1.3`.
    Tilde,
    /// `^`: from the version on, before the next first number that is not zero: `^1.2` is `>=1.2, <2`.
    Caret,
}

impl Operator {
    /// All of them.
    pub const ALL: [Operator; 8] = [
        Operator::Equal,
        Operator::NotEqual,
        Operator::Less,
        Operator::LessOrEqual,
        Operator::Greater,
        Operator::GreaterOrEqual,
        Operator::Tilde,
        Operator::Caret,
    ];

    /// How it is written.
    pub fn sign(self) -> &'static str {
        match self {
            Operator::Equal => "=",
            Operator::NotEqual => "!=",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
            Operator::Tilde => "~",
            Operator::Caret => "^",
        }
    }
}

/// Signs of other languages, and what they are here.
const ELSEWHERE: [(&str, &str); 10] = [
    ("==", "="),
    ("===", "="),
    ("=>", ">="),
    ("=<", "<="),
    ("<>", "!="),
    ("!", "!="),
    ("~>", "~"),
    ("~=", "~"),
    (">>", ">"),
    ("<<", "<"),
];

/// What a version must meet: every part of a list with commas or blanks between them.
///
/// A version alone means `=`: a recipe that says `1.2` means that one. (cargo takes it for `^1.2`.)
#[derive(Debug, Clone)]
pub struct Constraint {
    text: String,
    parts: Vec<(Operator, Version)>,
    range: Range,
}

impl Constraint {
    /// What every version meets.
    pub fn any(scheme: Scheme) -> Constraint {
        Constraint { text: String::new(), parts: Vec::new(), range: Range::everything(scheme) }
    }

    /// Reads a constraint on versions of `scheme`.
    ///
    /// # Errors
    /// A part is none, has a version that is none, asks for what the scheme does not have, or no version can meet all parts.
    pub fn parse(text: &str, scheme: Scheme) -> Result<Constraint, ParseError> {
        read(text, scheme).map_err(|fault| fault.in_constraint(text, scheme))
    }

    /// The text as it was written; empty for [`Constraint::any`].
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The scheme of its versions.
    pub fn scheme(&self) -> Scheme {
        self.range.scheme()
    }

    /// Its parts, in the order in which they are written. For semver, a version that was written without its last numbers has zeros there.
    pub fn parts(&self) -> &[(Operator, Version)] {
        &self.parts
    }

    /// From where to where the versions lie that it admits.
    pub fn range(&self) -> &Range {
        &self.range
    }

    /// Whether a version meets it.
    ///
    /// # Errors
    /// The version is of another scheme.
    pub fn admits(&self, version: &Version) -> Result<bool, SchemesDiffer> {
        self.range.contains(version)
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if self.text.is_empty() { "any version" } else { &self.text })
    }
}

fn read(text: &str, scheme: Scheme) -> Result<Constraint, Fault> {
    if text.len() > MOST_BYTES_OF_A_CONSTRAINT {
        let cause = format!("it has {} bytes, and {MOST_BYTES_OF_A_CONSTRAINT} are the most", text.len());
        let at = text.floor_char_boundary(MOST_BYTES_OF_A_CONSTRAINT);
        return Err(Fault::new(at, cause, "is this a constraint?"));
    }
    let mut constraint = Constraint { text: text.to_owned(), ..Constraint::any(scheme) };
    let mut at = blanks(text, 0);
    loop {
        let part = Part::find(text, at)?;
        let version = part.version(scheme)?;
        part.apply(&version, &mut constraint.range)?;
        constraint.parts.push((part.operator, version));
        if constraint.range.is_empty() {
            let remedy = "leave one of them out; '<' also leaves out the pre-releases of its version";
            return Err(Fault::new(at, "no version can meet this part and those before it", remedy));
        }
        let next = blanks(text, part.end());
        if next == text.len() {
            return Ok(constraint);
        }
        at = match text[next..].strip_prefix(',') {
            Some(_) => blanks(text, next + 1),
            None => next,
        };
    }
}

/// Where the blanks end that begin at byte `at`.
fn blanks(text: &str, at: usize) -> usize {
    text.len() - text[at..].trim_start_matches([' ', '\t']).len()
}

/// An operator and a version, as they are written.
struct Part<'a> {
    /// Where it begins.
    at: usize,
    operator: Operator,
    word: &'a str,
    /// Where the version begins.
    start: usize,
}

impl<'a> Part<'a> {
    fn find(text: &'a str, at: usize) -> Result<Part<'a>, Fault> {
        let rest = &text[at..];
        let signs = &rest[..rest.find(|c: char| !"=!<>~^".contains(c)).unwrap_or(rest.len())];
        let operator = operator(signs, at)?;
        let start = blanks(text, at + signs.len());
        let end = text[start..].find([',', ' ', '\t']).map_or(text.len(), |length| start + length);
        if start == end {
            let cause = match signs {
                "" => "a version is missing".to_owned(),
                signs => format!("no version stands behind '{signs}'"),
            };
            return Err(Fault::new(start, cause, "write it like \">=1.2, <2\""));
        }
        let word = &text[start..end];
        if let Some(bar) = word.find('|') {
            let remedy = "write one range, as \">=1.2, <3\", and leave out of it what does not do with !=";
            return Err(Fault::new(start + bar, "there are no alternatives: all parts must hold", remedy));
        }
        if word == "*" {
            return Err(Fault::new(
                start,
                "'*' is no version",
                "leave the constraint out, which admits every version",
            ));
        }
        Ok(Part { at, operator, word, start })
    }

    fn end(&self) -> usize {
        self.start + self.word.len()
    }

    fn version(&self, scheme: Scheme) -> Result<Version, Fault> {
        let text = match scheme {
            Scheme::Semver => Cow::Owned(self.completed()?),
            _ => Cow::Borrowed(self.word),
        };
        Version::parse(&text, scheme).map_err(|error| error.moved(self.start, self.end()))
    }

    /// A version of semver of which the last numbers may be missing where it does not matter whether they are taken for zeros.
    fn completed(&self) -> Result<String, Fault> {
        let Part { operator, word, .. } = *self;
        let dots = word.matches('.').count();
        if dots >= 2 || !word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return Ok(word.to_owned());
        }
        let full = format!("{word}{}", ".0".repeat(2 - dots));
        match operator {
            Operator::Tilde | Operator::Caret | Operator::GreaterOrEqual | Operator::Less => Ok(full),
            Operator::Equal | Operator::NotEqual | Operator::LessOrEqual | Operator::Greater => {
                let sign = operator.sign();
                let cause = format!("{word} has not all three numbers, and '{sign}' needs them");
                let range = match operator {
                    Operator::Equal => format!(", or '~{word}' or '^{word}' for a range"),
                    _ => String::new(),
                };
                Err(Fault::new(self.start, cause, format!("write '{sign}{full}'{range}")))
            }
        }
    }

    /// Narrows the range to what this part admits.
    fn apply(&self, version: &Version, range: &mut Range) -> Result<(), Fault> {
        let version = version.clone();
        match self.operator {
            Operator::Equal => {
                range.begin(version.clone(), true);
                range.end(version, true);
            }
            Operator::NotEqual => range.exclude(version),
            Operator::Less => range.end(version, false),
            Operator::LessOrEqual => range.end(version, true),
            Operator::Greater => range.begin(version, false),
            Operator::GreaterOrEqual => range.begin(version, true),
            Operator::Tilde => {
                range.end(self.first_beyond(version.scheme(), Reach::Tilde)?, false);
                range.begin(version, true);
            }
            Operator::Caret => {
                range.end(self.first_beyond(version.scheme(), Reach::Caret)?, false);
                range.begin(version, true);
            }
        }
        Ok(())
    }

    /// The first version that `~` or `^` does not reach.
    fn first_beyond(&self, scheme: Scheme, reach: Reach) -> Result<Version, Fault> {
        let sign = self.operator.sign();
        let (before, numbers) = match scheme {
            Scheme::Debian => debian::numbers(self.word),
            Scheme::Semver => ("", semantic::numbers(self.word)),
            Scheme::Loose => ("", loose::numbers(self.word)),
            Scheme::Date | Scheme::Plain => {
                let cause = format!("'{sign}' means nothing in the scheme {scheme}");
                return Err(Fault::new(self.at, cause, "write both bounds, like \">=A, <B\""));
            }
        };
        let mut beyond = first_beyond(&numbers, reach).ok_or_else(|| {
            let cause = format!("the version behind '{sign}' begins with no number");
            Fault::new(self.start, cause, "write both bounds, like \">=A, <B\"")
        })?;
        if scheme == Scheme::Semver {
            beyond.resize(3, "0".to_owned());
        }
        let text = format!("{before}{}", beyond.join("."));
        Version::parse(&text, scheme).map_err(|_| {
            let cause = format!("'{sign}' reaches up to {text}, which is no version");
            Fault::new(self.start, cause, "write both bounds, like \">=A, <B\"")
        })
    }
}

fn operator(signs: &str, at: usize) -> Result<Operator, Fault> {
    if signs.is_empty() {
        return Ok(Operator::Equal);
    }
    Operator::ALL.into_iter().find(|operator| operator.sign() == signs).ok_or_else(|| {
        let remedy = match ELSEWHERE.iter().find(|(sign, _)| *sign == signs) {
            Some((_, meant)) => format!("write '{meant}'"),
            None => format!("write one of {}", Operator::ALL.map(Operator::sign).join(" ")),
        };
        Fault::new(at, format!("'{signs}' is no operator"), remedy)
    })
}
