//! Several versions of one recipe: which of its lines each has, and which version is taken.

mod tree;

use builder::choice::Selection;
use builder::recipe::{RecipeFolder, StepWork};
use profiles::Name;
use tree::Tree;

const INSTALL: &str = "step \"install\" \"true\"";

fn tree(recipes: &[(&str, &str)]) -> Tree {
    let tree = Tree::new();
    for (name, nodes) in recipes {
        tree.recipe(name, nodes);
    }
    tree
}

const ZLIB: &str = r#"version "1.3.1" { source "new" sha256="0000000000000000000000000000000000000000000000000000000000000000" size=1 { mirror "file:new"; }; }
version "1.2.13"
version "1.2.9"
source "old" sha256="1111111111111111111111111111111111111111111111111111111111111111" size=1 { mirror "file:old"; }
patch "all.patch"
arguments "make" "ALL=1"
step "make" "all"
step "install" "true"
versions "<1.3" {
    patch "old.patch"
    arguments "make" "OLD=1"
    step "make" "old"
}
versions "<1.2.10" {
    step "make" "oldest"
    build-depends { musl; }
}"#;

#[test]
fn the_nearest_range_lies_over_what_holds_for_all_versions() {
    let plain = format!("version \"1\"\n{INSTALL}");
    let tree = tree(&[("zlib", ZLIB), ("musl", &plain)]);
    tree.write("zlib/all.patch", "");
    tree.write("zlib/old.patch", "");
    let recipes = RecipeFolder::new(tree.path());
    let all = recipes.load_all(&Name::parse("zlib").unwrap()).unwrap();
    let found: Vec<(&str, String)> = all
        .all()
        .iter()
        .map(|recipe| {
            let lines = recipe.instructions(&Selection::default()).unwrap();
            let make = match &lines.steps["make"].work {
                StepWork::Script(text) => text.clone(),
                StepWork::Unpack(_) => unreachable!(),
            };
            let lines = lines.lines().into_iter().filter(|line| !line.starts_with("step"));
            (recipe.version.as_str(), format!("{make}; {}", lines.collect::<Vec<_>>().join("; ")))
        })
        .collect();
    assert_eq!(
        found,
        [
            ("1.3.1", "all; source old; source new; patch all.patch; arguments make ALL=1".to_owned()),
            ("1.2.13", "old; source old; patch all.patch; patch old.patch; arguments make ALL=1; arguments make OLD=1".to_owned()),
            (
                "1.2.9",
                "oldest; source old; patch all.patch; patch old.patch; build-depends musl; arguments make ALL=1; arguments make OLD=1"
                    .to_owned()
            ),
        ]
    );
}

/// What a range says for one choice leaves what all versions say for the others.
#[test]
fn a_nearer_line_counts_for_the_choices_for_which_it_stands() {
    let nodes = "version \"2\"\nversion \"1\"\nfeature \"fast\" default=#false\nstep \"make\" \"all\"\ndepends { lib; }
versions \"<2\" { step \"make\" \"old\" when=\"fast\"; depends { lib x=#true when=\"fast\"; }; }";
    let tree = tree(&[
        ("a", &format!("{nodes}\n{INSTALL}")),
        ("lib", &format!("version \"1\"\nfeature \"x\" default=#false\n{INSTALL}")),
    ]);
    let all = RecipeFolder::new(tree.path()).load_all(&Name::parse("a").unwrap()).unwrap();
    let lines = |version: &str, fast: &str| {
        let recipe = all.all().iter().find(|it| it.version.as_str() == version).unwrap();
        let selection = [("fast".to_owned(), tree::choice(fast))].into_iter().collect();
        let left = recipe.instructions(&selection).unwrap();
        let needed: Vec<String> = left.depends.iter().map(ToString::to_string).collect();
        (left.steps["make"].work.clone(), needed.join(", "))
    };
    let script = |text: &str| StepWork::Script(text.to_owned());
    assert_eq!(lines("1", "on"), (script("old"), "lib +x".to_owned()));
    for (version, fast) in [("1", "off"), ("2", "on"), ("2", "off")] {
        assert_eq!(lines(version, fast), (script("all"), "lib".to_owned()), "{version} {fast}");
    }
}

#[test]
fn the_newest_version_that_is_asked_for_is_taken() {
    let plain = |nodes: &str| format!("version \"1\"\n{nodes}\n{INSTALL}");
    let tree = tree(&[
        ("lib", &format!("version \"1.2.0\"\nversion \"1.10\"\nversion \"2.0-rc1\"\n{INSTALL}")),
        ("any", &plain("depends { lib; }")),
        ("old", &plain("depends { lib version=\"<1.10\"; }")),
        ("one", &plain("depends { lib version=\"^1.2\"; }")),
        ("new", &plain("depends { lib version=\">=2.0-rc1\"; }")),
        ("none", &plain("depends { lib version=\">=3\"; }")),
        ("odd", &plain("depends { lib version=\">=1..2\"; }")),
        ("both", &plain("build-depends { any; old; }")),
        ("never", &plain("build-depends { new; old; }")),
    ]);
    let version = |roots: &[&str]| -> builder::Result<String> {
        let (graph, roots) = tree.resolve(roots)?;
        let stack = graph.stack(&roots)?;
        let lib =
            stack.into_iter().map(|it| &graph.packages()[it]).find(|it| it.recipe.name.as_str() == "lib");
        Ok(lib.unwrap().recipe.version.to_string())
    };
    for (roots, expected) in [
        (&["any"][..], "2.0-rc1"),
        (&["old"], "1.2.0"),
        (&["one"], "1.10"),
        (&["any", "old"], "1.2.0"),
        (&["old", "any"], "1.2.0"),
    ] {
        assert_eq!(version(roots).unwrap(), expected, "{roots:?}");
    }
    for (root, parts) in [
        (
            "none",
            &[
                "none/recipe.kdl:5:11: error: package lib",
                "has the versions 2.0-rc1, 1.10, 1.2.0, and none is >=3",
            ][..],
        ),
        (
            "odd",
            &["odd/recipe.kdl:5:11: error: package lib", ">=1..2 is no condition on its versions (loose)"],
        ),
        ("never", &["<1.10 asked for by old at", ">=2.0-rc1 asked for by new at"]),
    ] {
        let message = tree.resolve(&[root]).unwrap_err().to_string();
        for part in parts {
            assert!(message.contains(part), "{part}\n{message}");
        }
    }
    let (graph, roots) = tree.resolve(&["both"]).unwrap();
    let build = &graph.packages()[roots[0]];
    let below = graph.packages()[roots[0]].build_root.iter();
    let names: Vec<&str> = below.map(|index| graph.packages()[*index].recipe.name.as_str()).collect();
    assert_eq!(names, ["bootstrap", "lib", "any", "old"]);
    assert_eq!(graph.packages()[build.build_root[1]].recipe.version.as_str(), "1.2.0");
}
