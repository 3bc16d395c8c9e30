//! The short way to read what [`BootProfile::to_kdl`] has written.
//!
//! `kdl` makes an error value for each character of a string (it asks "is this a line break?" of each), which costs PID 1
//! a millisecond for 20 images. Most profiles that are booted are the very bytes that `lamina profile lock` wrote, so those
//! are read line by line. The reading may be careless, because its result counts only when writing it gives the same text
//! again; all other texts, and all errors, are left to the parser.

use std::collections::BTreeSet;
use std::fmt;

use super::{BootProfile, FEC_ROOTS, ImageRef, KernelPin, MOST_IMAGES, VerityRef};
use crate::lexer::LARGEST;
use crate::seal::Seal;
use crate::version::Version;
use crate::written_line::Rest;
use crate::{
    DeviceSpec, Name, State, StateFileSystem, SystemPath, TmpfsSize, Verify, WhenChanged, WritableTop,
};

/// The profile whose KDL is exactly `bytes`; `None` says nothing about them.
pub(super) fn read(bytes: &[u8]) -> Option<BootProfile> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= LARGEST)?;
    let (mut images, mut optional) = (Vec::new(), Vec::new());
    let (mut name, mut description, mut sealed, mut kernel) = (None, None, None, None);
    let (mut top, mut verify, mut init) = (None, None, None);
    for line in text.lines() {
        let Some((word, rest)) = line.trim_start().split_once(' ') else {
            if line == "    sealed" {
                sealed = Some(Seal::default());
            }
            continue;
        };
        let mut rest = Rest(rest);
        match word {
            "profile" => name = Some(Name::parse(rest.text("\"")?).ok()?),
            "description" => description = Some(rest.text("\"")?.to_owned()),
            "kernel" => kernel = Some(KernelPin::of_line(rest)?),
            "image" => images.push(image(rest)?),
            "optional" => optional.push(image(rest)?),
            "root" => top = Some(root(rest)?),
            "verify" => verify = Some(Verify::parse(rest.text("\"")?)?),
            "init" => init = Some(SystemPath::parse(rest.text("\"")?).ok()?.0),
            _ => return None,
        }
    }
    let (name, root, verify, init) = (name?, top?, verify?, init?);
    let profile = BootProfile { name, description, images, optional, root, verify, init, sealed, kernel };
    (keeps_the_rules(&profile) && is_written_as(&profile, text)).then_some(profile)
}

/// Whether [`BootProfile::to_kdl`] gives this text: compared while it is written, so that no memory is touched for it.
fn is_written_as(profile: &BootProfile, text: &str) -> bool {
    let mut expected = Expected(text);
    profile.write_kdl(&mut expected).is_ok() && expected.0.is_empty()
}

/// Takes in what comes next of a text, and nothing else.
struct Expected<'a>(&'a str);

impl fmt::Write for Expected<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(piece).ok_or(fmt::Error)?;
        Ok(())
    }
}

/// What the parts cannot check alone.
fn keeps_the_rules(profile: &BootProfile) -> bool {
    let all = || profile.all_images();
    let names: BTreeSet<&str> = all().map(|image| image.name.as_str()).collect();
    profile.kernel.as_ref().is_none_or(|kernel| kernel.size > 0)
        && (1..=MOST_IMAGES).contains(&profile.images.len())
        && profile.optional.len() <= MOST_IMAGES
        && names.len() == all().count()
        && all().all(|image| image.size > 0 && image.verity.is_none_or(|verity| verity.fits(image.size)))
        && (profile.verify != Verify::Verity || all().all(|image| image.verity.is_some()))
}

fn image(mut rest: Rest<'_>) -> Option<ImageRef> {
    Some(ImageRef {
        name: Name::parse(rest.text("\"")?).ok()?,
        version: Version::parse(rest.text(" version=\"")?).ok()?.as_str().to_owned(),
        id: rest.digest(" id=\""),
        digest: rest.digest(" digest=\"sha256:")?,
        size: rest.number(" size=")?,
        verity: verity(rest),
    })
}

pub(super) fn verity(mut rest: Rest<'_>) -> Option<VerityRef> {
    Some(VerityRef {
        root_hash: rest.digest(" root-hash=\"")?,
        salt: rest.digest(" salt=\"")?,
        data_blocks: rest.number(" data-blocks=")?,
        fec_roots: rest
            .number(" fec-roots=")
            .filter(|roots| FEC_ROOTS.contains(roots))
            .and_then(|roots| u8::try_from(roots).ok()),
    })
}

fn root(mut rest: Rest<'_>) -> Option<WritableTop> {
    match rest.text("writable=\"")? {
        "no" => Some(WritableTop::None),
        "tmpfs" => Some(WritableTop::Tmpfs { size: TmpfsSize::parse(rest.text(" size=\"")?)? }),
        place => Some(WritableTop::State(State {
            place: DeviceSpec::parse(place)?,
            create: rest.text(" create=\"").and_then(|word| StateFileSystem::parse(word).ok()),
            changed: WhenChanged::parse(rest.text(" changed=\"")?).ok()?,
            check: rest.0 == " check=#true",
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> String {
        let digest = "0123456789abcdef".repeat(4);
        let image = |number| {
            let id = if number == 2 { String::new() } else { format!(" id=\"{digest}\"") };
            let roots = if number == 3 { String::new() } else { " fec-roots=2".to_owned() };
            let word = if number < 4 { "image" } else { "optional" };
            format!(
                "    {word} \"i{number}\" version=\"1.{number}\"{id} digest=\"sha256:{digest}\" \
                 size={number}00000 root-hash=\"{digest}\" salt=\"{digest}\" data-blocks={number}{roots}\n"
            )
        };
        let images: String = (1..6).map(image).collect();
        format!(
            "profile \"web\" format=1 {{\n    description \"A web server\"\n    sealed\n{images}    root \
             writable=\"tmpfs\" size=\"50%\"\n    verify \"verity\"\n    init \"/sbin/init\"\n}}\n"
        )
    }

    fn with_kernel() -> String {
        let digest = "0123456789abcdef".repeat(4);
        let line = format!(
            "    sealed\n    kernel \"linux-6.12\" release=\"6.12.95+deb12-cloud-amd64\" digest=\"sha256:{digest}\" size=9000000\n"
        );
        written().replace("format=1", "format=2").replace("    sealed\n", &line)
    }

    /// What came before verity: the texts that are read most often are short.
    fn plain() -> String {
        let mut text =
            written().replace("verify \"verity\"", "verify \"digest\"").replace("    sealed\n", "");
        while let Some((start, end)) =
            text.find(" root-hash").and_then(|start| Some((start, start + text[start..].find('\n')?)))
        {
            text.replace_range(start..end, "");
        }
        text
    }

    #[test]
    fn what_was_written_takes_the_short_way() {
        let state = "LABEL=my state\" changed=\"reset\"";
        for text in [
            written(),
            plain(),
            with_kernel(),
            written().replace("tmpfs\" size=\"50%", "no"),
            written().replace("tmpfs\" size=\"50%\"", state),
            written().replace("tmpfs\" size=\"50%\"", "/dev/vda2\" create=\"xfs\" changed=\"keep\""),
            written().replace(" server", ""),
            plain().replace("    optional", "    image"),
        ] {
            let profile = read(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
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
            ("\"verity\"", "\"verify\""),
            ("\"i2\"", "\"i1\""),
            ("\"i4\"", "\"i1\""),
            ("size=100000", "size=0"),
            ("size=100000", "size=0100000"),
            ("size=100000", "size=4096"),
            ("data-blocks=1", "data-blocks=0"),
            ("fec-roots=2", "fec-roots=1"),
            ("fec-roots=2", "fec-roots=258"),
            (" salt=", " sald="),
            ("sealed", "sealed #true"),
            ("format=1", "format=2"),
            ("A web", "A \\\"web"),
            ("    verify", "    // verify \"none\"\n    verify"),
            ("    init \"/sbin/init\"\n", ""),
            ("/sbin/init", "sbin/init"),
            ("\n}\n", "\n}"),
            ("50%", "0%"),
            ("tmpfs", "LABEL=x"),
            ("A web", "A \u{202e}web"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text);
            assert_eq!(read(changed.as_bytes()), None, "{changed}");
        }
        let text_of_kernel = with_kernel();
        for (from, to) in [
            ("format=2", "format=1"),
            ("size=9000000", "size=0"),
            (" release=", " relaese="),
            ("6.12.95", "../6.12.95"),
            ("format=2", "format=3"),
        ] {
            let changed = text_of_kernel.replacen(from, to, 1);
            assert_ne!(changed, text_of_kernel);
            assert_eq!(read(changed.as_bytes()), None, "{changed}");
            assert!(BootProfile::parse_kdl("x", changed.as_bytes()).is_err(), "{changed}");
        }
        let (start, end) = (text.find(" root-hash").unwrap(), text.find(" data-blocks").unwrap());
        assert_eq!(read(format!("{}{}", &text[..start], &text[end..]).as_bytes()), None);
        assert_eq!(read(text.replace("A web", &"w".repeat(LARGEST)).as_bytes()), None);
        assert_eq!(read(b"\xff"), None);
    }

    #[test]
    fn both_ways_agree_on_every_text_with_one_byte_changed() {
        let state = "LABEL=s\" create=\"ext4\" changed=\"reset\"";
        for text in [plain(), with_kernel(), written().replace("tmpfs\" size=\"50%\"", state)] {
            let text = text.into_bytes();
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
}
