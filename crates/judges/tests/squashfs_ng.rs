//! The crate `squashfs-ng` reads back the regression set of the image writer, tree against tree.
//!
//! It cannot be asked everything: it takes names that are not UTF-8 for errors, and gives link targets with replacement characters;
//! the judges of the image writer's own tests see those.

#[path = "../../squashfs/tests/support/mod.rs"]
#[allow(dead_code, reason = "the judges beside it compare folders")]
mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use squashfs::{Content, Entry, Kind, Tree};
use squashfs_ng::read::{Archive, Data, Node, XattrType};
use support::{regression_tree, scratch, varied_tree, write};

/// Writes the tree, and compares every node that is found with what was written, and the number of nodes.
fn judge(mut tree: Tree, scratch: &Path) -> Archive {
    tree.remove(b"name-\xe9\xff").unwrap();
    let image = scratch.join("image");
    write(&tree, &image);
    let archive = Archive::open(&image).unwrap();
    let written: BTreeMap<Vec<u8>, &Entry> = tree.entries().collect();
    let found = visit(&archive.get_exists("/").unwrap(), &written);
    assert_eq!(found, written.len());
    archive
}

/// Compares a node and all below; returns how many there are.
fn visit(node: &Node<'_>, written: &BTreeMap<Vec<u8>, &Entry>) -> usize {
    let path = node.path().unwrap().to_str().unwrap().trim_start_matches('/').as_bytes().to_vec();
    let entry = written.get(&path).unwrap_or_else(|| panic!("unexpected: {}", path.escape_ascii()));
    compare(&path.escape_ascii().to_string(), entry, node);
    if !node.is_dir().unwrap() {
        return 1;
    }
    1 + node.as_dir().unwrap().map(|child| visit(&child.unwrap(), written)).sum::<usize>()
}

fn compare(path: &str, entry: &Entry, node: &Node<'_>) {
    let metadata = &entry.metadata;
    // It reads the table of owners anew for each question, all 65,000 of them: every 997th of the many files is enough.
    if !(path.starts_with("small/") || path.starts_with("crowd/")) || node.id().is_multiple_of(997) {
        let owner = (node.uid().unwrap(), node.gid().unwrap());
        assert_eq!(owner, (metadata.uid, metadata.gid), "{path}");
    }
    assert_eq!(u32::from(node.mode()) & 0o7777, metadata.mode, "{path}");
    assert_eq!(i64::from(node.mtime()), metadata.mtime.max(0), "{path}");
    for xattr in &metadata.xattrs {
        let name = std::str::from_utf8(&xattr.name).unwrap();
        let (space, rest) = name.split_once('.').unwrap();
        let kind = match space {
            "user" => XattrType::User,
            "trusted" => XattrType::Trusted,
            _ => XattrType::Security,
        };
        assert_eq!(node.xattrs(kind).unwrap().get(rest.as_bytes()), Some(&xattr.value), "{path}: {name}");
    }
    match (&entry.kind, node.data().unwrap()) {
        (Kind::Directory, Data::Dir(_)) | (Kind::Fifo, Data::Fifo) | (Kind::Socket, Data::Socket) => {}
        (Kind::Symlink(target), Data::Symlink(found)) => {
            assert_eq!(found.to_str(), Some(&*String::from_utf8_lossy(target)), "{path}");
        }
        (Kind::BlockDevice(device), Data::BlockDev(major, minor))
        | (Kind::CharDevice(device), Data::CharDev(major, minor)) => {
            assert_eq!((major, minor), (device.major, device.minor), "{path}");
        }
        (Kind::File(Content::Bytes(bytes)), Data::File(mut file)) => {
            assert_eq!(file.to_bytes().unwrap(), **bytes, "{path}");
        }
        (Kind::File(Content::HostFile { path: source, len }), Data::File(mut file)) => {
            assert_eq!(file.size(), *len, "{path}");
            assert_samples(&File::open(source).unwrap(), &mut file, *len);
        }
        (expected, found) => panic!("{path}: {found:?}, not {expected:?}"),
    }
}

/// The start, the end, and 4 KiB of every 64 MiB, which is where the marks of the sparse file are too.
fn assert_samples(source: &File, file: &mut (impl Read + Seek), len: u64) {
    for at in (0..len).step_by(64 << 20).chain([len - 4096]) {
        let (mut expected, mut found) = ([0; 4096], [0; 4096]);
        source.read_exact_at(&mut expected, at).unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.read_exact(&mut found).unwrap();
        assert!(expected == found, "at byte {at}");
    }
}

#[test]
fn squashfs_ng_reads_the_regression_set_back() {
    let scratch = scratch();
    let tree = regression_tree(scratch.path());
    judge(tree, scratch.path());
}

#[test]
fn hard_links_are_one_inode() {
    let scratch = scratch();
    let tree = varied_tree(scratch.path());
    let archive = judge(tree, scratch.path());
    let id = |path: &str| archive.get_exists(path).unwrap().id();
    for (one, two) in [("setuid", "setuid-too"), ("link-300", "link-too"), ("null", "empty/null-too")] {
        assert_eq!(id(one), id(two), "{one}");
    }
    assert_ne!(id("setuid"), id("capable"));
}
