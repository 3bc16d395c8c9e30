//! Several trees, one over the other: which recipe, which profile and which pin counts.

mod program;
mod tree;

use std::fs;
use std::path::Path;

use program::{lamina, lamina_with};
use serde_json::Value;
use tree::Tree;

fn version(number: &str) -> String {
    format!("version \"{number}\"\nstep \"install\" \"true\"")
}

/// The tree of one's own, and the one below it.
fn two() -> (Tree, Tree) {
    let (own, below) = (Tree::new(), Tree::new());
    for (name, number) in [("zlib", "1"), ("curl", "1")] {
        below.recipe(name, &version(number));
    }
    own.recipe("zlib", &version("2"));
    own.recipe("editor", &format!("{}\nbuild-depends {{ curl; zlib; }}", version("1")));
    (own, below)
}

fn root(tree: &Tree) -> String {
    tree.path().parent().unwrap().display().to_string()
}

fn versions(trees: &[&str], package: &str) -> String {
    let here = Path::new(trees[0]);
    let trees: Vec<&str> = trees.iter().flat_map(|tree| ["--tree", tree]).collect();
    let output = lamina(here, &[&trees[..], &["explain", "--versions", package, "--json"]].concat());
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let shown = |it: &Value| Some(format!("{} {}", it["name"].as_str()?, it["version"].as_str()?));
    let shown: Vec<String> = listed.as_array().into_iter().flatten().filter_map(shown).collect();
    shown.join(", ") + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_recipe_of_a_higher_tree_stands_in_place_of_that_below() {
    let (own, below) = two();
    let (own, below) = (root(&own), root(&below));
    assert_eq!(versions(&[&own, &below], "editor"), "bootstrap 12, curl 1, editor 1, zlib 2");
    assert_eq!(versions(&[&below, &own], "editor"), "bootstrap 12, curl 1, editor 1, zlib 1");
    assert!(versions(&[&own], "editor").contains("there is no"));
    let told = lamina(Path::new(&own), &["--tree", &own, "--tree", &below, "info", "zlib"]);
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(
        text.contains(&format!("{own}/packages/zlib stands in place of {below}/packages/zlib")),
        "{text}"
    );
}

#[test]
fn a_missing_recipe_is_looked_for_in_all_trees_before_it_is_told() {
    let (own, below) = two();
    let (own, below) = (root(&own), root(&below));
    let told = versions(&[&own, &below], "crul");
    for part in [
        &format!("{own}/packages/crul/recipe.kdl"),
        &format!("{below}/packages/crul"),
        "did you mean 'curl'?",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn of_two_pins_that_of_the_higher_tree_counts() {
    let (own, below) = two();
    let both = "version \"1\"\nversion \"2\"\nstep \"install\" \"true\"";
    below.recipe("curl", both);
    own.recipe("zlib", both);
    fs::write(format!("{}/pins.kdl", root(&below)), "pins format=1 {\n    curl \"1\"\n    zlib \"2\"\n}\n")
        .unwrap();
    fs::write(format!("{}/pins.kdl", root(&own)), "pins format=1 {\n    zlib \"1\"\n}\n").unwrap();
    let told = versions(&[&root(&own), &root(&below)], "editor");
    assert_eq!(told, "bootstrap 12, curl 1, editor 1, zlib 1");
}

#[test]
fn a_profile_of_a_higher_tree_may_include_one_of_the_tree_below() {
    let (own, below) = two();
    let (own, below) = (root(&own), root(&below));
    for (tree, name, text) in [
        (&below, "base", "profile \"base\" { packages { curl; }; }"),
        (&below, "site", "profile \"site\" { packages { nothing; }; }"),
        (&own, "site", "profile \"site\" { include \"base\"; packages { zlib; }; }"),
    ] {
        fs::create_dir_all(format!("{tree}/profiles")).unwrap();
        fs::write(format!("{tree}/profiles/{name}.kdl"), text).unwrap();
    }
    let trees = format!("{own}:{below}");
    let run = |arguments: &[&str]| {
        let output = lamina_with(Path::new(&own), arguments, &[("LAMINA_TREE", &trees)]);
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let told = run(&["explain", "zlib", "--in", "site"]);
    assert!(told.starts_with("zlib 2"), "{told}");
    let told = run(&["explain", "curl", "--in", "site"]);
    assert!(told.starts_with("curl 1"), "{told}");
}
