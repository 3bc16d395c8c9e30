//! Every difference between two images of one package, for people who look for its cause.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::io::{self, BufReader, Read};
use std::path::Path;

use squashfs::{FileData, Image, Item, Kind, Metadata};

use crate::error::{Error, Result};

/// Read of a file at once while it is compared.
const AT_ONCE: usize = 128 << 10;

type Items = BTreeMap<Vec<u8>, (Item, Vec<u8>)>;

/// A path that two images do not have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Absolute; nothing in it commands a terminal.
    pub path: String,
    /// What differs.
    pub what: What,
}

/// What is different about a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Only the first image has it.
    OnlyFirst,
    /// Only the second one has it.
    OnlySecond,
    /// Both have it; in which ways it differs.
    Changed(Vec<String>),
}

/// One line for each path that differs, sorted by path: the path, and all that is different about it. Nothing in it commands
/// a terminal. Two images may differ without one: in how the same tree is stored.
pub fn differences(left: &Path, right: &Path) -> Result<Vec<String>> {
    let line = |it: Difference| {
        let what = match it.what {
            What::OnlyFirst => "only in the first".to_owned(),
            What::OnlySecond => "only in the second".to_owned(),
            What::Changed(ways) => ways.join("; "),
        };
        format!("{}: {what}", it.path)
    };
    Ok(compare(left, right)?.into_iter().map(line).collect())
}

/// Every path that differs, sorted by path.
pub fn compare(left: &Path, right: &Path) -> Result<Vec<Difference>> {
    let open = |path: &Path| Image::open(path).map_err(Error::on(path.display()));
    let images = [open(left)?, open(right)?];
    let (first, second) = (items(&images[0], left)?, items(&images[1], right)?);
    let mut found = Vec::new();
    for path in first.keys().chain(second.keys()).collect::<BTreeSet<_>>() {
        let name = format!("/{}", path.escape_ascii());
        let what = match (first.get(path), second.get(path)) {
            (Some(_), None) => What::OnlyFirst,
            (None, Some(_)) => What::OnlySecond,
            (Some(one), Some(other)) => {
                What::Changed(of_pair(&images, one, other).map_err(Error::on(&name))?)
            }
            (None, None) => continue,
        };
        if what != What::Changed(Vec::new()) {
            found.push(Difference { path: name, what });
        }
    }
    Ok(found)
}

/// Every path of an image, sorted, in the same form.
pub fn paths(image: &Path) -> Result<Vec<String>> {
    let opened = Image::open(image).map_err(Error::on(image.display()))?;
    Ok(items(&opened, image)?.keys().map(|path| format!("/{}", path.escape_ascii())).collect())
}

/// Each item with the first name of its inode: hard links are part of an image.
fn items(image: &Image, path: &Path) -> Result<Items> {
    let mut first_names: HashMap<u64, Vec<u8>> = HashMap::new();
    let item = |item: std::result::Result<Item, squashfs::Error>| {
        let item = item.map_err(Error::on(path.display()))?;
        let first = first_names.entry(item.identity).or_insert_with(|| item.path.clone()).clone();
        Ok((item.path.clone(), (item, first)))
    };
    image.walk().map(item).collect()
}

fn of_pair(images: &[Image; 2], one: &(Item, Vec<u8>), other: &(Item, Vec<u8>)) -> io::Result<Vec<String>> {
    let mut what = Vec::new();
    let mut differs = |name: &str, one: String, other: String| {
        if one != other {
            what.push(format!("{name} {one} and {other}"));
        }
    };
    let ((one, one_first), (other, other_first)) = (one, other);
    differs("is", kind(&one.kind), kind(&other.kind));
    let (a, b) = (&one.metadata, &other.metadata);
    differs("mode", format!("{:04o}", a.mode), format!("{:04o}", b.mode));
    differs("owner", format!("{}:{}", a.uid, a.gid), format!("{}:{}", b.uid, b.gid));
    differs("time", a.mtime.to_string(), b.mtime.to_string());
    differs("attributes", attributes(a), attributes(b));
    let link = |item: &Item, first: &Vec<u8>| match item.path == *first {
        true => "an inode of its own".to_owned(),
        false => format!("that of /{}", first.escape_ascii()),
    };
    differs("has", link(one, one_first), link(other, other_first));
    if let (Kind::File(left), Kind::File(right)) = (&one.kind, &other.kind)
        && let Some(at) = first_byte(images, left, right)?
    {
        what.push(format!("contents from byte {at} on, of {} and {} bytes", left.len(), right.len()));
    }
    Ok(what)
}

fn kind(kind: &Kind<FileData>) -> String {
    match kind {
        Kind::Directory => "a folder".to_owned(),
        Kind::File(_) => "a file".to_owned(),
        Kind::Symlink(target) => format!("a link to {}", target.escape_ascii()),
        Kind::BlockDevice(device) => format!("the block device {}:{}", device.major, device.minor),
        Kind::CharDevice(device) => format!("the character device {}:{}", device.major, device.minor),
        Kind::Fifo => "a FIFO".to_owned(),
        Kind::Socket => "a socket".to_owned(),
    }
}

fn attributes(metadata: &Metadata) -> String {
    let mut sorted: Vec<_> = metadata.xattrs.iter().collect();
    sorted.sort();
    sorted.iter().fold("[".to_owned(), |mut text, attribute| {
        let value = &attribute.value[..attribute.value.len().min(64)];
        let _ = write!(text, " {}={}", attribute.name.escape_ascii(), value.escape_ascii());
        if value.len() < attribute.value.len() {
            // Long values are told apart by their digests.
            let _ = write!(text, "... sha256:{}", profiles::Digest::of_bytes(&attribute.value).hex());
        }
        text
    }) + " ]"
}

/// Where the contents of two files begin to differ.
fn first_byte(images: &[Image; 2], left: &FileData, right: &FileData) -> io::Result<Option<u64>> {
    let mut readers = [
        BufReader::with_capacity(AT_ONCE, images[0].reader(left)),
        BufReader::with_capacity(AT_ONCE, images[1].reader(right)),
    ];
    let mut buffers = [vec![0; AT_ONCE], vec![0; AT_ONCE]];
    let mut at = 0;
    loop {
        let mut lengths = [0; 2];
        for ((reader, buffer), length) in readers.iter_mut().zip(&mut buffers).zip(&mut lengths) {
            *length = fill(reader, buffer)?;
        }
        let [one, other] = [&buffers[0][..lengths[0]], &buffers[1][..lengths[1]]];
        if one != other {
            let same = one.iter().zip(other).take_while(|(a, b)| a == b).count();
            return Ok(Some(at + same as u64));
        }
        if one.is_empty() {
            return Ok(None);
        }
        at += one.len() as u64;
    }
}

/// Reads until the buffer is full or the file at its end.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::format::ImageFormat;
    use crate::image::output::write;
    use squashfs::{Device, Entry, Tree, Xattr};
    use std::num::NonZero;

    fn image(
        folder: &Path,
        name: &str,
        entries: &[(&str, Entry)],
        link: Option<(&str, &str)>,
    ) -> std::path::PathBuf {
        let mut tree = Tree::new();
        for (path, entry) in entries {
            tree.insert(path.as_bytes(), entry.clone()).unwrap();
        }
        if let Some((new, existing)) = link {
            tree.link(new.as_bytes(), existing.as_bytes()).unwrap();
        }
        let path = folder.join(name);
        write(&tree, &ImageFormat::BOOTSTRAP.write_options(NonZero::<usize>::MIN), &path).unwrap();
        path
    }

    fn file(bytes: Vec<u8>) -> Entry {
        Entry::new(Metadata::mode(0o644), Kind::File(bytes.into()))
    }

    type Named = Vec<(&'static str, Entry)>;

    fn with(change: impl FnOnce(&mut Metadata)) -> Entry {
        let mut metadata = Metadata::mode(0o644);
        change(&mut metadata);
        Entry::new(metadata, Kind::File(Vec::new().into()))
    }

    fn attribute(value: Vec<u8>) -> Entry {
        with(|metadata| metadata.xattrs = vec![Xattr { name: b"user.a".to_vec(), value }])
    }

    /// Two trees that differ in every way.
    fn pair() -> [Named; 2] {
        let plain = |kind| Entry::new(Metadata::mode(0o644), kind);
        let long = |last: u8| file([vec![7; 300_000], vec![last]].concat());
        let long_attribute = |last: u8| attribute([vec![0; 70], vec![last]].concat());
        let device = |minor| plain(Kind::CharDevice(Device { major: 1, minor }));
        let first = vec![
            ("same", file(b"same".to_vec())),
            ("long", long(1)),
            ("short\x1b[31m", file(b"abc".to_vec())),
            ("gone", file(Vec::new())),
            ("mode", with(|m| m.mode = 0o600)),
            ("owner", with(|m| m.gid = 33)),
            ("time", with(|m| m.mtime = 5)),
            ("attribute", long_attribute(1)),
            ("link", plain(Kind::Symlink(b"a".to_vec()))),
            ("kind", plain(Kind::Fifo)),
            ("device", device(3)),
            ("twin", file(b"twin".to_vec())),
        ];
        let second = vec![
            ("same", file(b"same".to_vec())),
            ("long", long(2)),
            ("short\x1b[31m", file(b"abcd".to_vec())),
            ("come", file(Vec::new())),
            ("mode", with(|_| ())),
            ("owner", with(|_| ())),
            ("time", with(|_| ())),
            ("attribute", long_attribute(2)),
            ("link", plain(Kind::Symlink(b"b".to_vec()))),
            ("kind", plain(Kind::Directory)),
            ("device", device(5)),
            ("twin", file(b"twin".to_vec())),
            ("twin2", file(b"twin".to_vec())),
        ];
        [first, second]
    }

    #[test]
    fn every_path_that_differs_has_a_line_that_says_how() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = pair();
        let left = image(folder.path(), "1", &first, Some(("twin2", "twin")));
        let right = image(folder.path(), "2", &second, None);
        let found = differences(&left, &right).unwrap();
        let lines = [
            "/attribute: attributes [ user.a=",
            "/come: only in the second",
            "/device: is the character device 1:3 and the character device 1:5",
            "/gone: only in the first",
            "/kind: is a FIFO and a folder",
            "/link: is a link to a and a link to b",
            "/long: contents from byte 300000 on, of 300001 and 300001 bytes",
            "/mode: mode 0600 and 0644",
            "/owner: owner 0:33 and 0:0",
            "/short\\x1b[31m: contents from byte 3 on, of 3 and 4 bytes",
            "/time: time 5 and 0",
            "/twin2: has that of /twin and an inode of its own",
        ];
        assert_eq!(found.len(), lines.len(), "{found:#?}");
        for (line, start) in found.iter().zip(lines) {
            assert!(line.starts_with(start), "{line}, not {start}");
        }
        assert_eq!(differences(&left, &left).unwrap(), [] as [String; 0]);
    }
}
