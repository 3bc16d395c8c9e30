//! `/proc/self/mountinfo` (proc_pid_mountinfo(5)): what is mounted where.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// The mount's own number, which `mnt_id` of `/proc/PID/fdinfo` names too.
    pub id: u32,
    /// The mount it lies on.
    pub parent: u32,
    /// `MAJOR:MINOR` of the file system: equal for all mounts of one.
    pub device: String,
    /// Where it is, in the root of this process.
    pub target: PathBuf,
    /// Name of the file system's driver, such as `ext4`.
    pub kind: String,
    /// A device node, or any word.
    pub source: String,
    /// Whether this mount lets anybody write, where its file system does.
    pub writable: bool,
    /// Whether the file system itself lets anybody write, and not only this place of it.
    pub file_system_writable: bool,
}

impl Mounted {
    /// Whether what it holds is on a disk, as far as a name can tell.
    pub fn on_a_disk(&self) -> bool {
        self.source.starts_with("/dev/") && !self.kind.ends_with("tmpfs")
    }
}

/// Where the table of this process is.
pub const PATH: &str = "/proc/self/mountinfo";

/// Reads the table at `path`, which is [`PATH`] or a copy of it; no mounts when it is not there, as without `/proc`.
pub fn read(path: &Path) -> Vec<Mounted> {
    parse(&fs::read(path).unwrap_or_default())
}

/// The mount that a path lies on; of several at one place the last covers the others.
pub fn under<'a>(mounts: &'a [Mounted], path: &Path) -> Option<&'a Mounted> {
    let above = mounts.iter().filter(|mount| path.starts_with(&mount.target));
    above.max_by_key(|mount| mount.target.as_os_str().len())
}

/// Reads the table. A line that is not as expected is left out: nothing may stop a shutdown.
pub fn parse(table: &[u8]) -> Vec<Mounted> {
    table.split(|byte| *byte == b'\n').filter_map(line).collect()
}

/// `ID PARENT MAJOR:MINOR ROOT TARGET OPTIONS [TAG...] - KIND SOURCE SUPER-OPTIONS`; names need not be text.
fn line(line: &[u8]) -> Option<Mounted> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mut next = || fields.next();
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    let id = text(next()?).parse().ok()?;
    let parent = text(next()?).parse().ok()?;
    let device = text(next()?);
    let (_root, target, options) = (next()?, unescape(next()?), text(next()?));
    while next()? != b"-" {}
    let (kind, source, file_system) = (next()?, next()?, text(next()?));
    let is_writable = |options: &str| options.split(',').any(|option| option == "rw");
    Some(Mounted {
        id,
        parent,
        device,
        target: OsString::from_vec(target).into(),
        kind: text(&unescape(kind)),
        source: text(&unescape(source)),
        writable: is_writable(&options),
        file_system_writable: is_writable(&file_system),
    })
}

/// The kernel's tables write blanks, tabs, newlines and backslashes as a backslash and three octal digits, up to `\377`. Any other
/// backslash stands for itself.
pub fn unescape(word: &[u8]) -> Vec<u8> {
    let (mut plain, mut rest) = (Vec::with_capacity(word.len()), word);
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

    const TABLE: &[u8] = b"\
22 1 0:24 / / rw,relatime - overlay overlay rw,lowerdir=/a:/b
23 22 0:5 / /dev rw,nosuid shared:2 - devtmpfs devtmpfs rw,size=1k
24 22 0:6 / /proc rw shared:7 master:1 - proc proc rw
25 22 254:0 / /media/my\\040disk\\134 ro,nosuid master:3 - vfat /dev/vda rw,errors=remount-ro
garbage
26 22 254:16 / /home rw - ext4 /dev/vdb ro
";

    #[test]
    fn lines_are_read_and_garbage_is_left_out() {
        let table = parse(TABLE);
        assert_eq!(table.len(), 5);
        let disk = &table[3];
        assert_eq!((disk.id, disk.parent, disk.target.as_path()), (25, 22, Path::new("/media/my disk\\")));
        assert_eq!(
            (disk.kind.as_str(), disk.source.as_str(), disk.device.as_str()),
            ("vfat", "/dev/vda", "254:0")
        );
        assert!(disk.file_system_writable && !table[4].file_system_writable);
        assert!(disk.on_a_disk() && !table[0].on_a_disk() && !table[1].on_a_disk());
    }

    #[test]
    fn a_path_lies_on_the_mount_that_is_nearest() {
        let table = parse(TABLE);
        let kind = |path: &str| under(&table, Path::new(path)).unwrap().kind.as_str();
        assert_eq!((kind("/proc/1/stat"), kind("/process"), kind("/home/x")), ("proc", "overlay", "ext4"));
    }

    #[test]
    fn the_last_mount_at_a_place_covers_the_others() {
        let text = b"1 1 0:1 / /run rw - tmpfs a rw\n2 1 0:2 / /run rw - tmpfs b rw\n";
        assert_eq!(under(&parse(text), Path::new("/run/x")).unwrap().source, "b");
    }

    #[test]
    fn odd_escapes_stay_as_they_are() {
        assert_eq!(unescape(b"a\\134b\\9\\04"), b"a\\b\\9\\04");
        assert_eq!(unescape(b"\\040\\011\\377\\400\\777\\"), b" \t\xff\\400\\777\\");
    }
}
