//! The two files: what is written where, and what is not a slot.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};

use boot_ledger::{Damage, Generation, Ledger, SLOT_BYTES, Slot, Slots};
use profiles::{Digest, Name};

fn store() -> (tempfile::TempDir, Slots) {
    let store = tempfile::tempdir().unwrap();
    Slots::create(store.path()).unwrap();
    let slots = Slots::open(store.path()).unwrap().unwrap();
    (store, slots)
}

fn tried(times: u32) -> Ledger {
    let mut ledger = Ledger::default();
    let generation = Generation { number: 1, digest: Digest::from_bytes([1; 32]) };
    (0..times).for_each(|_| ledger.note_attempt(&Name::parse("web").unwrap(), &generation));
    ledger
}

#[test]
fn a_store_without_slots_has_none() {
    let store = tempfile::tempdir().unwrap();
    assert!(Slots::open(store.path()).unwrap().is_none());
    let missing = store.path().join("missing");
    assert!(Slots::open(&missing).unwrap().is_none());
    fs::create_dir(store.path().join("boot")).unwrap();
    assert!(Slots::open(store.path()).unwrap().is_none());
}

#[test]
fn writes_take_turns_and_change_neither_the_files_nor_their_lengths() {
    let (store, slots) = store();
    let state = || {
        ["a", "b"].map(|name| {
            let file = fs::metadata(store.path().join("boot").join(name)).unwrap();
            (file.ino(), file.len(), file.blocks())
        })
    };
    let before = state();
    let mut last = String::new();
    for times in 1..=7 {
        slots.write(&tried(times)).unwrap();
        let reading = slots.read();
        assert_eq!((reading.ledger, reading.damaged), (tried(times), vec![]));
        let newest = ["a", "b"].into_iter().find(|name| {
            let text = fs::read_to_string(store.path().join("boot").join(name)).unwrap();
            text.starts_with(&format!("lamina boot ledger format=1 sequence={times}\n"))
        });
        assert_ne!(newest.unwrap(), last, "the other slot than last time");
        last = newest.unwrap().to_owned();
    }
    assert_eq!(state(), before);
}

#[test]
fn create_keeps_what_is_right_and_mends_what_is_not() {
    let (store, slots) = store();
    slots.write(&tried(2)).unwrap();
    Slots::create(store.path()).unwrap();
    assert_eq!(slots.read().ledger, tried(2));
    let newest =
        if fs::read_to_string(store.path().join("boot/a")).unwrap().contains("web") { "a" } else { "b" };
    let other = store.path().join("boot").join(if newest == "a" { "b" } else { "a" });
    for wrong in [Vec::new(), vec![0; 100], vec![0; SLOT_BYTES + 1]] {
        fs::write(&other, &wrong).unwrap();
        let reading = slots.read();
        assert_eq!(reading.ledger, tried(2));
        let why = format!("has {} bytes, and a slot has 4096", wrong.len());
        assert_eq!(reading.damaged[0].1, Damage::Unreadable(why.clone()));
        let error = slots.write(&tried(3)).unwrap_err();
        assert!(error.to_string().ends_with(&why), "{error}");
        Slots::create(store.path()).unwrap();
        assert_eq!((slots.read().ledger, slots.read().damaged), (tried(2), vec![]));
    }
    fs::remove_file(&other).unwrap();
    assert_eq!(slots.read().damaged[0].1, Damage::Missing);
    assert_eq!(slots.write(&tried(3)).unwrap_err().kind(), ErrorKind::NotFound);
    Slots::create(store.path()).unwrap();
    slots.write(&tried(3)).unwrap();
    assert_eq!(slots.read().ledger, tried(3));
}

#[test]
fn with_both_slots_damaged_the_ledger_is_empty_and_can_be_written() {
    let (store, slots) = store();
    slots.write(&tried(2)).unwrap();
    for name in ["a", "b"] {
        fs::File::options()
            .write(true)
            .open(store.path().join("boot").join(name))
            .unwrap()
            .write_all_at(b"X", 9)
            .unwrap();
    }
    let reading = slots.read();
    assert_eq!(reading.ledger, Ledger::default());
    assert_eq!(reading.damaged, [(Slot::A, Damage::Broken), (Slot::B, Damage::Broken)]);
    slots.write(&tried(1)).unwrap();
    slots.write(&tried(2)).unwrap();
    assert_eq!((slots.read().ledger, slots.read().damaged), (tried(2), vec![]));
}

#[test]
fn links_and_fifos_are_no_slots() {
    let (store, slots) = store();
    let outside = store.path().join("outside");
    fs::write(&outside, tried(5).encode(50)).unwrap();
    let a = store.path().join("boot/a");
    fs::remove_file(&a).unwrap();
    symlink(&outside, &a).unwrap();
    assert_eq!(slots.read().damaged, [(Slot::A, Damage::Unreadable("is a symbolic link".into()))]);
    assert_eq!(slots.read().ledger, Ledger::default());
    assert!(Slots::create(store.path()).unwrap_err().to_string().contains("boot/a: is a symbolic link"));
    fs::remove_file(&a).unwrap();
    nix::unistd::mkfifo(&a, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(slots.read().damaged, [(Slot::A, Damage::Unreadable("is no regular file".into()))]);
    assert!(slots.write(&tried(1)).is_err());
    fs::remove_file(&a).unwrap();
    // It is looked at before it is opened: a socket answers that with ENXIO, and a device node may do anything.
    let _listener = std::os::unix::net::UnixListener::bind(&a).unwrap();
    assert_eq!(slots.read().damaged, [(Slot::A, Damage::Unreadable("is no regular file".into()))]);
    assert!(Slots::create(store.path()).unwrap_err().to_string().contains("boot/a: is no regular file"));

    let elsewhere = tempfile::tempdir().unwrap();
    symlink(store.path().join("boot"), elsewhere.path().join("boot")).unwrap();
    assert!(Slots::open(elsewhere.path()).is_err(), "the folder is a link");
}

#[test]
fn a_newer_ledger_is_not_overwritten() {
    let (store, slots) = store();
    let text = "lamina boot ledger format=2 sequence=3 more=yes\n";
    let (hash, _) = Digest::of(text.as_bytes()).unwrap();
    let mut newer = format!("{text}sha256 {}\n", hash.hex()).into_bytes();
    newer.resize(SLOT_BYTES, 0);
    fs::write(store.path().join("boot/b"), &newer).unwrap();
    assert_eq!(slots.read().damaged, [(Slot::B, Damage::Newer(2))]);
    let error = slots.write(&tried(1)).unwrap_err();
    assert_eq!(error.to_string(), "boot/b: has format 2, and this Lamina knows 1");
    assert_eq!(fs::read(store.path().join("boot/b")).unwrap(), newer);
    Slots::create(store.path()).unwrap();
    assert_eq!(fs::read(store.path().join("boot/b")).unwrap(), newer);
}

#[test]
fn the_sequence_never_wraps() {
    let (store, slots) = store();
    fs::write(store.path().join("boot/a"), tried(1).encode(u64::MAX)).unwrap();
    let error = slots.write(&tried(2)).unwrap_err();
    assert!(error.to_string().contains("used up"), "{error}");
    assert_eq!(slots.read().ledger, tried(1));
}
