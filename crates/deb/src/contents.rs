//! The files of a package: members of its decompressed `data.tar`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::error::{Part, malformed, while_doing};
use crate::tar_dialect;

/// No package in Debian comes near this many files.
const MOST_MEMBERS: usize = 4 << 20;

/// The decompressed files of a package, and where each lies.
#[derive(Debug, Clone)]
pub struct Contents {
    file: Arc<File>,
    members: Vec<Member>,
}

/// One file, folder, link or device of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The path relative to the root, without a leading slash or dot, such as `usr/bin/gcc`. Never empty, no `..`.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// The permission bits with setuid, setgid and sticky: at most `0o7777`.
    pub mode: u32,
    /// The owner's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// When it was last changed, in seconds since 1970.
    pub mtime: u64,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Directory,
    /// A file: its bytes lie at this place in [`Contents::file`].
    File {
        /// Bytes from the beginning of the decompressed data.
        offset: u64,
        /// Its size in bytes.
        length: u64,
    },
    /// A symbolic link with this target, as written.
    Symlink(Vec<u8>),
    /// A hard link to the member with this path (in the form of [`Member::path`]).
    HardLink(Vec<u8>),
    /// A block device: major and minor number.
    BlockDevice(u32, u32),
    /// A character device: major and minor number.
    CharDevice(u32, u32),
    /// A named pipe.
    Fifo,
}

impl Contents {
    pub(crate) fn index(file: File, length: u64) -> Part<Contents> {
        let reading = while_doing("reading its data archive");
        let mut archive = tar::Archive::new(&file);
        let mut members = Vec::new();
        // The reader skips from header to header, so it starts at the beginning whatever was written last.
        io::Seek::rewind(&mut &file).map_err(&reading)?;
        for entry in archive.entries_with_seek().map_err(&reading)? {
            let mut entry = entry.map_err(&reading)?;
            tar_dialect::check(&mut entry)?;
            if members.len() == MOST_MEMBERS {
                return malformed(format!("it has more than {MOST_MEMBERS} files"));
            }
            if let Some(member) = read_member(&entry)? {
                check_extent(&member, length)?;
                members.push(member);
            }
        }
        Ok(Contents { file: Arc::new(file), members })
    }

    /// All members in the order of the package.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The decompressed `data.tar`, for reading ranges of it in place.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// The member at `path`, in the form of [`Member::path`].
    pub fn find(&self, path: &[u8]) -> Option<&Member> {
        self.members.iter().find(|member| member.path == path)
    }

    /// The bytes of a member; empty for all that is not a regular file.
    ///
    /// # Errors
    /// The scratch file cannot be read, or was changed since.
    pub fn read(&self, member: &Member) -> io::Result<Vec<u8>> {
        let Kind::File { offset, length } = member.kind else { return Ok(Vec::new()) };
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}

/// A file's bytes must lie inside the archive: what [`Contents::read`] allocates is then bounded by what was there.
fn check_extent(member: &Member, archive_length: u64) -> Part<()> {
    if let Kind::File { offset, length } = member.kind
        && offset.saturating_add(length) > archive_length
    {
        return malformed(format!(
            "its data is cut short: `{}` should end at byte {}, the data has {archive_length}",
            member.path.escape_ascii(),
            offset.saturating_add(length)
        ));
    }
    Ok(())
}

/// `None` for the root folder, which every package has and which says nothing.
fn read_member(entry: &tar::Entry<'_, impl io::Read>) -> Part<Option<Member>> {
    let header = entry.header();
    let raw_path = entry.path_bytes();
    let path = relative(&raw_path)?;
    let fields = while_doing("reading a header of its data archive");
    let kind = read_kind(entry, &path)?;
    if path.is_empty() {
        return match kind {
            Kind::Directory => Ok(None),
            _ => malformed("a member of its data archive has an empty path"),
        };
    }
    let number = |value: u64, what: &str| match u32::try_from(value) {
        Ok(number) => Ok(number),
        Err(_) => malformed(format!("`{}` has the {what} number {value}", path.escape_ascii())),
    };
    Ok(Some(Member {
        mode: header.mode().map_err(&fields)? & 0o7777,
        uid: number(header.uid().map_err(&fields)?, "user")?,
        gid: number(header.gid().map_err(&fields)?, "group")?,
        mtime: header.mtime().map_err(&fields)?,
        kind,
        path,
    }))
}

fn read_kind(entry: &tar::Entry<'_, impl io::Read>, path: &[u8]) -> Part<Kind> {
    use tar::EntryType;
    let header = entry.header();
    let device = || -> Part<(u32, u32)> {
        let reading = while_doing("reading a device number of its data archive");
        let major = header.device_major().map_err(&reading)?.unwrap_or(0);
        let minor = header.device_minor().map_err(&reading)?.unwrap_or(0);
        Ok((major, minor))
    };
    let target = || match entry.link_name_bytes() {
        Some(target) if !target.is_empty() => Ok(target.into_owned()),
        _ => malformed(format!("the link `{}` has no target", path.escape_ascii())),
    };
    if tar_dialect::is_folder(entry) {
        return match entry.size() {
            0 => Ok(Kind::Directory),
            bytes => malformed(format!("the folder `{}` has {bytes} bytes", path.escape_ascii())),
        };
    }
    Ok(match header.entry_type() {
        EntryType::Regular | EntryType::Continuous => {
            Kind::File { offset: entry.raw_file_position(), length: entry.size() }
        }
        EntryType::Symlink => Kind::Symlink(target()?),
        EntryType::Link => Kind::HardLink(relative(&target()?)?),
        EntryType::Block => device().map(|(major, minor)| Kind::BlockDevice(major, minor))?,
        EntryType::Char => device().map(|(major, minor)| Kind::CharDevice(major, minor))?,
        EntryType::Fifo => Kind::Fifo,
        other => {
            return malformed(format!("`{}` is a tar entry of type {other:?}", path.escape_ascii()));
        }
    })
}

/// Removes leading `./` and `/`, doubled and trailing slashes; refuses `..` and NUL.
fn relative(path: &[u8]) -> Part<Vec<u8>> {
    let mut clean = Vec::with_capacity(path.len());
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => continue,
            b".." => return malformed(format!("the path `{}` leaves the package", path.escape_ascii())),
            _ if part.contains(&0) => {
                return malformed(format!("the path `{}` has a NUL byte", path.escape_ascii()));
            }
            _ => {}
        }
        if !clean.is_empty() {
            clean.push(b'/');
        }
        clean.extend_from_slice(part);
    }
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_relative_or_refused() {
        for (written, expected) in
            [("./usr/bin/", "usr/bin"), ("/etc//passwd", "etc/passwd"), ("./", ""), ("a/./b", "a/b")]
        {
            assert_eq!(relative(written.as_bytes()).unwrap(), expected.as_bytes());
        }
        for written in ["../etc/passwd", "usr/../../x", "a\0b"] {
            assert!(relative(written.as_bytes()).is_err(), "{written:?}");
        }
    }
}
