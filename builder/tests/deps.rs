//! `lamina deps`: what it draws of a small tree, word by word.

mod pretended;
mod program;
mod tree;

use std::fs;
use std::path::Path;

use pretended::built;
use program::{json, lamina, told};
use tree::Tree;

/// curl, which needs a TLS library to be built and base to run; git on top of it; a library of two versions of which one is pinned.
fn tree() -> Tree {
    let tree = Tree::new();
    let recipe = |name: &str, nodes: &str| {
        tree.recipe(name, &format!("version \"1\"\n{nodes}\nstep \"install\" \"true\""));
    };
    tree.recipe("zlib", "version \"1.3.1\"\nversion \"1.2.13\"\nstep \"install\" \"true\"");
    recipe("base", "");
    recipe("openssl", "feature \"shared\" default=#false\nbuild-depends { zlib; }\ndepends { base; }");
    recipe(
        "curl",
        "build-depends { openssl shared=#true; zlib version=\"<2\"; }\ndepends { base; openssl shared=#true; }",
    );
    recipe("git", "build-depends { curl; }\ndepends { curl; }");
    let folder = tree.path().parent().unwrap().to_path_buf();
    fs::write(folder.join("pins.kdl"), "pins format=1 {\n    zlib \"1.2.13\"\n}\n").unwrap();
    fs::create_dir(folder.join("profiles")).unwrap();
    fs::write(folder.join("profiles/web.kdl"), "profile \"web\" {\n    packages {\n        curl\n    }\n}\n")
        .unwrap();
    tree
}

fn says(folder: &Path, words: &str) -> String {
    let text = told(&lamina(folder, &words.split(' ').collect::<Vec<_>>()));
    let text = text.replace(&format!("{}/", folder.display()), "");
    // Ids are tested elsewhere.
    let words: Vec<String> = text
        .split_inclusive(' ')
        .map(|word| {
            match word.trim_end().len() == 12 && word.trim_end().bytes().all(|it| it.is_ascii_hexdigit()) {
                true => "ID ".to_owned(),
                false => word.to_owned(),
            }
        })
        .collect();
    words.concat()
}

#[test]
fn the_tree_says_which_version_and_why_and_whether_it_is_built() {
    let tree = tree();
    let folder = tree.path().parent().unwrap().to_path_buf();
    built(&folder, &["zlib", "base"], true);
    let zlib = "zlib 1.2.13 (<2 asked for by curl at packages/curl/recipe.kdl:5:39, pinned at pins.kdl:2:5; there is 1.3.1 too)  id ID  built";
    let expected = format!(
        "git 1 (the only one)  id ID  not built\n  build+run curl 1 (the only one)  id ID  not built\n    \
         build+run openssl 1 +shared (the only one)  id ID  not built\n      build {zlib}\n      \
         run base 1 (the only one)  id ID  built\n    build zlib 1.2.13  as above\n    run base 1  as above\n\
         bootstrap 12 (the only one)  id ID  built  at the bottom of these builds\n"
    );
    assert_eq!(says(&folder, "deps git"), expected);
    let run = "curl 1 (the only one)  id ID  not built\n  run base 1 (the only one)  id ID  built\n  \
               run openssl 1 +shared (the only one)  id ID  not built\n    run base 1  as above\n";
    assert_eq!(says(&folder, "deps curl --run"), run);
    let flat = says(&folder, "deps git --flat");
    let names: Vec<&str> = flat.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["bootstrap", "zlib", "base", "openssl", "curl", "git"]);
    let build = says(&folder, "deps openssl --build");
    assert!(build.contains("\n  build zlib 1.2.13 ") && !build.contains("base"), "{build}");
    // The command line is stronger than the pin.
    assert!(
        says(&folder, "deps zlib version=1.3.1")
            .starts_with("zlib 1.3.1 (=1.3.1 asked for on the command line, ")
    );
    let found = json(&folder, &["deps", "curl", "--json"]);
    let curl = found["packages"].as_array().unwrap().iter().find(|it| it["name"] == "curl").unwrap();
    assert_eq!(found["roots"], serde_json::json!([curl["id"]]));
    let asked: Vec<&serde_json::Value> = found["edges"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["from"] == curl["id"])
        .map(|it| &it["asked"])
        .collect();
    assert_eq!(asked.len(), 5);
    assert!(asked.contains(&&serde_json::json!("zlib <2")) && asked[0].is_null(), "{asked:?}");
    assert!(says(&folder, "deps curl --run --build").contains("--run: and --build exclude each other"));
    assert!(says(&folder, "deps crul").contains("did you mean 'curl'?"));
}

#[test]
fn what_a_package_is_linked_with_is_drawn_as_it_is_linked() {
    let tree = tree();
    let recipe = |name: &str, nodes: &str| {
        tree.recipe(name, &format!("version \"1\"\n{nodes}\nstep \"install\" \"true\""));
    };
    let linkage = "linkage \"static\" \"dynamic\" default=\"static\"";
    recipe("lib", linkage);
    recipe("program", &format!("{linkage}\nlibraries {{ lib; }}"));
    let folder = tree.path().parent().unwrap().to_path_buf();
    let bottom = "bootstrap 12 (the only one)  id ID  not built  at the bottom of these builds\n";
    let only = "(the only one)  id ID  not built\n";
    assert_eq!(says(&folder, "deps program"), format!("program 1 {only}  link lib 1 {only}{bottom}"));
    assert_eq!(says(&folder, "deps program --run"), format!("program 1 {only}"));
    let dynamic = format!("program 1 linkage=dynamic {only}  link+run lib 1 linkage=dynamic {only}");
    assert_eq!(says(&folder, "deps program linkage=dynamic"), format!("{dynamic}{bottom}"));
    let above = says(&folder, "deps lib --reverse --build");
    assert!(above.contains("  link program 1 "), "{above}");
}

#[test]
fn who_needs_a_package_is_drawn_upwards() {
    let tree = tree();
    let folder = tree.path().parent().unwrap().to_path_buf();
    let said = says(&folder, "deps openssl +shared --reverse");
    let expected = "openssl 1 +shared (the only one)  id ID  not built\n  build+run curl 1 (the only one)  id ID  not built\n    \
                    profile at profiles/web.kdl:3:9\n    build+run git 1 (the only one)  id ID  not built\n";
    assert_eq!(said, expected);
    let said = says(&folder, "deps openssl --reverse");
    let plain = "openssl 1 (the only one)  id ID  not built\n  nobody in this tree needs it\n";
    assert_eq!(said, format!("{expected}{plain}"), "both builds, those that need something else first");
    let said = says(&folder, "deps openssl +shared --reverse --flat");
    assert_eq!(
        said.lines().map(|line| line.split(' ').next().unwrap()).collect::<Vec<_>>(),
        ["openssl", "curl", "git"]
    );
    let found = json(&folder, &["deps", "zlib", "--reverse", "--json"]);
    let names: Vec<&str> =
        found["packages"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert!(["zlib", "openssl", "curl", "git"].iter().all(|name| names.contains(name)), "{names:?}");
    assert!(says(&folder, "deps crul --reverse").contains("did you mean 'curl'?"));
}
