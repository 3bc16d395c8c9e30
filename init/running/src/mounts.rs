//! `/proc/self/mountinfo` (proc_pid_mountinfo(5)): what is mounted where.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::System;

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) point: PathBuf,
    /// The name of its file system.
    pub(crate) kind: String,
    /// The device, or whatever word stands there.
    pub(crate) source: String,
    /// Whether the file system itself is read-only, and not only this place of it.
    pub(crate) file_system_read_only: bool,
}

/// The mounts that this process sees; none without `/proc`.
pub(crate) fn all(system: &System) -> Vec<Mount> {
    parse(&fs::read(system.path("/proc/self/mountinfo")).unwrap_or_default())
}

/// The mount that a path lies on; of several at one place the last covers the others.
pub(crate) fn under<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let above = mounts.iter().filter(|mount| path.starts_with(&mount.point));
    above.max_by_key(|mount| mount.point.as_os_str().len())
}

fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|byte| *byte == b'\n').filter_map(parse_line).collect()
}

/// `36 35 98:0 /root /mnt rw,noatime master:1 - ext4 /dev/vda1 rw,errors=continue`
fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut words = line.split(|byte| *byte == b' ');
    let point = words.nth(4)?;
    words.find(|word| *word == b"-")?;
    let mut next = || words.next().map(|word| String::from_utf8_lossy(&unescape(word)).into_owned());
    let (kind, source, options) = (next()?, next()?, next()?);
    let file_system_read_only = options.split(',').any(|option| option == "ro");
    Some(Mount { point: OsString::from_vec(unescape(point)).into(), kind, source, file_system_read_only })
}

/// Blanks, tabs, newlines and backslashes stand as a backslash and three octal digits.
fn unescape(word: &[u8]) -> Vec<u8> {
    let (mut plain, mut rest) = (Vec::new(), word);
    while let Some((first, after)) = rest.split_first() {
        match (first, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                plain.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_others_left_out() {
        let text = b"22 1 0:21 / / rw,relatime - overlay lamina rw,lowerdir=x\n\
            23 22 0:5 / /proc rw shared:7 master:1 - proc proc rw\nnonsense\n\
            24 22 254:1 / /mnt/my\\040disk ro - ext4 /dev/vda1 ro,errors=continue\n";
        let mounts = parse(text);
        assert_eq!(mounts.len(), 3);
        assert_eq!(under(&mounts, Path::new("/proc/1/stat")).unwrap().kind, "proc");
        assert_eq!(under(&mounts, Path::new("/process")).unwrap().kind, "overlay");
        let disk = under(&mounts, Path::new("/mnt/my disk/x")).unwrap();
        assert_eq!((disk.source.as_str(), disk.file_system_read_only), ("/dev/vda1", true));
        assert!(!under(&mounts, Path::new("/")).unwrap().file_system_read_only);
    }

    #[test]
    fn the_last_mount_at_a_place_covers_the_others() {
        let text = b"1 1 0:1 / /run rw - tmpfs a rw\n2 1 0:2 / /run rw - tmpfs b rw\n";
        assert_eq!(under(&parse(text), Path::new("/run/x")).unwrap().source, "b");
    }

    #[test]
    fn odd_escapes_stay() {
        assert_eq!(unescape(b"a\\134b\\9\\04"), b"a\\b\\9\\04");
    }
}
