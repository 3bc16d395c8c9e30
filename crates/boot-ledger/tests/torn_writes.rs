//! A write to a slot that a power cut ends leaves the old ledger or the new one, whatever part of it reached the disk.

use boot_ledger::{Damage, Generation, Ledger, SLOT_BYTES, Slots};
use profiles::{Digest, Name};

const SECTOR: usize = 512;

/// Numbers that are the same in every run: xorshift64 (Marsaglia, 2003).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// A history of so many attempts and blessings, of up to twelve profiles.
fn ledger(seed: u64, events: u64) -> Ledger {
    let (mut ledger, mut numbers) = (Ledger::default(), Numbers(seed));
    for _ in 0..events {
        let profile = Name::parse(&format!("profile-{}", numbers.next() % 12)).unwrap();
        let number = numbers.next() % 4;
        let generation = Generation { number, digest: Digest::from_bytes([number as u8; 32]) };
        match numbers.next() % 3 {
            0 => drop(ledger.bless(&profile, &generation)),
            _ => ledger.note_attempt(&profile, &generation),
        }
    }
    ledger
}

/// The slots of a store in a temporary folder, as bytes.
struct Medium(tempfile::TempDir);

impl Medium {
    fn new() -> (Medium, Slots) {
        let medium = Medium(tempfile::tempdir().unwrap());
        Slots::create(medium.0.path()).unwrap();
        let slots = Slots::open(medium.0.path()).unwrap().unwrap();
        (medium, slots)
    }

    fn path(&self, slot: &str) -> std::path::PathBuf {
        self.0.path().join("boot").join(slot)
    }

    fn bytes(&self, slot: &str) -> Vec<u8> {
        std::fs::read(self.path(slot)).unwrap()
    }

    fn put(&self, slot: &str, bytes: &[u8]) {
        std::fs::write(self.path(slot), bytes).unwrap();
    }
}

#[test]
fn every_history_survives_its_slot() {
    for seed in 1..300 {
        let ledger = ledger(seed, seed);
        let slot = ledger.encode(seed);
        assert_eq!(Ledger::decode(&slot), Ok((seed, ledger)));
    }
}

#[test]
fn every_change_of_one_byte_is_seen() {
    let slot = ledger(5, 40).encode(9);
    for place in 0..SLOT_BYTES {
        for change in [0x01, 0x20, 0x80, 0xff] {
            let mut damaged = slot;
            damaged[place] ^= change;
            assert_eq!(Ledger::decode(&damaged), Err(Damage::Broken), "byte {place} ^ {change:#x}");
        }
    }
}

#[test]
fn every_mixture_of_two_slots_is_one_of_them_or_damaged() {
    let (old, new) = (ledger(5, 40).encode(9), ledger(6, 60).encode(11));
    let known = |mixture: &[u8]| match Ledger::decode(mixture) {
        Ok((9, ledger)) => assert_eq!(ledger.encode(9), old),
        Ok((11, ledger)) => assert_eq!(ledger.encode(11), new),
        Ok((sequence, _)) => panic!("a ledger out of nowhere: {sequence}"),
        Err(damage) => assert_eq!(damage, Damage::Broken),
    };
    for cut in 0..=SLOT_BYTES {
        known(&[&new[..cut], &old[cut..]].concat());
        known(&[&old[..cut], &new[cut..]].concat());
    }
    // Sectors reach the disk in any order.
    for sectors in 0..=255_u8 {
        let pick = |place: usize| if sectors >> (place / SECTOR) & 1 == 1 { new[place] } else { old[place] };
        known(&(0..SLOT_BYTES).map(pick).collect::<Vec<u8>>());
    }
}

#[test]
fn noise_is_damage_and_nothing_worse() {
    let mut numbers = Numbers(77);
    let slot = ledger(5, 40).encode(9);
    for round in 0..2000 {
        let mut noise = slot.to_vec();
        for _ in 0..=numbers.next() % 40 {
            let place = numbers.next() as usize % SLOT_BYTES;
            noise[place] =
                if round % 2 == 0 { numbers.next() as u8 } else { b"\n \0sha25617good"[place % 14] };
        }
        noise.truncate(SLOT_BYTES - (numbers.next() % 3) as usize);
        assert!(noise == slot || Ledger::decode(&noise).is_err());
    }
}

#[test]
fn a_torn_write_leaves_the_old_ledger_or_the_new_one_and_the_next_write_works() {
    let (medium, slots) = Medium::new();
    let mut old = Ledger::default();
    for round in 1..=3 {
        let (new, later) = (ledger(round, 30), ledger(round + 100, 30));
        let before = ["a", "b"].map(|slot| medium.bytes(slot));
        slots.write(&new).unwrap();
        let after = ["a", "b"].map(|slot| medium.bytes(slot));
        assert_eq!((0..2).filter(|slot| before[*slot] != after[*slot]).count(), 1, "one slot at a time");
        for sectors in 0..=255_u8 {
            for (slot, name) in ["a", "b"].into_iter().enumerate() {
                let new_at = |place: usize| sectors >> (place / SECTOR) & 1 == 1;
                let pick = |place| if new_at(place) { after[slot][place] } else { before[slot][place] };
                medium.put(name, &(0..SLOT_BYTES).map(pick).collect::<Vec<u8>>());
            }
            let found = slots.read().ledger;
            assert!(found == old || found == new, "round {round}, sectors {sectors:#b}");
            // Every write waits for the disk, so not after each of them.
            if sectors % 15 == 0 {
                slots.write(&later).unwrap();
                assert_eq!(slots.read().ledger, later);
            }
        }
        ["a", "b"].into_iter().zip(&after).for_each(|(name, bytes)| medium.put(name, bytes));
        assert_eq!(slots.read().ledger, new);
        old = new;
    }
}
