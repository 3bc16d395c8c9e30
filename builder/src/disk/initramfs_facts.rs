//! What an initramfs says of itself: for which kernel it was made, and which profiles its init can read. Whoever installs a profile looks
//! first, for an init that cannot read it never comes to the point of taking another one.
//!
//! The file is a newc archive (Documentation/driver-api/early-userspace/buffer-format.rst of the kernel), compressed or not, or several of
//! them one behind the other, as with microcode in front.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use decompress::Compression;
use initramfs_format::{Description, paths};
use profiles::resolved::BootProfile;

use crate::error::Error;

/// `mkinitramfs` writes entries by path, and the description before modules and images: what lies behind so much is not looked for.
const MOST_BYTES: u64 = 256 << 20;
/// More of a description is not read.
const MOST_TEXT: u64 = 1 << 20;
/// Of an entry: magic number, 13 numbers of eight hexadecimal digits.
const HEADER: usize = 110;
/// The longest name, the zero byte behind it included: PATH_MAX of linux/limits.h.
const LONGEST_NAME: u64 = 4096;
const TRAILER: &[u8] = b"TRAILER!!!";

/// What an initramfs says; `None` where it says nothing: it has no description, or its bytes are those of something else.
///
/// # Errors
/// The system does not let its bytes be read: then nobody knows what it says.
pub fn describe(file: &File) -> io::Result<Option<Description>> {
    match text_of(file) {
        Ok(text) => Ok(text.and_then(|text| Description::parse(&text).ok())),
        // What has no number of the system is an archive that ends early, or is none.
        Err(error) => system_said(error).map_or(Ok(None), Err),
    }
}

/// The system's answer, of which decompressors may make an error of their own.
fn system_said(error: io::Error) -> Option<io::Error> {
    Error::caused("", error).system_said().filter(|said| said.raw_os_error().is_some())
}

fn text_of(mut file: &File) -> io::Result<Option<Vec<u8>>> {
    file.seek(SeekFrom::Start(0))?;
    let mut input = BufReader::with_capacity(1 << 16, file.take(MOST_BYTES));
    // One archive after another: the kernel takes zero bytes between them, and each may be compressed.
    loop {
        let first = input.fill_buf()?;
        let zeros = first.iter().take_while(|byte| **byte == 0).count();
        match Compression::of_magic(first) {
            Compression::None if first.is_empty() => return Ok(None),
            Compression::None if zeros > 0 => input.consume(zeros),
            Compression::None => {
                if let Some(text) = find(&mut input)? {
                    return Ok(Some(text));
                }
            }
            compression => return in_compressed(compression.reader(input)?),
        }
    }
}

/// The same of what a decompressor yields, behind which nothing else is looked for.
fn in_compressed(inside: impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut inside = BufReader::new(inside.take(MOST_BYTES));
    loop {
        let zeros = inside.fill_buf()?.iter().take_while(|byte| **byte == 0).count();
        inside.consume(zeros);
        if zeros > 0 {
            continue;
        }
        if let Some(text) = find(&mut inside)? {
            return Ok(Some(text));
        }
    }
}

/// Reads an archive up to the description, or to its end.
fn find(input: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let wanted = paths::entry(paths::DESCRIPTION);
    loop {
        let mut header = [0; HEADER];
        input.read_exact(&mut header)?;
        if !header.starts_with(b"070701") && !header.starts_with(b"070702") {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let number = |place: usize| {
            let digits =
                header.get(6 + 8 * place..14 + 8 * place).and_then(|it| std::str::from_utf8(it).ok());
            digits.and_then(|it| u64::from_str_radix(it, 16).ok()).ok_or(io::ErrorKind::InvalidData)
        };
        let (size, name_size) = (number(6)?, number(11)?);
        if name_size > LONGEST_NAME {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut name = bytes(input, name_size)?;
        skip(input, padding(HEADER as u64 + name_size))?;
        name.pop();
        if name == TRAILER {
            return Ok(None);
        }
        if name == wanted.as_bytes() && size <= MOST_TEXT {
            return bytes(input, size).map(Some);
        }
        skip(input, size + padding(size))?;
    }
}

/// Zero bytes up to the next multiple of four.
fn padding(length: u64) -> u64 {
    length.next_multiple_of(4) - length
}

fn bytes(input: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match input.take(length).read_to_end(&mut bytes)? as u64 == length {
        true => Ok(bytes),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn skip(input: &mut impl Read, length: u64) -> io::Result<()> {
    match io::copy(&mut input.take(length), &mut io::sink())? == length {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Why the init of an initramfs would not boot this profile, as far as both say; `None` where it would. What says nothing of itself is taken
/// for one of before: it boots what needs nothing new.
pub fn why_not(description: Option<&Description>, profile: &BootProfile) -> Option<String> {
    let (format, pin) = (profile.format(), profile.kernel.as_ref());
    let reads = description.and_then(|it| it.profile_format).unwrap_or(1);
    if reads < format {
        let says = if description.is_some() {
            "its init reads"
        } else {
            "it says nothing of itself, so that its init may read"
        };
        return Some(format!("{says} profiles up to format {reads}, and this one has format {format}"));
    }
    let made_for = description.and_then(|it| it.kernel.as_deref());
    match (made_for, pin) {
        (Some(made_for), Some(pin)) if made_for != pin.release.as_str() => Some(format!(
            "it was made for kernel {made_for}, and the profile is for {} ({})",
            pin.release, pin.name
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn entry(name: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"070701".to_vec();
        for place in 0..13 {
            let number = match place {
                6 => data.len(),
                11 => name.len() + 1,
                _ => 0,
            };
            bytes.extend(format!("{number:08x}").into_bytes());
        }
        bytes.extend(name.as_bytes());
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn described(bytes: &[u8]) -> Option<Description> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        describe(&file).unwrap()
    }

    #[test]
    fn what_cannot_be_read_says_nobody_knows_what() {
        // EISDIR and EIO of read(2), and ESPIPE of lseek(2), for everybody.
        for path in ["/", "/proc/self/mem"] {
            let error = describe(&File::open(path).unwrap()).unwrap_err();
            assert!(error.raw_os_error().is_some(), "{path}: {error}");
        }
        let pipe = std::os::fd::OwnedFd::from(io::pipe().unwrap().0);
        assert_eq!(describe(&pipe.into()).unwrap_err().kind(), io::ErrorKind::NotSeekable);
    }

    #[test]
    fn the_description_is_found_in_every_kind_of_initramfs_and_in_no_other_file() {
        let text = b"initramfs format=1 kernel=\"6.12\" profile-format=2\n";
        let own = [
            entry("dev", b""),
            entry("etc/lamina/initramfs.kdl", text),
            entry("init", b"x"),
            entry("TRAILER!!!", b""),
        ]
        .concat();
        let microcode =
            [entry("kernel/x86/microcode", &[7; 5000]), entry("TRAILER!!!", b""), vec![0; 300]].concat();
        let packed = zstd::encode_all(own.as_slice(), 3).unwrap();
        for bytes in [
            own.clone(),
            packed.clone(),
            [microcode.clone(), own.clone()].concat(),
            [microcode.clone(), packed].concat(),
        ] {
            let found = described(&bytes).unwrap();
            assert_eq!((found.kernel.as_deref(), found.profile_format), (Some("6.12"), Some(2)));
        }
        let mut lying = own.clone();
        lying[own.len() - 300..].fill(b'f');
        for bytes in
            [b"".to_vec(), b"an initramfs".to_vec(), microcode, own[..200].to_vec(), lying, vec![0; 70_000]]
        {
            assert_eq!(described(&bytes), None);
        }
    }
}
