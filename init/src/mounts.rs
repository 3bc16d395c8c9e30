//! What is mounted: the table of `/proc/self/mountinfo`, as proc(5) describes it.

use std::ffi::OsString;
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
    /// Whether its file system lets anybody write.
    pub file_system_writable: bool,
}

impl Mounted {
    /// Whether what it holds is on a disk, as far as a name can tell.
    pub fn on_a_disk(&self) -> bool {
        self.source.starts_with("/dev/") && !self.kind.ends_with("tmpfs")
    }
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
    let (_root, target, _options) = (next()?, unescape(next()?), next()?);
    while next()? != b"-" {}
    let (kind, source, file_system) = (text(next()?), unescape(next()?), text(next()?));
    Some(Mounted {
        id,
        parent,
        device,
        target: PathBuf::from(target),
        kind,
        source: source.to_string_lossy().into_owned(),
        file_system_writable: has(&file_system, "rw"),
    })
}

fn has(options: &str, wanted: &str) -> bool {
    options.split(',').any(|option| option == wanted)
}

/// Blanks, tabs, newlines and backslashes stand as `\` and three octal digits.
fn unescape(field: &[u8]) -> OsString {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| *first == b'\\');
        let code = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        plain.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    OsString::from_vec(plain)
}

/// The mounts below `top`, without the one at `top` itself: what was mounted last comes first, and a mount never comes
/// before one that lies on it.
pub fn below<'a>(table: &'a [Mounted], top: &Path) -> Vec<&'a Mounted> {
    let tops = || table.iter().filter(|mount| mount.target == top);
    let wanted = table.iter().filter(|mount| mount.target.starts_with(top));
    let wanted = wanted.filter(|mount| tops().all(|top| top.id != mount.id));
    // The order of the table alone says nothing, because numbers are used again and mounts are moved: the tree does.
    let ranked: Vec<(usize, &Mounted)> = wanted.map(|mount| (depth(table, mount), mount)).collect();
    let deepest = ranked.iter().map(|(depth, _)| *depth).max().unwrap_or_default();
    let of_depth = |wanted| ranked.iter().rev().filter(move |(depth, _)| *depth == wanted);
    (0..=deepest).rev().flat_map(of_depth).map(|(_, mount)| *mount).collect()
}

/// How many mounts it lies on. A table that was read while it changed may lead in a circle.
fn depth(table: &[Mounted], mount: &Mounted) -> usize {
    let mut depth = 0;
    let mut parent = mount.parent;
    while let Some(below) = table.iter().find(|mount| mount.id == parent) {
        depth += 1;
        if below.parent == below.id || depth > table.len() {
            break;
        }
        parent = below.parent;
    }
    depth
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"\
22 1 0:24 / / rw,relatime - overlay overlay rw,lowerdir=/a:/b
23 22 0:5 / /dev rw,nosuid shared:2 - devtmpfs devtmpfs rw,size=1k
24 23 0:20 / /dev/pts rw - devpts devpts rw
25 22 254:0 / /media/my\\040disk\\134 ro,nosuid master:3 - vfat /dev/vda rw,errors=remount-ro
garbage
26 22 254:16 / /home rw - ext4 /dev/vdb ro
";

    #[test]
    fn lines_are_read_and_garbage_is_left_out() {
        let table = parse(TABLE);
        assert_eq!(table.len(), 5);
        let disk = &table[3];
        assert_eq!(disk.target, Path::new("/media/my disk\\"));
        assert_eq!(
            (disk.kind.as_str(), disk.source.as_str(), disk.device.as_str()),
            ("vfat", "/dev/vda", "254:0")
        );
        assert!(disk.file_system_writable);
        assert!(!table[4].file_system_writable);
        assert!(disk.on_a_disk() && !table[0].on_a_disk() && !table[1].on_a_disk());
    }

    #[test]
    fn what_lies_on_a_mount_comes_before_it() {
        let table = parse(TABLE);
        let order: Vec<_> = below(&table, Path::new("/")).iter().map(|mount| mount.id).collect();
        assert_eq!(order, [24, 26, 25, 23]);
        assert!(below(&table, Path::new("/dev/pts")).is_empty());
    }

    #[test]
    fn a_circle_ends() {
        let table = parse(b"1 2 0:1 / /a rw - x x rw\n2 1 0:2 / /a/b rw - x x rw\n");
        assert_eq!(below(&table, Path::new("/a")).len(), 1);
    }

    #[test]
    fn odd_escapes_stay_as_they_are() {
        assert_eq!(unescape(b"a\\9zz\\"), "a\\9zz\\");
        assert_eq!(unescape(b"\\040\\011"), " \t");
    }
}
