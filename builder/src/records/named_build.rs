//! The builds of the store that a word means.

use profiles::Name;

use crate::error::{Error, Result};
use crate::store::BuildRecord;

/// More builds than this are not listed in a message.
const MOST_LISTED: usize = 8;
const LIST: &str = "`lamina store list` says what there is, each with the beginning of its id";

/// Whether a word can be the beginning of an id.
fn is_prefix(word: &str) -> bool {
    (1..=64).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The one build that `word` means: the beginning of its id, `NAME@BEGINNING`, or the name of a package that was built once.
///
/// # Errors
/// There is none; there are several, which are listed; the word is nothing of the kind.
pub fn by_id<'r>(records: &'r [BuildRecord], word: &str) -> Result<&'r BuildRecord> {
    only(&meant(records, word)?, word)
}

/// The same, where builds of the package `name` are meant when there are such.
///
/// # Errors
/// As [`by_id`].
pub fn of_package<'r>(records: &'r [BuildRecord], name: &Name, word: &str) -> Result<&'r BuildRecord> {
    let all = meant(records, word)?;
    let own: Vec<&BuildRecord> = all.iter().filter(|record| record.name == *name).copied().collect();
    only(if own.is_empty() { &all } else { &own }, word)
}

/// All builds that a word can mean.
fn meant<'r>(records: &'r [BuildRecord], word: &str) -> Result<Vec<&'r BuildRecord>> {
    let of_name: Vec<&BuildRecord> = records.iter().filter(|record| record.name.as_str() == word).collect();
    if !of_name.is_empty() {
        return Ok(of_name);
    }
    let (name, digits) = word.split_once('@').map_or((None, word), |(name, digits)| (Some(name), digits));
    if !is_prefix(digits) {
        let cause = "is neither a package that was built nor the beginning of an id";
        return Err(Error::new(quoted(word), cause).remedy(LIST));
    }
    let digits = digits.to_ascii_lowercase();
    let is_named = |record: &BuildRecord| name.is_none_or(|name| record.name.as_str() == name);
    let begins_so = records.iter().filter(|record| record.id.hex().starts_with(&digits));
    Ok(begins_so.filter(|record| is_named(record)).collect())
}

fn only<'r>(found: &[&'r BuildRecord], word: &str) -> Result<&'r BuildRecord> {
    match found {
        [only] => Ok(only),
        [] => Err(Error::new(quoted(word), "no build of the store has an id that begins so").remedy(LIST)),
        several => {
            let cause = format!("{} builds of the store fit\n    {}", several.len(), listed(several));
            Err(Error::new(quoted(word), cause)
                .remedy("name one of them, with as many digits of its id as it takes"))
        }
    }
}

fn quoted(word: &str) -> String {
    format!("'{}'", cli::safe_text::clean(word))
}

/// All builds of the package `word`; or the one whose id begins so, where no package of this name was built.
///
/// # Errors
/// As [`by_id`].
pub fn by_name_or_id<'r>(records: &'r [BuildRecord], word: &str) -> Result<Vec<&'r BuildRecord>> {
    let of_name: Vec<&BuildRecord> = records.iter().filter(|record| record.name.as_str() == word).collect();
    if !of_name.is_empty() {
        return Ok(of_name);
    }
    match Name::parse(word) {
        Ok(name) if !is_prefix(word) => {
            let cause = "has no build in this store";
            Err(Error::new(format!("package {name}"), cause)
                .remedy(format!("`lamina build {name}` makes one; {LIST}")))
        }
        _ => by_id(records, word).map(|record| vec![record]),
    }
}

/// `hello@0123456789ab 2.12 +manual`, one a line, of which not all are shown.
pub fn listed(records: &[&BuildRecord]) -> String {
    let line = |record: &&BuildRecord| format!("{} {}{}", label(record), record.version, record.choices());
    let mut lines: Vec<String> = records.iter().take(MOST_LISTED).map(line).collect();
    if let Some(more) = records.len().checked_sub(MOST_LISTED).filter(|more| *more > 0) {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n    ")
}

/// `hello@0123456789ab`.
pub fn label(record: &BuildRecord) -> String {
    format!("{}@{}", record.name, &record.id.hex()[..12])
}

#[cfg(test)]
mod tests {
    use profiles::Digest;

    use super::*;

    fn record(name: &str, start: u8, end: u8) -> BuildRecord {
        let mut bytes = [end; 32];
        bytes[0] = start;
        let id = Digest::from_bytes(bytes);
        BuildRecord::without_recipe(Name::parse(name).unwrap(), "1".to_owned(), id, "MIT", "x")
    }

    #[test]
    fn a_name_means_all_builds_and_a_beginning_of_an_id_one() {
        let records = [
            record("zlib", 0xab, 1),
            record("zlib", 0xab, 2),
            record("curl", 0xac, 3),
            record("ed", 0xde, 4),
        ];
        let ids = |word: &str| -> std::result::Result<Vec<String>, String> {
            let found = by_name_or_id(&records, word).map_err(|error| error.to_string())?;
            Ok(found.iter().map(|record| label(record)).collect())
        };
        assert_eq!(ids("zlib").unwrap(), ["zlib@ab0101010101", "zlib@ab0202020202"]);
        assert_eq!(ids("AC").unwrap(), ["curl@ac0303030303"]);
        assert_eq!(ids("curl@a").unwrap(), ["curl@ac0303030303"]);
        assert_eq!(ids("ed").unwrap(), ["ed@de0404040404"], "a name goes before digits");
        assert_eq!(
            ids("ab").unwrap_err(),
            "'ab': 2 builds of the store fit\n    zlib@ab0101010101 1\n    zlib@ab0202020202 1\nhelp: name one of them, with as many digits of its id as it takes"
        );
        for (word, part) in [
            ("0", "no build of the store has an id that begins so"),
            ("nano", "package nano: has no build in this store"),
            ("zlib@ac", "no build of the store has an id that begins so"),
            ("zlib@", "is neither a package that was built nor the beginning of an id"),
            ("\u{1b}[2J", "nor the beginning of an id"),
            (&"a".repeat(65), "nor the beginning of an id"),
        ] {
            let message = ids(word).unwrap_err();
            assert!(message.contains(part) && !message.contains('\u{1b}'), "{word}: {message}");
        }
        let curl = Name::parse("curl").unwrap();
        assert_eq!(of_package(&records, &curl, "a").map(label).unwrap(), "curl@ac0303030303");
        assert_eq!(of_package(&records, &curl, "de").map(label).unwrap(), "ed@de0404040404");
        assert!(of_package(&records, &curl, "ab").is_err());
        assert_eq!(by_id(&records, "curl").map(label).unwrap(), "curl@ac0303030303");
        assert!(by_id(&records, "zlib").unwrap_err().to_string().contains("2 builds of the store fit"));
        let many: Vec<BuildRecord> = (0..20).map(|it| record("zlib", 0xab, it)).collect();
        assert!(by_id(&many, "a").unwrap_err().to_string().contains("\n    and 12 more\n"));
    }
}
