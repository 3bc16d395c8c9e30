//! What a recipe leaves open: who decides, what follows, and what cannot be had together.

mod tree;

use builder::graph::Graph;
use builder::recipe::StepWork;
use tree::Tree;

const INSTALL: &str = "step \"install\" \"true\"";

const CURL: &str = r#"version "1"
feature "http2" default=#true {
    requires "tls!=none"
}
feature "tls" "openssl" "libressl" "none" default="openssl" {
    value "libressl" "smaller" { conflicts "ldap"; }
}
feature "ldap" default=#false
feature "http3" default=#true { only-with "tls=openssl"; }
build-depends {
    openssl when="tls=openssl"
    libressl when="tls=libressl"
}
arguments "make" "HTTP2=1" when="http2"
arguments "make" "LDAP=1" "X=a b" when="ldap"
step "make" "default"
step "make" "of libressl" when="tls=libressl"
step "install" "true""#;

fn tree(recipes: &[(&str, &str)]) -> Tree {
    let tree = Tree::new();
    for (name, nodes) in recipes {
        tree.recipe(name, nodes);
    }
    tree
}

fn curl() -> Tree {
    let plain = format!("version \"1\"\n{INSTALL}");
    tree(&[("curl", CURL), ("openssl", &plain), ("libressl", &plain)])
}

fn layers(graph: &Graph, index: usize) -> Vec<String> {
    let names =
        graph.packages()[index].build_root.iter().map(|it| graph.packages()[*it].recipe.name.to_string());
    names.collect()
}

#[test]
fn a_choice_selects_dependencies_steps_and_arguments() {
    let tree = curl();
    for (choices, below, script, arguments) in [
        (&[][..], "openssl", "default", &["HTTP2=1"][..]),
        (&[("tls", "libressl")], "libressl", "of libressl", &["HTTP2=1"]),
        (&[("http2", "off"), ("ldap", "on")], "openssl", "default", &["LDAP=1", "X=a b"]),
    ] {
        let (graph, roots) = tree.resolve_with(&["curl"], choices).unwrap();
        assert_eq!(layers(&graph, roots[0]), ["bootstrap", below], "{choices:?}");
        let make = &graph.packages()[roots[0]].instructions.steps["make"];
        assert_eq!(make.work, StepWork::Script(script.to_owned()), "{choices:?}");
        assert_eq!(make.arguments, arguments, "{choices:?}");
    }
}

#[test]
fn saying_the_default_changes_no_id_and_everything_else_does() {
    let tree = curl();
    let id = |choices: &[(&str, &str)]| {
        let (graph, roots) = tree.resolve_with(&["curl"], choices).unwrap();
        graph.packages()[roots[0]].id
    };
    assert_eq!(id(&[]), id(&[("tls", "openssl"), ("http2", "on"), ("http3", "on")]));
    let ids = [
        id(&[]),
        id(&[("tls", "libressl")]),
        id(&[("http2", "off")]),
        id(&[("ldap", "on")]),
        id(&[("http3", "off")]),
        id(&[("tls", "none"), ("http2", "off")]),
    ];
    for (at, first) in ids.iter().enumerate() {
        assert!(ids[at + 1..].iter().all(|other| other != first), "{at}");
    }
    // "Off" of a feature with a value `none` is that value.
    assert_eq!(id(&[("tls", "off"), ("http2", "off")]), ids[5]);
}

#[test]
fn what_cannot_be_had_together_names_who_has_asked_for_it() {
    let tree = curl();
    for (choices, parts) in [
        (
            &[("tls", "none")][..],
            &[
                "+http2 requires tls!=none",
                "http2 is on (the recipe's default)",
                "tls is none (asked for on the command line)",
            ][..],
        ),
        (&[("tls", "libressl"), ("ldap", "on")], &["tls=libressl conflicts with ldap", "recipe.kdl:9:34"]),
        (
            &[("tls", "libressl"), ("http3", "on")],
            &["'http3' is there only with tls=openssl", "tls is libressl (asked for on the command line)"],
        ),
        (&[("tls", "openss")], &["'tls' has no value 'openss'", "did you mean 'openssl'?"]),
        (&[("tls", "on")], &["'tls' is no switch", "tls=openssl|libressl|none"]),
        (&[("ldap", "openldap")], &["'ldap' is a switch, not 'openldap'", "ldap=#true"]),
        (&[("http2", "off"), ("lda", "on")], &["has no feature 'lda'", "did you mean 'ldap'?"]),
        (&[("variant", "static")], &["package curl: has no variants"]),
    ] {
        let message = tree.resolve_with(&["curl"], choices).unwrap_err().to_string();
        for part in parts {
            assert!(message.contains(part), "{choices:?}\n{part}\n{message}");
        }
    }
    // Where it is there only with others, it is off without a word.
    let (graph, roots) = tree.resolve_with(&["curl"], &[("tls", "libressl")]).unwrap();
    assert!(!graph.packages()[roots[0]].selection.has("http3"));
}

#[test]
fn a_dependent_asks_for_what_it_needs_and_who_says_nothing_is_content() {
    let plain = |nodes: &str| format!("version \"1\"\n{nodes}\n{INSTALL}");
    let tree = tree(&[
        ("ssl", &plain("feature \"fips\" default=#false\nfeature \"flavour\" \"a\" \"b\" default=\"a\"")),
        ("git", &plain("depends { ssl flavour=\"b\"; }")),
        ("wget", &plain("depends { ssl; }")),
        ("nano", &plain("depends { ssl flavour=\"a\"; }")),
        ("vim", &plain("depends { ssl fips=#true; }")),
        ("all", &plain("build-depends { wget; git; }")),
        ("bad", &plain("build-depends { nano; git; }")),
        ("odd", &plain("depends { ssl flavor=\"b\"; }")),
        ("off", &plain("depends { ssl flavour=\"c\"; }")),
    ]);
    let flavour = |roots: &[&str]| -> builder::Result<String> {
        let (graph, roots) = tree.resolve(roots).unwrap();
        let stack = graph.stack(&roots)?;
        let ssl = stack
            .into_iter()
            .map(|index| &graph.packages()[index])
            .filter(|it| it.recipe.name.as_str() == "ssl");
        let found: Vec<String> = ssl.map(|it| it.selection.get("flavour").to_string()).collect();
        assert_eq!(found.len(), 1);
        Ok(found[0].clone())
    };
    assert_eq!(flavour(&["wget"]).unwrap(), "a");
    assert_eq!(flavour(&["git"]).unwrap(), "b");
    assert_eq!(flavour(&["wget", "git"]).unwrap(), "b");
    assert_eq!(flavour(&["git", "wget"]).unwrap(), "b");
    let message = flavour(&["git", "nano"]).unwrap_err().to_string();
    for part in [
        "flavour=b asked for by git at",
        "git/recipe.kdl:5:11",
        "flavour=a asked for by nano at",
        "nano/recipe.kdl:5:11",
    ] {
        assert!(message.contains(part), "{part}\n{message}");
    }
    assert_eq!(message, flavour(&["nano", "git"]).unwrap_err().to_string(), "in whatever order");
    // No build that anybody has asked for has both.
    let message = flavour(&["git", "vim"]).unwrap_err().to_string();
    assert!(message.contains("+fips asked for by vim"), "{message}");
    // The same within the root of a build.
    let (graph, roots) = tree.resolve(&["all"]).unwrap();
    assert_eq!(layers(&graph, roots[0]), ["bootstrap", "ssl", "git", "wget"]);
    let message = tree.resolve(&["bad"]).unwrap_err().to_string();
    assert!(
        message.contains("flavour=b asked for by git") && message.contains("flavour=a asked for by nano"),
        "{message}"
    );
    // A package of the profile stands for all who say nothing, and for nobody who wants another one.
    assert_eq!(flavour(&["ssl", "wget"]).unwrap(), "a");
    let message = flavour(&["ssl", "git"]).unwrap_err().to_string();
    assert!(message.contains("the one that is there has 1 -fips flavour=a"), "{message}");
    for (name, part) in [
        ("odd", "odd/recipe.kdl:5:11: error: package ssl: has no feature 'flavor'"),
        ("off", "'flavour' has no value 'c'"),
    ] {
        let message = tree.resolve(&[name]).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

/// What is asked for by a build that is not taken does not count.
#[test]
fn only_what_is_there_in_the_end_has_asked_for_something() {
    let plain = |nodes: &str| format!("version \"1\"\n{nodes}\n{INSTALL}");
    let tree = tree(&[
        ("ssl", &plain("feature \"flavour\" \"a\" \"b\" default=\"a\"")),
        (
            "tool",
            &plain(
                "feature \"x\" default=#false\ndepends { ssl flavour=\"a\" when=\"-x\"; ssl flavour=\"b\" when=\"x\"; }",
            ),
        ),
        ("p", &plain("depends { tool x=#true; }")),
        ("q", &plain("depends { tool; }")),
    ]);
    for roots in [["p", "q"], ["q", "p"]] {
        let (graph, roots) = tree.resolve(&roots).unwrap();
        let stack = graph.stack(&roots).unwrap();
        let found: Vec<String> = stack
            .iter()
            .map(|index| &graph.packages()[*index])
            .map(|it| format!("{} {}", it.recipe.name, it.selection.get("flavour")))
            .filter(|text| text.starts_with("ssl"))
            .collect();
        assert_eq!(found, ["ssl b"]);
    }
}

#[test]
fn two_lines_that_hold_at_once_are_refused_with_both_places() {
    let tree = tree(&[(
        "a",
        "version \"1\"\nfeature \"x\" default=#true\nfeature \"y\" default=#true\nstep \"install\" \"1\" when=\"x\"\n\
         step \"install\" \"2\" when=\"y\"",
    )]);
    let message = tree.resolve(&["a"]).unwrap_err().to_string();
    for part in
        ["a/recipe.kdl:8:1: error: the step 'install' stands twice", "the first at ", "recipe.kdl:7:1"]
    {
        assert!(message.contains(part), "{part}\n{message}");
    }
    assert!(tree.resolve_with(&["a"], &[("x", "off")]).is_ok());
    let message = tree.resolve_with(&["a"], &[("x", "off"), ("y", "off")]).unwrap_err().to_string();
    assert!(message.contains("no step \"install\" is left"), "{message}");
}

#[test]
fn only_with_is_decided_after_what_it_looks_at() {
    let nodes = "version \"1\"\nfeature \"a\" default=#true { only-with \"-b\"; }\n\
                 feature \"b\" default=#true { only-with \"c\"; }\nfeature \"c\" default=#false\n\
                 step \"install\" \"true\"";
    let tree = tree(&[("x", nodes)]);
    for choices in [&[][..], &[("a", "on")]] {
        let (graph, roots) = tree.resolve_with(&["x"], choices).unwrap();
        let selection = &graph.packages()[roots[0]].selection;
        assert!(selection.has("a") && !selection.has("b"), "{selection:?}");
    }
}

#[test]
fn the_value_none_is_off_wherever_off_is_asked_for() {
    let nodes = "version \"1\"\nfeature \"tls\" \"openssl\" \"none\" default=\"openssl\" { only-with \"net\"; requires \"net\"; }\n\
                 feature \"net\" default=#true\nfeature \"http2\" default=#false { requires \"tls\"; }\n\
                 arguments \"install\" \"on\" when=\"tls\"\narguments \"install\" \"off\" when=\"-tls\"\n\
                 arguments \"install\" \"none\" when=\"tls=none\"\nstep \"install\" \"true\"";
    let tree = tree(&[("x", nodes)]);
    for (choices, words) in [
        (&[][..], &["on"][..]),
        (&[("tls", "off")], &["off", "none"]),
        (&[("tls", "none")], &["off", "none"]),
        (&[("net", "off")], &["off", "none"]),
    ] {
        let (graph, roots) = tree.resolve_with(&["x"], choices).unwrap();
        assert_eq!(graph.packages()[roots[0]].instructions.steps["install"].arguments, words, "{choices:?}");
    }
    let refused = tree.resolve_with(&["x"], &[("http2", "on"), ("tls", "off")]).unwrap_err().to_string();
    assert!(refused.contains("+http2 requires tls"), "{refused}");
}

#[test]
fn a_chain_of_features_does_not_take_the_square_of_its_length_for_each_choice() {
    let only = |it: usize| format!("feature \"f{it}\" default=#true {{ only-with \"f{}\"; }}\n", it - 1);
    let features: String = (1..200).map(only).collect();
    let nodes = format!("version \"1\"\nfeature \"f0\" default=#true\n{features}{INSTALL}");
    let tree = tree(&[("x", &nodes)]);
    let (graph, roots) = tree.resolve_with(&["x"], &[("f0", "off")]).unwrap();
    let selection = &graph.packages()[roots[0]].selection;
    assert!((0..200).all(|it| !selection.has(&format!("f{it}"))));
}
