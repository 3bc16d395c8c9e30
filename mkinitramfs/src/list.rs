//! Reads an initramfs back.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use cpio::newc;
use serde::Serialize;

use crate::host_file;
use fault::Error;

/// The first bytes of a zstd frame (RFC 8878, section 3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The longest target of a link that is read: PATH_MAX of linux/limits.h.
const LONGEST_TARGET: u64 = 4096;

/// One entry of an archive. Its Display is a line like that of `ls -l`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The path, without a leading slash.
    pub path: String,
    /// Type and permission bits, as in `st_mode` (inode(7)).
    pub mode: u32,
    /// Bytes of data.
    pub size: u64,
    /// Where a symbolic link points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Major and minor number of a device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<(u32, u32)>,
}

/// Lists the newc archive at `path`, compressed with zstd or not.
///
/// # Errors
/// The file cannot be read, is no newc archive, or ends too early; says behind which entry.
pub fn list(path: &Path) -> Result<Vec<Listed>, Error> {
    let mut file = BufReader::new(host_file::open(path).map_err(Error::on(path.display()))?);
    let is_zstd = file.fill_buf().map_err(Error::on(path.display()))?.starts_with(&ZSTD_MAGIC);
    let mut listed = Vec::new();
    let result = if is_zstd {
        zstd::Decoder::with_buffer(file).and_then(|decoder| read(decoder, &mut listed))
    } else {
        read(file, &mut listed)
    };
    match (result, listed.last()) {
        (Ok(()), _) => Ok(listed),
        (Err(error), None) => {
            Err(Error::new(path.display(), format!("is no initramfs that this program can read: {error}"))
                .remedy("--list reads newc archives, plain or compressed with zstd"))
        }
        (Err(error), Some(last)) => Err(Error::new(
            path.display(),
            format!("is damaged behind '{}': {error}", last.path.escape_debug()),
        )
        .remedy("make it again")),
    }
}

/// Reads entries up to the trailer, and then to the end, so that a checksum there is checked.
fn read(mut input: impl Read, listed: &mut Vec<Listed>) -> io::Result<()> {
    loop {
        let mut reader = newc::Reader::new(input)?;
        if reader.entry().is_trailer() {
            input = reader.finish()?;
            return io::copy(&mut input, &mut io::sink()).map(|_| ());
        }
        let entry = reader.entry();
        let (mode, size) = (entry.mode(), u64::from(entry.file_size()));
        let path = entry.name().to_owned();
        let kind = mode & 0o170_000;
        let device = matches!(kind, 0o020_000 | 0o060_000).then(|| (entry.rdev_major(), entry.rdev_minor()));
        let target = if kind == 0o120_000 { Some(read_target(&mut reader, size)?) } else { None };
        // `finish` of the crate takes a short entry for a whole one.
        let rest = size - target.as_ref().map_or(0, |_| size);
        if io::copy(&mut reader, &mut io::sink())? != rest {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        input = reader.finish()?;
        listed.push(Listed { path, mode, size, target, device });
    }
}

fn read_target(reader: &mut impl Read, size: u64) -> io::Result<String> {
    if size > LONGEST_TARGET {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a link has a target of more than 4096 bytes",
        ));
    }
    let mut target = Vec::new();
    if reader.take(size).read_to_end(&mut target)? as u64 != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&target).into_owned())
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.mode & 0o170_000 {
            0o040_000 => 'd',
            0o120_000 => 'l',
            0o020_000 => 'c',
            0o060_000 => 'b',
            0o010_000 => 'p',
            0o140_000 => 's',
            _ => '-',
        };
        let size = match self.device {
            Some((major, minor)) => format!("{major}, {minor}"),
            None => self.size.to_string(),
        };
        write!(f, "{kind}{} {size:>10} {}", permissions(self.mode), self.path.escape_debug())?;
        self.target.as_ref().map_or(Ok(()), |target| write!(f, " -> {}", target.escape_debug()))
    }
}

/// `rwxr-xr-x`; set-user-ID, set-group-ID and sticky stand as `s` and `t` in the place of the `x`.
fn permissions(mode: u32) -> String {
    let mut text: Vec<u8> =
        (0..9).map(|bit| if mode & (0o400 >> bit) == 0 { b'-' } else { b"rwx"[bit % 3] }).collect();
    for (flag, at, letter) in [(0o4000, 2, b's'), (0o2000, 5, b's'), (0o1000, 8, b't')] {
        if mode & flag != 0 {
            text[at] = if text[at] == b'x' { letter } else { letter.to_ascii_uppercase() };
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_look_like_those_of_ls() {
        let entry = |mode, target: Option<&str>, device| {
            let target = target.map(str::to_owned);
            Listed { path: "a\n".into(), mode, size: 5, target, device }.to_string()
        };
        assert_eq!(entry(0o100_755, None, None), "-rwxr-xr-x          5 a\\n");
        assert_eq!(entry(0o120_777, Some("b"), None), "lrwxrwxrwx          5 a\\n -> b");
        assert_eq!(entry(0o020_600, None, Some((5, 1))), "crw-------       5, 1 a\\n");
        assert_eq!(entry(0o041_777, None, None), "drwxrwxrwt          5 a\\n");
        assert_eq!(entry(0o104_644, None, None), "-rwSr--r--          5 a\\n");
    }
}
