//! What constraints admit, and how their ranges lie to each other.

mod generator;

use generator::Random;
use package_version::{Constraint, Operator, Range, Relation, Scheme, SchemesDiffer, Version};

fn range(text: &str, scheme: Scheme) -> Range {
    Constraint::parse(text, scheme).unwrap_or_else(|error| panic!("{error}")).range().clone()
}

/// Rows of `CONSTRAINT | VERSION... | VERSION...`: those that it admits, and those that it does not.
fn check(scheme: Scheme, table: &str) {
    for row in table.trim().lines() {
        let [text, admitted, refused] = row.split('|').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let constraint = Constraint::parse(text.trim(), scheme).unwrap_or_else(|error| panic!("{error}"));
        for (list, expected) in [(admitted, true), (refused, false)] {
            for version in list.split_whitespace() {
                let version = Version::parse(version, scheme).unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(constraint.admits(&version), Ok(expected), "{scheme}: {version} and {text}");
            }
        }
    }
}

#[test]
fn loose_versions() {
    check(
        Scheme::Loose,
        "1.2            | 1.2 1.2.0 v1.2       | 1.2.1 1.2p1 1.2rc1 1.1 2
         =1.2           | 1.2 1.2.0            | 1.2.1 1.2p1 1.2rc1
         !=1.2          | 1.2.1 1.2rc1 0 9     | 1.2 1.2.0
         <1.2           | 1.1 1.1.9p1 0~ 1.1rc1           | 1.2 1.2rc1 1.2.0-beta 1.2rc.~x 1.2~git 1.2p1 1.3
         <1.2rc2        | 1.2rc1 1.2beta1 1.1  | 1.2rc2 1.2rc2.dev1 1.2 1.2rc3
         <=1.2          | 1.2 1.2.0 1.2rc1 1.1 | 1.2p1 1.2.1
         <=1.2, !=1.2   | 1.2rc1 1.1           | 1.2 1.2.0 1.3
         >1.2           | 1.2p1 1.2.1 1.3rc1   | 1.2 1.2.0 1.2rc1 1.1
         >=1.2          | 1.2 1.2.0 1.2p1 1.3rc1 9 | 1.2rc1 1.1
         >=1.2rc1       | 1.2rc1 1.2rc2 1.2    | 1.2beta1 1.1
         ~1.2           | 1.2 1.2.0 1.2.9 1.2p1 | 1.3 1.3rc1 1.2rc1 1.1 2
         ~1.2.3         | 1.2.3 1.2.99         | 1.2.2 1.3 1.3-dev
         ~1             | 1 1.9 1.9.9          | 2 2rc1 0.9 1rc1
         ^1.2           | 1.2 1.9 1.10         | 2.0 2.0-rc1 2.0.0-alpha.1 1.2rc1 1.1
         ^0.2.3         | 0.2.3 0.2.9          | 0.3 0.3rc1 0.2.2 1
         ^0.0.3         | 0.0.3 0.0.3p1        | 0.0.4 0.0.4-rc1 0.0.2
         ^1.2rc1        | 1.2rc1 1.2 1.9       | 1.2beta1 2
         ^v1.2          | 1.2 v1.3             | 2
         >=1.2, <2      | 1.2 1.9              | 2 2rc1 1.1
         >=1.2 <2       | 1.2 1.9              | 2 2rc1 1.1
         >= 1.2 , < 2   | 1.2 1.9              | 2 2rc1 1.1
         >=1, <3, !=2, !=2.1 | 1 1.9 2.2 2.0.1 | 2 2.0 2.1 2.1.0 3",
    );
}

#[test]
fn versions_of_semver() {
    check(
        Scheme::Semver,
        "1.2.0    | 1.2.0 1.2.0+build | 1.2.1 1.2.0-rc.1
         !=1.2.0  | 1.2.1             | 1.2.0 1.2.0+build
         <=1.2.0  | 1.2.0 1.2.0+build | 1.2.1
         >1.2.0   | 1.2.1 1.2.1-rc.1  | 1.2.0 1.2.0+build
         <2       | 1.9.9 1.9.9+b     | 2.0.0 2.0.0-rc.1 2.0.0-0 2.0.0-0+b
         <2.0.0-rc.2 | 2.0.0-rc.1 2.0.0-0 | 2.0.0-rc.2 2.0.0
         >=1.2    | 1.2.0 1.3.0-rc.1  | 1.2.0-rc.1 1.1.9
         ^1.2     | 1.2.0 1.9.0       | 2.0.0 2.0.0-rc.1 1.1.0
         ~1       | 1.0.0 1.9.0       | 2.0.0-0 2.0.0 0.9.0
         ~1.2     | 1.2.0 1.2.9       | 1.3.0-0 1.3.0
         ^0.0     | 0.0.0 0.0.9       | 0.1.0-0 0.1.0
         ^0       | 0.0.0 0.9.9       | 1.0.0-0 1.0.0
         ^0.0.3   | 0.0.3             | 0.0.4-0 0.0.4 0.0.2
         >=1.2.3-rc.1, <2 | 1.2.3-rc.1 1.2.3 | 1.2.3-alpha 2.0.0-rc.1",
    );
}

#[test]
fn versions_of_debian() {
    check(
        Scheme::Debian,
        "1.2       | 1.2 1.2-0 0:1.2        | 1.2.0 1.2-1 1.2~rc1
         <2.0      | 1.9 1.9-3               | 2.0 2.0~~ 2.0~rc1 2.0~rc1-1 2.0-1 1:0
         <2.0-1    | 2.0 2.0~rc1 2.0-0+x    | 2.0-1 2.0-1~bpo12 2.0-2
         <2.0~rc2  | 2.0~rc1 2.0~beta 1.9   | 2.0~rc2 2.0~rc2~x 2.0
         >=1.2     | 1.2 1.2-1 1.3~rc1      | 1.2~rc1 1.1
         ~1.2      | 1.2 1.2-1 1.2.9        | 1.3 1.3~rc1 1.2~rc1
         ^1.2      | 1.2-1 1.9              | 2~rc1 2 2.0~rc1-1
         ^1:0.2-1  | 1:0.2-1 1:0.2.9        | 0.2 1:0.3~x 1:0.2-0 1:1",
    );
}

#[test]
fn dates_and_names() {
    check(
        Scheme::Date,
        "2024-01-31        | 20240131 2024.1.31 | 2024-01-31.1 2024-01
         >=2024, <2024.2   | 2024 2024.1 2024-01-31r9 | 2024-02-01 2024-02 2023-12-31
         !=20240131        | 2024-01-30 | 2024-01-31",
    );
    check(
        Scheme::Plain,
        "trixie      | trixie | bookworm Trixie
         >=b, <c, !=bc | b bookworm bd | a c bc",
    );
}

#[test]
fn ranges_say_where_they_end() {
    let loose = |text| range(text, Scheme::Loose);
    for (text, expected) in [
        ("1.2", ">=1.2, <=1.2"),
        ("!=1.2 !=1.2.0", "!=1.2"),
        ("~1.2.3", ">=1.2.3, <1.3"),
        ("^0.2", ">=0.2, <0.3"),
        (">=1, >2, >=1.5, <9, <=4", ">2, <=4"),
        (">=1, !=0.5, !=3, <4, !=4", ">=1, <4, !=3"),
    ] {
        assert_eq!(loose(text).to_string(), expected);
    }
    assert_eq!(Range::everything(Scheme::Loose).to_string(), "any version");
    assert_eq!(range("^1", Scheme::Semver).to_string(), ">=1.0.0, <2.0.0");
    assert_eq!(range("^1:1.2-3", Scheme::Debian).to_string(), ">=1:1.2-3, <1:2");
    let both = loose(">=1, <2");
    let (lower, upper) = (both.lower().unwrap(), both.upper().unwrap());
    assert_eq!((lower.version().as_str(), lower.is_inclusive()), ("1", true));
    assert_eq!((upper.version().as_str(), upper.is_inclusive()), ("2", false));
    assert!(loose("!=3").lower().is_none() && loose("!=3").upper().is_none());
    let constraint = Constraint::parse(" ~1.2 , !=1.2.5", Scheme::Loose).unwrap();
    let parts: Vec<(Operator, &str)> =
        constraint.parts().iter().map(|(it, version)| (*it, version.as_str())).collect();
    assert_eq!(parts, [(Operator::Tilde, "1.2"), (Operator::NotEqual, "1.2.5")]);
    assert_eq!((constraint.to_string().as_str(), constraint.scheme()), (" ~1.2 , !=1.2.5", Scheme::Loose));
    let any = Constraint::any(Scheme::Date);
    assert_eq!((any.to_string().as_str(), any.as_str()), ("any version", ""));
}

#[test]
fn ranges_lie_to_each_other() {
    let loose = |text| range(text, Scheme::Loose);
    for (one, other, expected) in [
        ("<1.2", "<1.2.0", Relation::Same),
        ("^1.2", ">=1.2, <2.0", Relation::Same),
        ("!=1, !=2", "!=2.0, !=1.0", Relation::Same),
        ("<1.2", "<2", Relation::Within),
        ("1.2", "<=1.2", Relation::Within),
        ("1.2", "!=1.3", Relation::Within),
        ("<2, !=1", "<2", Relation::Within),
        ("~1.2", "^1", Relation::Within),
        (">=1.2, <2", ">=1.2rc1, <2", Relation::Within),
        ("<2rc1", "<2rc2", Relation::Within),
        ("<2", "<2rc1", Relation::Within),
        ("<1.5", ">=1.2", Relation::Crossing),
        ("<2", "!=1", Relation::Crossing),
        ("<2, !=1", "<2, !=1.1", Relation::Crossing),
        ("<=1.2", ">=1.2", Relation::Crossing),
        ("<1.2", ">=1.2", Relation::Apart),
        ("<=1.2", ">1.2", Relation::Apart),
        ("1.2", "!=1.2.0", Relation::Apart),
        ("<=1.2", ">=1.2, !=1.2.0, !=3", Relation::Apart),
        ("~1.2", "~1.3", Relation::Apart),
        // Pre-releases of 2 lie in neither.
        ("<2", ">=2", Relation::Apart),
        ("<2", ">=2rc1", Relation::Apart),
    ] {
        let (first, second) = (loose(one), loose(other));
        assert_eq!(first.relation(&second), Ok(expected), "{one} to {other}");
        let turned = match expected {
            Relation::Within => Relation::Around,
            same => same,
        };
        assert_eq!(second.relation(&first), Ok(turned), "{other} to {one}");
        let everything = Range::everything(Scheme::Loose);
        assert_eq!(first.relation(&everything), Ok(Relation::Within));
    }
    let (loose, debian) = (loose("<2"), range("<2", Scheme::Debian));
    let differ = SchemesDiffer(Scheme::Loose, Scheme::Debian);
    assert_eq!(loose.relation(&debian), Err(differ));
    assert_eq!((loose.overlaps(&debian), loose.is_within(&debian)), (Err(differ), Err(differ)));
    let version = Version::parse("1", Scheme::Debian).unwrap();
    assert_eq!(Constraint::any(Scheme::Loose).admits(&version), Err(differ));
}

/// What the relation says holds for versions, whatever they are.
#[test]
fn relations_are_those_of_the_versions_in_them() {
    for scheme in Scheme::ALL {
        let mut random = Random::new(13);
        let (mut inside, mut crossing) = (0, 0);
        for _ in 0..4000 {
            let [one, other] = [(); 2].map(|()| random_range(&mut random, scheme));
            let relation = one.relation(&other).unwrap();
            inside += usize::from(relation == Relation::Within);
            crossing += usize::from(relation == Relation::Crossing);
            let ends =
                [&one, &other].into_iter().flat_map(|range| range.lower().into_iter().chain(range.upper()));
            let mut versions: Vec<Version> = ends.map(|bound| bound.version().clone()).collect();
            versions.extend((0..6).map(|_| random.version(scheme)));
            for version in versions {
                let has = (one.contains(&version).unwrap(), other.contains(&version).unwrap());
                let fits = match relation {
                    Relation::Apart => has != (true, true),
                    Relation::Same => has.0 == has.1,
                    Relation::Within => !has.0 || has.1,
                    Relation::Around => has.0 || !has.1,
                    Relation::Crossing => true,
                };
                assert!(fits, "{scheme}: {version} in {one} and {other}: {relation:?}");
            }
        }
        assert!(inside > 100 && crossing > 100, "{scheme}: {inside} {crossing}");
    }
}

fn random_range(random: &mut Random, scheme: Scheme) -> Range {
    loop {
        let mut text = String::new();
        for _ in 0..=random.below(2) {
            let sign = Operator::ALL[random.below(8)].sign();
            text += &format!("{sign}{} ", random.version(scheme));
        }
        if let Ok(constraint) = Constraint::parse(text.trim_end(), scheme) {
            return constraint.range().clone();
        }
    }
}

/// `<` leaves out exactly what is older than its version and begins with it.
#[test]
fn less_leaves_out_the_prereleases_of_its_version_alone() {
    let mut random = Random::new(14);
    for _ in 0..20_000 {
        let version = random.version(Scheme::Loose);
        let bound = ["1", "1.2", "2-0", "0.9p1"][random.below(4)];
        let constraint = Constraint::parse(&format!("<{bound}"), Scheme::Loose).unwrap();
        let release = Version::parse(bound, Scheme::Loose).unwrap();
        let is_its_prerelease = version < release
            && Constraint::parse(&format!(">{bound}~~~~~~~~"), Scheme::Loose)
                .unwrap()
                .admits(&version)
                .unwrap();
        let expected = version < release && !is_its_prerelease;
        assert_eq!(constraint.admits(&version), Ok(expected), "{version} and <{bound}");
    }
}

/// Every version can stand in a constraint as it is written.
#[test]
fn a_version_meets_what_names_it() {
    let mut random = Random::new(18);
    let words = ["1", "2024", ".", "-", "~", "a", "|", "*", ",", "=", "<", "é", "!", "^", ":", "#"];
    for scheme in Scheme::ALL {
        let mut met = 0;
        for _ in 0..20_000 {
            let text = format!("{}{}", ["", "1.2.3", "2024"][random.below(3)], random.row(&words, 3));
            let Ok(version) = Version::parse(&text, scheme) else { continue };
            let constraint =
                Constraint::parse(&format!("={text}"), scheme).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(constraint.admits(&version), Ok(true), "{version:?}");
            met += 1;
        }
        assert!(met > 1000, "{scheme}: {met}");
    }
}
