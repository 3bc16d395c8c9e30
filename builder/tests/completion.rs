//! `lamina __complete`, which the completion scripts ask: what it offers, and that it harms nobody.

mod program;

use std::fs;
use std::path::Path;

use program::{json, lamina, make_store, site, told};

fn tree(folder: &Path) {
    for (name, nodes) in [
        (
            "nano",
            "feature \"syntax\" default=#false { description \"Colours\" }\nfeature \"utf8\" default=#true",
        ),
        ("musl", "variant \"static\" \"shared\" default=\"static\""),
        ("base", "file \"debian.kdl\"\nfile \"lock.kdl\"\ndebian"),
    ] {
        let at = folder.join("packages").join(name);
        fs::create_dir_all(&at).unwrap();
        let steps = if nodes.contains("debian") { "" } else { "step \"install\" \":\"" };
        let text = format!(
            "recipe \"{name}\" {{\nversion \"7\"\ndescription \"The {name}\"\nlicense \"MIT\"\n{nodes}\n{steps}\n}}\n"
        );
        fs::write(at.join("recipe.kdl"), text).unwrap();
    }
    fs::write(folder.join("packages/base/debian.kdl"), "").unwrap();
    fs::create_dir_all(folder.join("profiles")).unwrap();
    let profile = "profile \"web\" {\n description \"A site\"\n packages {\n nano\n }\n}\n";
    fs::write(folder.join("profiles/web.kdl"), profile).unwrap();
}

/// A build in the store, whose image is `site`.
fn record(folder: &Path, name: &str, id: &str, feature: &str) {
    let made = json(folder, &["image", "create", "site", "--time=0", "--no-verity", "--json"]);
    let digest = made["digest"].as_str().unwrap();
    let image = format!("store/images/{}.sqfs", digest.replace("sha256:", ""));
    fs::copy(folder.join("site.sqfs"), folder.join(image)).unwrap();
    let id = id.repeat(32);
    let text = format!(
        "build \"{name}\" format=1 {{\n version \"2\"\n id \"{id}\"\n license \"MIT\"\n target \"x\"\n{feature}\n \
         image digest=\"{digest}\" size={}\n}}\n",
        made["size"]
    );
    fs::write(folder.join(format!("store/builds/{id}.kdl")), text).unwrap();
}

fn offered(folder: &Path, words: &[&str]) -> Vec<String> {
    let output = lamina(folder, &[&["__complete"], words].concat());
    assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {}", told(&output));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn packages_profiles_and_features_of_the_tree_are_offered() {
    let folder = site();
    tree(folder.path());
    let offered = |words: &[&str]| offered(folder.path(), words);
    let all = ["nothing", "base\t7 The base", "musl\t7 The musl", "nano\t7 The nano", "web\tA site"];
    assert_eq!(offered(&["build", ""]), all);
    assert_eq!(offered(&["fetch", "web", "n"]), ["nothing", "nano\t7 The nano"]);
    assert_eq!(offered(&["build", "nano", ""]).len(), all.len() - 1, "what is there is not offered again");
    assert_eq!(
        offered(&["build", "nano", "--with", ""]),
        ["nothing", "syntax\tColours (default: off)", "utf8\t(default: on)"]
    );
    assert_eq!(offered(&["build", "nano", "--with=u"]), ["nothing", "--with=utf8\t(default: on)"]);
    assert_eq!(offered(&["build", "--without", "s"]), ["nothing", "syntax\tColours (default: off)"]);
    assert_eq!(offered(&["build", "musl", "--variant", ""]), ["nothing", "shared", "static"]);
    assert_eq!(offered(&["build", "nano", "--jobs", ""]), ["nothing"]);
    assert_eq!(offered(&["profile", "check", ""]), ["files", "web\tA site"]);
    assert_eq!(offered(&["bootstrap", "lock", ""]), ["nothing", "base\t7 The base"]);
    assert_eq!(offered(&["completions", "f"]), ["nothing", "fish"]);
    assert_eq!(offered(&["kernel", "fetch", "6.12"])[1].split('\t').next(), Some("6.12"));
    assert_eq!(offered(&["--tree", ""]), ["folders"]);
    // No package, profile or build has such a name, so nothing is lost.
    for name in ["packages/$(touch pwned)", "packages/n $HOME"] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("recipe.kdl"), "").unwrap();
    }
    fs::write(folder.path().join("profiles/$(touch pwned).kdl"), "").unwrap();
    assert_eq!(offered(&["build", ""]), all);
    // The script knows commands and options itself.
    for words in [&[""][..], &["build", "--w"], &["image", ""], &["image", "inspect", "x", ""], &[]] {
        assert_eq!(offered(words), [] as [&str; 0], "{words:?}");
    }
    // Another tree.
    let elsewhere = tempfile::tempdir().unwrap();
    fs::create_dir_all(elsewhere.path().join("packages/other")).unwrap();
    fs::write(elsewhere.path().join("packages/other/recipe.kdl"), "no recipe").unwrap();
    let there = elsewhere.path().to_str().unwrap();
    assert_eq!(offered(&["--tree", there, "build", ""]), ["nothing", "other"]);
}

#[test]
fn builds_of_the_store_and_what_is_in_them_are_offered() {
    let folder = site();
    make_store(folder.path());
    record(folder.path(), "hello", "ab", "feature \"manual\" on=#true");
    record(folder.path(), "hello", "cd", "feature \"manual\" on=#false");
    record(folder.path(), "other", "ef", "");
    let offered = |words: &[&str]| offered(folder.path(), words);
    let two = ["hello@abababababab\t2 +manual", "hello@cdcdcdcdcdcd\t2 -manual"];
    assert_eq!(offered(&["image", "inspect", "o"]), ["files", "other\t2"]);
    assert_eq!(offered(&["image", "cat", "h"]), ["files", "hello\t2 builds", two[0], two[1]]);
    assert_eq!(offered(&["image", "verify", "hello@c"]), ["files", two[1]]);
    assert_eq!(offered(&["image", "cat", "other", ""]), ["nothing", "etc/"]);
    assert_eq!(offered(&["image", "cat", "hello@ab", "/etc/m"]), ["nothing", "/etc/motd"]);
    assert_eq!(offered(&["image", "cat", "nobody", ""]), ["nothing"]);
    let locked = folder.path().join("store/profiles/web");
    fs::create_dir(&locked).unwrap();
    for name in ["9.kdl", "10.kdl"] {
        fs::write(locked.join(name), "").unwrap();
    }
    assert_eq!(offered(&["profile", "sign", ""]), ["nothing", "web\tgeneration 10"]);
    assert_eq!(offered(&["medium", "create", "disk", "--profile", "w"]), ["nothing", "web\tgeneration 10"]);
}

#[test]
fn nothing_is_written_and_nothing_is_said_of_what_is_broken() {
    let folder = site();
    make_store(folder.path());
    tree(folder.path());
    // What a killed command left: every other command removes it.
    let left = folder.path().join("store/tmp/build-1");
    fs::create_dir_all(&left).unwrap();
    fs::write(folder.path().join("store/builds/x.kdl"), "no record").unwrap();
    fs::write(folder.path().join("packages/nano/recipe.kdl"), [0xff]).unwrap();
    fs::write(folder.path().join("profiles/web.kdl"), "profile").unwrap();
    let offered = |words: &[&str]| offered(folder.path(), words);
    assert_eq!(offered(&["image", "cat", ""]), ["files"]);
    assert_eq!(offered(&["build", ""]).len(), 5);
    assert_eq!(offered(&["build", "nano", "--with", ""]), ["nothing"]);
    assert_eq!(offered(&["--store", "/dev/null", "image", "cat", ""]), ["files"]);
    assert_eq!(offered(&["--tree", "/dev/null", "build", ""]), ["nothing"]);
    assert!(left.exists());
    let command = lamina(folder.path(), &["store", "list"]);
    assert!(!left.exists(), "the leftover is one: {}", told(&command));
    let missing = folder.path().join("missing");
    offered(&["--store", missing.to_str().unwrap(), "image", "cat", ""]);
    assert!(!missing.exists());
}
