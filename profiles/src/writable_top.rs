//! The writable top of a stack: nothing, a tmpfs, or a folder on a disk.

use std::fmt;

use crate::DeviceSpec;
use crate::decode::{KdlValue, Node, Problem, Shape, Value, text};
use crate::quote::Quoted;
use crate::state_file_system::StateFileSystem;
use crate::suggest;

/// What lies on top of the images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WritableTop {
    /// Nothing: the root is read-only.
    None,
    /// A tmpfs: changes last until power-off.
    Tmpfs {
        /// Most memory that it may take.
        size: TmpfsSize,
    },
    /// A file system on a disk: changes last.
    State(State),
}

/// Where changes last, and what becomes of them when the images below change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The device.
    pub place: DeviceSpec,
    /// The file system to make on an empty device at first use; nothing is made when there is none.
    pub create: Option<StateFileSystem>,
    /// What to do with changes that were made over another stack.
    pub changed: WhenChanged,
    /// Whether the file system's own checker looks at all of it before it is mounted.
    pub check: bool,
}

/// What to do with changes that were made over another stack: they may hide files that are newer now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenChanged {
    /// Go on with them.
    Keep,
    /// Set them aside, never delete them, and begin with an empty top.
    #[default]
    Reset,
    /// Do not boot.
    Refuse,
}

/// A word of the language and what it means.
type Words<T, const N: usize> = [(&'static str, T); N];

const WAYS: Words<WhenChanged, 3> =
    [("keep", WhenChanged::Keep), ("reset", WhenChanged::Reset), ("refuse", WhenChanged::Refuse)];

/// The word's meaning, or a problem with the nearest word in its remedy.
fn meaning<T: Copy, const N: usize>(word: &str, what: &str, words: &Words<T, N>) -> Result<T, Problem> {
    let known = words.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning);
    let names = words.map(|(word, _)| word);
    known.ok_or_else(|| Problem::new(format!("unknown {what} '{word}'"), suggest::remedy(word, &names)))
}

fn word<T: PartialEq, const N: usize>(meaning: &T, words: &Words<T, N>) -> &'static str {
    words.iter().find(|(_, known)| known == meaning).map_or("", |(word, _)| word)
}

impl WhenChanged {
    /// Reads `keep`, `reset` or `refuse`.
    ///
    /// # Errors
    /// Names the nearest one.
    pub fn parse(word: &str) -> Result<WhenChanged, Problem> {
        meaning(word, "way to meet a changed stack", &WAYS)
    }
}

impl fmt::Display for WhenChanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(word(self, &WAYS))
    }
}

impl Value for WhenChanged {
    fn decode(value: &KdlValue) -> Result<WhenChanged, Problem> {
        WhenChanged::parse(text(value)?)
    }
}

/// What a top may be, for remedies.
const KINDS: [&str; 3] = ["tmpfs", "no", "LABEL=NAME"];
/// The properties of `root` besides `writable`, and the options of `lamina.state=`.
const OPTIONS: [&str; 4] = ["size", "create", "changed", "check"];

/// The three kinds of top, before their options are known.
enum Kind {
    No,
    Tmpfs,
    State(DeviceSpec),
}

impl Kind {
    fn parse(word: &str) -> Result<Kind, Problem> {
        match word {
            "no" => Ok(Kind::No),
            "tmpfs" => Ok(Kind::Tmpfs),
            _ => match DeviceSpec::parse(word) {
                Some(place) => Ok(Kind::State(place)),
                None if word.contains('=') || word.starts_with('/') => {
                    let message = format!("'{word}' names no device");
                    Err(Problem::new(message, format!("write {}", DeviceSpec::FORMS)))
                }
                None => {
                    Err(Problem::new(format!("unknown writable top '{word}'"), suggest::remedy(word, &KINDS)))
                }
            },
        }
    }

    /// Why a top of this kind does not take the option, if so.
    fn refusal(&self, option: &str) -> Option<&'static str> {
        match (self, option) {
            (Kind::No, "size") => Some("a root that is not writable has no size"),
            (Kind::No, "create" | "changed" | "check") => {
                Some("a root that is not writable keeps no changes")
            }
            (Kind::Tmpfs, "create" | "changed" | "check") => Some("a tmpfs keeps no changes"),
            (Kind::State(_), "size") => Some("a top on a disk has the size of its file system"),
            _ => None,
        }
    }

    /// Joins what was read.
    fn with(
        self,
        size: Option<TmpfsSize>,
        create: Option<StateFileSystem>,
        changed: Option<WhenChanged>,
        check: bool,
    ) -> WritableTop {
        match self {
            Kind::No => WritableTop::None,
            Kind::Tmpfs => WritableTop::Tmpfs { size: size.unwrap_or(TmpfsSize::Percent(50)) },
            Kind::State(place) => {
                WritableTop::State(State { place, create, changed: changed.unwrap_or_default(), check })
            }
        }
    }
}

impl WritableTop {
    /// The shape of the node `root`.
    const SHAPE: Shape = Shape::BARE.properties(&["writable", "size", "create", "changed", "check"]);

    /// Reads a node such as `root writable="no"`, `root writable="tmpfs" size="50%"` or
    /// `root writable="LABEL=state" create="ext4" changed="reset"`.
    pub(crate) fn read(node: Node<'_>) -> Option<WritableTop> {
        let node = node.shape(&WritableTop::SHAPE)?;
        let word = node.property::<String>("writable")?;
        let kind = match Kind::parse(&word) {
            Ok(kind) => kind,
            Err(problem) => return node.refuse_property("writable", problem.message, problem.help),
        };
        let refused = OPTIONS.map(|option| {
            let message = kind.refusal(option).filter(|_| node.has(option))?;
            node.refuse_property::<()>(option, message, format!("remove {option}"));
            Some(())
        });
        if refused.into_iter().any(|refused| refused.is_some()) {
            return None;
        }
        // An option that cannot be read is an error already noted; the default stands in so that reading goes on.
        let check = node.optional("check").unwrap_or_default();
        Some(kind.with(node.optional("size"), node.optional("create"), node.optional("changed"), check))
    }

    /// Reads the value of `lamina.state=`: `no`, `tmpfs[,size=50%]` or a device such as
    /// `LABEL=x[,create=ext4][,changed=keep|reset|refuse][,check]`. The name of a device ends at the first comma.
    ///
    /// # Errors
    /// One sentence and its remedy.
    pub fn parse_parameter(text: &str) -> Result<WritableTop, Problem> {
        let mut parts = text.split(',');
        let kind = Kind::parse(parts.next().unwrap_or_default())?;
        let (mut size, mut create, mut changed, mut check) = (None, None, None, false);
        for part in parts {
            let (option, value) = part.split_once('=').unwrap_or((part, ""));
            if let Some(message) = kind.refusal(option) {
                return Err(Problem::new(message, format!("remove {option}=")));
            }
            let fresh = match option {
                "size" => size.replace(tmpfs_size(value)?).is_none(),
                "create" => create.replace(StateFileSystem::parse(value)?).is_none(),
                "changed" => changed.replace(WhenChanged::parse(value)?).is_none(),
                "check" if part == option => !std::mem::replace(&mut check, true),
                "check" => {
                    let message = format!("'{part}': the option 'check' takes no value");
                    return Err(Problem::new(message, "write check, or leave it out"));
                }
                _ => {
                    let message = format!("unknown option '{option}' of a writable top");
                    return Err(Problem::new(message, suggest::remedy(option, &OPTIONS)));
                }
            };
            if !fresh {
                return Err(Problem::new(format!("the option '{option}' stands twice"), "keep one"));
            }
        }
        Ok(kind.with(size, create, changed, check))
    }
}

/// As the node of a profile.
impl fmt::Display for WritableTop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WritableTop::None => f.write_str("root writable=\"no\""),
            WritableTop::Tmpfs { size } => write!(f, "root writable=\"tmpfs\" size=\"{size}\""),
            WritableTop::State(State { place, create, changed, check }) => {
                write!(f, "root writable={}", Quoted(&place.to_string()))?;
                if let Some(create) = create {
                    write!(f, " create=\"{create}\"")?;
                }
                write!(f, " changed=\"{changed}\"")?;
                if *check { f.write_str(" check=#true") } else { Ok(()) }
            }
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

fn tmpfs_size(text: &str) -> Result<TmpfsSize, Problem> {
    let help = "write a part of the memory, \"50%\", or bytes with K, M or G, \"512M\"";
    TmpfsSize::parse(text).ok_or_else(|| Problem::new(format!("'{text}' is no size"), help))
}

impl Value for TmpfsSize {
    fn decode(value: &KdlValue) -> Result<TmpfsSize, Problem> {
        tmpfs_size(text(value)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameter_says_the_same_as_the_node() {
        for (parameter, node) in [
            ("no", "root writable=\"no\""),
            ("tmpfs", "root writable=\"tmpfs\" size=\"50%\""),
            ("tmpfs,size=1M", "root writable=\"tmpfs\" size=\"1048576\""),
            ("LABEL=state", "root writable=\"LABEL=state\" changed=\"reset\""),
            ("LABEL=state,check", "root writable=\"LABEL=state\" changed=\"reset\" check=#true"),
            ("UUID=0A-1,changed=keep", "root writable=\"UUID=0A-1\" changed=\"keep\""),
            (
                "/dev/vdb1,changed=refuse,create=f2fs",
                "root writable=\"/dev/vdb1\" create=\"f2fs\" changed=\"refuse\"",
            ),
        ] {
            let top = WritableTop::parse_parameter(parameter).expect(parameter);
            assert_eq!(top.to_string(), node);
            let read =
                crate::decode::read("x", node.as_bytes(), |block| WritableTop::read(block.one("root")?));
            assert_eq!(read, Ok(top));
        }
    }

    #[test]
    fn each_refusal_of_a_parameter_says_what_to_do() {
        for (parameter, message, help) in [
            ("", "unknown writable top ''", "known here: tmpfs, no, LABEL=NAME"),
            ("tmpf", "unknown writable top 'tmpf'", "did you mean 'tmpfs'?"),
            ("LABEL=", "'LABEL=' names no device", "write LABEL=, UUID=, PARTLABEL=, PARTUUID= or /dev/NAME"),
            ("no,size=1M", "a root that is not writable has no size", "remove size="),
            ("tmpfs,create=ext4", "a tmpfs keeps no changes", "remove create="),
            ("LABEL=x,size=1M", "a top on a disk has the size of its file system", "remove size="),
            ("LABEL=x,create=ext3", "unknown file system 'ext3'", "did you mean 'ext4'?"),
            ("LABEL=x,changed=", "unknown way to meet a changed stack ''", "known here: keep, reset, refuse"),
            ("LABEL=x,chnged=keep", "unknown option 'chnged' of a writable top", "did you mean 'changed'?"),
            ("LABEL=x,create=xfs,create=xfs", "the option 'create' stands twice", "keep one"),
        ] {
            assert_eq!(
                WritableTop::parse_parameter(parameter),
                Err(Problem::new(message, help)),
                "{parameter}"
            );
        }
        let size = WritableTop::parse_parameter("tmpfs,size=0").unwrap_err();
        assert!(size.message == "'0' is no size" && size.help.contains("50%"), "{size:?}");
    }
}
