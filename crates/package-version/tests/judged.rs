//! What others say of 100,000 random pairs: dpkg itself, and the crate `semver`.

mod generator;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::process::Command;

use generator::Random;
use package_version::{Scheme, Version};

const PAIRS: usize = 100_000;

/// Two versions of a package, as the fields that dpkg reads; the descriptions say which is which.
fn package(out: &mut String, name: &str, versions: [&Version; 2]) {
    for (version, which) in versions.into_iter().zip(["first", "second"]) {
        let _ = write!(
            out,
            "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: x\nDescription: {which}\n\n"
        );
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("dpkg, which every Debian has: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Of which packages dpkg keeps the second version, when it is told of one after the other: it does unless that is older than the
/// first (`--merge-avail` of dpkg(1)). One process compares all pairs: a hundred thousand would take minutes.
fn is_second_kept(told: &str) -> HashMap<String, bool> {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["updates", "info"] {
        fs::create_dir(path(name)).unwrap();
    }
    for name in ["status", "available"] {
        fs::write(path(name), "").unwrap();
    }
    fs::write(path("told"), told).unwrap();
    run(Command::new("dpkg").arg("--admindir").arg(folder.path()).arg("--merge-avail").arg(path("told")));
    let mut kept = HashMap::new();
    let mut name = "";
    let available = fs::read_to_string(path("available")).unwrap();
    for line in available.lines() {
        if let Some(found) = line.strip_prefix("Package: ") {
            name = found;
        } else if let Some(which) = line.strip_prefix("Description: ") {
            kept.insert(name.to_owned(), which == "second");
        }
    }
    kept
}

#[test]
fn dpkg_agrees_on_every_pair() {
    let mut random = Random::new(15);
    let pairs: Vec<(Version, Version)> = (0..PAIRS).map(|_| random.pair(Scheme::Debian)).collect();
    // Both ways round.
    let mut told = String::new();
    for (at, (one, other)) in pairs.iter().enumerate() {
        package(&mut told, &format!("p{at}"), [one, other]);
        package(&mut told, &format!("q{at}"), [other, one]);
    }
    let kept = is_second_kept(&told);
    let mut orders = [0; 3];
    for (at, (one, other)) in pairs.iter().enumerate() {
        let order = match (kept[&format!("p{at}")], kept[&format!("q{at}")]) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => panic!("{one} and {other}: for dpkg each is older than the other"),
        };
        assert_eq!(one.compare(other), Ok(order), "{one} and {other}");
        orders[(order as i8 + 1) as usize] += 1;
    }
    assert!(orders.iter().all(|count| *count > 1000), "{orders:?}");
}

/// One process for each pair, so of fewer: what `--compare-versions` itself says, and what it takes for a version.
#[test]
fn dpkg_compares_and_refuses_as_we_do() {
    let mut random = Random::new(16);
    for _ in 0..300 {
        let (one, other) = random.pair(Scheme::Debian);
        let word = match one.compare(&other).unwrap() {
            Ordering::Less => "lt",
            Ordering::Equal => "eq",
            Ordering::Greater => "gt",
        };
        run(Command::new("dpkg").args(["--compare-versions", one.as_str(), word, other.as_str()]));
    }
    let words = ["1", "0", "a", ".", "-", "~", "+", ":", "_", "é", "99999999999"];
    let mut refused = 0;
    for _ in 0..300 {
        let text = format!("{}{}", ["", "1", "2:"][random.below(3)], random.row(&words, 4));
        // strtol(3) of dpkg takes a sign for part of the epoch, which deb-version(7) does not; and `check` refuses signs of constraints.
        if text.is_empty() || text.starts_with(['+', '-', '~']) {
            continue;
        }
        let output = Command::new("dpkg").args(["--validate-version", &text]).output().unwrap();
        assert_eq!(Version::parse(&text, Scheme::Debian).is_ok(), output.status.success(), "{text}");
        refused += usize::from(!output.status.success());
    }
    assert!((50..250).contains(&refused), "{refused}");
}

#[test]
fn the_crate_semver_agrees_on_every_pair() {
    let mut random = Random::new(17);
    let (mut both, mut refused) = (0, 0);
    while both < PAIRS {
        let (one, other) = random.pair(Scheme::Semver);
        let texts = match random.below(2) {
            0 => [one.to_string(), other.to_string()],
            _ => [random.text(Scheme::Semver), random.text(Scheme::Semver)],
        };
        let theirs = texts.each_ref().map(|text| semver::Version::parse(text));
        let ours = texts.each_ref().map(|text| Version::parse(text, Scheme::Semver));
        for ((text, theirs), ours) in texts.iter().zip(&theirs).zip(&ours) {
            assert_eq!(theirs.is_ok(), ours.is_ok(), "{text}: {theirs:?} {ours:?}");
            // A place of its own was found for each mistake.
            if let Err(error) = ours {
                assert_ne!(error.cause(), theirs.as_ref().unwrap_err().to_string(), "{text}");
                refused += 1;
            }
        }
        if let ([Ok(one), Ok(other)], [Ok(our_one), Ok(our_other)]) = (&theirs, &ours) {
            assert_eq!(our_one.compare(our_other), Ok(one.cmp(other)), "{one} and {other}");
            both += 1;
        }
    }
    assert!(refused > 1000, "{refused}");
}

/// What the first test stands on.
#[test]
fn dpkg_keeps_the_second_version_unless_it_is_older() {
    let mut told = String::new();
    for (name, versions) in [("up", ["1", "2"]), ("down", ["2", "1"]), ("same", ["1.0", "1.00"])] {
        let versions = versions.map(|text| Version::parse(text, Scheme::Debian).unwrap());
        package(&mut told, name, versions.each_ref());
    }
    let kept = is_second_kept(&told);
    assert_eq!(["up", "down", "same"].map(|name| kept[name]), [true, false, true]);
}
