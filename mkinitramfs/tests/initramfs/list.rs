//! Reading files that are cut short, changed, or no initramfs at all.

use std::fs;
use std::path::Path;

use crate::fixture::{Fixture, shell};
use mkinitramfs::list;

fn written() -> (Fixture, Vec<u8>) {
    let fixture = Fixture::new();
    fixture.request().plan().expect("a plan").write(3, &fixture.path("out.img")).expect("written");
    let bytes = fs::read(fixture.path("out.img")).expect("the initramfs");
    (fixture, bytes)
}

fn refusal(path: &Path, bytes: &[u8]) -> String {
    fs::write(path, bytes).expect("the damaged file");
    list(path).expect_err("a refusal").to_string()
}

#[test]
fn every_way_of_cutting_it_short_is_noticed() {
    let (fixture, bytes) = written();
    let plain = zstd::decode_all(&bytes[..]).expect("the archive");
    let path = fixture.path("cut.img");
    for length in 0..bytes.len() {
        refusal(&path, &bytes[..length]);
    }
    let end = plain.len() - plain.iter().rev().take_while(|byte| **byte == 0).count();
    for length in (0..end).step_by(37) {
        refusal(&path, &plain[..length]);
    }
    assert!(
        refusal(&path, &plain[..end - 20]).contains("is damaged behind 'sys': "),
        "{}",
        refusal(&path, &plain[..end - 20])
    );
}

#[test]
fn a_changed_bit_in_the_compressed_file_is_noticed() {
    let (fixture, bytes) = written();
    let plain = zstd::decode_all(&bytes[..]).expect("the archive");
    let mut harmless = 0;
    for at in (8..bytes.len()).step_by(11) {
        let mut changed = bytes.clone();
        changed[at] ^= 4;
        // A few bits of a zstd frame mean nothing, as those that fill the last byte of a table.
        if zstd::decode_all(&changed[..]).is_ok_and(|decoded| decoded == plain) {
            harmless += 1;
        } else {
            refusal(&fixture.path("changed.img"), &changed);
        }
    }
    assert!(harmless <= 4, "{harmless} bits changed nothing");
}

#[test]
fn plain_archives_of_others_are_read() {
    let fixture = Fixture::new();
    shell(
        fixture.folder.path(),
        "mkdir t && cd t && echo hello > file && ln -s file link && find . | sort | cpio --quiet -o -H newc > ../plain.img",
    );
    let listed = list(&fixture.path("plain.img")).expect("listed").entries;
    assert_eq!(listed.iter().map(|entry| entry.path.as_str()).collect::<Vec<_>>(), [".", "file", "link"]);
    assert_eq!((listed[1].size, listed[2].target.as_deref()), (6, Some("file")));
}

#[test]
fn other_files_are_refused() {
    let fixture = Fixture::new();
    for bytes in [&b""[..], b"hello", &[0; 4096], &[0x28, 0xb5, 0x2f, 0xfd, 0xff]] {
        let refusal = refusal(&fixture.path("other"), bytes);
        assert!(refusal.contains("is no initramfs that this program can read"), "{refusal}");
    }
}
