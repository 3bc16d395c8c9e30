//! What holds of every row.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use file_systems::{FILE_SYSTEMS, PLACES, listed, of_driver, of_kind, with_top};

#[test]
fn names_stand_once() {
    let kinds: Vec<_> = FILE_SYSTEMS.iter().flat_map(|row| row.kinds).collect();
    assert_eq!(kinds.iter().collect::<BTreeSet<_>>().len(), kinds.len());
    let parts = FILE_SYSTEMS.iter().flat_map(|row| row.kernel.iter().map(|part| part.symbol));
    let parts: Vec<_> = parts.collect();
    assert_eq!(parts.iter().collect::<BTreeSet<_>>().len(), parts.len());
    for row in &FILE_SYSTEMS {
        assert!(row.kinds.contains(&row.driver), "{}", row.driver);
        assert!(row.kernel.first().is_some_and(|driver| driver.module.is_some()), "{}", row.driver);
        let found = [of_driver(row.driver), of_kind(row.driver)].map(|found| found.map(|found| found.title));
        assert_eq!(found, [Some(row.title); 2]);
    }
    assert!(of_driver("ext3").is_none() && of_kind("ext3").is_some());
}

/// A word with a place that init does not know would reach the program as it stands.
#[test]
fn a_maker_is_told_label_uuid_device_and_length() {
    for (row, top) in with_top() {
        let words = top.maker.arguments;
        let places: Vec<_> =
            words.iter().flat_map(|word| PLACES.iter().filter(|place| word.contains(**place))).collect();
        let braces = words.concat().matches(['{', '}']).count();
        assert_eq!((places.len(), braces), (4, 8), "{}: {words:?}", row.driver);
        for place in &PLACES[..3] {
            assert!(places.contains(&place), "{}: no {place}", row.driver);
        }
        let before = words.iter().position(|word| *word == "{label}").and_then(|at| words.get(at - 1));
        assert_eq!(before, Some(&top.maker.label_option), "{}", row.driver);
    }
}

#[test]
fn a_status_of_a_checker_means_one_thing() {
    for (row, top) in with_top() {
        let checker = &top.checker;
        assert!(!checker.repaired.contains(&0) && !checker.damaged.contains(&0), "{}", row.driver);
        assert!(!checker.damaged.is_empty(), "{}: damage has no status", row.driver);
        assert!(checker.damaged.clone().all(|status| !checker.repaired.contains(&status)), "{}", row.driver);
    }
}

#[test]
fn words_are_listed_as_in_a_sentence() {
    let of = |words: &[&'static str]| listed(words.iter().copied(), " or ");
    assert_eq!(
        [of(&[]), of(&["a"]), of(&["a", "b"]), of(&["a", "b", "c"])],
        ["", "a", "a or b", "a, b or c"]
    );
}

/// The tests make one of each, and the recipes are those of this tree.
#[test]
fn packages_and_recipes_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let listed = fs::read_to_string(root.join(".ci/debian-packages")).unwrap();
    for row in &FILE_SYSTEMS {
        let there = listed.lines().any(|line| line.split_whitespace().next() == Some(row.package));
        assert!(there, ".ci/debian-packages has no {}", row.package);
    }
    for recipe in with_top().filter_map(|(_, top)| top.maker.recipe) {
        assert!(root.join("packages").join(recipe).join("recipe.kdl").is_file(), "{recipe}");
    }
}
