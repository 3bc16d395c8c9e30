//! What a file is, told by its bytes.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use decompress::Compression;

use crate::error::{Part, damaged, lossy, while_doing};

/// The length of a header of a tar archive, and enough for every magic number below.
const BLOCK: usize = 512;

/// The mark of POSIX and GNU, and where it stands in a header (ustar(5)).
const USTAR: &[u8] = b"ustar";
const USTAR_PLACE: usize = 257;

/// What to do with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Archive(Container),
    NoArchive,
}

/// An archive that can be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Container {
    Tar(Compression),
    Zip,
}

/// Archives and compressions that are known by sight alone. To leave one in `/sources` without a word would look like an
/// archive without files.
const FOREIGN: [(&[u8], &str); 22] = [
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"LZIP", "compressed by lzip"),
    (b"\x04\x22\x4d\x18", "compressed by lz4"),
    (b"\x1f\x9d", "compressed by compress"),
    (b"\x1f\xa0", "compressed by compress"),
    (b"\x89LZO\0\r\n\x1a\n", "compressed by lzop"),
    (b"070701", "a cpio archive"),
    (b"070702", "a cpio archive"),
    (b"070707", "a cpio archive"),
    (b"\xc7\x71", "a cpio archive"),
    (b"!<arch>\n", "an ar archive, such as a Debian package"),
    (b"!<thin>\n", "an ar archive"),
    (b"\xed\xab\xee\xdb", "an RPM package"),
    (b"xar!", "a xar archive"),
    (b"MSCF\0\0\0\0", "a cabinet archive"),
    (b"# This is a shell archive", "a shell archive"),
    (b"LRZI", "compressed by lrzip"),
    (b"\x1f\x1e", "compressed by pack"),
    (b"\x60\xea", "an ARJ archive"),
    (b"hsqs", "a squashfs image"),
    (b"ZOO ", "a zoo archive"),
];

/// Looks at the beginning of `file`, and leaves it at its beginning. `name` only tells what its author expects.
pub(crate) fn of(file: &mut File, name: &str) -> Part<Kind> {
    let reading = while_doing("reading it");
    let first = block(&mut *file).map_err(&reading)?;
    file.seek(SeekFrom::Start(0)).map_err(&reading)?;
    if first.starts_with(b"PK\x03\x04") || first.starts_with(b"PK\x05\x06") {
        return Ok(Kind::Archive(Container::Zip));
    }
    let compression = Compression::of_magic(&first);
    let plain = match inside(file, compression) {
        Ok(plain) => plain,
        // Its magic number is a guess.
        Err(_) if compression == Compression::Lzma && !expects_tar(name) => first.clone(),
        Err(error) => return Err(while_doing("decompressing it")(error)),
    };
    file.seek(SeekFrom::Start(0)).map_err(&reading)?;
    if is_tar_header(&plain) {
        return Ok(Kind::Archive(Container::Tar(compression)));
    }
    for bytes in [&first, &plain] {
        if let Some((_, what)) = FOREIGN.iter().find(|(magic, _)| bytes.starts_with(magic)) {
            return lossy(format!("is {what}, which is not unpacked by default"));
        }
    }
    if let Some(what) = hidden(file, &first, &plain).map_err(&reading)? {
        return lossy(format!("is {what}, which is not unpacked by default"));
    }
    if plain.get(USTAR_PLACE..USTAR_PLACE + USTAR.len()) == Some(USTAR) {
        return damaged("looks like a tar archive, and the sum of its first header is wrong");
    }
    if expects_tar(name) {
        return damaged("is called a tar archive, and its bytes are none");
    }
    match expects_archive(name) {
        Some(ending) => {
            damaged(format!("is called a {ending} archive, and its bytes are none that is unpacked here"))
        }
        None => Ok(Kind::NoArchive),
    }
}

/// Archives that do not begin with their magic number.
fn hidden(file: &mut File, first: &[u8], plain: &[u8]) -> io::Result<Option<&'static str>> {
    // "-lh5-" behind the length and the sum of its header (LHA), with letters and digits of the method.
    if let [_, _, b'-', b'l', b'h' | b'z', _, b'-', ..] = plain {
        return Ok(Some("an LHA archive"));
    }
    // ECMA-119, 8.1: the first descriptor lies behind 16 sectors of 2,048 bytes.
    let mut mark = [0; 5];
    let image = file.read_at(&mut mark, 16 * 2048 + 1)? == mark.len() && &mark == b"CD001";
    if image {
        return Ok(Some("an ISO 9660 image"));
    }
    let is_program = first.starts_with(b"MZ");
    if is_program && holds_7z(file)? {
        return Ok(Some("a 7z archive that unpacks itself"));
    }
    let found = zip::ZipArchive::new(BufReader::new(&mut *file)).is_ok_and(|archive| !archive.is_empty());
    file.seek(SeekFrom::Start(0))?;
    Ok(found.then_some("a zip archive with something else before it, such as a program that unpacks it"))
}

/// Programs that unpack 7z archives are shorter than this.
fn holds_7z(file: &mut File) -> io::Result<bool> {
    let (magic, _) = FOREIGN[0];
    let mut beginning = Vec::new();
    file.take(1 << 20).read_to_end(&mut beginning)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(beginning.windows(magic.len()).any(|bytes| bytes == magic))
}

fn inside(file: &mut File, compression: Compression) -> io::Result<Vec<u8>> {
    block(compression.reader(file)?)
}

/// The first block, or all there is.
fn block(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(BLOCK);
    reader.take(BLOCK as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether whoever named the file takes it for a tar archive.
fn expects_tar(name: &str) -> bool {
    const SHORT: [&str; 11] =
        [".tar", ".tgz", ".taz", ".tbz", ".tbz2", ".tb2", ".txz", ".tlz", ".tzst", ".tzo", ".crate"];
    const LONG: [&str; 18] = [
        "gz", "bz", "bz2", "xz", "lzma", "zst", "zstd", "z", "lz", "lzip", "lz4", "lzo", "lrz", "rz", "br",
        "7z", "sz", "zz",
    ];
    let name = name.to_ascii_lowercase();
    let compressed = |(stem, ending): (&str, &str)| stem.ends_with(".tar") && LONG.contains(&ending);
    SHORT.iter().any(|ending| name.ends_with(ending)) || name.rsplit_once('.').is_some_and(compressed)
}

/// What whoever named the file takes it for, where that is an archive or compressed in a way that is not known by sight.
fn expects_archive(name: &str) -> Option<&'static str> {
    const ENDINGS: [&str; 35] = [
        "zip", "jar", "war", "whl", "egg", "xpi", "nupkg", "7z", "rar", "lha", "lzh", "arj", "cab", "ace",
        "arc", "zoo", "cpio", "rpm", "deb", "udeb", "xar", "pkg", "shar", "iso", "dmg", "sqfs", "squashfs",
        "br", "lrz", "rz", "lz", "lz4", "lzo", "gem", "apk",
    ];
    let (_, last) = name.rsplit_once('.')?;
    ENDINGS.into_iter().find(|ending| last.eq_ignore_ascii_case(ending))
}

/// Whether this is a header of a tar archive, whatever its age: its checksum says so. Old writers summed signed bytes.
fn is_tar_header(block: &[u8]) -> bool {
    if block.len() < BLOCK || block[0] == 0 {
        return false;
    }
    let field: Vec<u8> = block[148..156].iter().copied().filter(|byte| !matches!(byte, 0 | b' ')).collect();
    let Some(written) = std::str::from_utf8(&field).ok().and_then(|text| i64::from_str_radix(text, 8).ok())
    else {
        return false;
    };
    let counted =
        || block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { b' ' } else { *byte });
    let unsigned: i64 = counted().map(i64::from).sum();
    let signed: i64 = counted().map(|byte| i64::from(byte.cast_signed())).sum();
    written == unsigned || written == signed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_promise_a_tar_archive_end_so() {
        for name in ["a.tar", "a-1.0.tar.gz", "A.TAR.XZ", "a.tgz", "a.tbz2", "a.txz", "a.tzst", "a.tar.Z"] {
            assert!(expects_tar(name), "{name}");
        }
        for name in ["my.target", "tar", "a.tar.c", "a.tarball", "starter.gz", "a.tar.sig", "a.tar.gz.asc"] {
            assert!(!expects_tar(name), "{name}");
        }
    }
}
