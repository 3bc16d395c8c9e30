//! What is known about the generations of each profile.

use std::fmt::Write;

use profiles::{Digest, Name};

/// Length of a slot in bytes: a page, a block of most file systems, eight sectors.
pub const SLOT_BYTES: usize = 4096;

/// What every slot begins with; a number follows, and the rest depends on it.
pub(crate) const MAGIC: &str = "lamina boot ledger format=";
pub(crate) const FORMAT: u64 = 1;
pub(crate) const HASH: &str = "sha256 ";
/// `sha256 `, 64 digits, a newline.
const HASH_LINE: usize = HASH.len() + 65;

/// So often a generation is tried without being blessed before init moves on to the next of its chain.
pub const MOST_ATTEMPTS: u32 = 3;

/// One generation of a profile: its number, and the SHA-256 of its file, since numbers are given again on another store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation {
    /// From 1; the highest is the newest.
    pub number: u64,
    /// Of the resolved profile's bytes.
    pub digest: Digest,
}

/// A generation with the attempts to boot it that nobody blessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tried {
    pub(crate) generation: Generation,
    pub(crate) attempts: u32,
}

/// One line of the ledger; at least one of the two is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) profile: Name,
    /// The generation that was blessed last.
    pub(crate) good: Option<Tried>,
    /// The other generation that was tried last. It stays while the good one is booted in its place: else it would be
    /// tried again and again.
    pub(crate) tried: Option<Tried>,
}

/// The attempts and the good generations of all profiles of a medium. It always fits into a slot: the profile whose last
/// attempt is the longest ago is forgotten when there are too many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The profile that was tried last comes first.
    pub(crate) records: Vec<Record>,
}

impl Ledger {
    /// How often this generation was tried since it was blessed, or at all. Of the generations that are not good only the
    /// one that was tried last is remembered.
    pub fn attempts(&self, profile: &Name, generation: &Generation) -> u32 {
        self.record(profile)
            .and_then(|record| [record.good, record.tried].into_iter().flatten().find(|it| it.is(generation)))
            .map_or(0, |found| found.attempts)
    }

    /// The generation that was blessed last.
    pub fn last_good(&self, profile: &Name) -> Option<Generation> {
        self.record(profile)?.good.map(|good| good.generation)
    }

    /// Counts one more attempt, before it is made.
    pub fn note_attempt(&mut self, profile: &Name, generation: &Generation) {
        let attempts = self.attempts(profile, generation).saturating_add(1);
        let now = Some(Tried { generation: *generation, attempts });
        self.change(profile, |record| {
            let good = record.good.is_some_and(|good| good.is(generation));
            *(if good { &mut record.good } else { &mut record.tried }) = now;
        });
    }

    /// Notes that this generation works: it is the last good one, and its attempts are forgotten. Says whether that is
    /// news; when it is not, nothing needs to be written.
    pub fn bless(&mut self, profile: &Name, generation: &Generation) -> bool {
        let blessed = Some(Tried { generation: *generation, attempts: 0 });
        if self.record(profile).is_some_and(|record| record.good == blessed) {
            return false;
        }
        self.change(profile, |record| {
            record.good = blessed;
            record.tried = record.tried.filter(|tried| !tried.is(generation));
        });
        true
    }

    /// The profiles it knows, the one that was tried last first.
    pub fn profiles(&self) -> impl Iterator<Item = &Name> {
        self.records.iter().map(|record| &record.profile)
    }

    fn record(&self, profile: &Name) -> Option<&Record> {
        self.records.iter().find(|record| record.profile == *profile)
    }

    /// Changes the record of a profile, moves it to the front, and forgets what does not fit any more.
    fn change(&mut self, profile: &Name, change: impl FnOnce(&mut Record)) {
        let place = self.records.iter().position(|record| record.profile == *profile);
        let mut record = match place {
            Some(place) => self.records.remove(place),
            None => Record { profile: profile.clone(), good: None, tried: None },
        };
        change(&mut record);
        self.records.insert(0, record);
        while !self.fits() {
            self.records.pop();
        }
    }

    /// Whether it has room in a slot, whatever its sequence number.
    pub(crate) fn fits(&self) -> bool {
        self.text(u64::MAX).len() + HASH_LINE <= SLOT_BYTES
    }

    /// All lines of its slot but the last.
    pub(crate) fn text(&self, sequence: u64) -> String {
        let mut text = format!("{MAGIC}{FORMAT} sequence={sequence}\n");
        for record in &self.records {
            text.push_str(record.profile.as_str());
            for (word, tried) in [("good", record.good), ("tried", record.tried)] {
                if let Some(Tried { generation, attempts }) = tried {
                    let (number, hex) = (generation.number, generation.digest.hex());
                    let _ = write!(text, " {word} {number} {hex} {attempts}");
                }
            }
            text.push('\n');
        }
        text
    }
}

impl Tried {
    fn is(&self, generation: &Generation) -> bool {
        self.generation == *generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn generation(number: u64) -> Generation {
        Generation { number, digest: Digest::from_bytes([number as u8; 32]) }
    }

    #[test]
    fn attempts_count_up_until_the_generation_is_blessed() {
        let (mut ledger, web, first) = (Ledger::default(), name("web"), generation(1));
        assert_eq!((ledger.attempts(&web, &first), ledger.last_good(&web)), (0, None));
        for count in 1..=4 {
            ledger.note_attempt(&web, &first);
            assert_eq!(ledger.attempts(&web, &first), count);
        }
        assert!(ledger.bless(&web, &first));
        assert_eq!((ledger.attempts(&web, &first), ledger.last_good(&web)), (0, Some(first)));
        assert!(!ledger.bless(&web, &first), "blessed already");
        ledger.note_attempt(&web, &first);
        assert_eq!(ledger.attempts(&web, &first), 1, "a good generation is counted too");
        assert_eq!(ledger.last_good(&web), Some(first), "and stays good");
        assert!(ledger.bless(&web, &first), "its attempts are forgotten again");
    }

    #[test]
    fn a_generation_that_failed_is_remembered_while_the_good_one_runs_in_its_place() {
        let (mut ledger, web, good, bad) = (Ledger::default(), name("web"), generation(4), generation(5));
        ledger.bless(&web, &good);
        (0..3).for_each(|_| ledger.note_attempt(&web, &bad));
        ledger.note_attempt(&web, &good);
        assert_eq!((ledger.attempts(&web, &bad), ledger.attempts(&web, &good)), (MOST_ATTEMPTS, 1));
        ledger.bless(&web, &good);
        assert_eq!((ledger.attempts(&web, &bad), ledger.attempts(&web, &good)), (MOST_ATTEMPTS, 0));
        // A newer one takes its place, and may become good in its turn.
        ledger.note_attempt(&web, &generation(6));
        assert_eq!((ledger.attempts(&web, &bad), ledger.attempts(&web, &generation(6))), (0, 1));
        ledger.bless(&web, &generation(6));
        assert_eq!(ledger.last_good(&web), Some(generation(6)));
        assert_eq!(ledger.attempts(&web, &good), 0);
    }

    #[test]
    fn a_generation_of_the_same_number_and_other_contents_is_another_one() {
        let (mut ledger, web) = (Ledger::default(), name("web"));
        ledger.note_attempt(&web, &generation(1));
        let again = Generation { number: 1, ..generation(2) };
        assert_eq!(ledger.attempts(&web, &again), 0);
        assert_eq!(ledger.attempts(&name("kiosk"), &generation(1)), 0);
    }

    #[test]
    fn when_it_is_full_the_profile_that_was_tried_longest_ago_is_forgotten() {
        let mut ledger = Ledger::default();
        let long = |number: u64| name(&format!("{number:0>64}"));
        for number in 0..100 {
            ledger.bless(&long(number), &Generation { number: u64::MAX, ..generation(1) });
            ledger.note_attempt(&long(number), &generation(2));
            // Tried again and again, so never forgotten.
            ledger.note_attempt(&long(0), &generation(2));
        }
        let kept: Vec<&Name> = ledger.profiles().collect();
        assert!((12..30).contains(&kept.len()), "{} profiles", kept.len());
        assert_eq!(kept[..3], [&long(0), &long(99), &long(98)]);
        assert_eq!(ledger.attempts(&long(0), &generation(2)), 101);
    }
}
