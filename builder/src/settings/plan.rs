//! What settings come to, as data that prints.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use squashfs::Metadata;

/// The entries of the image, and what a person should know of them.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// By path, without a leading slash; the root is empty.
    pub entries: BTreeMap<Vec<u8>, Planned>,
    /// The layers whose files were read and written again with something added, from the bottom.
    pub merged: BTreeSet<usize>,
    /// The accounts whose password hash is in the image.
    pub hashes: Vec<String>,
}

/// One entry.
#[derive(Debug, Clone)]
pub struct Planned {
    /// What lies there.
    pub what: What,
    /// Mode, owner, attributes.
    pub metadata: Metadata,
    /// The line that asks for it, as `user me`; `None` of folders that are as they are in the stack.
    pub setting: Option<String>,
    /// The layer whose entry is not seen any more, from the bottom.
    pub hides: Option<usize>,
}

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A folder.
    Folder,
    /// A file with these bytes.
    File(Vec<u8>),
    /// A link.
    Link(String),
}

/// One line for each entry that a setting asks for, with its bytes: those of golden tests, and of nobody else, because of the hashes.
impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, entry) in &self.entries {
            let Some(setting) = &entry.setting else { continue };
            let Metadata { mode, uid, gid, .. } = entry.metadata;
            write!(out, "/{} ({setting}", path.escape_ascii())?;
            if entry.hides.is_some() {
                out.write_str(", in the place of another")?;
            }
            match &entry.what {
                What::Folder => writeln!(out, "): folder {mode:04o} {uid}:{gid}")?,
                What::Link(target) => writeln!(out, "): -> {target}")?,
                What::File(bytes) => {
                    writeln!(out, "): file {mode:04o} {uid}:{gid}")?;
                    for line in String::from_utf8_lossy(bytes).lines() {
                        writeln!(out, "    {line}")?;
                    }
                }
            }
        }
        Ok(())
    }
}
