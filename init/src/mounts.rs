//! What is mounted, in the order in which it can go. The table is that of `/proc/self/mountinfo`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub use stack::mount_table::Mounted;
#[cfg(test)]
pub use stack::mount_table::parse;

/// What is mounted now; nothing while there is no `/proc`.
pub fn table() -> Vec<Mounted> {
    stack::mount_table::read(Path::new(stack::mount_table::PATH))
}

/// What is mounted at `path`; of several the one that the table lists first.
pub fn at(path: &Path) -> Option<Mounted> {
    table().into_iter().find(|mount| mount.target == path)
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

/// Whether another file system than that of its parent is mounted at `path`.
pub fn is_mount_point(path: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    device(path) != path.parent().and_then(device)
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
}
