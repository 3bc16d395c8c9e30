//! What is told of the builds of a store: what they were made from, whether the recipes still give them, and what has changed.

mod pretended;
mod program;
mod tree;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use builder::graph::Graph;
use pretended::{built, id};
use program::{json, lamina, told};
use tree::Tree;

const HASH: &str = "000000000000000000000000000000000000000000000000000000000000000";

/// zlib, openssl that is built with it, curl that is built with that, and git with that; and nano, which needs none of them.
struct Shop {
    tree: Tree,
    folder: PathBuf,
}

impl Shop {
    fn new() -> Self {
        let tree = Tree::new();
        let folder = tree.path().parent().unwrap().to_path_buf();
        fs::create_dir(folder.join("profiles")).unwrap();
        let shop = Shop { tree, folder };
        shop.zlib("1.3", 1);
        shop.recipe("openssl", "build-depends { zlib; }");
        shop.recipe("base", "");
        shop.recipe("curl", "feature \"ssl\" default=#true\nbuild-depends { openssl; }\ndepends { base; }");
        shop.recipe("git", "build-depends { curl; }");
        shop.recipe("nano", "feature \"syntax\" default=#false");
        shop
    }

    fn recipe(&self, name: &str, nodes: &str) {
        self.tree.recipe(name, &format!("version \"1\"\n{nodes}\nstep \"install\" \"true\""));
    }

    fn zlib(&self, version: &str, hash: u8) {
        let source = format!(
            "source \"zlib-{version}.tar.gz\" sha256=\"{HASH}{hash}\" size=1 {{ mirror \"https://example.org/zlib\"; }}"
        );
        self.tree.recipe("zlib", &format!("version \"{version}\"\n{source}\nstep \"install\" \"true\""));
    }

    /// What a command says, its exit status, with ids as `ID`.
    fn says(&self, words: &str) -> (String, Option<i32>) {
        let output = lamina(&self.folder, &words.split(' ').collect::<Vec<_>>());
        let text = told(&output).replace(&format!("{}/", self.folder.display()), "");
        (without_ids(&text), output.status.code())
    }
}

/// Every row of twelve or more hexadecimal digits as `ID`.
fn without_ids(text: &str) -> String {
    let (mut clean, mut digits) = (String::new(), String::new());
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_hexdigit() {
            digits.push(c);
            continue;
        }
        clean += if digits.len() >= 12 { "ID" } else { &digits };
        digits.clear();
        clean.push(c);
    }
    clean.pop();
    clean
}

#[test]
fn what_is_to_be_built_is_told_with_where_it_began() {
    let shop = Shop::new();
    built(&shop.folder, &["git", "nano"], true);
    let current = "up to date  bootstrap 12 (ID)\nup to date  zlib 1.3 (ID)\nup to date  openssl 1 (ID)\n\
                   up to date  base 1 (ID)\nup to date  curl 1 +ssl (ID)\nup to date  git 1 (ID)\n\
                   up to date  nano 1 -syntax (ID)\n0 packages to rebuild, 7 up to date\n";
    let (said, status) = shop.says("rebuild-needed");
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!((sorted(&said), status), (sorted(current), Some(0)));
    shop.zlib("1.3.1", 2);
    shop.recipe(
        "curl",
        "feature \"ssl\" default=#true\nfile \"ca.pem\"\nbuild-depends { openssl; }\ndepends { base; }",
    );
    shop.tree.write("curl/ca.pem", "");
    let (said, status) = shop.says("rebuild-needed");
    assert_eq!(status, Some(3), "{said}");
    let zlib = "    zlib: version 1.3.1 in place of 1.3; source zlib-1.3.1.tar.gz in place of zlib-1.3.tar.gz; \
                step unpack changed\n";
    for part in [
        &format!("rebuild     zlib 1.3.1 (ID)\n{zlib}rebuild     openssl 1 (ID)\n{zlib}"),
        &format!("rebuild     curl 1 +ssl (ID)\n{zlib}    curl: file ca.pem is new\n    through openssl\n"),
        &format!("rebuild     git 1 (ID)\n{zlib}    curl: file ca.pem is new\n    through openssl\n"),
        &"up to date  nano 1 -syntax (ID)\n".to_owned(),
        &"\n4 packages to rebuild, 3 up to date\n".to_owned(),
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    // With targets it is what `lamina build` would do.
    let (said, status) = shop.says("rebuild-needed nano");
    assert_eq!(
        (said.as_str(), status),
        ("up to date  nano 1 -syntax (ID)\n0 packages to rebuild, 1 up to date\n", Some(0))
    );
    let (said, status) = shop.says("rebuild-needed nano +syntax");
    assert_eq!(status, Some(3));
    assert!(
        said.contains("rebuild     nano 1 +syntax (ID)\n    nano: feature syntax on in place of off\n"),
        "{said}"
    );
    assert_eq!(shop.says("rebuild-needed nobody").1, Some(1));
    let output = lamina(&shop.folder, &["rebuild-needed", "curl", "--json"]);
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3));
    let curl = rows.as_array().unwrap().iter().find(|row| row["name"] == "curl").unwrap();
    assert_eq!((&curl["state"], &curl["causes"][0]["name"]), (&"rebuild".into(), &"zlib".into()));
    assert_eq!(curl["through"], serde_json::json!(["openssl"]));
}

#[test]
fn an_older_build_of_the_same_choices_needs_nothing() {
    let shop = Shop::new();
    built(&shop.folder, &["zlib"], true);
    shop.zlib("1.3.1", 2);
    built(&shop.folder, &["zlib"], true);
    let (said, status) = shop.says("rebuild-needed");
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(said.matches("zlib").count(), 1, "{said}");
    fs::remove_dir_all(shop.folder.join("store/images")).unwrap();
    let (said, status) = shop.says("rebuild-needed zlib");
    assert!(
        said.contains("rebuild     zlib 1.3.1 (ID): its image is missing or has another size\n"),
        "{said}"
    );
    assert_eq!(status, Some(3));
}

#[test]
fn what_the_recipes_make_no_more_is_told_and_needs_nothing() {
    let shop = Shop::new();
    built(&shop.folder, &["nano", "curl"], true);
    fs::remove_dir_all(shop.tree.path().join("nano")).unwrap();
    shop.recipe(
        "curl",
        "feature \"ssl\" \"a\" \"b\" default=\"a\"\nbuild-depends { openssl; }\ndepends { base; }",
    );
    let (said, status) = shop.says("rebuild-needed");
    assert!(said.contains("not made    nano 1 -syntax (ID): this tree has no such package\n"), "{said}");
    assert!(
        said.contains("not made    curl 1 +ssl (ID): it cannot be built with these choices any more: "),
        "{said}"
    );
    assert_eq!(status, Some(0));
    // A feature that is gone is a change like others.
    shop.recipe("curl", "build-depends { openssl; }\ndepends { base; }");
    let (said, status) = shop.says("rebuild-needed");
    assert!(said.contains("rebuild     curl 1 (ID)\n    curl: feature ssl is gone\n"), "{said}");
    assert_eq!(status, Some(3));
}

#[test]
fn the_text_of_an_older_record_is_made_anew_where_it_can_be() {
    let shop = Shop::new();
    let before = built(&shop.folder, &["curl"], false);
    shop.zlib("1.3.1", 2);
    let (said, _) = shop.says("rebuild-needed curl");
    let zlib = "    zlib: version 1.3.1 in place of 1.3; source zlib-1.3.1.tar.gz in place of zlib-1.3.tar.gz; step unpack changed\n";
    assert!(said.contains(&format!("rebuild     curl 1 +ssl (ID)\n{zlib}    through openssl\n")), "{said}");
    let (said, _) = shop.says(&format!("explain zlib --against {}", id(&before, "zlib")));
    assert!(said.contains("the text of its id was not kept, and was made anew from it\n"), "{said}");
    // Where it cannot be, what the record says is compared, and that is said.
    shop.tree.recipe("openssl", "version \"1\"\nbuild-depends { zlib; }\nstep \"install\" \"false\"");
    shop.zlib("1.3", 1);
    let (said, status) = shop.says("rebuild-needed curl");
    assert!(
        said.contains(
            "    openssl: its steps, patches, files or what it needs to run changed (an older record"
        ),
        "{said}"
    );
    assert_eq!(status, Some(3));
    let (said, _) = shop.says(&format!("explain openssl --against {}", id(&before, "openssl")));
    assert!(
        said.contains("an older record: the text of its id was not kept, and only what the record says"),
        "{said}"
    );
    assert!(said.contains("  what the record says is the same; steps, patches or files differ\n"), "{said}");
    assert!(shop.says("built-with openssl").0.contains("  id text  not kept: an older record"));
}

#[test]
fn a_build_that_is_up_to_date_has_its_text_kept_by_the_next_one() {
    let shop = Shop::new();
    let graph = built(&shop.folder, &["nano"], false);
    let (said, status) = shop.says("build nano");
    assert_eq!(status, Some(0), "{said}");
    let kept = shop.folder.join("store/ids");
    let nano = graph.packages().last().unwrap();
    assert_eq!(fs::read_to_string(kept.join(nano.id.hex())).unwrap(), nano.canonical);
    assert!(shop.says("built-with nano").0.contains("  id text  kept"));
    fs::write(kept.join(nano.id.hex()), nano.canonical.replace("nano", "nanu")).unwrap();
    let (said, status) = shop.says("store verify");
    assert!(
        said.contains("ids/ID: its SHA-256 is ID: the file was changed or damaged\nhelp: remove it"),
        "{said}"
    );
    assert_eq!(status, Some(1));
    let (said, _) = shop.says(&format!("explain nano --against {}", id(&graph, "nano")));
    assert!(said.contains("lamina: ids/ID: its SHA-256 is ID"), "{said}");
}

fn changed() -> (Shop, Graph) {
    let shop = Shop::new();
    let before = built(&shop.folder, &["git"], true);
    shop.zlib("1.3.1", 2);
    (shop, before)
}

#[test]
fn two_texts_stand_side_by_side() {
    let (shop, before) = changed();
    let (said, status) = shop.says(&format!("explain openssl --against {}", &id(&before, "openssl")[..8]));
    let expected = "openssl 1 (id ID) against openssl@ID 1: the text of its id was kept\n  build-depend\n    - build-depend zlib ID\n    \
                    + build-depend zlib ID\n      `lamina explain zlib --against ID` says why\n  8 lines the same\n";
    assert_eq!((said.as_str(), status), (expected, Some(0)));
    let (said, _) = shop.says(&format!("explain zlib --against zlib@{}", id(&before, "zlib")));
    let expected = "zlib 1.3.1 (id ID) against zlib@ID 1.3: the text of its id was kept\n  version\n    - version 1.3\n    + version 1.3.1\n  \
                    source\n    - source zlib-1.3.tar.gz sha256:ID\n    + source zlib-1.3.1.tar.gz sha256:ID\n  step\n    \
                    - step unpack default=1 zlib-1.3.tar.gz\n    + step unpack default=1 zlib-1.3.1.tar.gz\n  7 lines the same\n";
    assert_eq!(said, expected);
    let (said, _) = shop.says(&format!("explain base --against {}", id(&before, "base")));
    assert!(said.ends_with("  it is this build: all 8 lines are the same\n"), "{said}");
    let word = id(&before, "openssl");
    let found = json(&shop.folder, &["explain", "openssl", "--against", &word, "--json"]);
    assert_eq!((&found[0]["groups"][0]["word"], &found[0]["text"]), (&"build-depend".into(), &"kept".into()));
    for (words, part) in [
        ("explain zlib --against x", "'x': is neither a package that was built nor the beginning of an id"),
        ("explain zlib --against 0000000000000", "'ID': no build of the store has an id that begins so"),
        ("explain zlib --against ab --versions", "--versions: and --against exclude each other"),
    ] {
        let (said, status) = shop.says(words);
        assert!(said.contains(part), "{words}: {said}");
        assert_eq!(status, Some(1));
    }
    // Of seventeen ids two begin alike.
    let ids: BTreeSet<String> = (0..17)
        .map(|number| {
            shop.zlib(&format!("2.{number}"), 3);
            built(&shop.folder, &["zlib"], true).packages().last().unwrap().id.hex()
        })
        .collect();
    let first = |id: &String| id[..1].to_owned();
    let twice =
        ids.iter().find(|it| ids.iter().filter(|other| first(other) == first(it)).count() > 1).unwrap();
    let (said, status) = shop.says(&format!("explain zlib --against {}", first(twice)));
    assert!(said.contains("builds of the store fit\n    zlib@ID "), "{said}");
    assert_eq!(status, Some(1));
}

#[test]
fn what_a_build_was_made_from_is_told() {
    let (shop, before) = changed();
    fs::create_dir_all(shop.folder.join("store/logs")).unwrap();
    let curl = before.packages().iter().find(|it| it.recipe.name.as_str() == "curl").unwrap();
    fs::write(shop.folder.join(format!("store/logs/{}.log", curl.id.hex())), "").unwrap();
    let expected = "curl 1  id ID\n  image    sha256:ID  1 B\n  target   x86_64-linux, MIT\n  choices  +ssl\n  layer    bootstrap 12  id ID  sha256:ID\n  \
                    layer    openssl 1  id ID  sha256:ID\n  needs    base to run\n  log      logs/ID.log\n  id text  kept\n";
    assert_eq!(shop.says("built-with curl").0, expected);
    assert_eq!(shop.says(&format!("built-with {}", id(&before, "curl"))).0, expected);
    assert_eq!(shop.says("built-with curl +ssl").0, expected);
    let (said, status) = shop.says("built-with curl -ssl");
    assert!(said.contains("package curl: no build fits; the store has\n    curl@ID 1 +ssl\n"), "{said}");
    assert_eq!(status, Some(1));
    assert!(shop.says("built-with zlib").0.contains("  source   zlib-1.3.tar.gz  sha256:ID\n"));
    let found = json(&shop.folder, &["built-with", "curl", "--json"]);
    assert_eq!(found[0]["id_text"], curl.canonical);
    assert_eq!(found[0]["logs"][0], format!("logs/{}.log", curl.id.hex()));
    assert!(shop.says("built-with nano").0.contains("package nano: has no build in this store"));
}

#[test]
fn who_was_made_with_a_library_is_told() {
    let (shop, before) = changed();
    let (said, status) = shop.says("built-with --using zlib");
    let expected = "openssl 1  id ID  with zlib 1.3@ID\ncurl 1 +ssl  id ID  through openssl 1, made with zlib 1.3\n\
                    git 1  id ID  through curl 1, made with zlib 1.3\n";
    assert_eq!((said.as_str(), status), (expected, Some(0)));
    assert_eq!(shop.says("built-with --using zlib version=<1.3.1").0, expected);
    assert_eq!(shop.says(&format!("built-with --using {}", id(&before, "zlib"))).0, expected);
    let nobody = "no build of this store was made with zlib version=>1.3\n";
    assert_eq!(shop.says("built-with --using zlib version=>1.3").0, nobody);
    // A slip is no answer: it would hide those that were.
    let (said, status) = shop.says("built-with --using zlib nix=nix");
    assert!(said.contains("package zlib: has no feature 'nix'"), "{said}");
    assert_eq!(status, Some(1));
    assert!(shop.says("built-with --using curl -ssl").0.contains("no build of this store was made with"));
    // What cannot be compared is not left out in silence.
    shop.tree.recipe("zlib", "version-scheme \"date\"\nversion \"2026-01-01\"\nstep \"install\" \"true\"");
    let (said, status) = shop.says("built-with --using zlib version=<2026-01-01");
    assert!(said.contains("zlib 1.3: cannot be held against <2026-01-01: "), "{said}");
    assert_eq!(status, Some(1));
    // The record of the library may be gone, and its users are found all the same.
    let zlib = before.packages().iter().find(|it| it.recipe.name.as_str() == "zlib").unwrap();
    fs::remove_file(shop.folder.join(format!("store/builds/{}.kdl", zlib.id.hex()))).unwrap();
    assert_eq!(shop.says("built-with --using zlib").0, expected);
    let found = json(&shop.folder, &["built-with", "--using", "zlib", "--json"]);
    assert_eq!((&found[0]["name"], &found[0]["direct"]), (&"openssl".into(), &true.into()));
    assert_eq!(
        (&found[2]["layer"]["name"], &found[2]["made_with"]["name"]),
        (&"curl".into(), &"zlib".into())
    );
}
