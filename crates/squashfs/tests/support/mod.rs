//! The trees that other people's readers judge, and the comparison of a tree with a directory.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::Command;

use squashfs::{
    Content, Device, Entry, Kind, Metadata, ScanOptions, Summary, Tree, WriteOptions, Xattr, write_image,
};
use tempfile::TempDir;

/// The start, the middle and the end of the 5 GiB file have bytes; the rest are holes.
const SPARSE: u64 = 5 << 30;
const MARKS: [u64; 3] = [0, 3 << 30, SPARSE - 10];
/// `cap_net_raw+ep`, as `setcap` writes it (`struct vfs_cap_data` of linux/capability.h, revision 2).
const CAPABILITY: &[u8; 20] = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

fn xattr(name: &str, value: &[u8]) -> Xattr {
    Xattr { name: name.into(), value: value.to_vec() }
}

fn metadata(mode: u32) -> Metadata {
    Metadata { mode, uid: 1, gid: 2, mtime: 1_600_000_000, xattrs: Vec::new() }
}

fn file(content: impl Into<Vec<u8>>) -> Kind {
    Kind::File(Content::from(content.into()))
}

/// A folder for one test: in memory where that can hold extended attributes of users (Linux 6.6), since making 300,000
/// files on a busy disk takes minutes.
pub fn scratch() -> TempDir {
    let in_memory = tempfile::tempdir_in("/dev/shm").ok().filter(|folder| {
        rustix::fs::setxattr(folder.path(), "user.probe", b"", rustix::fs::XattrFlags::empty()).is_ok()
    });
    in_memory.unwrap_or_else(|| tempfile::tempdir().unwrap())
}

/// One of everything that image writers get wrong. The source of the sparse file goes to `scratch`.
pub fn varied_tree(scratch: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut put = |path: &[u8], metadata: Metadata, kind| {
        tree.insert(path, Entry::new(metadata, kind)).unwrap();
    };
    put(b"/", metadata(0o755), Kind::Directory);
    put(b"empty", metadata(0o1777), Kind::Directory);
    put(b"setuid", metadata(0o4755), file(*b"#!setuid"));
    put(b"setgid", metadata(0o2711), Kind::Directory);
    let with = |xattrs: Vec<Xattr>| Metadata { xattrs, ..metadata(0o755) };
    put(b"capable", with(vec![xattr("security.capability", CAPABILITY)]), file(*b"ping"));
    let both = vec![xattr("user.comment", b"hello"), xattr("trusted.secret", &[0, 255, 10])];
    put(b"attributes", with(both.clone()), file(vec![b'a'; 200_000]));
    put(b"attributes-too", with(both), Kind::Directory);
    put(b"long-attribute", with(vec![xattr("user.long", &[b'v'; 3000])]), file(*b""));
    let link = |xattrs| Metadata { xattrs, ..metadata(0o777) };
    put(b"link-with", link(vec![xattr("trusted.link", b"l")]), Kind::Symlink(b"capable".to_vec()));
    put(b"link-300", link(vec![]), Kind::Symlink(vec![b'x'; 300]));
    put(b"link-nowhere", link(vec![]), Kind::Symlink(b"\xff/nowhere".to_vec()));
    put(b"name-\xe9\xff", metadata(0o644), file(*b"latin"));
    put(b"before-1970", Metadata { mtime: -86_400, ..metadata(0o644) }, file(*b"old"));
    put(b"after-2038", Metadata { mtime: 4_000_000_000, ..metadata(0o644) }, file(*b"new"));
    put(b"disk", metadata(0o660), Kind::BlockDevice(Device { major: 259, minor: 0x1_2345 }));
    let null = Metadata { xattrs: vec![xattr("trusted.device", b"d")], ..metadata(0o666) };
    put(b"null", null, Kind::CharDevice(Device { major: 1, minor: 3 }));
    put(b"whiteout", metadata(0), Kind::CharDevice(Device { major: 0, minor: 0 }));
    put(b"fifo", metadata(0o600), Kind::Fifo);
    put(b"socket", metadata(0o700), Kind::Socket);
    let sparse = scratch.join("sparse-source");
    let source = File::create(&sparse).unwrap();
    source.set_len(SPARSE).unwrap();
    for mark in MARKS {
        source.write_all_at(b"not a hole", mark).unwrap();
    }
    put(b"sparse", metadata(0o600), Kind::File(Content::HostFile { path: sparse, len: SPARSE }));
    for len in [1usize, 4095, 131_071, 131_072, 131_073, 1_000_000] {
        let text: Vec<u8> = (0..len).map(|at| (at / 7 % 251 * len) as u8).collect();
        put(format!("length-{len}").as_bytes(), metadata(0o644), file(text.clone()));
        put(format!("length-{len}-again").as_bytes(), metadata(0o600), file(text));
    }
    for (new, existing) in [("setuid-too", "setuid"), ("link-too", "link-300"), ("empty/null-too", "null")] {
        tree.link(new.as_bytes(), existing.as_bytes()).unwrap();
    }
    tree
}

/// [`varied_tree`], 200,000 distinct files of 32 bytes, and a folder of 100,000 entries with 65,000 owners.
pub fn regression_tree(scratch: &Path) -> Tree {
    let mut tree = varied_tree(scratch);
    let mut put = |path: String, metadata, kind| {
        tree.insert(path.as_bytes(), Entry::new(metadata, kind)).unwrap();
    };
    put("small".into(), metadata(0o755), Kind::Directory);
    for folder in 0..200u32 {
        put(format!("small/{folder}"), metadata(0o755), Kind::Directory);
        for number in 0..1000 {
            let content = format!("{:032}", (folder * 1000 + number).wrapping_mul(2_654_435_761));
            put(format!("small/{folder}/{number}"), metadata(0o644), file(content));
        }
    }
    put("crowd".into(), metadata(0o755), Kind::Directory);
    for number in 0..100_000 {
        let owned = Metadata { uid: 100_000 + number % 65_000, ..metadata(0o640) };
        put(format!("crowd/entry-{number}"), owned, file(*b""));
    }
    tree
}

/// Writes `tree` to `path` with the default options.
pub fn write(tree: &Tree, path: &Path) -> Summary {
    let out = File::options().read(true).write(true).create_new(true).open(path).unwrap();
    write_image(tree, &WriteOptions::default(), out, &mut |_| ()).unwrap()
}

/// Runs a tool, which must succeed; gives what it printed.
pub fn run(program: &str, arguments: &[&OsStr]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| {
        panic!(
            "cannot run {program}: {error}. Install the Debian packages squashfs-tools and squashfs-tools-ng"
        )
    });
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} ended with {}: {complaint}", output.status);
    output.stdout
}

/// What a reader can be asked to restore.
#[derive(Clone, Copy)]
pub struct Faithful {
    /// Owners, devices, setuid bits, all extended attributes: what needs root.
    pub root: bool,
    /// Hard links.
    pub links: bool,
}

/// Checks that `directory` holds `tree`, all of it and nothing else.
pub fn compare(tree: &Tree, directory: &Path, faithful: Faithful) {
    let found = Tree::from_directory(directory, &ScanOptions::default()).unwrap();
    let mut found = found.entries();
    let mut differences = Vec::new();
    let mut names = 0;
    for (path, expected) in tree.entries() {
        let device = matches!(expected.kind, Kind::BlockDevice(_) | Kind::CharDevice(_));
        if device && !faithful.root {
            continue;
        }
        names += 1;
        let shown = path.escape_ascii().to_string();
        let (found_path, found) = found.next().unwrap_or_else(|| panic!("{shown} is missing"));
        assert_eq!(
            found_path.escape_ascii().to_string(),
            shown,
            "a name is missing, or there is one too many"
        );
        let place = directory.join(OsStr::from_bytes(&path));
        if let Some(difference) = difference(expected, found, &place, faithful) {
            differences.push(format!("{shown}: {difference}"));
        }
    }
    assert!(found.next().is_none(), "there are more names than the {names} written");
    let shown = differences.len().min(20);
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences[..shown].join("\n"));
    if faithful.links {
        check_link_counts(tree, directory, faithful);
    }
}

fn difference(expected: &Entry, found: &Entry, place: &Path, faithful: Faithful) -> Option<String> {
    let (want, have) = (&expected.metadata, &found.metadata);
    let mask = if faithful.root { 0o7777 } else { 0o1777 };
    if want.mode & mask != have.mode & mask {
        return Some(format!("mode {:o}, not {:o}", have.mode, want.mode));
    }
    if want.mtime.max(0) != have.mtime {
        return Some(format!("time {}, not {}", have.mtime, want.mtime));
    }
    if faithful.root {
        if (want.uid, want.gid) != (have.uid, have.gid) {
            return Some(format!("owner {}:{}, not {}:{}", have.uid, have.gid, want.uid, want.gid));
        }
        let sorted = |xattrs: &[Xattr]| {
            let mut xattrs = xattrs.to_vec();
            xattrs.sort();
            xattrs
        };
        if sorted(&want.xattrs) != sorted(&have.xattrs) {
            return Some(format!("extended attributes {:?}", have.xattrs));
        }
    }
    match (&expected.kind, &found.kind) {
        (Kind::File(content), Kind::File(_)) => {
            (!same_bytes(content, place)).then(|| "its bytes differ".into())
        }
        (want, have) => (want != have).then(|| format!("{have:?}, not {want:?}")),
    }
}

fn same_bytes(content: &Content, place: &Path) -> bool {
    match content {
        Content::Bytes(bytes) => fs::read(place).unwrap() == **bytes,
        Content::HostFile { path, .. } => same_files(path, place),
        Content::Range { .. } => unreachable!("these trees have no ranges"),
    }
}

/// Compares sizes, one megabyte in sixteen, and those with marks: 10 GiB of zeros would take a minute to read.
fn same_files(one: &Path, other: &Path) -> bool {
    let (one, other) = (File::open(one).unwrap(), File::open(other).unwrap());
    let size = one.metadata().unwrap().len();
    let mut buffers = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let samples = (0..size).step_by(16 << 20).chain(MARKS.map(|mark| mark & !0xf_ffff));
    size == other.metadata().unwrap().len()
        && samples.into_iter().all(|at| {
            let now = (size - at).min(1 << 20) as usize;
            one.read_exact_at(&mut buffers.0[..now], at).unwrap();
            other.read_exact_at(&mut buffers.1[..now], at).unwrap();
            buffers.0[..now] == buffers.1[..now]
        })
}

fn check_link_counts(tree: &Tree, directory: &Path, faithful: Faithful) {
    for (one, two) in [("setuid", "setuid-too"), ("link-300", "link-too"), ("null", "empty/null-too")] {
        if tree.get(one.as_bytes()).unwrap().is_none() || one == "null" && !faithful.root {
            continue;
        }
        let [one, two] = [one, two].map(|name| fs::symlink_metadata(directory.join(name)).unwrap());
        assert_eq!((one.ino(), one.nlink()), (two.ino(), two.nlink()));
        assert_eq!(one.nlink(), 2);
        assert!(one.file_type().is_file() || one.is_symlink() || one.file_type().is_char_device());
    }
}
