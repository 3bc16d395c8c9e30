//! What an initramfs says of itself: for which kernel it was made, and which profiles its init can read. Whoever installs a profile looks
//! first, for an init that cannot read it never comes to the point of taking another one.
//!
//! The file has newc archives, each compressed or not, as with microcode in front of the initramfs itself: the crate `initramfs-archive`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::ControlFlow;

use initramfs_archive::{Limits, walk};
use initramfs_format::{Description, paths};
use profiles::resolved::BootProfile;

use crate::error::Error;

/// `mkinitramfs` writes entries by path, and the description before modules and images: what lies behind so much is not looked for.
const MOST_BYTES: u64 = 256 << 20;
/// More of a description is not read.
const MOST_TEXT: u32 = 1 << 20;

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
    let limits = Limits { unpacked: MOST_BYTES, ..Limits::default() };
    let mut found = None;
    let walked = walk(file.take(MOST_BYTES), limits, &mut |entry, data| {
        if entry.path != paths::entry(paths::DESCRIPTION) || entry.size > MOST_TEXT {
            return Ok(ControlFlow::Continue(()));
        }
        let mut text = Vec::new();
        data.read_to_end(&mut text)?;
        found = Some(text);
        Ok(ControlFlow::Break(()))
    });
    walked.map(|_| found).map_err(|damage| damage.cause)
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
