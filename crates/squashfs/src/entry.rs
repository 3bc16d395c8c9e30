//! One entry: its metadata, what it is, and where its bytes are.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

/// The longest name that Linux and squashfs take, in bytes (`SQUASHFS_NAME_LEN`).
pub const NAME_MAX: usize = 255;
/// The longest symbolic link that the kernel follows, in bytes.
pub const TARGET_MAX: usize = 4095;

/// Who owns an entry, who may use it, when it was changed, and its extended attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The permission bits with setuid, setgid and sticky: at most `0o7777`.
    pub mode: u32,
    /// The numeric owner.
    pub uid: u32,
    /// The numeric group.
    pub gid: u32,
    /// Seconds since 1970. The format holds 0 to 2^32 - 1 (1970 to 2106); a time outside is stored as the nearest bound.
    pub mtime: i64,
    /// Extended attributes, in any order.
    pub xattrs: Vec<Xattr>,
}

impl Metadata {
    /// Root's, with these permission bits, at time 0, without extended attributes.
    pub fn mode(mode: u32) -> Self {
        Self { mode, ..Self::default() }
    }
}

/// One extended attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xattr {
    /// The full name, as in `security.capability`; squashfs stores the `user.`, `trusted.` and `security.` families.
    pub name: Vec<u8>,
    /// The value, at most 64 KiB.
    pub value: Vec<u8>,
}

/// A device number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// At most 4095: Linux keeps 12 bits.
    pub major: u32,
    /// At most 1,048,575: Linux keeps 20 bits.
    pub minor: u32,
}

/// What an entry is. `F` is where a file's bytes are: [`Content`] in a tree, [`crate::FileData`] in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind<F = Content> {
    /// A folder.
    Directory,
    /// A regular file.
    File(F),
    /// A symbolic link and its target, at most 4095 bytes.
    Symlink(Vec<u8>),
    /// A block device node.
    BlockDevice(Device),
    /// A character device node; 0:0 is overlayfs's whiteout.
    CharDevice(Device),
    /// A named pipe.
    Fifo,
    /// A socket's name.
    Socket,
}

/// Where the bytes of a file are.
#[derive(Clone, Debug)]
pub enum Content {
    /// In memory.
    Bytes(Arc<[u8]>),
    /// All of a file of this machine, which must still have `len` bytes when the image is written.
    HostFile {
        /// Where it is.
        path: PathBuf,
        /// How many bytes it has.
        len: u64,
    },
    /// Part of an open file, as of an archive that is read in place.
    Range {
        /// The open file; only positioned reads are made.
        file: Arc<File>,
        /// Where the bytes start.
        offset: u64,
        /// How many they are.
        len: u64,
    },
}

impl Content {
    /// The size of the file in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::HostFile { len, .. } | Self::Range { len, .. } => *len,
        }
    }

    /// Whether the file has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl PartialEq for Content {
    /// Whether both are the same place; bytes in memory are compared, files are not read.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::HostFile { path: a, len: n }, Self::HostFile { path: b, len: m }) => (a, n) == (b, m),
            (Self::Range { file: a, offset: o, len: n }, Self::Range { file: b, offset: p, len: m }) => {
                Arc::ptr_eq(a, b) && (o, n) == (p, m)
            }
            _ => false,
        }
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

/// Something with a name in a tree: its metadata and what it is.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Owner, permissions, time, extended attributes.
    pub metadata: Metadata,
    /// What it is.
    pub kind: Kind,
}

impl Entry {
    /// Joins the two.
    pub fn new(metadata: Metadata, kind: Kind) -> Self {
        Self { metadata, kind }
    }

    /// Whether an image can hold it; if not, why.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.metadata.mode > 0o7777 {
            return Err(format!(
                "mode {:o} has more than permission bits: mask it with 7777",
                self.metadata.mode
            ));
        }
        if self.metadata.uid == u32::MAX || self.metadata.gid == u32::MAX {
            return Err("owner or group 4294967295, which Linux keeps for \"no change\"".into());
        }
        match &self.kind {
            Kind::Symlink(target) if target.is_empty() => Err("a symbolic link needs a target".to_owned()),
            Kind::Symlink(target) if target.len() > TARGET_MAX => Err(format!(
                "the link target has {} bytes; the kernel follows at most {TARGET_MAX}",
                target.len()
            )),
            Kind::BlockDevice(device) | Kind::CharDevice(device)
                if device.major > 0xfff || device.minor > 0xf_ffff =>
            {
                Err(format!(
                    "device {}:{} does not fit: Linux keeps 12 bits of major and 20 of minor",
                    device.major, device.minor
                ))
            }
            _ => Ok(()),
        }
    }
}
