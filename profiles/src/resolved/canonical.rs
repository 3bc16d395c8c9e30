//! The short way to read what [`BootProfile::to_kdl`] has written.
//!
//! `kdl` makes an error value for each character of a string (it asks "is this a line break?" of each), which costs PID 1
//! a millisecond for 20 images. Most profiles that are booted are the very bytes that `lamina profile lock` wrote, so those
//! are read line by line. The reading may be careless, because its result counts only when writing it gives the same text
//! again; all other texts, and all errors, are left to the parser.

use std::collections::BTreeSet;

use super::{BootProfile, ImageRef, MOST_IMAGES};
use crate::lexer::LARGEST;
use crate::version::Version;
use crate::{Digest, Name, SystemPath, TmpfsSize, Verify, WritableTop};

/// The profile whose KDL is exactly `bytes`; `None` says nothing about them.
pub(super) fn read(bytes: &[u8]) -> Option<BootProfile> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= LARGEST)?;
    let line = |start: &str| text.lines().find_map(|line| line.strip_prefix(start));
    let profile = BootProfile {
        name: Name::parse(quoted(line("profile ")?)?).ok()?,
        description: line("    description ").and_then(quoted).map(str::to_owned),
        images: text
            .lines()
            .filter_map(|line| line.strip_prefix("    image "))
            .map(image)
            .collect::<Option<_>>()?,
        root: root(line("    root ")?)?,
        verify: Verify::parse(quoted(line("    verify ")?)?)?,
        init: SystemPath::parse(quoted(line("    init ")?)?).ok()?.0,
    };
    (keeps_the_rules(&profile) && profile.to_kdl() == text).then_some(profile)
}

/// What the parts cannot check alone.
fn keeps_the_rules(profile: &BootProfile) -> bool {
    let names: BTreeSet<&str> = profile.images.iter().map(|image| image.name.as_str()).collect();
    (1..=MOST_IMAGES).contains(&profile.images.len())
        && names.len() == profile.images.len()
        && profile.images.iter().all(|image| image.size > 0)
        && profile.verify != Verify::Verity
}

fn image(line: &str) -> Option<ImageRef> {
    let property = |name: &str| quoted(line.split_once(name)?.1);
    let version = Version::parse(property(" version=")?).ok()?;
    Some(ImageRef {
        name: Name::parse(quoted(line)?).ok()?,
        version: version.as_str().to_owned(),
        id: property(" id=").and_then(|id| Digest::parse(id).ok()),
        digest: Digest::parse(property(" digest=")?).ok()?,
        size: line.rsplit_once(" size=")?.1.parse().ok()?,
    })
}

fn root(line: &str) -> Option<WritableTop> {
    match line.split_once(" size=") {
        None => Some(WritableTop::None),
        Some((_, size)) => Some(WritableTop::Tmpfs { size: TmpfsSize::parse(quoted(size)?)? }),
    }
}

/// The text between the quotes at the beginning of `text`. One with escapes comes out wrong, and is not written back alike.
fn quoted(text: &str) -> Option<&str> {
    Some(text.strip_prefix('"')?.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> String {
        let digest = "0123456789abcdef".repeat(4);
        let image = |number| {
            let id = if number == 2 { String::new() } else { format!(" id=\"{digest}\"") };
            format!(
                "    image \"i{number}\" version=\"1.{number}\"{id} digest=\"sha256:{digest}\" size={number}000\n"
            )
        };
        let images: String = (1..4).map(image).collect();
        format!(
            "profile \"web\" format=1 {{\n    description \"A web server\"\n{images}    root writable=\"tmpfs\" \
             size=\"50%\"\n    verify \"digest\"\n    init \"/sbin/init\"\n}}\n"
        )
    }

    #[test]
    fn what_was_written_takes_the_short_way() {
        for text in
            [written(), written().replace("tmpfs\" size=\"50%", "no"), written().replace(" server", "")]
        {
            let profile = read(text.as_bytes()).unwrap();
            assert_eq!(profile, BootProfile::parse_kdl("x", text.as_bytes()).unwrap());
            assert_eq!(profile.to_kdl(), text);
        }
        let without = written().replace("    description \"A web server\"\n", "");
        assert_eq!(read(without.as_bytes()).unwrap().description, None);
    }

    #[test]
    fn what_the_parser_refuses_or_reads_otherwise_does_not_take_it() {
        let text = written();
        for (from, to) in [
            ("\"digest\"", "\"verity\""),
            ("\"i2\"", "\"i1\""),
            ("size=1000", "size=0"),
            ("size=1000", "size=01000"),
            ("format=1", "format=2"),
            ("A web", "A \\\"web"),
            ("    verify", "    // verify \"none\"\n    verify"),
            ("    init \"/sbin/init\"\n", ""),
            ("/sbin/init", "sbin/init"),
            ("\n}\n", "\n}"),
            ("50%", "0%"),
            ("A web", "A \u{202e}web"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text);
            assert_eq!(read(changed.as_bytes()), None, "{changed}");
        }
        assert_eq!(read(text.replace("A web", &"w".repeat(LARGEST)).as_bytes()), None);
        assert_eq!(read(b"\xff"), None);
    }

    #[test]
    fn both_ways_agree_on_every_text_with_one_byte_changed() {
        let text = written().into_bytes();
        let mut short = 0;
        for at in 0..text.len() {
            for byte in *b"\"\\ a0/9\n}%" {
                let mut changed = text.clone();
                changed[at] = byte;
                if let Some(profile) = read(&changed) {
                    short += 1;
                    assert_eq!(BootProfile::parse_kdl("x", &changed).as_ref(), Ok(&profile));
                }
            }
        }
        assert!(short > text.len(), "{short}");
    }
}
