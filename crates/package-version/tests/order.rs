//! The order of each scheme: what comes before what, and that it is an order.

mod generator;

use std::cmp::Ordering;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use generator::Random;
use package_version::{Scheme, SchemesDiffer, Version, sort};

const TRIPLES: usize = 30_000;

fn version(text: &str, scheme: Scheme) -> Version {
    Version::parse(text, scheme).unwrap_or_else(|error| panic!("{error}"))
}

/// Each line is older than the next one; what stands on one line is equal.
fn check_ladder(scheme: Scheme, ladder: &str) {
    let rungs: Vec<Vec<&str>> = ladder.split_whitespace().map(|line| line.split('=').collect()).collect();
    let all = rungs.iter().enumerate().flat_map(|(at, rung)| rung.iter().map(move |text| (at, *text)));
    let all: Vec<(usize, &str)> = all.collect();
    for (place, text) in &all {
        for (other_place, other) in &all {
            let order = version(text, scheme).compare(&version(other, scheme));
            assert_eq!(order, Ok(place.cmp(other_place)), "{scheme}: {text} and {other}");
        }
    }
}

#[test]
fn debian_orders_as_its_manual_says() {
    check_ladder(
        Scheme::Debian,
        "0~~ 0~ 0=00=0:0=0-0 0a 0+ 0.9 1.0~~dev 1.0~rc1 1.0~rc1-2 1.0=1.0-0=1.00=0:1.0=1.0-00 1.0-1~bpo1 1.0-1=1.0-01 1.0-1+b1 1.0-1.1 1.0-2 \
         1.0a 1.0z 1.0+dfsg-1 1.0-2-1 1.0.1 1.2 1.10 1.10.0 2 20240101 99999999999999999999998 99999999999999999999999 1:0~ 1:0 1:1:0",
    );
}

#[test]
fn semver_orders_as_its_page_says() {
    check_ladder(
        Scheme::Semver,
        "1.0.0-0 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.0+1 1.0.0+2 \
         1.2.0 1.10.0 2.0.0-rc.1 2.0.0",
    );
}

#[test]
fn loose_orders_as_its_table_says() {
    check_ladder(
        Scheme::Loose,
        "alpha 0=v0=0.0 git 0.0.1 0.9 1~ 1~git5 1.dev1=1.0-DEV-1=1-snapshot.1 1.0a1=1.0alpha1=1.0-alpha.1=1~alpha1=1.0~a1 1.0a2 1.0b1=1_0_beta_1 \
         1.0m1=1.0-milestone1 1.0pre1=1-preview.1=1-test1 1.0rc1.dev2 1.0rc1=1-rc-1=1.0.0-RC1=1~rc1=1.0c1=1.0.cr.1 1.0rc1a 1.0rc2 1.0rc10 \
         1=1.0=1.0.0=v1=V1.0=1_0=1-0 1.0.post1.dev2 1.0.post1=1.0post1=1-post-1 1.0.0.1 1.0.2~x 1.0.2 1.0.2a 1.0.2k=1.0.2-k=1.0.2K 1.0.2p 1.0.2z \
         1.0.2za 1.0.2zh 1.0.2.1 1.2 1.2+git5=1.2-git-5 1.2-r1 1.2-stable 1.9 1.10=1.10.0 2-a 9.8=9.08 9.8p1 9.8p2 9.8.1 99999999999999999999999 \
         100000000000000000000000",
    );
    // The zero between two numbers counts.
    check_ladder(Scheme::Loose, "1rc0=1rc=1.0rc 1rc0.1 1rc1 1 1.0.1 1.1");
}

#[test]
fn dates_order_as_the_calendar() {
    check_ladder(
        Scheme::Date,
        "1999-12-31 2024 2024.1=2024-01=2024.01 2024.1r2=2024.1-2=2024-01.2 2024.1.2=2024-01-02=20240102 2024-01-31=20240131=2024.01.31=2024.1.31 \
         20240131.1=2024-01-31.1=2024-01-31r1=20240131-1=20240131-r1=2024.01.31.1 2024-01-31.10 2024-02-29 2024-03-01",
    );
}

#[test]
fn plain_names_order_by_their_bytes() {
    check_ladder(Scheme::Plain, "1.10 1.9 1.9.0 B a bookworm trixie é");
}

#[test]
fn every_order_is_total() {
    for scheme in Scheme::ALL {
        let mut random = Random::new(11);
        let mut equal = 0;
        for _ in 0..TRIPLES {
            let ((a, b), c) = (random.pair(scheme), random.version(scheme));
            let order = |one: &Version, other: &Version| one.compare(other).unwrap();
            assert_eq!(order(&a, &a), Ordering::Equal);
            assert_eq!(order(&a, &b), order(&b, &a).reverse(), "{a:?} {b:?}");
            assert_eq!(order(&a, &b).is_eq(), a == b, "{a:?} {b:?}");
            assert!(a != b || hash(&a) == hash(&b), "{a:?} {b:?}");
            equal += usize::from(a == b && a.as_str() != b.as_str());
            let mut sorted = [a, b, c];
            sort(&mut sorted).unwrap();
            let [low, middle, high] = &sorted;
            assert!(low <= middle && middle <= high && low <= high, "{low:?} {middle:?} {high:?}");
            assert!(low != high || low == middle && middle == high, "{low:?} {middle:?} {high:?}");
        }
        let has_several_spellings = matches!(scheme, Scheme::Debian | Scheme::Loose | Scheme::Date);
        assert_eq!(equal > 0, has_several_spellings, "{scheme}: {equal}");
    }
}

fn hash(version: &Version) -> u64 {
    let mut hasher = DefaultHasher::new();
    version.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn versions_of_two_schemes_have_no_order() {
    let (loose, debian) = (version("1.2", Scheme::Loose), version("1.2", Scheme::Debian));
    assert_ne!(loose, debian);
    assert_eq!(loose.partial_cmp(&debian), None);
    let differ = SchemesDiffer(Scheme::Loose, Scheme::Debian);
    assert_eq!(loose.compare(&debian), Err(differ));
    assert_eq!(differ.to_string(), "versions of the schemes loose and debian cannot be compared");
    let mut mixed = [version("2", Scheme::Loose), loose, debian];
    assert_eq!(sort(&mut mixed), Err(differ));
    assert_eq!(mixed.each_ref().map(Version::as_str), ["2", "1.2", "1.2"]);
}

#[test]
fn equal_versions_stay_in_their_order() {
    let mut versions = ["1.10", "1.2.0", "1.0", "1.2", "1", "v1.2"].map(|text| version(text, Scheme::Loose));
    sort(&mut versions).unwrap();
    assert_eq!(versions.each_ref().map(Version::as_str), ["1.0", "1", "1.2.0", "1.2", "v1.2", "1.10"]);
}

#[test]
fn prereleases_are_known() {
    for (scheme, before, others) in [
        (Scheme::Debian, "1.0~rc1 1.0~rc1-1 1:2~a", "1.0 1.0-1~bpo12+1 1.0rc1"),
        (Scheme::Semver, "1.0.0-rc.1 1.0.0-0+b", "1.0.0 1.0.0+rc-1"),
        (Scheme::Loose, "1.0rc1 1.0-beta 1.0~x 1.0.post1.dev1 1.0a1", "1.0 1.0.2a 1.0p1 1.0.post1"),
        (Scheme::Date, "", "2024-01-31 20240131r1"),
        (Scheme::Plain, "", "rc1 1.0~rc1"),
    ] {
        let are = |list: &str, expected| {
            for text in list.split_whitespace() {
                assert_eq!(version(text, scheme).is_prerelease(), expected, "{text} ({scheme})");
            }
        };
        are(before, true);
        are(others, false);
    }
}
