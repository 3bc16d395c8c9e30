//! One slot: 4096 bytes of text.
//!
//! ```text
//! lamina boot ledger format=1 sequence=7
//! web good 4 HEX 0 tried 5 HEX 3
//! kiosk good 1 HEX 1
//! sha256 HEX
//! ```
//!
//! A line a profile, the one that was tried last first: name, then `good` and `tried`, each with the generation's number, the
//! SHA-256 of its file, and the attempts since it was blessed. The last line has the SHA-256 of all that stands before it.
//! Zero bytes fill the slot. A ledger has exactly one form, so a change of any byte is seen.

use std::fmt::{self, Write};

use profiles::{Digest, Name};

use crate::ledger::{FORMAT, Generation, HASH, Ledger, MAGIC, Record, SLOT_BYTES, Tried};

/// Why a slot does not hold a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// The file is not there.
    Missing,
    /// It cannot be read, or is no regular file of 4096 bytes; says why.
    Unreadable(String),
    /// The text is no ledger, or its SHA-256 is another: it was written in part, or changed.
    Broken,
    /// A newer Lamina wrote it, in this format.
    Newer(u64),
}

impl fmt::Display for Damage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Missing => out.write_str("is missing"),
            Damage::Unreadable(why) => out.write_str(why),
            Damage::Broken => out.write_str("is damaged: its SHA-256 does not match its text"),
            Damage::Newer(format) => write!(out, "has format {format}, and this Lamina knows {FORMAT}"),
        }
    }
}

impl Ledger {
    /// The 4096 bytes of a slot that holds this ledger.
    pub fn encode(&self, sequence: u64) -> [u8; SLOT_BYTES] {
        let mut text = self.text(sequence);
        let hash = Digest::of_bytes(&text);
        let _ = writeln!(text, "{HASH}{}", hash.hex());
        let mut slot = [0; SLOT_BYTES];
        // A ledger fits always: `change` and `decode` see to it.
        slot.iter_mut().zip(text.bytes()).for_each(|(place, byte)| *place = byte);
        slot
    }

    /// Reads a slot: its sequence number and its ledger. Accepts nothing that [`Ledger::encode`] would not write.
    ///
    /// # Errors
    /// The slot is damaged, or a newer Lamina wrote it.
    pub fn decode(slot: &[u8]) -> Result<(u64, Ledger), Damage> {
        let found = parse(slot)?;
        match found.1.encode(found.0) == slot {
            true => Ok(found),
            false => Err(Damage::Broken),
        }
    }
}

fn parse(slot: &[u8]) -> Result<(u64, Ledger), Damage> {
    let end = slot.iter().position(|byte| *byte == 0).unwrap_or(slot.len());
    let text = std::str::from_utf8(&slot[..end]).map_err(|_| Damage::Broken)?;
    let (body, hash) = text.rsplit_once(HASH).ok_or(Damage::Broken)?;
    let expected = Digest::parse(hash.trim_end()).map_err(|_| Damage::Broken)?;
    if Digest::of_bytes(body) != expected {
        return Err(Damage::Broken);
    }
    let mut lines = body.lines();
    let first = lines.next().and_then(|line| line.strip_prefix(MAGIC)).ok_or(Damage::Broken)?;
    let (format, rest) = first.split_once(' ').unwrap_or((first, ""));
    match format.parse() {
        Ok(FORMAT) => {}
        Ok(newer @ FORMAT..) => return Err(Damage::Newer(newer)),
        _ => return Err(Damage::Broken),
    }
    let sequence = rest.strip_prefix("sequence=").and_then(|number| number.parse().ok());
    let records = lines.map(parse_record).collect::<Option<Vec<_>>>();
    let (sequence, records) = sequence.zip(records).ok_or(Damage::Broken)?;
    let ledger = Ledger { records };
    let again = |(place, record): (usize, &Record)| {
        ledger.records[..place].iter().any(|before| before.profile == record.profile)
    };
    if ledger.records.iter().enumerate().any(again) || !ledger.fits() {
        return Err(Damage::Broken);
    }
    Ok((sequence, ledger))
}

/// `NAME [good N HEX ATTEMPTS] [tried N HEX ATTEMPTS]`, with at least one of the two.
fn parse_record(line: &str) -> Option<Record> {
    let mut words = line.split(' ');
    let mut record = Record { profile: Name::parse(words.next()?).ok()?, good: None, tried: None };
    while let Some(word) = words.next() {
        let number = words.next()?.parse().ok()?;
        let digest = Digest::parse(words.next()?).ok()?;
        let tried =
            Tried { generation: Generation { number, digest }, attempts: words.next()?.parse().ok()? };
        match word {
            "good" => record.good = Some(tried),
            "tried" => record.tried = Some(tried),
            _ => return None,
        }
    }
    let differ = record.good.map(|it| it.generation) != record.tried.map(|it| it.generation);
    // Equal means: none at all, or one generation in both places.
    differ.then_some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slot with this text and its right hash.
    fn sealed(body: &str) -> Vec<u8> {
        let hash = Digest::of_bytes(body).hex();
        let mut slot = format!("{body}{HASH}{hash}\n").into_bytes();
        slot.resize(SLOT_BYTES.max(slot.len()), 0);
        slot
    }

    fn generation(number: u64) -> Generation {
        Generation { number, digest: Digest::from_bytes([0xab; 32]) }
    }

    #[test]
    fn the_text_is_the_documented_one() {
        let mut ledger = Ledger::default();
        let (web, kiosk) = (Name::parse("web").unwrap(), Name::parse("kiosk").unwrap());
        ledger.bless(&kiosk, &generation(1));
        ledger.bless(&web, &generation(4));
        ledger.note_attempt(&web, &generation(5));
        let hex = "ab".repeat(32);
        let body = format!(
            "lamina boot ledger format=1 sequence=7\nweb good 4 {hex} 0 tried 5 {hex} 1\nkiosk good 1 {hex} 0\n"
        );
        assert_eq!(ledger.encode(7).as_slice(), sealed(&body));
        assert_eq!(Ledger::decode(&ledger.encode(7)), Ok((7, ledger)));
        assert_eq!(Ledger::decode(&Ledger::default().encode(u64::MAX)), Ok((u64::MAX, Ledger::default())));
    }

    #[test]
    fn a_right_hash_alone_is_not_enough() {
        let hex = "ab".repeat(32);
        let first = "lamina boot ledger format=1 sequence=7\n";
        for lines in [
            "web\n".to_owned(),
            format!("web good 4 {hex}\n"),
            format!("web good 4 {hex} 04\n"),
            format!("web good +4 {hex} 4\n"),
            format!("web  good 4 {hex} 4\n"),
            format!("web good 4 sha256:{hex} 4\n"),
            format!("web tried 4 {hex} 4 good 5 {hex} 4\n"),
            format!("web good 4 {hex} 4 tried 4 {hex} 4\n"),
            format!("web good 4 {hex} 4 maybe 5 {hex} 4\n"),
            format!("web good 4 {hex} 4294967296\n"),
            format!("../web good 4 {hex} 4\n"),
            format!("web good 4 {hex} 4"),
            format!("web good 4 {hex} 4\nweb good 4 {hex} 4\n"),
            (0..60).map(|n| format!("web{n} good 4 {hex} 4\n")).collect(),
        ] {
            assert_eq!(Ledger::decode(&sealed(&format!("{first}{lines}"))), Err(Damage::Broken), "{lines}");
        }
        assert!(Ledger::decode(&sealed(&format!("{first}web good 4 {hex} 4\n"))).is_ok());
        for body in
            ["", "lamina", "lamina boot ledger format=1\n", "lamina boot ledger format=0 sequence=7\n"]
        {
            assert_eq!(Ledger::decode(&sealed(body)), Err(Damage::Broken), "{body}");
        }
        let newer = sealed("lamina boot ledger format=2 whatever that will be\n");
        assert_eq!(Ledger::decode(&newer), Err(Damage::Newer(2)));
    }

    #[test]
    fn other_lengths_are_refused() {
        let slot = Ledger::default().encode(1);
        for length in 0..SLOT_BYTES {
            assert_eq!(Ledger::decode(&slot[..length]), Err(Damage::Broken), "{length}");
        }
        assert_eq!(Ledger::decode(&[slot.as_slice(), &[0]].concat()), Err(Damage::Broken));
    }
}
