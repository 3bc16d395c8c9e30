//! What is written is read back, by our own reader; the judges in `tests/` are other people's readers.

use std::fs::{self, File};
use std::io::Cursor;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use crate::*;

pub(crate) fn write_to_memory(tree: &Tree, options: &WriteOptions) -> (Vec<u8>, Summary) {
    let mut out = Cursor::new(Vec::new());
    let summary = write_image(tree, options, &mut out, &mut |_| ()).unwrap();
    (out.into_inner(), summary)
}

pub(crate) fn image_of(bytes: &[u8]) -> Image {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, bytes).unwrap();
    Image::from_file(file, Path::new("image")).unwrap()
}

pub(crate) fn small_blocks() -> WriteOptions {
    WriteOptions { block_size: 4096, ..WriteOptions::default() }
}

pub(crate) fn file(bytes: impl Into<Vec<u8>>) -> Entry {
    Entry::new(Metadata::mode(0o644), Kind::File(Content::from(bytes.into())))
}

pub(crate) fn directory() -> Entry {
    Entry::new(Metadata::mode(0o755), Kind::Directory)
}

fn xattr(name: &str, value: &[u8]) -> Xattr {
    Xattr { name: name.into(), value: value.to_vec() }
}

/// Bytes that do not compress, the same each time.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| step()).collect()
}

/// Every kind of entry, every kind of inode, and files of every shape around the block size.
pub(crate) fn varied_tree() -> Tree {
    let mut tree = Tree::new();
    let mut put = |path: &[u8], entry: Entry| tree.insert(path, entry).unwrap();
    let with_xattrs = |kind: Kind, names: &[&str]| {
        let xattrs = names.iter().map(|name| xattr(name, name.as_bytes())).collect();
        Entry::new(Metadata { mode: 0o4751, uid: 1000, gid: 70_000, mtime: 1_700_000_000, xattrs }, kind)
    };
    put(b"empty", directory());
    put(b"files", with_xattrs(Kind::Directory, &["trusted.overlay.opaque"]));
    for len in [0, 1, 4095, 4096, 4097, 8192, 12_288, 50_000] {
        put(format!("files/noise-{len}").as_bytes(), file(noise(len, len as u64)));
        put(format!("files/text-{len}").as_bytes(), file(b"lorem ipsum ".repeat(len / 12 + 1)));
    }
    put(b"files/holes", file([vec![0; 8192], noise(4096, 3), vec![0; 5000]].concat()));
    put(b"files/all-holes", file(vec![0; 16_384]));
    put(b"files/capable", with_xattrs(Kind::File(Content::from(b"x".to_vec())), &["security.capability"]));
    put(b"name-\xff\xfe\n", file(*b"not UTF-8"));
    put(b"link", with_xattrs(Kind::Symlink(vec![b't'; 300]), &["trusted.on-a-link", "security.too"]));
    put(b"plain-link", Entry::new(Metadata::mode(0o777), Kind::Symlink(b"empty".to_vec())));
    put(b"disk", with_xattrs(Kind::BlockDevice(Device { major: 259, minor: 70_000 }), &[]));
    put(b"whiteout", Entry::new(Metadata::mode(0), Kind::CharDevice(Device { major: 0, minor: 0 })));
    put(b"fifo", with_xattrs(Kind::Fifo, &["trusted.fifo"]));
    put(b"socket", with_xattrs(Kind::Socket, &[]));
    tree.link(b"files/second-name", b"files/noise-50000").unwrap();
    tree.link(b"empty-not", b"link").unwrap();
    tree
}

#[test]
fn a_file_is_read_in_any_order() {
    let (bytes, _) = write_to_memory(&varied_tree(), &small_blocks());
    let image = image_of(&bytes);
    let mut ends = 0;
    for item in image.walk() {
        let item = item.unwrap();
        let Kind::File(data) = &item.kind else { continue };
        let whole = image.read(&item.path).unwrap();
        let mut reader = image.anywhere(data);
        // From the end to the start, over the borders of blocks, and back again to what is no longer in memory.
        let pieces: Vec<usize> = (0..whole.len()).step_by(3001).collect();
        for start in pieces.iter().rev().chain(&pieces).copied() {
            let mut room = vec![1; (whole.len() - start).min(9000)];
            reader.read_exact_at(&mut room, start as u64).unwrap();
            assert!(room == whole[start..start + room.len()], "{:?} at {start}", item.path);
        }
        for (offset, length) in [(data.len(), 1), (u64::MAX, 1), (0, whole.len() + 1)] {
            assert!(reader.read_exact_at(&mut vec![0; length], offset).is_err(), "{offset} {length}");
            ends += 1;
        }
        reader.read_exact_at(&mut [], data.len()).unwrap();
    }
    assert!(ends > 30, "{ends}");
}

fn content_of(entry: &Entry) -> Option<Vec<u8>> {
    match &entry.kind {
        Kind::File(Content::Bytes(bytes)) => Some(bytes.to_vec()),
        _ => None,
    }
}

fn without_data<F>(kind: &Kind<F>) -> Kind<()> {
    match kind {
        Kind::Directory => Kind::Directory,
        Kind::File(_) => Kind::File(()),
        Kind::Symlink(target) => Kind::Symlink(target.clone()),
        Kind::BlockDevice(device) => Kind::BlockDevice(*device),
        Kind::CharDevice(device) => Kind::CharDevice(*device),
        Kind::Fifo => Kind::Fifo,
        Kind::Socket => Kind::Socket,
    }
}

fn assert_holds(image: &Image, tree: &Tree) {
    let items: Vec<Item> = image.walk().collect::<Result<_, _>>().unwrap();
    assert_eq!(items.len(), tree.entries().count());
    for (item, (path, entry)) in items.iter().zip(tree.entries()) {
        let shown = String::from_utf8_lossy(&path).into_owned();
        assert_eq!(item.path, path);
        let mut expected = entry.metadata.clone();
        expected.xattrs.sort();
        assert_eq!(item.metadata, expected, "{shown}");
        assert_eq!(without_data(&item.kind), without_data(&entry.kind), "{shown}");
        if let Some(content) = content_of(entry) {
            assert!(image.read(&path).unwrap() == content, "{shown} differs");
        }
    }
}

#[test]
fn everything_comes_back() {
    let tree = varied_tree();
    for block_size in [4096, 128 << 10, 1 << 20] {
        let (bytes, summary) =
            write_to_memory(&tree, &WriteOptions { block_size, ..WriteOptions::default() });
        assert_eq!(bytes.len() as u64, summary.size);
        assert_eq!(bytes.len() % 4096, 0);
        assert_holds(&image_of(&bytes), &tree);
    }
}

#[test]
fn the_number_of_threads_does_not_change_a_byte() {
    let mut tree = varied_tree();
    tree.insert(b"many", directory()).unwrap();
    for number in 0..2000u32 {
        let path = format!("many/{number}");
        tree.insert(path.as_bytes(), file(noise(number as usize * 7 % 9000, (number % 1500).into())))
            .unwrap();
    }
    let write = |jobs| {
        let options = WriteOptions { jobs: NonZero::new(jobs).unwrap(), ..small_blocks() };
        write_to_memory(&tree, &options)
    };
    let (first, summary) = write(1);
    assert_holds(&image_of(&first), &tree);
    for jobs in [2, 3, 8] {
        let (other, other_summary) = write(jobs);
        assert!(first == other, "{jobs} threads gave other bytes");
        assert_eq!(summary, other_summary);
    }
}

#[test]
fn the_digest_is_that_of_the_file() {
    let (bytes, summary) = write_to_memory(&varied_tree(), &WriteOptions::default());
    let digest: [u8; 32] = <sha2::Sha256 as sha2::Digest>::digest(&bytes).into();
    assert_eq!(summary.digest, digest);
}

#[test]
fn equal_files_are_stored_once_and_equal_sizes_are_not_enough() {
    let mut tree = Tree::new();
    tree.insert(b"a", file(noise(20_000, 1))).unwrap();
    tree.insert(b"b", file(noise(20_000, 2))).unwrap();
    tree.insert(b"c", file(noise(20_000, 1))).unwrap();
    tree.insert(b"small-1", file(*b"one")).unwrap();
    tree.insert(b"small-2", file(*b"one")).unwrap();
    tree.insert(b"small-3", file(*b"two")).unwrap();
    let (bytes, summary) = write_to_memory(&tree, &small_blocks());
    assert_eq!(summary.duplicates, 2);
    assert_eq!(summary.content, 60_009);
    assert!(bytes.len() < 45_056, "two of three large files: {}", bytes.len());
    assert_holds(&image_of(&bytes), &tree);
}

#[test]
fn hard_links_are_one_inode() {
    let (bytes, _) = write_to_memory(&varied_tree(), &small_blocks());
    let image = image_of(&bytes);
    let find = |path: &[u8]| image.find(path).unwrap().unwrap();
    for (one, two) in [(&b"files/second-name"[..], &b"files/noise-50000"[..]), (b"empty-not", b"link")] {
        assert_eq!(find(one).identity, find(two).identity);
        assert_eq!(find(one).links, 2);
    }
    assert_ne!(find(b"fifo").identity, find(b"socket").identity);
    assert_eq!(find(b"").links, 4);
}

#[test]
fn times_outside_the_format_become_its_bounds() {
    let mut tree = Tree::new();
    for (name, mtime) in [("before", -5), ("after", 1 << 33), ("last", u32::MAX.into())] {
        let metadata = Metadata { mtime, ..Metadata::mode(0o600) };
        tree.insert(name.as_bytes(), Entry::new(metadata, Kind::Fifo)).unwrap();
    }
    let image = image_of(&write_to_memory(&tree, &WriteOptions::default()).0);
    let time = |path: &[u8]| image.find(path).unwrap().unwrap().metadata.mtime;
    assert_eq!([time(b"before"), time(b"after"), time(b"last")], [0, u32::MAX.into(), u32::MAX.into()]);
}

#[test]
fn an_empty_tree_is_an_image() {
    let (bytes, summary) = write_to_memory(&Tree::new(), &WriteOptions::default());
    assert_eq!((bytes.len(), summary.inodes), (4096, 1));
    assert_holds(&image_of(&bytes), &Tree::new());
}

#[test]
fn large_directories_and_many_owners_come_back() {
    let mut tree = Tree::new();
    for number in 0..66_000u32 {
        let metadata = Metadata { uid: number % 60_000, gid: 5, ..Metadata::mode(0o600) };
        let path = format!("a-name-of-some-length-{number:06}");
        tree.insert(path.as_bytes(), Entry::new(metadata, Kind::Fifo)).unwrap();
    }
    let (bytes, summary) = write_to_memory(&tree, &WriteOptions::default());
    assert_eq!(summary.ids, 60_000);
    assert_holds(&image_of(&bytes), &tree);
    let extra = Metadata { uid: 70_000, ..Metadata::mode(0o600) };
    for number in 0..6000 {
        let metadata = Metadata { uid: 70_000 + number, ..extra.clone() };
        tree.insert(format!("more-{number}").as_bytes(), Entry::new(metadata, Kind::Fifo)).unwrap();
    }
    let error =
        write_image(&tree, &WriteOptions::default(), Cursor::new(Vec::new()), &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("more than 65,535 distinct owners"), "{error}");
}

#[test]
fn contents_can_be_host_files_and_ranges_of_open_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("source");
    fs::write(&path, noise(30_000, 9)).unwrap();
    let mut tree = Tree::new();
    let mut put = |name: &[u8], content| {
        tree.insert(name, Entry::new(Metadata::mode(0o644), Kind::File(content))).unwrap();
    };
    put(b"whole", Content::HostFile { path: path.clone(), len: 30_000 });
    let opened = Arc::new(File::open(&path).unwrap());
    put(b"range", Content::Range { file: opened, offset: 100, len: 9000 });
    let image = image_of(&write_to_memory(&tree, &small_blocks()).0);
    assert!(image.read(b"whole").unwrap() == noise(30_000, 9));
    assert!(image.read(b"range").unwrap() == noise(30_000, 9)[100..9100]);

    fs::write(&path, b"shorter").unwrap();
    let error = write_image(&tree, &small_blocks(), Cursor::new(Vec::new()), &mut |_| ()).unwrap_err();
    let message = error.to_string();
    let expected = format!("cannot read {}: it had 30000 bytes and now has 7", path.display());
    let in_range = "range: cannot read its content";
    assert!(message.starts_with(&expected) || message.starts_with(in_range), "{message}");
}

#[test]
fn progress_ends_at_the_total() {
    let mut seen = Vec::new();
    let out = Cursor::new(Vec::new());
    let summary = write_image(&varied_tree(), &small_blocks(), out, &mut |step| seen.push(step)).unwrap();
    assert!(seen.is_sorted_by_key(|step| step.done));
    assert_eq!(seen.last().unwrap().done, summary.content);
    assert_eq!(seen.last().unwrap().total, summary.content);
}

#[test]
fn options_out_of_range_are_refused() {
    for block_size in [0, 2048, 5000, 2 << 20] {
        let options = WriteOptions { block_size, ..WriteOptions::default() };
        let error = write_image(&Tree::new(), &options, Cursor::new(Vec::new()), &mut |_| ()).unwrap_err();
        assert!(error.to_string().contains("power of two from 4096 to 1048576"), "{error}");
    }
}

#[test]
fn xattrs_that_cannot_be_stored_name_their_path() {
    for (name, problem) in
        [("system.posix_acl_access", "cannot hold"), ("user.", "is empty"), ("user.long", "65,536")]
    {
        let mut tree = Tree::new();
        let metadata = Metadata { xattrs: vec![xattr(name, &[0; 65_537])], ..Metadata::mode(0o600) };
        tree.insert(b"here", Entry::new(metadata, Kind::Fifo)).unwrap();
        let error = write_image(&tree, &small_blocks(), Cursor::new(Vec::new()), &mut |_| ()).unwrap_err();
        assert!(error.to_string().starts_with("here: "), "{error}");
        assert!(error.to_string().contains(problem), "{error}");
    }
}

#[test]
fn unpacking_and_scanning_again_gives_the_same_image() {
    let mut tree = varied_tree();
    for path in [&b"disk"[..], b"fifo", b"files/capable"] {
        tree.remove(path).unwrap();
    }
    // What an ordinary user can own.
    let folder = tempfile::tempdir().unwrap();
    let stat = fs::metadata(folder.path()).unwrap();
    tree.edit_metadata(|metadata| {
        use std::os::unix::fs::MetadataExt;
        (metadata.uid, metadata.gid, metadata.mode) = (stat.uid(), stat.gid(), metadata.mode & 0o1777);
        metadata.xattrs = vec![];
    });
    let (bytes, _) = write_to_memory(&tree, &small_blocks());
    let target = folder.path().join("unpacked");
    let unpacked = image_of(&bytes).unpack(&target, &UnpackOptions::user()).unwrap();
    assert_eq!(unpacked.skipped, Vec::<Vec<u8>>::new());
    let mut again = Tree::from_directory(&target, &ScanOptions::default()).unwrap();
    // Where the machine labels files by itself.
    again.edit_metadata(|metadata| metadata.xattrs = vec![]);
    let links = Metadata { mtime: 0, uid: stat_id(&stat).0, gid: stat_id(&stat).1, ..Metadata::mode(0o777) };
    assert_eq!(again.get(b"plain-link").unwrap().unwrap().metadata, links);
    tree.edit_metadata(|metadata| metadata.mode &= 0o777);
    again.edit_metadata(|metadata| metadata.mode &= 0o777);
    fix_link_modes(&mut tree);
    assert!(write_to_memory(&tree, &small_blocks()).0 == write_to_memory(&again, &small_blocks()).0);
}

fn stat_id(stat: &fs::Metadata) -> (u32, u32) {
    use std::os::unix::fs::MetadataExt;
    (stat.uid(), stat.gid())
}

/// Linux gives every symbolic link the mode 0777.
fn fix_link_modes(tree: &mut Tree) {
    let link = tree.get(b"link").unwrap().unwrap().clone();
    tree.remove(b"link").unwrap();
    tree.remove(b"empty-not").unwrap();
    let metadata = Metadata { mode: 0o777, ..link.metadata };
    tree.insert(b"link", Entry::new(metadata, link.kind)).unwrap();
    tree.link(b"empty-not", b"link").unwrap();
}

#[test]
fn unpacking_needs_an_empty_place() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine"), "precious").unwrap();
    let (bytes, _) = write_to_memory(&varied_tree(), &small_blocks());
    let error = image_of(&bytes).unpack(folder.path(), &UnpackOptions::user()).unwrap_err();
    assert!(error.to_string().contains("not empty"), "{error}");
}

#[test]
fn an_unreadable_compressor_is_named() {
    let (mut bytes, _) = write_to_memory(&Tree::new(), &WriteOptions::default());
    bytes[20] = 4;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("xz.sqfs");
    fs::write(&path, &bytes).unwrap();
    let error = Image::open(&path).err().unwrap().to_string();
    assert!(error.starts_with(&format!("{}: compressed with xz", path.display())), "{error}");
}
