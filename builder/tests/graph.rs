//! What a request comes to: closures, order, cycles, and plans.

mod tree;

use std::collections::BTreeMap;

use builder::build::plan::Plan;
use builder::graph::Graph;
use builder::profile::folder::ProfileFolder;
use builder::profile::layers::{self, Layers};
use builder::recipe::RecipeFolder;
use builder::store::{BuildRecord, Store};
use profiles::Digest;
use tree::Tree;

const INSTALL: &str = "step \"install\" \"true\"";

fn tree(recipes: &[(&str, &str)]) -> Tree {
    let tree = Tree::new();
    for (name, nodes) in recipes {
        tree.recipe(name, &format!("version \"1\"\n{nodes}\n{INSTALL}"));
    }
    tree
}

fn names(graph: &Graph, indices: &[usize]) -> Vec<String> {
    indices.iter().map(|index| graph.packages()[*index].recipe.name.to_string()).collect()
}

fn refusal(tree: &Tree, name: &str) -> String {
    tree.resolve(&[name]).unwrap_err().to_string()
}

#[test]
fn a_build_sees_its_build_dependencies_and_what_they_need_to_run() {
    let tree = tree(&[
        ("headers", ""),
        ("musl", "depends { headers\n }"),
        ("gcc", ""),
        ("zlib", "build-depends { gcc\n musl\n }"),
        ("ssh", "build-depends { musl\n zlib\n }\ndepends { base\n }"),
        ("base", ""),
    ]);
    let (graph, roots) = tree.resolve(&["ssh"]).unwrap();
    assert_eq!(
        names(&graph, &graph.packages()[roots[0]].build_root),
        ["bootstrap", "headers", "musl", "zlib"]
    );
    assert_eq!(names(&graph, &graph.stack(&roots).unwrap()), ["base", "ssh"]);
}

#[test]
fn circles_are_shown_with_their_path() {
    let tree =
        tree(&[("a", "build-depends { b\n }"), ("b", "depends { c\n }"), ("c", "build-depends { a\n }")]);
    let message = refusal(&tree, "a");
    assert!(
        message.contains("c/recipe.kdl:5:17: error:") && message.contains("in a circle: a -> b -> c -> a"),
        "{message}"
    );
    let own = self::tree(&[("a", "depends { a\n }")]);
    assert!(refusal(&own, "a").contains("a -> a"));
}

#[test]
fn a_missing_or_unsuitable_dependency_names_who_needs_it() {
    let tree =
        tree(&[("zlib", ""), ("a", "depends { zlip\n }"), ("b", "depends { zlib version=\">=2\"\n }")]);
    let message = refusal(&tree, "a");
    assert!(
        message.contains("a/recipe.kdl:5:11: error: package zlip")
            && message.contains("did you mean 'zlib'?"),
        "{message}"
    );
    let message = refusal(&tree, "b");
    assert!(message.contains("package zlib: is version 1, and >=2 is asked for"), "{message}");
}

#[test]
fn dependencies_of_a_feature_are_there_only_when_it_is_on() {
    let tree =
        tree(&[("a", "feature \"tls\" default=#false\nbuild-depends { ssl when=\"tls\"\n }"), ("ssl", "")]);
    let layers = |on: bool| {
        let (graph, roots) = tree.resolve_with(&["a"], &[("tls", if on { "on" } else { "off" })]).unwrap();
        names(&graph, &graph.packages()[roots[0]].build_root)
    };
    assert_eq!(layers(false), ["bootstrap"]);
    assert_eq!(layers(true), ["bootstrap", "ssl"]);
}

#[test]
fn an_unknown_feature_names_the_near_one() {
    let tree = tree(&[("a", "feature \"compress\" default=#false")]);
    let message = tree.resolve_with(&["a"], &[("compres", "on")]).unwrap_err().to_string();
    assert!(
        message.contains("package a: has no feature 'compres'\nhelp: did you mean 'compress'?"),
        "{message}"
    );
}

#[test]
fn a_stack_keeps_the_written_order_and_puts_what_is_missing_below() {
    let tree = tree(&[
        ("base", ""),
        ("ssh", "depends { base\n zlib\n }"),
        ("zlib", ""),
        ("nano", "depends { base\n }"),
    ]);
    let (graph, roots) = tree.resolve(&["nano", "ssh", "base"]).unwrap();
    assert_eq!(names(&graph, &graph.stack(&roots).unwrap()), ["nano", "zlib", "ssh", "base"]);
}

/// Puts a record and an image of one byte into the store.
fn pretend_built(store: &Store, graph: &Graph, index: usize) {
    let package = &graph.packages()[index];
    let record = BuildRecord {
        name: package.recipe.name.clone(),
        version: package.recipe.version.to_string(),
        id: package.id,
        digest: Digest::from_bytes([7; 32]),
        size: 1,
        verity: None,
        license: "MIT".to_owned(),
        target: "x86_64-linux".to_owned(),
        variant: None,
        features: BTreeMap::new(),
        build_root: Vec::new(),
        depends: Vec::new(),
        sources: Vec::new(),
    };
    store.write(&store.image_path(&record.digest), b"x").unwrap();
    store.write(&store.record_path(&record.id), record.to_kdl().as_bytes()).unwrap();
}

#[test]
fn a_plan_says_what_is_built_and_why() {
    let tree = tree(&[("musl", ""), ("zlib", "build-depends { musl\n }")]);
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let shown = |graph: &Graph, roots: &[usize]| {
        let text = Plan::make(graph, roots, &store).unwrap().to_string();
        // Ids are tested elsewhere.
        text.lines()
            .map(|line| {
                format!("{}{}\n", &line[..line.find('(').unwrap()], &line[line.find(')').unwrap() + 1..])
            })
            .collect::<String>()
    };
    let (graph, roots) = tree.resolve(&["zlib"]).unwrap();
    assert_eq!(
        shown(&graph, &roots),
        "build bootstrap 12 : never built\nbuild musl 1 : never built\nbuild zlib 1 : never built\n"
    );
    for index in 0..graph.packages().len() {
        pretend_built(&store, &graph, index);
    }
    assert_eq!(shown(&graph, &roots), "keep  zlib 1 \n");
    tree.recipe("zlib", &format!("version \"2\"\nbuild-depends {{ musl\n }}\n{INSTALL}"));
    let (graph, roots) = tree.resolve(&["zlib"]).unwrap();
    let plan = shown(&graph, &roots);
    assert!(
        plan.contains("keep  musl 1") && plan.contains("build zlib 2 : version 2 instead of 1"),
        "{plan}"
    );
}

/// The layers of a profile of these lines.
fn layers(tree: &Tree, lines: &str) -> builder::Result<(Vec<String>, Vec<String>)> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.kdl");
    std::fs::write(&file, format!("profile \"web\" {{\n{lines}\n}}\n")).unwrap();
    let composition = ProfileFolder::new(folder.path().to_path_buf()).compose_file(&file)?;
    let (graph, roots) = Graph::resolve(&RecipeFolder::new(tree.path()), &layers::requests(&composition))?;
    let layers = Layers::of(&graph, &composition, &roots)?;
    assert_eq!(layers.all().len(), layers.stack.len() + layers.optional.len());
    Ok((names(&graph, &layers.stack), names(&graph, &layers.optional)))
}

#[test]
fn what_an_optional_package_needs_is_in_the_stack() {
    let tree = tree(&[("base", ""), ("zlib", ""), ("strace", "depends { base\n zlib\n }"), ("lua", "")]);
    let (stack, optional) = layers(&tree, "packages { base; }; optional { strace; lua; }").unwrap();
    assert_eq!(
        (stack.as_slice(), optional.as_slice()),
        (&["base".into(), "zlib".into()][..], &["strace".into(), "lua".into()][..])
    );
}

#[test]
fn a_package_that_needs_an_optional_one_is_refused() {
    let tree = tree(&[("zlib", ""), ("ssh", "depends { zlib\n }")]);
    for lines in ["packages { ssh; }; optional { zlib; }", "optional { ssh; zlib; }"] {
        assert_eq!(
            layers(&tree, lines).unwrap_err().to_string(),
            "profile web: ssh needs zlib, which is optional\nhelp: move zlib from 'optional' to 'packages'"
        );
    }
}

#[test]
fn what_a_profile_asks_for_is_refused_at_its_line() {
    let tree = tree(&[("nano", "")]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.kdl");
    for (line, message) in [
        ("nanoo", "package nanoo: there is no"),
        ("nano utf8=#true", "package nano: has no feature 'utf8'"),
        ("nano version=\">=2\"", "package nano: is version 1, and >=2 is asked for"),
        ("nano tls=\"libressl\"", "package nano: has no feature 'tls'"),
    ] {
        std::fs::write(&file, format!("profile \"web\" {{\n    packages {{\n        {line}\n    }}\n}}\n"))
            .unwrap();
        let composition = ProfileFolder::new(folder.path().to_path_buf()).compose_file(&file).unwrap();
        let refused = Graph::resolve(&RecipeFolder::new(tree.path()), &layers::requests(&composition))
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains(&format!("web.kdl:3:9: error: {message}")) && refused.contains("^^^^"),
            "{refused}"
        );
    }
}
