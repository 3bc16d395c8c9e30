//! Lists an initramfs, whoever made it.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::Path;

use initramfs_archive::{Archive, Damage, Entry, Kind, Limits, Visitor};
use serde::Serialize;

use crate::host_file;
use fault::Error;

/// The longest target of a link that is read: PATH_MAX of linux/limits.h.
const LONGEST_TARGET: u32 = 4096;

/// What is in an initramfs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The archives, one behind the other.
    pub archives: Vec<Archive>,
    /// The entries of all of them, in their order.
    pub entries: Vec<Listed>,
}

/// One entry of an archive. Its Display is a line like that of `ls -l`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The path as it stands in the archive, of our own without a leading slash.
    pub path: String,
    /// Type and permission bits, as in `st_mode` (inode(7)).
    pub mode: u32,
    /// The owner's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// Bytes of data.
    pub size: u32,
    /// Where a symbolic link points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Major and minor number of a device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<(u32, u32)>,
    /// The first name of the same file, for the others. The data stands behind any of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_as: Option<String>,
    /// The number of the archive that it is in, from 1.
    pub archive: u32,
    /// How that archive is compressed.
    pub compression: &'static str,
}

/// Lists the initramfs at `path`: newc archives one behind the other, each compressed or not.
///
/// # Errors
/// The file cannot be read, is no initramfs, or is damaged; says in which archive, and behind which entry.
pub fn list(path: &Path) -> Result<Listing, Error> {
    let mut entries = Vec::new();
    let mut first_names = HashMap::new();
    let archives = read(path, &mut |entry, data| {
        let mut listed = Listed::new(entry, data)?;
        if entry.links > 1 && entry.kind() == Kind::File {
            let file = (entry.archive.number, entry.inode);
            let first = first_names.entry(file).or_insert_with(|| entry.path.clone());
            listed.same_as = (*first != entry.path).then(|| first.clone());
        }
        entries.push(listed);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(Listing { archives, entries })
}

/// Shows the entries of the initramfs at `path` to `visit`.
pub(crate) fn read(path: &Path, visit: &mut Visitor<'_>) -> Result<Vec<Archive>, Error> {
    let file = host_file::open(path).map_err(Error::on(path.display()))?;
    initramfs_archive::walk(file, Limits::default(), visit).map_err(|damage| {
        let remedy = match &damage {
            Damage { remedy: Some(remedy), .. } => Some(*remedy),
            Damage { cause, .. } if cause.raw_os_error().is_some() => None,
            Damage { cause, .. } if cause.kind() == io::ErrorKind::FileTooLarge => {
                Some("do not boot it: it would fill the memory of the machine")
            }
            Damage { entries: 0, .. } => Some(
                "an initramfs is newc archives, plain or compressed with gzip, bzip2, lzma, xz, lz4 or zstd",
            ),
            _ => Some("make it again"),
        };
        let error = Error::new(path.display(), damage.to_string()).because_of(damage);
        remedy.map_or(error.clone(), |remedy| error.remedy(remedy))
    })
}

/// The target of a symbolic link.
pub(crate) fn target(entry: &Entry, data: &mut dyn Read) -> io::Result<Option<String>> {
    if entry.kind() != Kind::Link {
        return Ok(None);
    }
    if entry.size > LONGEST_TARGET {
        let cause = "a link has a target of more than 4096 bytes";
        return Err(io::Error::new(io::ErrorKind::InvalidData, cause));
    }
    let mut target = Vec::new();
    data.read_to_end(&mut target)?;
    Ok(Some(String::from_utf8_lossy(&target).into_owned()))
}

impl Listed {
    fn new(entry: &Entry, data: &mut dyn Read) -> io::Result<Listed> {
        Ok(Listed {
            path: entry.path.clone(),
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            size: entry.size,
            target: target(entry, data)?,
            device: (entry.kind() == Kind::Device).then_some(entry.device),
            same_as: None,
            archive: entry.archive.number,
            compression: entry.archive.compression.name(),
        })
    }
}

/// A line for each entry. Of several archives, each has a line in front that begins with `#`.
impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut entries = self.entries.iter().peekable();
        for archive in &self.archives {
            if self.archives.len() > 1 {
                writeln!(f, "# {archive}")?;
            }
            while let Some(entry) = entries.next_if(|entry| entry.archive == archive.number) {
                writeln!(f, "{entry}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.mode & 0o170_000 {
            0o040_000 => 'd',
            0o120_000 => 'l',
            0o020_000 => 'c',
            0o060_000 => 'b',
            0o010_000 => 'p',
            0o140_000 => 's',
            _ => '-',
        };
        let size = match self.device {
            Some((major, minor)) => format!("{major}, {minor}"),
            None => self.size.to_string(),
        };
        write!(f, "{kind}{} {size:>10} {}", permissions(self.mode), self.path.escape_debug())?;
        match (&self.target, &self.same_as) {
            (Some(target), _) => write!(f, " -> {}", target.escape_debug()),
            (None, Some(first)) => write!(f, " link to {}", first.escape_debug()),
            (None, None) => Ok(()),
        }
    }
}

/// `rwxr-xr-x`; set-user-ID, set-group-ID and sticky stand as `s` and `t` in the place of the `x`.
fn permissions(mode: u32) -> String {
    let mut text: Vec<u8> =
        (0..9).map(|bit| if mode & (0o400 >> bit) == 0 { b'-' } else { b"rwx"[bit % 3] }).collect();
    for (flag, at, letter) in [(0o4000, 2, b's'), (0o2000, 5, b's'), (0o1000, 8, b't')] {
        if mode & flag != 0 {
            text[at] = if text[at] == b'x' { letter } else { letter.to_ascii_uppercase() };
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_look_like_those_of_ls() {
        let entry = |mode, target: Option<&str>, device| {
            let (path, target) = ("a\n".to_owned(), target.map(str::to_owned));
            let listed = Listed {
                path,
                mode,
                uid: 0,
                gid: 0,
                size: 5,
                target,
                device,
                same_as: None,
                archive: 1,
                compression: "plain",
            };
            listed.to_string()
        };
        assert_eq!(entry(0o100_755, None, None), "-rwxr-xr-x          5 a\\n");
        assert_eq!(entry(0o120_777, Some("b"), None), "lrwxrwxrwx          5 a\\n -> b");
        assert_eq!(entry(0o020_600, None, Some((5, 1))), "crw-------       5, 1 a\\n");
        assert_eq!(entry(0o041_777, None, None), "drwxrwxrwt          5 a\\n");
        assert_eq!(entry(0o104_644, None, None), "-rwSr--r--          5 a\\n");
    }
}
