//! Input that is made to hurt: size, nesting, broken tokens, random changes. Nothing may panic, overflow the stack or
//! take long. The small stack stands for PID 1's.

use std::time::{Duration, Instant};

use profiles::resolved::BootProfile;
use profiles::written::Profile;

const GOOD: [&str; 4] = [
    include_str!("good/web.kdl"),
    include_str!("good/site.kdl"),
    include_str!("good/kiosk.kdl"),
    include_str!("good/appliance.kdl"),
];

/// Reads on a stack of 1 MiB and returns the refusals.
fn refusals(bytes: Vec<u8>) -> [Option<String>; 2] {
    let read = move || {
        let resolved = BootProfile::parse("x.kdl", &bytes).err().map(|error| error.to_string());
        [resolved, Profile::parse("x.kdl", &bytes).err().map(|error| error.to_string())]
    };
    let reader = std::thread::Builder::new().stack_size(1 << 20).spawn(read).expect("a thread");
    reader.join().expect("no panic")
}

#[test]
fn a_hundred_megabytes_of_braces_are_refused_by_their_size() {
    let [resolved, _] = refusals(vec![b'{'; 100_000_000]);
    let expected =
        "x.kdl:1:1: error: the file has 100000000 bytes, the limit is 1048576\nhelp: is this the right file?";
    assert_eq!(resolved.as_deref(), Some(expected));
}

#[test]
fn a_long_run_of_any_token_is_refused_in_seconds() {
    let patterns = [
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "a{",
        "a{}",
        "a{};",
        "a {}b ",
        "/*",
        "*/",
        "/* * ",
        "/-",
        "/- a {",
        "a; /- b { ",
        "\\",
        "\\\n",
        "\"",
        "\"\"\"",
        "\"\"\"\n",
        "\"\\q\" ",
        "\"a\"b ",
        "#",
        "#\"",
        "#\"\"\"\n",
        "##",
        "#true",
        "#true ",
        "=",
        "a=",
        "a=1 ",
        "a=b=c ",
        "1",
        "1_",
        "1a ",
        "-",
        "+1",
        ".1 ",
        "0x",
        "\u{feff}",
        "\0",
        "\u{7f}",
        "\u{202e}",
        "\r",
        "\u{2028}",
        "//\u{2028}{",
        "\\u{",
        "a /- ",
        "a /-b ",
        "a /-{} ",
        "a \\//\n",
        "a;",
        "a\n",
        "a a ",
        "true ",
        "\"\\u{41}\"",
        "profile x {}\n",
        "profile x y=1 y=2 ",
        "\u{1f600}",
    ];
    for pattern in patterns {
        for (head, tail) in [
            ("", ""),
            ("profile \"x\" format=1 {\n", "\n}\n"),
            ("profile x { packages {\n", "\n}; }"),
            ("profile x { optional {\n", "\n}; }"),
        ] {
            let text = format!("{head}{}{tail}", pattern.repeat(20_000 / pattern.len()));
            let start = Instant::now();
            let [resolved, _] = refusals(text.into_bytes());
            assert!(resolved.is_some(), "{pattern:?} was accepted");
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "{pattern:?} after {head:?} took {:?}",
                start.elapsed()
            );
        }
    }
}

#[test]
fn the_deepest_nesting_that_is_allowed_fits_the_stack() {
    for (open, close) in [
        ("a {", "}"),
        ("a; b {", "};c"),
        ("a /- b {", "}"),
        ("/- a {", "}"),
        ("a /-{", "}"),
        ("a; /- b {", "}\n"),
    ] {
        for depth in [3, 31, 32] {
            let text = format!("{}{}", open.repeat(depth), close.repeat(depth));
            let start = Instant::now();
            assert!(refusals(text.into_bytes())[0].is_some(), "no image in it");
            assert!(start.elapsed() < Duration::from_secs(10), "{open:?} took {:?}", start.elapsed());
        }
    }
}

/// A small generator of numbers (splitmix64), so that every run tries the same texts.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}

#[test]
fn random_changes_never_panic_and_accepted_profiles_round_trip() {
    const PIECES: [&str; 36] = [
        "{", "}", "\"", "\"\"\"\n", "#\"", "\"#", "\\", "\\\"", "\\u{", "/*", "*/", "//", "/-", "\n", "\r\n",
        ";", "=", "#true", "#", "(", ")", "1", "-", ".", "0x", "e9", " ", "\t", "\u{a0}", "\u{e9}",
        "\u{feff}", "format=1", "image", "profile", "..", "[",
    ];
    let mut numbers = Numbers(1);
    let mut accepted = 0;
    for round in 0..20_000 {
        let mut bytes = GOOD[round % GOOD.len()].as_bytes().to_vec();
        for _ in 0..=numbers.below(6) {
            let at = numbers.below(bytes.len() + 1);
            let end = (at + numbers.below(8)).min(bytes.len());
            match numbers.below(4) {
                0 => drop(bytes.splice(at..end, [])),
                1 => drop(bytes.splice(at..at, PIECES[numbers.below(PIECES.len())].bytes())),
                2 => drop(bytes.splice(at..end, PIECES[numbers.below(PIECES.len())].bytes())),
                _ => drop(bytes.splice(at..end, [numbers.below(256) as u8])),
            }
        }
        if let Ok(profile) = BootProfile::parse("x.kdl", &bytes) {
            accepted += 1;
            assert_eq!(BootProfile::parse("again", profile.to_kdl().as_bytes()), Ok(profile));
        }
        match Profile::parse("x.kdl", &bytes) {
            Ok(_) => accepted += 1,
            Err(error) => assert!(error.to_string().is_ascii(), "not ASCII: {error}"),
        }
    }
    assert!((500..18_000).contains(&accepted), "{accepted} accepted: the changes are too wild or too tame");
}
