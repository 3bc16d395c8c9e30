//! What was read of a package, kept so that the whole need not be unpacked for it again: a file in a cache, called after the digest of the
//! package, with the list of all members and the bytes of those that were read.
//!
//! The format is this program's own, and belongs to nobody else: [`MAGIC`], the members, the bytes, and the BLAKE3 of all that. A file that
//! is damaged, of another version or another user's is as good as none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use atomic_file::UnnamedFile;
use deb::{Kind, Member};
use fault::{Error, Result};

use crate::reading::read_limited;

const MAGIC: &[u8] = b"lamina kernel, what was read of it, 1\n";
/// Of as many packages: those of the two or three kernels of a machine, and one that is tried.
const MOST_PACKAGES: usize = 4;
/// What an initramfs for any machine takes has 60 MiB; who reads more than this wants the whole package.
const MOST_BYTES: u64 = 256 << 20;
const DIGEST: usize = blake3::OUT_LEN;

/// Where what is kept of one package lies.
#[derive(Debug)]
pub(crate) struct KeptPlace {
    folder: PathBuf,
    path: PathBuf,
}

/// What is kept of a package.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// All members; those with bytes are `parts`.
    pub members: Vec<Member>,
    bytes: Vec<u8>,
    parts: BTreeMap<Vec<u8>, Range<usize>>,
}

impl KeptPlace {
    /// The place for the package at `package`.
    ///
    /// # Errors
    /// The package cannot be read.
    pub fn of(folder: &Path, package: &Path) -> io::Result<KeptPlace> {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(package)?)?;
        Ok(KeptPlace { folder: folder.to_owned(), path: folder.join(hasher.finalize().to_hex().as_str()) })
    }

    /// What lies there.
    pub fn read(&self) -> Option<Kept> {
        let file = File::open(&self.path).ok().filter(cache_folder::is_own)?;
        let kept = Kept::parse(read_limited(&file).ok()?)?;
        cache_folder::note_use(&file);
        Some(kept)
    }

    /// Writes the bytes of `wanted`, which `read` gives, beside the list of all members.
    ///
    /// # Errors
    /// The folder cannot be written to; a member cannot be read.
    pub fn write(
        &self,
        members: &[Member],
        wanted: &BTreeSet<Vec<u8>>,
        read: impl Fn(&Member) -> io::Result<Vec<u8>>,
    ) -> Result<()> {
        let of_wanted = members.iter().filter(|member| wanted.contains(&member.path)).map(length);
        if of_wanted.sum::<u64>() > MOST_BYTES {
            return Ok(());
        }
        cache_folder::make(&self.folder)?;
        let failed = |error: io::Error| Error::caused(self.path.display(), error);
        let unnamed = UnnamedFile::beside(&self.path)?;
        let mut out = Hashed { out: io::BufWriter::new(unnamed.handle()?), hasher: blake3::Hasher::new() };
        out.write_all(MAGIC).map_err(failed)?;
        out.write_all(&list(members, wanted)).map_err(failed)?;
        for member in members.iter().filter(|member| wanted.contains(&member.path)) {
            out.write_all(&read(member).map_err(failed)?).map_err(failed)?;
        }
        out.finish().map_err(failed)?;
        unnamed.publish()?;
        cache_folder::keep_newest(&self.folder, MOST_PACKAGES, |_| true).map_err(failed)
    }
}

impl Kept {
    /// The bytes of the member at `path`, when they were kept.
    pub fn bytes(&self, path: &[u8]) -> Option<&[u8]> {
        self.bytes.get(self.parts.get(path)?.clone())
    }

    /// The paths of what was kept.
    pub fn paths(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.keys().map(Vec::as_slice)
    }

    fn parse(bytes: Vec<u8>) -> Option<Kept> {
        let (sound, digest) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST)?)?;
        if blake3::hash(sound).as_bytes() != digest {
            return None;
        }
        let mut rest = sound.strip_prefix(MAGIC)?;
        let count = number(&mut rest)?;
        let (mut members, mut lengths) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (member, is_kept) = parse_member(&mut rest)?;
            if is_kept {
                lengths.push((member.path.clone(), usize::try_from(length(&member)).ok()?));
            }
            members.push(member);
        }
        let mut at = sound.len() - rest.len();
        let mut parts = BTreeMap::new();
        for (path, length) in lengths {
            let end = at.checked_add(length).filter(|end| *end <= sound.len())?;
            parts.insert(path, at..end);
            at = end;
        }
        Some(Kept { members, bytes, parts })
    }
}

fn length(member: &Member) -> u64 {
    if let Kind::File { length, .. } = member.kind { length } else { 0 }
}

/// Their number, and of each: its kind, whether its bytes are kept, its path, and its length or target. Other kinds are all `p`: a kernel
/// needs none of them.
fn list(members: &[Member], wanted: &BTreeSet<Vec<u8>>) -> Vec<u8> {
    let mut list = (members.len() as u64).to_le_bytes().to_vec();
    for member in members {
        let kind = match member.kind {
            Kind::Directory => b'd',
            Kind::File { .. } => b'f',
            Kind::Symlink(_) => b'l',
            Kind::HardLink(_) => b'h',
            Kind::BlockDevice(..) | Kind::CharDevice(..) | Kind::Fifo => b'p',
        };
        list.extend([kind, u8::from(wanted.contains(&member.path))]);
        put(&mut list, &member.path);
        match &member.kind {
            Kind::File { length, .. } => list.extend(length.to_le_bytes()),
            Kind::Symlink(target) | Kind::HardLink(target) => put(&mut list, target),
            _ => {}
        }
    }
    list
}

fn put(list: &mut Vec<u8>, text: &[u8]) {
    list.extend((text.len() as u64).to_le_bytes());
    list.extend(text);
}

fn parse_member(rest: &mut &[u8]) -> Option<(Member, bool)> {
    let [kind, is_kept] = *take(rest, 2)? else { return None };
    let path = text(rest)?;
    let kind = match kind {
        b'd' => Kind::Directory,
        b'f' => Kind::File { offset: 0, length: number(rest)? },
        b'l' => Kind::Symlink(text(rest)?),
        b'h' => Kind::HardLink(text(rest)?),
        b'p' => Kind::Fifo,
        _ => return None,
    };
    Some((Member { path, kind, mode: 0, uid: 0, gid: 0, mtime: 0 }, is_kept == 1))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, others) = rest.split_at_checked(length)?;
    *rest = others;
    Some(taken)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(take(rest, 8)?.try_into().ok()?))
}

fn text(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let length = usize::try_from(number(rest)?).ok()?;
    take(rest, length).map(<[u8]>::to_vec)
}

/// A writer that ends with the digest of all that went through it.
struct Hashed<W> {
    out: W,
    hasher: blake3::Hasher,
}

impl<W: Write> Hashed<W> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.out.write_all(bytes)
    }

    fn finish(mut self) -> io::Result<()> {
        self.out.write_all(self.hasher.finalize().as_bytes())?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(path: &str, kind: Kind) -> Member {
        Member { path: path.into(), kind, mode: 0, uid: 0, gid: 0, mtime: 0 }
    }

    #[test]
    fn members_come_back_and_damage_is_as_good_as_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("k.deb");
        std::fs::write(&package, "a package").unwrap();
        let place = KeptPlace::of(&folder.path().join("cache"), &package).unwrap();
        assert!(place.read().is_none());
        let members = [
            member("boot", Kind::Directory),
            member("boot/a", Kind::File { offset: 0, length: 3 }),
            member("boot/b", Kind::File { offset: 0, length: 4 }),
            member("boot/c", Kind::Symlink(b"a".to_vec())),
            member("boot/d", Kind::HardLink(b"boot/a".to_vec())),
            member("boot/e", Kind::Fifo),
        ];
        let wanted = BTreeSet::from([b"boot/b".to_vec()]);
        place.write(&members, &wanted, |_| Ok(b"four".to_vec())).unwrap();
        let kept = place.read().unwrap();
        assert_eq!(kept.members, members);
        assert_eq!((kept.bytes(b"boot/b"), kept.bytes(b"boot/a")), (Some(&b"four"[..]), None));
        let whole = std::fs::read(&place.path).unwrap();
        for length in 0..whole.len() {
            assert!(Kept::parse(whole[..length].to_vec()).is_none(), "{length} bytes");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert!(Kept::parse(damaged).is_none(), "byte {at}");
        }
        // Only root can give a file away.
        if std::os::unix::fs::chown(&place.path, Some(65_534), None).is_ok() {
            assert!(place.read().is_none(), "it is another user's");
        }
    }
}
