//! What a profile says about the whole system: the writable top, the checking of images, the first program.

use std::fmt;

use crate::decode::Node;
use crate::decode::{KdlValue, Problem, Shape, Value, text};
use crate::suggest;

/// How images are checked before use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Not at all.
    None,
    /// The SHA-256 of the whole image, before it is mounted.
    Digest,
    /// Every block as it is read, by dm-verity. Resolved profiles of format 1 do not carry the root hashes yet.
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
        match Verify::parse(word).ok_or_else(unknown)? {
            Verify::Verity => {
                let message = "dm-verity is not supported by this version";
                Err(Problem::new(
                    message,
                    "write verify \"digest\": each image is hashed before it is mounted",
                ))
            }
            known => Ok(known),
        }
    }
}

/// What lies on top of the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WritableTop {
    /// Nothing: the root is read-only.
    None,
    /// A tmpfs: changes last until power-off.
    Tmpfs {
        /// Most memory that it may take.
        size: TmpfsSize,
    },
}

impl WritableTop {
    /// The shape of the node `root`.
    pub(crate) const SHAPE: Shape = Shape::BARE.properties(&["writable", "size"]);

    /// Reads a node `root writable="no"` or `root writable="tmpfs" size="50%"`.
    pub(crate) fn read(node: Node<'_>) -> Option<WritableTop> {
        let node = node.shape(&WritableTop::SHAPE)?;
        let kind = node.property::<String>("writable")?;
        let size = node.optional::<TmpfsSize>("size");
        let sized = node.property_names().any(|name| name == "size");
        match kind.as_str() {
            "no" if sized => {
                node.refuse_property("size", "a root that is not writable has no size", "remove size")
            }
            "no" => Some(WritableTop::None),
            "tmpfs" if sized => size.map(|size| WritableTop::Tmpfs { size }),
            "tmpfs" => Some(WritableTop::Tmpfs { size: TmpfsSize::Percent(50) }),
            _ if kind.contains('=') || kind.starts_with('/') => {
                let message = "a writable top on a disk is not supported by this version";
                node.refuse_property(
                    "writable",
                    message,
                    "write writable=\"tmpfs\" (changes last until power-off) or writable=\"no\"",
                )
            }
            _ => {
                let message = format!("unknown writable top '{kind}'");
                node.refuse_property("writable", message, suggest::remedy(&kind, &["tmpfs", "no"]))
            }
        }
    }
}

impl fmt::Display for WritableTop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WritableTop::None => f.write_str("root writable=\"no\""),
            WritableTop::Tmpfs { size } => write!(f, "root writable=\"tmpfs\" size=\"{size}\""),
        }
    }
}

/// The size of a tmpfs, as tmpfs(5) reads it. Its Display is a valid mount option value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TmpfsSize {
    /// Of the memory, 1 to 100.
    Percent(u8),
    /// At least one.
    Bytes(u64),
}

impl TmpfsSize {
    /// Reads `50%`, or a number of bytes with an optional binary unit: `512M` is 512 times 1024 times 1024.
    pub fn parse(text: &str) -> Option<TmpfsSize> {
        if let Some(percent) = text.strip_suffix('%') {
            return number(percent)?
                .try_into()
                .ok()
                .filter(|percent| (1..=100).contains(percent))
                .map(TmpfsSize::Percent);
        }
        let (digits, shift) = match text.char_indices().last()? {
            (at, 'K' | 'k') => (&text[..at], 10),
            (at, 'M' | 'm') => (&text[..at], 20),
            (at, 'G' | 'g') => (&text[..at], 30),
            _ => (text, 0),
        };
        let bytes = number(digits)?.checked_mul(1 << shift)?;
        // More than the kernel's signed file offsets can count is no size.
        (1..=i64::MAX as u64).contains(&bytes).then_some(TmpfsSize::Bytes(bytes))
    }
}

/// Decimal digits and nothing else; `parse` alone would take a sign.
fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

impl fmt::Display for TmpfsSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TmpfsSize::Percent(percent) => write!(f, "{percent}%"),
            TmpfsSize::Bytes(bytes) => write!(f, "{bytes}"),
        }
    }
}

impl Value for TmpfsSize {
    fn decode(value: &KdlValue) -> Result<TmpfsSize, Problem> {
        let text = text(value)?;
        let help = "write a part of the memory, \"50%\", or bytes with K, M or G, \"512M\"";
        TmpfsSize::parse(text).ok_or_else(|| Problem::new(format!("'{text}' is no size"), help))
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
