//! The kernel that a profile is for.

use std::fmt;

use crate::decode::{Node, Shape};
use crate::quote::Quoted;
use crate::written_line::Rest;
use crate::{Digest, Name};

const KERNEL: Shape = Shape::argument("name").properties(&["release", "digest", "size"]);

/// The kernel whose modules a stack has, and no other: `kernel "linux-6.12" release="..." digest="sha256:..." size=N`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelPin {
    /// What the written profile calls it.
    pub name: Name,
    /// As `uname -r` prints it, 1 to 64 bytes: also the folder of its modules, so that it is held to what names may have.
    pub release: Name,
    /// SHA-256 of the bootable file.
    pub digest: Digest,
    /// Bytes of that file.
    pub size: u64,
}

impl KernelPin {
    pub(super) fn read(node: Node<'_>) -> Option<KernelPin> {
        let node = node.shape(&KERNEL)?;
        let (name, digest, size) = super::file(node);
        let release = node.property("release");
        Some(KernelPin { name: name?, release: release?, digest: digest?, size: size? })
    }

    /// Of a line that [`fmt::Display`] wrote, behind the word.
    pub(super) fn of_line(mut rest: Rest<'_>) -> Option<KernelPin> {
        Some(KernelPin {
            name: Name::parse(rest.text("\"")?).ok()?,
            release: Name::parse(rest.text(" release=\"")?).ok()?,
            digest: rest.digest(" digest=\"sha256:")?,
            size: rest.number(" size=")?,
        })
    }
}

/// The node.
impl fmt::Display for KernelPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KernelPin { name, release, digest, size } = self;
        let (name, release) = (Quoted(name.as_str()), Quoted(release.as_str()));
        write!(f, "kernel {name} release={release} digest=\"{digest}\" size={size}")
    }
}
