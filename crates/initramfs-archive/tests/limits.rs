//! What asks for too much, and what lies about itself.

use std::io::Read;
use std::ops::ControlFlow;

use initramfs_archive::{Archive, Damage, Limits, walk};

/// An entry of mode 0100644 whose header may lie about the sizes.
fn entry(name: &[u8], data: &[u8], sizes: (usize, usize)) -> Vec<u8> {
    let mut bytes = b"070701".to_vec();
    for place in 0..13 {
        let number = match place {
            1 => 0o100_644,
            6 => sizes.0,
            11 => sizes.1,
            _ => 0,
        };
        bytes.extend(format!("{number:08x}").into_bytes());
    }
    bytes.extend(name);
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn file(name: &str, data: &[u8]) -> Vec<u8> {
    entry(name.as_bytes(), data, (data.len(), name.len() + 1))
}

fn end() -> Vec<u8> {
    file("TRAILER!!!", b"")
}

fn paths(bytes: &[u8], limits: Limits) -> Result<(Vec<String>, Vec<Archive>), Damage> {
    let mut paths = Vec::new();
    let archives = walk(bytes, limits, &mut |entry, _| {
        paths.push(entry.path.clone());
        Ok(ControlFlow::Continue(()))
    })?;
    Ok((paths, archives))
}

fn refusal(bytes: &[u8], limits: Limits) -> String {
    paths(bytes, limits).expect_err("a refusal").to_string()
}

#[test]
fn a_bomb_ends_at_the_limit_and_what_fits_is_read() {
    let limits = Limits { unpacked: 1 << 20, ..Limits::default() };
    let bomb = [file("a", b"x"), file("zeros", &vec![0; 4 << 20]), end()].concat();
    let packed = zstd::encode_all(bomb.as_slice(), 3).unwrap();
    assert!(packed.len() < 1000);
    assert_eq!(
        refusal(&packed, limits),
        "is damaged behind 'a': it unpacks to more than an initramfs may have"
    );
    // Of several streams the sum counts.
    let half = [file("half", &vec![0; 600 << 10]), end()].concat();
    let half = zstd::encode_all(half.as_slice(), 3).unwrap();
    assert!(paths(&half, limits).is_ok());
    let both = [&half[..], &half].concat();
    assert!(
        refusal(&both, limits).starts_with("its archive 2 (zstd, at byte "),
        "{}",
        refusal(&both, limits)
    );
    // What is not compressed has its size on the disk.
    assert_eq!(paths(&bomb, limits).unwrap().0, ["a", "zeros"]);
}

#[test]
fn entries_and_names_are_counted_over_all_archives() {
    let one = [file("abc", b""), end()].concat();
    let three = [&one[..], &one, &one].concat();
    for limits in [Limits { entries: 2, ..Limits::default() }, Limits { names: 8, ..Limits::default() }] {
        assert_eq!(
            refusal(&three, limits),
            "its archive 3 (plain, at byte 480) is damaged at its beginning: it has more files than an initramfs may have"
        );
    }
    assert_eq!(paths(&three, Limits { entries: 3, names: 9, ..Limits::default() }).unwrap().1.len(), 3);
}

#[test]
fn headers_that_lie_are_refused() {
    let good = file("good", b"data");
    for (bad, cause) in [
        (entry(b"x", b"", (0, 5000)), "a name has more than 4095 bytes"),
        (entry(b"x", b"", (0, 0xffff_ffff)), "a name has more than 4095 bytes"),
        (entry(b"", b"", (0, 1)), "an entry has no name"),
        (entry(b"", b"", (0, 0)), "a name has no zero byte at its end"),
        (entry(b"xyz", b"", (0, 2)), "a name has no zero byte at its end"),
        (entry(b"x", b"", (0xffff_ffff, 2)), "unexpected end of file"),
        (b"070701+00000000000000".repeat(9), "a number in a header is not hexadecimal"),
        (b"070709".repeat(30), "there is no header of a newc archive"),
        (vec![0; 4], "there is no header of a newc archive"),
    ] {
        let told = refusal(&[good.clone(), bad, end()].concat(), Limits::default());
        assert_eq!(told, format!("is damaged behind 'good': {cause}"));
    }
    let told = refusal(&good, Limits::default());
    assert!(told.starts_with("is damaged behind 'good': "), "{told}");
}

#[test]
fn odd_names_stay_apart_and_padded_ones_are_read() {
    let names = [
        entry(b"a\xff", b"", (0, 3)),
        entry(b"a\xfe", b"", (0, 3)),
        entry(b"pad\0\0\0", b"x", (1, 7)),
        end(),
    ];
    let (found, _) = paths(&names.concat(), Limits::default()).unwrap();
    assert_eq!(found, ["a\\xff", "a\\xfe", "pad"]);
}

#[test]
fn a_visitor_reads_what_it_wants_and_ends_the_walk() {
    let bytes = [file("one", b"12345"), file("two", b"678"), vec![7; 999]].concat();
    let mut seen = Vec::new();
    let walked = walk(&bytes[..], Limits::default(), &mut |entry, data| {
        let mut text = String::new();
        data.take(3).read_to_string(&mut text)?;
        seen.push(text);
        Ok(if entry.path == "two" { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    assert_eq!((walked.unwrap().len(), &seen[..]), (0, &["123".to_owned(), "678".to_owned()][..]));
}
