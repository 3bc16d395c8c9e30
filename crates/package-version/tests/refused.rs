//! What is no version and no constraint: the message says what is wrong, where, and what to write.

mod generator;

use std::path::Path;

use generator::Random;
use package_version::{Constraint, MOST_BYTES, MOST_BYTES_OF_A_CONSTRAINT, ParseError, Scheme, Version};

fn told(error: &ParseError) -> String {
    format!("{error}\n  help: {}\n", error.remedy())
}

/// Compares with a file in tests/golden; LAMINA_GOLDEN=write writes it.
fn check_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("LAMINA_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), text, "{}", path.display());
}

const NO_VERSIONS: [(Scheme, &[&str]); 5] = [
    (
        Scheme::Debian,
        &[
            "",
            "1 2",
            "1.2,3",
            "=1.2",
            "a1",
            ":1",
            "x1:2",
            "2147483648:1",
            "1:",
            "1.0-",
            "1.0_1-1",
            "1.0-1:2",
            "1é",
        ],
    ),
    (
        Scheme::Semver,
        &[
            "1",
            "1.2",
            "1.2.",
            "1..3",
            "01.2.3",
            "1.2.3.4",
            "1.2.3-",
            "1.2.3-01",
            "1.2.3-a..b",
            "1.2.3+a_b",
            "v1.2.3",
            "1.2.3 ",
            "18446744073709551616.0.0",
        ],
    ),
    (Scheme::Loose, &["", "-1", "1..2", "1.-2", "1.2-", "1:2", "1/2", "1.2é", "1.2\u{1b}[31m", "~1"]),
    (
        Scheme::Date,
        &[
            "x",
            "24-01-31",
            "202401",
            "2024-13-01",
            "2024-00-01",
            "20240230",
            "2023-02-29",
            "1900-02-29",
            "2024-04-31",
            "2024-001",
            "2024-01-31x",
            "2024-01-31.",
            "2024-01-31r",
            "2024-01-31.2.3",
            "2024-01-31.4294967296",
            "0000-01-01",
            "2024é",
        ],
    ),
    (Scheme::Plain, &["", "a b", "a,b", "a\u{7}", ">a", "a|b", "*"]),
];

#[test]
fn what_is_no_version_is_told_with_its_place() {
    let mut all = String::new();
    for (scheme, texts) in NO_VERSIONS {
        for text in texts {
            let error = Version::parse(text, scheme).expect_err(text);
            assert!(error.offset() <= text.len() && text.is_char_boundary(error.offset()), "{error}");
            all += &told(&error);
        }
    }
    check_golden("versions", &all);
}

const NO_CONSTRAINTS: [(Scheme, &[&str]); 5] = [
    (
        Scheme::Loose,
        &[
            "",
            " ",
            ",",
            ">=1,",
            ">=1,,<2",
            ">",
            ">= ",
            "== 1",
            "~>1.2",
            "=>1",
            "<>1",
            ">>=1",
            ">=1..2",
            ">=1.2, <1:3",
            ">2, <1",
            ">=1, <1",
            "=1.2, !=1.2.0",
            ">=2.0rc1, <2.0",
            "=1 =2",
            "^git",
            "1.2 || 2",
            "*",
            ">=1.2 <2é",
        ],
    ),
    (
        Scheme::Semver,
        &["1.2", "=1", "!=1.2", ">1.2", "<=1.2", ">=1.2.3.4", "^18446744073709551615", "^1.2-rc.1", "^."],
    ),
    (Scheme::Debian, &["<<1.0", "~a"]),
    (Scheme::Date, &["~2024.1", ">=2024, ^2024-01-31", ">=2024.13"]),
    (Scheme::Plain, &["^trixie", "~a"]),
];

#[test]
fn what_is_no_constraint_is_told_with_its_place() {
    let mut all = String::new();
    for (scheme, texts) in NO_CONSTRAINTS {
        for text in texts {
            let error = Constraint::parse(text, scheme).expect_err(text);
            assert!(error.offset() <= text.len() && text.is_char_boundary(error.offset()), "{error}");
            all += &told(&error);
        }
    }
    check_golden("constraints", &all);
}

#[test]
fn what_is_too_long_is_refused() {
    for scheme in Scheme::ALL {
        let error = Version::parse(&"1".repeat(1 << 20), scheme).unwrap_err();
        assert!(error.to_string().len() < 300 && error.cause().contains("128 are the most"), "{error}");
    }
    for scheme in [Scheme::Debian, Scheme::Loose, Scheme::Plain] {
        assert!(Version::parse(&"1".repeat(MOST_BYTES), scheme).is_ok());
        assert!(Version::parse(&"1".repeat(MOST_BYTES + 1), scheme).is_err());
    }
    let wide = format!("1{}", "é".repeat(1000));
    let error = Version::parse(&wide, Scheme::Plain).unwrap_err();
    assert_eq!(error.offset(), MOST_BYTES - 1, "the place is where a character begins");
    assert!(wide.is_char_boundary(Constraint::parse(&wide, Scheme::Plain).unwrap_err().offset()));
    let error = Constraint::parse(&">=1 ".repeat(MOST_BYTES_OF_A_CONSTRAINT), Scheme::Loose).unwrap_err();
    assert_eq!(error.offset(), MOST_BYTES_OF_A_CONSTRAINT);
    // What is missing at the end of a short version makes it too long.
    let short = format!("<{}", "1".repeat(MOST_BYTES - 2));
    assert_eq!(Constraint::parse(&short, Scheme::Semver).unwrap_err().offset(), short.len());
    // The next version may be longer than a version may be.
    let nines = "9".repeat(MOST_BYTES);
    let error = Constraint::parse(&format!("^{nines}"), Scheme::Loose).unwrap_err();
    assert!(error.cause().ends_with("which is no version"), "{error}");
}

#[test]
fn no_text_makes_it_panic() {
    let mut random = Random::new(12);
    let words = [
        "1", "0", ".", "-", "+", "~", "a", "rc", "r", ":", "=", "<", ">", "^", "!", ",", " ", "é", "\0",
        "2024", "13",
    ];
    for _ in 0..50_000 {
        let text = random.row(&words, 8);
        for scheme in Scheme::ALL {
            if let Err(error) = Version::parse(&text, scheme) {
                assert!(text.is_char_boundary(error.offset()), "{text:?}: {error}");
            }
            match Constraint::parse(&text, scheme) {
                Err(error) => assert!(text.is_char_boundary(error.offset()), "{text:?}: {error}"),
                Ok(constraint) => {
                    assert_eq!(constraint.range().is_within(constraint.range()), Ok(true), "{text:?}")
                }
            }
        }
    }
}

#[test]
fn what_the_recipes_of_this_tree_have_is_a_version() {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packages");
    let mut versions = 0;
    for entry in std::fs::read_dir(packages).unwrap() {
        let recipe = entry.unwrap().path().join("recipe.kdl");
        let Ok(text) = std::fs::read_to_string(&recipe) else { continue };
        let line = text.lines().find_map(|line| line.trim_start().strip_prefix("version \""));
        let found =
            line.and_then(|line| line.split('"').next()).unwrap_or_else(|| panic!("{}", recipe.display()));
        Version::parse(found, Scheme::default())
            .unwrap_or_else(|error| panic!("{}: {error}", recipe.display()));
        versions += 1;
    }
    assert!(versions > 10, "{versions}");
}

#[test]
fn schemes_have_names() {
    for scheme in Scheme::ALL {
        assert_eq!(scheme.to_string().parse(), Ok(scheme));
    }
    let message = "semvre".parse::<Scheme>().unwrap_err().to_string();
    assert_eq!(message, "'semvre' is no scheme of versions");
    assert!("Loose".parse::<Scheme>().is_err());
}
