//! Linkage and the C library: what a package hands on to its libraries, which of them it needs to run, and what is refused.

mod tree;

use builder::graph::{Graph, Package};
use builder::profile::folder::ProfileFolder;
use builder::profile::layers::requests;
use builder::recipe::RecipeFolder;
use profiles::Name;
use tree::Tree;

const INSTALL: &str = "step \"install\" \"true\"";
const BOTH: &str =
    "linkage \"static\" \"dynamic\" default=\"static\"\nlibc \"musl\" \"glibc\" default=\"musl\"";

const CURL: &str = r#"version "1"
feature "tls" "openssl" "libressl" default="libressl"
linkage "static" "dynamic" "mixed" default="static"
libc "musl" "glibc" default="musl"
mixed {
    shared "tls"
}
libraries {
    musl when="libc=musl"
    glibc when="libc=glibc"
    zlib
    http2
    openssl when="tls=openssl"
    libressl when="tls=libressl"
}
build-depends {
    headers
}
depends {
    certificates
}
"#;

/// `http2` is linked with zlib, as `curl` is.
fn tree() -> Tree {
    let tree = Tree::new();
    let both = |more: &str| format!("version \"1\"\n{BOTH}\n{more}\n{INSTALL}");
    tree.recipe("curl", &format!("{CURL}\n{INSTALL}"));
    for name in ["musl", "glibc"] {
        let nodes = "version \"1\"\nlinkage \"static\" \"dynamic\" default=\"static\"";
        tree.recipe(name, &format!("{nodes}\n{INSTALL}"));
    }
    let pam = "linkage \"dynamic\" { cannot \"static\" \"it loads modules\"; }\nlibc \"musl\"";
    tree.recipe("pam", &format!("version \"1\"\n{pam}\n{INSTALL}"));
    for name in ["zlib", "openssl", "libressl"] {
        tree.recipe(name, &both("libraries { musl when=\"libc=musl\"; glibc when=\"libc=glibc\"; }"));
    }
    tree.recipe("http2", &both("libraries { musl when=\"libc=musl\"; glibc when=\"libc=glibc\"; zlib; }"));
    for name in ["headers", "certificates"] {
        tree.recipe(name, &format!("version \"1\"\n{INSTALL}"));
    }
    tree
}

/// `zlib static musl`, as each layer of the build is.
fn layers(graph: &Graph, of: &Package) -> Vec<String> {
    let layer = |index: &usize| described(&graph.packages()[*index]);
    of.build_root.iter().map(layer).collect()
}

fn described(package: &Package) -> String {
    let axis = |name: &str| match package.selection.has(name) {
        true => format!(" {}", package.selection.get(name)),
        false => String::new(),
    };
    format!("{}{}{}", package.recipe.name, axis("linkage"), axis("libc"))
}

fn to_run(graph: &Graph, of: &Package) -> Vec<String> {
    of.depends.iter().map(|index| described(&graph.packages()[*index])).collect()
}

#[test]
fn a_static_program_asks_for_archives_and_needs_none_of_them_to_run() {
    let (graph, roots) = tree().resolve(&["curl"]).unwrap();
    let curl = &graph.packages()[roots[0]];
    let expected = [
        "bootstrap",
        "headers",
        "musl static",
        "zlib static musl",
        "http2 static musl",
        "libressl static musl",
    ];
    assert_eq!(layers(&graph, curl), expected);
    assert_eq!(to_run(&graph, curl), ["certificates"]);
}

#[test]
fn a_dynamic_program_has_its_libraries_as_layers_whichever_c_library_it_has() {
    for libc in ["musl", "glibc"] {
        let (graph, roots) =
            tree().resolve_with(&["curl"], &[("linkage", "dynamic"), ("libc", libc)]).unwrap();
        let curl = &graph.packages()[roots[0]];
        let expected = [
            "certificates".to_owned(),
            format!("{libc} dynamic"),
            format!("zlib dynamic {libc}"),
            format!("http2 dynamic {libc}"),
            format!("libressl dynamic {libc}"),
        ];
        assert_eq!(to_run(&graph, curl), expected);
        assert!(curl.canonical.contains(&format!("\ndepend zlib any libc={libc} linkage=dynamic\n")));
        let system: Vec<String> = graph
            .stack(&roots)
            .unwrap()
            .iter()
            .map(|index| graph.packages()[*index].recipe.name.to_string())
            .collect();
        assert_eq!(system, ["certificates", libc, "zlib", "http2", "libressl", "curl"]);
    }
}

/// So a repair of the one library reaches every program that shares it.
#[test]
fn a_mixed_program_shares_what_its_recipe_names_and_the_c_library_alone() {
    for (tls, libc) in [("openssl", "musl"), ("libressl", "musl"), ("libressl", "glibc")] {
        let choices = [("linkage", "mixed"), ("tls", tls), ("libc", libc)];
        let (graph, roots) = tree().resolve_with(&["curl"], &choices).unwrap();
        let curl = &graph.packages()[roots[0]];
        assert_eq!(
            to_run(&graph, curl),
            ["certificates".to_owned(), format!("{libc} dynamic"), format!("{tls} dynamic {libc}")]
        );
        let seen = layers(&graph, curl);
        for (name, linkage) in [(libc, "dynamic"), ("zlib", "static"), ("http2", "static"), (tls, "dynamic")]
        {
            let layer =
                if name == libc { format!("{name} {linkage}") } else { format!("{name} {linkage} {libc}") };
            assert!(seen.contains(&layer), "{layer}: {seen:?}");
        }
        assert!(curl.canonical.contains(&format!("\nshared {tls}\n")), "{}", curl.canonical);
    }
}

/// What an archive is linked with comes with it: whoever links the archive in needs it too.
#[test]
fn an_archive_brings_what_it_needs_to_whoever_links_it_in_and_to_nobody_else() {
    let tree = tree();
    let linked = "version \"1\"\nlinkage \"static\"\nlibc \"musl\"\nlibraries { http2; }";
    tree.recipe("linked", &format!("{linked}\n{INSTALL}"));
    tree.recipe("uses", &format!("version \"1\"\nbuild-depends {{ http2; }}\n{INSTALL}"));
    let (graph, roots) = tree.resolve(&["linked", "uses"]).unwrap();
    let layers = |root: usize| layers(&graph, &graph.packages()[root]);
    assert_eq!(layers(roots[0]), ["bootstrap", "musl static", "zlib static musl", "http2 static musl"]);
    assert_eq!(layers(roots[1]), ["bootstrap", "http2 static musl"]);
}

/// Headers have no linkage: whoever links with the library needs them as its build did, and no system does.
#[test]
fn a_shared_library_brings_its_headers_and_not_what_it_has_linked_in() {
    let tree = tree();
    let shared = "version \"1\"\nlinkage \"dynamic\"\nlibc \"musl\"\nlibraries { musl; headers; zlib linkage=\"static\"; }";
    tree.recipe("shared", &format!("{shared}\n{INSTALL}"));
    let program = "version \"1\"\nlinkage \"dynamic\"\nlibc \"musl\"\nlibraries { shared; }";
    tree.recipe("program", &format!("{program}\n{INSTALL}"));
    let (graph, roots) = tree.resolve(&["program"]).unwrap();
    let program = &graph.packages()[roots[0]];
    assert_eq!(layers(&graph, program), ["bootstrap", "headers", "musl dynamic", "shared dynamic musl"]);
    let names = |indices: Vec<usize>| -> Vec<String> {
        indices.iter().map(|index| graph.packages()[*index].recipe.name.to_string()).collect()
    };
    assert_eq!(names(graph.stack(&roots).unwrap()), ["musl", "shared", "program"]);
}

/// Nothing but a wish of its own makes an archive of a dynamic program's library.
#[test]
fn what_a_line_says_itself_is_stronger_than_what_is_handed_on() {
    let tree = tree();
    let nodes =
        "version \"1\"\nlinkage \"dynamic\"\nlibc \"musl\"\nlibraries { musl; zlib linkage=\"static\"; }";
    tree.recipe("program", &format!("{nodes}\n{INSTALL}"));
    let (graph, roots) = tree.resolve(&["program"]).unwrap();
    let program = &graph.packages()[roots[0]];
    assert_eq!(layers(&graph, program), ["bootstrap", "musl dynamic", "zlib static musl"]);
    assert_eq!(to_run(&graph, program), ["musl dynamic"]);
}

#[test]
fn a_library_that_leaves_linkage_open_to_nobody_is_asked_for_nothing() {
    let tree = tree();
    let nodes = "version \"1\"\nlinkage \"dynamic\"\nlibc \"musl\"\nlibraries { musl; headers; }";
    tree.recipe("program", &format!("{nodes}\n{INSTALL}"));
    let (graph, roots) = tree.resolve(&["program"]).unwrap();
    assert_eq!(to_run(&graph, &graph.packages()[roots[0]]), ["musl dynamic"]);
}

#[test]
fn the_same_choices_in_any_order_are_one_build() {
    let tree = tree();
    let id = |choices: &[(&str, &str)]| {
        let (graph, roots) = tree.resolve_with(&["curl"], choices).unwrap();
        graph.packages()[roots[0]].id
    };
    let all = [("linkage", "mixed"), ("libc", "musl"), ("tls", "openssl")];
    let turned: Vec<_> = all.iter().rev().copied().collect();
    assert_eq!(id(&all), id(&turned));
    assert_eq!(id(&[]), id(&[("linkage", "static"), ("libc", "musl")]));
    assert_ne!(id(&[]), id(&[("linkage", "mixed")]));
}

/// Layers hide files of those below them, and no line of an id says which lies above: so the written order of a recipe must not count.
#[test]
fn the_written_order_of_what_is_needed_changes_neither_a_root_nor_an_id() {
    let app = |kind: &str, names: [&str; 3]| {
        let tree = tree();
        let (axes, mixed) = match kind {
            "libraries" => ("linkage \"mixed\"\nlibc \"musl\"", "mixed { shared \"zlib\" \"openssl\"; }"),
            _ => ("", ""),
        };
        let nodes = format!("version \"1\"\n{axes}\n{mixed}\n{kind} {{ {}; }}", names.join("; "));
        tree.recipe("app", &format!("{nodes}\n{INSTALL}"));
        let (graph, roots) = tree.resolve(&["app"]).unwrap();
        let app = &graph.packages()[roots[0]];
        (app.id, layers(&graph, app))
    };
    for kind in ["libraries", "build-depends"] {
        let expected = app(kind, ["zlib", "openssl", "http2"]);
        for names in [["http2", "openssl", "zlib"], ["openssl", "zlib", "http2"]] {
            assert_eq!(app(kind, names), expected, "{kind} {names:?}");
        }
    }
}

/// The library is there as a shared one anyway, and nobody can have both.
#[test]
fn what_a_shared_library_of_a_mixed_program_needs_is_shared_too() {
    let tree = tree();
    tree.recipe("openssl", &format!("version \"1\"\n{BOTH}\nlibraries {{ musl; zlib; }}\n{INSTALL}"));
    let (graph, roots) = tree.resolve_with(&["curl"], &[("linkage", "mixed"), ("tls", "openssl")]).unwrap();
    let curl = &graph.packages()[roots[0]];
    let needed = to_run(&graph, curl);
    assert_eq!(needed, ["certificates", "musl dynamic", "zlib dynamic musl", "openssl dynamic musl"]);
    assert!(layers(&graph, curl).contains(&"http2 static musl".to_owned()));
    assert!(curl.canonical.contains("\ndepend zlib any libc=musl linkage=dynamic\n"), "{}", curl.canonical);
}

#[test]
fn a_profile_asks_those_of_its_packages_that_can_be_so() {
    let tree = tree();
    let text = "profile \"web\" { linkage \"mixed\"; packages { curl; pam; zlib linkage=\"static\"; http2; headers; }; }";
    tree.write("../profiles/web.kdl", text);
    let profiles = ProfileFolder::new(tree.path().join("../profiles"));
    let composition = profiles.compose(&Name::parse("web").unwrap()).unwrap();
    let (graph, roots) = Graph::resolve(&RecipeFolder::new(tree.path()), &requests(&composition)).unwrap();
    let all: Vec<String> = roots.iter().map(|root| described(&graph.packages()[*root])).collect();
    assert_eq!(
        all,
        ["curl mixed musl", "pam dynamic musl", "zlib static musl", "http2 static musl", "headers"]
    );
}

#[test]
fn asking_for_what_a_recipe_cannot_do_says_why_and_who_asks() {
    let tree = tree();
    let error = tree.resolve_with(&["pam"], &[("linkage", "static")]).unwrap_err().to_string();
    assert!(error.contains("'linkage' cannot be 'static': it loads modules"), "{error}");
    let nodes = "version \"1\"\nlinkage \"static\"\nlibc \"musl\"\nlibraries { pam; }";
    tree.recipe("login", &format!("{nodes}\n{INSTALL}"));
    let error = tree.resolve(&["login"]).unwrap_err().to_string();
    assert!(error.contains("cannot be 'static': it loads modules"), "{error}");
    assert!(error.contains("login/recipe.kdl:7:13"), "{error}");
    assert!(error.contains("it can be dynamic"), "{error}");
}

#[test]
fn what_two_dependents_say_against_each_other_names_both() {
    let tree = tree();
    let library = |linkage: &str| {
        format!(
            "version \"1\"\nlinkage \"dynamic\"\nlibc \"musl\"\nlibraries {{ zlib linkage=\"{linkage}\"; }}\n{INSTALL}"
        )
    };
    tree.recipe("one", &format!("version \"1\"\ndepends {{ zlib linkage=\"static\"; }}\n{INSTALL}"));
    tree.recipe("two", &library("dynamic"));
    tree.recipe("both", &format!("version \"1\"\nbuild-depends {{ one; two; }}\n{INSTALL}"));
    let error = tree.resolve(&["both"]).unwrap_err().to_string();
    for part in ["linkage=static asked for by one at", "linkage=dynamic asked for by two at"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn what_a_recipe_says_wrongly_of_linkage_is_told_with_its_place() {
    let tree = tree();
    for (nodes, expected) in [
        ("linkage \"sttaic\"", "there is no linkage 'sttaic'"),
        ("linkage \"static\" \"dynamic\"", "default"),
        ("linkage \"static\" \"dynamic\" default=\"mixed\"", "the default 'mixed' is none of the values"),
        ("linkage \"static\" \"static\" default=\"static\"", "'static' stands twice"),
        (
            "linkage \"static\" { cannot \"static\" \"no\"; }",
            "'static' is one of the values that it can have",
        ),
        ("linkage \"static\" { cannot \"dynamic\"; }", "a value and the reason"),
        ("libc \"uclibc\"", "there is no libc 'uclibc'"),
        ("libraries { zlib; }", "says how it is linked"),
        ("linkage \"mixed\"\nlibraries { zlib; }\nmixed { shared \"zlib\"; }", "says which C library it has"),
        ("linkage \"mixed\"\nlibc \"musl\"\nlibraries { zlib; }", "which libraries a mixed package shares"),
        (
            "linkage \"mixed\"\nlibc \"musl\"\nlibraries { zlib; }\nmixed { shared \"zlb\"; }",
            "did you mean 'zlib'?",
        ),
        ("linkage \"static\"\nlibc \"musl\"\nmixed { shared \"zlib\"; }", "cannot be mixed"),
        ("feature \"linkage\" default=#true", "a feature cannot be called 'linkage'"),
    ] {
        tree.recipe("wrong", &format!("version \"1\"\n{nodes}\n{INSTALL}"));
        let name = Name::parse("wrong").unwrap();
        let error = RecipeFolder::new(tree.path()).load(&name).unwrap_err().to_string();
        assert!(error.contains(expected), "{nodes}: {error}");
        assert!(error.contains("wrong/recipe.kdl:"), "{nodes}: {error}");
    }
}
