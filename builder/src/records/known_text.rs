//! What is known of the text that the id of a build in the store is the hash of.
//!
//! Builds of earlier versions were recorded without it. The record has the lines that differ most often: put into the text that the recipe
//! gives now, they make the earlier one, when nothing else has changed; the id tells whether they do.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use profiles::{Choice, Digest};

use super::difference::{BOOTSTRAP, Difference, LAYER, WORDS, difference, rank, word};
use crate::error::Result;
use crate::store::{BuildRecord, Store};

/// The first words of the lines that a record knows.
const RECORDED: [&str; 9] =
    ["name", "version", "license", "target", BOOTSTRAP, "variant", "feature", "source", LAYER];

/// A text, or what is left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownText {
    /// Its lines.
    pub text: String,
    /// Where they come from.
    pub origin: Origin,
}

/// Where a text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was kept with the build, or the recipes give it now.
    Kept,
    /// It was made of the record and of what the recipe gives now, and has the right SHA-256.
    Restored,
    /// The record alone: lines of other words are not known.
    RecordAlone,
}

impl Origin {
    /// In words for people.
    pub fn in_words(self) -> &'static str {
        match self {
            Origin::Kept => "the text of its id was kept",
            Origin::Restored => "an older record: the text of its id was not kept, and was made anew from it",
            Origin::RecordAlone => {
                "an older record: the text of its id was not kept, and only what the record says is compared"
            }
        }
    }

    /// In a word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Kept => "kept",
            Origin::Restored => "restored",
            Origin::RecordAlone => "record-alone",
        }
    }
}

impl KnownText {
    /// What differs from the text `now`, of the lines that are known.
    pub fn against(&self, now: &str) -> Difference {
        match self.origin {
            Origin::Kept | Origin::Restored => difference(&self.text, now, None),
            Origin::RecordAlone => {
                // The sources of a layer of Debian packages are no lines: the file of its pins is one.
                let is_debian = now.lines().any(|line| line == "debian");
                let known = RECORDED.into_iter().filter(|word| !is_debian || *word != "source");
                difference(&self.text, now, Some(&known.collect::<BTreeSet<_>>()))
            }
        }
    }
}

/// The texts of a store's builds, each read once.
#[derive(Debug)]
pub struct KnownTexts<'a> {
    store: &'a Store,
    records: BTreeMap<Digest, &'a BuildRecord>,
    kept: RefCell<BTreeMap<Digest, Result<Option<String>>>>,
}

impl<'a> KnownTexts<'a> {
    /// Those of `store`, which has these records.
    pub fn new(store: &'a Store, records: &'a [BuildRecord]) -> Self {
        let records = records.iter().map(|record| (record.id, record)).collect();
        KnownTexts { store, records, kept: RefCell::default() }
    }

    /// The record of a build.
    pub fn record(&self, id: &Digest) -> Option<&'a BuildRecord> {
        self.records.get(id).copied()
    }

    /// The text of the build `id`. `now` is what the recipe of the same package gives now. `None` where neither a text nor a record is
    /// there.
    ///
    /// # Errors
    /// The text is damaged.
    pub fn of(&self, id: &Digest, now: &str) -> Result<Option<KnownText>> {
        let read = || self.store.id_text(id);
        let kept = self.kept.borrow_mut().entry(*id).or_insert_with(read).clone()?;
        if let Some(text) = kept {
            return Ok(Some(KnownText { text, origin: Origin::Kept }));
        }
        let Some(record) = self.record(id) else { return Ok(None) };
        Ok(Some(match restored(record, now) {
            Some(text) => KnownText { text, origin: Origin::Restored },
            None => KnownText { text: recorded_lines(record).join("\n") + "\n", origin: Origin::RecordAlone },
        }))
    }
}

/// The lines that a record knows, in the order of the text.
fn recorded_lines(record: &BuildRecord) -> Vec<String> {
    let choice = |(name, choice): (&String, &Choice)| format!("feature {name} {choice}");
    let source = |it: &crate::store::SourceRecord| format!("source {} sha256:{}", it.file, it.sha256.hex());
    let mut lines = vec![
        format!("name {}", record.name),
        format!("version {}", record.version),
        format!("license {}", record.license),
        format!("target {}", record.target),
    ];
    lines.extend(record.build_root.first().map(|layer| format!("{BOOTSTRAP} {}", layer.id.hex())));
    lines.extend(record.variant.iter().map(|variant| format!("variant {variant}")));
    lines.extend(record.features.iter().map(choice));
    lines.extend(sorted(record.sources.iter().map(source)));
    let above = record.build_root.iter().skip(1);
    lines.extend(sorted(above.map(|layer| format!("{LAYER} {} {}", layer.name, layer.id.hex()))));
    lines
}

/// The text of the build of `record`, when only lines that it knows differ from those of `now`.
fn restored(record: &BuildRecord, now: &str) -> Option<String> {
    let is_debian = now.lines().any(|line| line == "debian");
    let is_known = |line: &str| RECORDED.contains(&word(line)) && !(is_debian && word(line) == "source");
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut place = 0;
    for line in now.lines() {
        // A line that later versions write stays behind the one before it.
        let known = Some(place_of(line)).filter(|place| *place < 2 * WORDS.len());
        place = known.unwrap_or(place | 1);
        if !is_known(line) {
            lines.push((place, with_first_source(line, record)));
        }
    }
    let known = recorded_lines(record).into_iter().filter(|line| is_known(line));
    lines.extend(known.map(|line| (place_of(&line), line)));
    // Lines of one word keep their order.
    lines.sort_by_key(|(place, _)| *place);
    let lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
    let text = lines.join("\n") + "\n";
    (Digest::of_bytes(&text) == record.id).then_some(text)
}

/// The place of a line, an even number; arguments stand among the steps.
fn place_of(line: &str) -> usize {
    2 * match word(line) {
        "argument" => rank("step"),
        word => rank(word),
    }
}

/// A step that unpacks the first source by itself names it.
fn with_first_source(line: &str, record: &BuildRecord) -> String {
    let unpacks = line.strip_prefix("step unpack default=").and_then(|rest| rest.split_once(' '));
    match (unpacks, record.sources.first()) {
        (Some((rules, _)), Some(first)) => format!("step unpack default={rules} {}", first.file),
        _ => line.to_owned(),
    }
}

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines
}

/// The layer that a line names, with the name of its package; the one at the bottom is called [`BOOTSTRAP`].
pub fn layer_of(line: &str) -> Option<(&str, Digest)> {
    let (word, rest) = line.split_once(' ')?;
    match word {
        BOOTSTRAP => Some((BOOTSTRAP, Digest::parse(rest).ok()?)),
        LAYER => {
            let (name, id) = rest.rsplit_once(' ')?;
            Some((name, Digest::parse(id).ok()?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use profiles::Name;

    use super::*;
    use crate::store::{Dependency, SourceRecord};

    const NOW: &str = "lamina build 2\nname curl\nversion 9\nlicense curl\ntarget x\nimage squashfs\nbootstrap B\nhardening 1\nvariant static\n\
                       feature ssl off\nsource a.tar sha256:A\nsource b.tar sha256:B\npatch p sha256:P\nbuild-depend zlib Z\ndepend base any\n\
                       step unpack default=1 b.tar\nargument make X\nstep make sha256:M\nsandbox 7\n";

    fn hex(byte: u8) -> String {
        Digest::from_bytes([byte; 32]).hex()
    }

    /// With real digests.
    fn now() -> String {
        [
            ("bootstrap B", 1),
            ("sha256:A", 2),
            ("sha256:B", 3),
            ("sha256:P", 4),
            ("zlib Z", 5),
            ("sha256:M", 6),
        ]
        .iter()
        .fold(NOW.to_owned(), |text, (word, byte)| {
            let end = word.len() - 1;
            text.replace(word, &format!("{}{}", &word[..end], hex(*byte)))
        })
    }

    /// The record of a build of `text`, with what `now` has where it says something.
    fn record(text: &str) -> BuildRecord {
        let digest = |byte: u8| Digest::from_bytes([byte; 32]);
        let layer = |name: &str, byte: u8| Dependency {
            name: Name::parse(name).unwrap(),
            version: "1".to_owned(),
            id: digest(byte),
            digest: digest(byte),
        };
        let source = |file: &str, byte: u8| SourceRecord { file: file.to_owned(), sha256: digest(byte) };
        BuildRecord {
            variant: Some("static".to_owned()),
            features: [("ssl".to_owned(), Choice::Off)].into(),
            build_root: vec![layer("bootstrap", 1), layer("zlib", 5)],
            sources: vec![source("b.tar", 3), source("a.tar", 2)],
            ..BuildRecord::without_recipe(
                Name::parse("curl").unwrap(),
                "9".to_owned(),
                Digest::of_bytes(text),
                "curl",
                "x",
            )
        }
    }

    #[test]
    fn a_text_is_made_anew_when_the_record_has_all_that_differs() {
        let now = now();
        assert_eq!(restored(&record(&now), &now), Some(now.clone()));
        let mut older = record(&now);
        older.version = "8".to_owned();
        older.sources[0].file = "b-8.tar".to_owned();
        older.build_root.truncate(1);
        older.build_root[0].id = Digest::from_bytes([9; 32]);
        older.features.insert("ldap".to_owned(), Choice::On);
        let before = now
            .replace("version 9", "version 8")
            .replace("b.tar", "b-8.tar")
            .replace(&format!("build-depend zlib {}\n", hex(5)), "")
            .replace(&format!("bootstrap {}", hex(1)), &format!("bootstrap {}", hex(9)))
            .replace("feature ssl", "feature ldap on\nfeature ssl");
        older.id = Digest::of_bytes(&before);
        assert_eq!(restored(&older, &now), Some(before.clone()));
        assert_eq!(
            restored(&older, &now.replace("sandbox 7", "sandbox 8")),
            None,
            "what it does not know differs too"
        );
        assert_eq!(restored(&older, ""), None);
    }

    #[test]
    fn of_a_layer_of_debian_packages_the_sources_are_no_lines() {
        let now = "lamina build 2\nname curl\nversion 9\nlicense curl\ntarget x\nimage squashfs\nfile lock.kdl sha256:A\ndebian\n";
        let older = BuildRecord {
            version: "8".to_owned(),
            variant: None,
            features: BTreeMap::new(),
            build_root: Vec::new(),
            id: Digest::of_bytes(now.replace("version 9", "version 8")),
            ..record(now)
        };
        assert!(restored(&older, now).is_some());
        let changed = now.replace("sha256:A", "sha256:B");
        assert_eq!(restored(&older, &changed), None);
        let known = KnownText { text: recorded_lines(&older).join("\n"), origin: Origin::RecordAlone };
        let words: Vec<String> = known.against(&changed).groups.into_iter().map(|group| group.word).collect();
        assert_eq!(words, ["version"]);
    }
}
