//! What a profile says about the whole system: the checking of images and the first program.

use std::fmt;

use crate::decode::{KdlValue, Problem, Value, text};
use crate::suggest;

/// How images are checked before use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Not at all.
    None,
    /// The SHA-256 of the whole image, before it is mounted.
    Digest,
    /// Every block as it is read, by dm-verity: each image needs its [`crate::resolved::VerityRef`].
    Verity,
}

impl Verify {
    const WORDS: [&str; 3] = ["none", "digest", "verity"];

    /// Reads `none`, `digest` or `verity`.
    pub fn parse(word: &str) -> Option<Verify> {
        match word {
            "none" => Some(Verify::None),
            "digest" => Some(Verify::Digest),
            "verity" => Some(Verify::Verity),
            _ => None,
        }
    }
}

impl fmt::Display for Verify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verify::None => "none",
            Verify::Digest => "digest",
            Verify::Verity => "verity",
        })
    }
}

impl Value for Verify {
    fn decode(value: &KdlValue) -> Result<Verify, Problem> {
        let word = text(value)?;
        let unknown = || {
            Problem::new(format!("unknown way of checking '{word}'"), suggest::remedy(word, &Verify::WORDS))
        };
        Verify::parse(word).ok_or_else(unknown)
    }
}

/// The path of a file in the booted system: absolute, without `..`, not ending in a slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemPath(pub(crate) String);

impl SystemPath {
    /// Most bytes of a path, the end included (PATH_MAX of linux/limits.h).
    const LONGEST: usize = 4095;

    /// Accepts an absolute path inside the system.
    ///
    /// # Errors
    /// Says which rule the path breaks.
    pub fn parse(path: &str) -> Result<SystemPath, &'static str> {
        match path {
            _ if !path.starts_with('/') => Err("the path is not absolute"),
            _ if path.split('/').any(|part| part == "..") => Err("the path holds '..'"),
            _ if path.ends_with('/') => Err("the path names a folder"),
            _ if path.contains('\0') => Err("the path holds a zero byte"),
            _ if path.len() > SystemPath::LONGEST => Err("the path is longer than 4095 bytes"),
            _ => Ok(SystemPath(path.to_owned())),
        }
    }

    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for SystemPath {
    fn decode(value: &KdlValue) -> Result<SystemPath, Problem> {
        let path = text(value)?;
        SystemPath::parse(path).map_err(|rule| {
            Problem::new(rule, "write where the file lies in the booted system, like \"/sbin/init\"")
        })
    }
}
