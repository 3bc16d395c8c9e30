//! The short way to read what [`BuildRecord::to_kdl`] has written.
//!
//! The parser takes half a millisecond for a record of 15 lines, and a plan looks at every record of a store: with 1,200 of
//! them it was silent for more than half a second. So the bytes that this program wrote are read line by line. The reading may
//! be careless, because its result counts only when writing it gives the same text again; all other texts, and all errors,
//! are left to the parser.

use std::collections::BTreeMap;

use profiles::resolved::VerityRef;
use profiles::written_line::Rest;
use profiles::{Choice, Digest, LARGEST, Name};

use super::{BuildRecord, Dependency, SourceRecord};

/// A text with more lines may have more nodes than the parser takes.
const MOST_LINES: usize = 2000;

/// The record whose KDL is exactly `bytes`; `None` says nothing about them.
pub(super) fn read(bytes: &[u8]) -> Option<BuildRecord> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= LARGEST)?;
    let (mut name, mut version, mut id, mut license, mut target) = (None, None, None, None, None);
    let (mut variant, mut features, mut image) = (None, BTreeMap::new(), None);
    let (mut build_root, mut depends, mut sources) = (Vec::new(), Vec::new(), Vec::new());
    if text.lines().nth(MOST_LINES).is_some() {
        return None;
    }
    for line in text.lines() {
        let Some((word, rest)) = line.trim_start().split_once(' ') else { continue };
        let mut rest = Rest(rest);
        match word {
            "build" => name = Some(Name::parse(rest.text("\"")?).ok()?),
            "version" => version = Some(rest.text("\"")?.to_owned()),
            "id" => id = Some(rest.digest("\"")?),
            "license" => license = Some(rest.text("\"")?.to_owned()),
            "target" => target = Some(rest.text("\"")?.to_owned()),
            "variant" => variant = Some(rest.text("\"")?.to_owned()),
            "feature" => {
                let feature = rest.text("\"")?.to_owned();
                features.insert(feature, choice(rest)?);
            }
            "source" => {
                let file = rest.text("\"")?.to_owned();
                sources.push(SourceRecord { file, sha256: rest.digest(" sha256=\"")? });
            }
            "layer" => build_root.push(layer(rest)?),
            "depends" => depends.push(Name::parse(rest.text("\"")?).ok()?),
            "image" => image = Some(written_image(rest)?),
            _ => return None,
        }
    }
    let (digest, size, verity) = image?;
    let record = BuildRecord {
        name: name?,
        version: version?,
        id: id?,
        digest,
        size,
        verity,
        license: license?,
        target: target?,
        variant,
        features,
        build_root,
        depends,
        sources,
    };
    (record.to_kdl() == text).then_some(record)
}

fn choice(mut rest: Rest<'_>) -> Option<Choice> {
    match rest.0 {
        " on=#true" => Some(Choice::On),
        " on=#false" => Some(Choice::Off),
        _ => Some(Choice::Of(Name::parse(rest.text(" value=\"")?).ok()?)),
    }
}

fn layer(mut rest: Rest<'_>) -> Option<Dependency> {
    Some(Dependency {
        name: Name::parse(rest.text("\"")?).ok()?,
        version: rest.text(" version=\"")?.to_owned(),
        id: rest.digest(" id=\"")?,
        digest: rest.digest(" digest=\"")?,
    })
}

/// Digest, size, and what opens the image.
fn written_image(mut rest: Rest<'_>) -> Option<(Digest, u64, Option<VerityRef>)> {
    let digest = rest.digest("digest=\"")?;
    let numbers = rest.0.strip_prefix(" size=")?;
    let (size, verity) = numbers.split_at(numbers.find(' ').unwrap_or(numbers.len()));
    let size = size.parse().ok()?;
    let verity = match verity {
        "" => None,
        written => Some(VerityRef::from_written(written, size)?),
    };
    Some((digest, size, verity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::parsed;

    fn written() -> String {
        let digest = "0123456789abcdef".repeat(4);
        format!(
            "build \"zlib\" format=1 {{\n    version \"1.3\"\n    id \"{digest}\"\n    license \"MIT\"\n    \
             target \"x86_64-linux\"\n    variant \"static\"\n    feature \"nls\" on=#false\n    feature \"tls\" on=#true\n    \
             source \"a.tar\" sha256=\"{digest}\"\n    layer \"musl\" version=\"1.2\" id=\"{digest}\" \
             digest=\"sha256:{digest}\"\n    depends \"base-files\"\n    image digest=\"sha256:{digest}\" size=16384 \
             root-hash=\"{digest}\" salt=\"{digest}\" data-blocks=3 fec-roots=2\n}}\n"
        )
    }

    #[test]
    fn what_was_written_takes_the_short_way() {
        let (all, roots) = (written(), " fec-roots=2");
        let plain = {
            let (start, end) = (all.find(" root-hash").unwrap(), all.find("\n}").unwrap());
            format!("{}{}", &all[..start], &all[end..])
        };
        for text in [all.clone(), all.replace(roots, ""), plain, all.replace("    variant \"static\"\n", "")]
        {
            let record = read(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(Ok(&record), parsed("x", text.as_bytes()).as_ref(), "{text}");
        }
    }

    #[test]
    fn what_the_parser_refuses_or_reads_otherwise_does_not_take_it() {
        let text = written();
        for (from, to) in [
            ("format=1", "format=2"),
            ("1.3", "1.\\\"3"),
            ("1.3", "1.\u{202e}3"),
            ("on=#false", "on=#maybe"),
            ("    license", "    // license \"x\"\n    license"),
            ("    license", "    license \"x\"\n    license"),
            ("\"tls\"", "\"nls\""),
            ("data-blocks=3", "data-blocks=4"),
            ("data-blocks=3", "data-blocks=0"),
            ("fec-roots=2", "fec-roots=1"),
            ("fec-roots=2", "fec-roots=25"),
            ("size=16384", "size=016384"),
            (" salt=", " sald="),
            ("\n}\n", "\n}"),
            ("    depends", "    depend"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text);
            assert_eq!(read(changed.as_bytes()), None, "{changed}");
        }
        let layers = text.lines().find(|line| line.contains("layer")).unwrap().to_owned() + "\n";
        assert_eq!(read(text.replace(&layers, &layers.repeat(MOST_LINES)).as_bytes()), None);
        assert_eq!(read(text.replace("MIT", &"w".repeat(LARGEST)).as_bytes()), None);
        assert_eq!(read(b"\xff"), None);
    }

    #[test]
    fn both_ways_agree_on_every_text_with_one_byte_changed() {
        let text = written().into_bytes();
        let mut short = 0;
        for at in 0..text.len() {
            for byte in *b"\"\\ a0/9\n}" {
                let mut changed = text.clone();
                changed[at] = byte;
                if let Some(record) = read(&changed) {
                    short += 1;
                    assert_eq!(Ok(&record), parsed("x", &changed).as_ref());
                }
            }
        }
        assert!(short > text.len(), "{short}");
    }
}
