//! Images by the name of a package: which build is meant, without a tree of recipes.

mod program;

use std::fs;
use std::path::Path;

use program::{json, lamina, site, told};

/// Three builds of `hello` in the store, and one of `other`; the images are real.
fn store(folder: &Path) -> String {
    let made = json(folder, &["image", "create", "site", "--time=0", "--json"]);
    lamina(folder, &["store", "list"]);
    let digest = made["digest"].as_str().unwrap().to_owned();
    let images = folder.join("store/images");
    fs::create_dir_all(&images).unwrap();
    fs::create_dir_all(folder.join("store/builds")).unwrap();
    fs::copy(folder.join("site.sqfs"), images.join(format!("{}.sqfs", digest.replace("sha256:", ""))))
        .unwrap();
    let verity = &made["verity"];
    for (name, id, version, more) in [
        ("hello", "aa", "2.12", "feature \"manual\" on=#false"),
        ("hello", "ab", "2.12", "feature \"manual\" on=#true"),
        ("hello", "cd", "3.0", "variant \"static\""),
        ("other", "ef", "1", "license \"MIT\""),
    ] {
        let id = id.repeat(32);
        let license = if name == "other" { "" } else { "license \"MIT\"" };
        let record = format!(
            "build \"{name}\" format=1 {{\n version \"{version}\"\n id \"{id}\"\n {license}\n {more}\n target \"x\"\n \
             image digest=\"{digest}\" size={} root-hash=\"{}\" salt=\"{}\" data-blocks={} fec-roots={}\n}}\n",
            made["size"],
            verity["root_hash"].as_str().unwrap(),
            verity["salt"].as_str().unwrap(),
            verity["data_blocks"],
            verity["fec_roots"],
        );
        fs::write(folder.join(format!("store/builds/{id}.kdl")), record).unwrap();
    }
    digest
}

#[test]
fn every_image_command_takes_a_package_and_its_choices_without_a_tree() {
    let folder = site();
    let digest = store(folder.path());
    for word in
        ["other", "hello@3.0", "hello@cd", "hello@aaaa", "hello+manual", "hello+static", "hello@2.12+manual"]
    {
        let cat = lamina(folder.path(), &["image", "cat", word, "etc/motd"]);
        assert_eq!(cat.stdout, b"hello\n", "{word}: {}", told(&cat));
        let seen = json(folder.path(), &["image", "inspect", word, "--json"]);
        assert!(
            seen["file"].as_str().unwrap().ends_with(&format!("{}.sqfs", digest.replace("sha256:", ""))),
            "{seen}"
        );
        let verified = json(folder.path(), &["image", "verify", word, "--json"]);
        assert_eq!(verified["verified"], true);
        let made = json(folder.path(), &["image", "protect", word, "-o", "out.sqfs", "--json"]);
        assert_eq!((&made["file"], &made["file_system"]), (&"out.sqfs".into(), &"squashfs".into()));
    }
    for (word, parts) in [
        (
            "hello",
            &[
                "package hello: 3 builds fit\n",
                "hello@abababababab 2.12 +manual",
                "help: name one of them, as NAME@ID",
            ][..],
        ),
        ("hello@2.12", &["2 builds fit"]),
        ("hello@9", &["no build fits", "hello@cdcdcdcdcdcd 3.0 static"]),
        ("hello@", &["names nothing after its @"]),
        ("nobody", &["package nobody: has no build in this store", "lamina store list"]),
    ] {
        let message = told(&lamina(folder.path(), &["image", "cat", word, "etc/motd"]));
        for part in parts {
            assert!(message.contains(part), "{word}: {part} in\n{message}");
        }
    }
    // An image of the store is never written to.
    let message = told(&lamina(folder.path(), &["image", "protect", "other"]));
    assert!(
        message.contains("other: is an image of the store, which never changes\nhelp: write another"),
        "{message}"
    );
}

#[test]
fn no_two_builds_look_the_same_in_the_list() {
    let folder = site();
    store(folder.path());
    let listed = told(&lamina(folder.path(), &["store", "list"]));
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 4, "{listed}");
    for end in [" -manual", " +manual", " static"] {
        assert_eq!(lines.iter().filter(|line| line.ends_with(end)).count(), 1, "{end} in\n{listed}");
    }
}

#[test]
fn kernels_are_listed_without_a_tree_and_with_one_that_has_no_list() {
    let folder = tempfile::tempdir().unwrap();
    let listed = json(folder.path(), &["kernel", "list", "--json"]);
    assert!(listed.as_array().unwrap().iter().any(|it| it["name"] == "6.1"), "{listed}");
    fs::create_dir(folder.path().join("packages")).unwrap();
    assert_eq!(json(folder.path(), &["kernel", "list", "--json"]), listed);
    let message = told(&lamina(folder.path(), &["kernel", "list", "--tree", "/nowhere"]));
    assert!(message.contains("/nowhere: has no folder packages/"), "{message}");
}

#[test]
fn a_resolved_profile_is_checked_and_told_apart_and_the_list_has_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    let hex = "ab".repeat(32);
    let text = format!(
        "profile \"web\" format=1 {{\n    image \"base\" version=\"1\" digest=\"sha256:{hex}\" size=4096\n    \
         root writable=\"no\"\n    verify \"none\"\n    init \"/sbin/init\"\n}}\n"
    );
    fs::create_dir_all(folder.path().join("packages")).unwrap();
    fs::create_dir_all(folder.path().join("profiles")).unwrap();
    fs::create_dir_all(folder.path().join("store/profiles/web")).unwrap();
    let file = folder.path().join("store/profiles/web/3.kdl");
    fs::write(&file, &text).unwrap();
    let checked = told(&lamina(folder.path(), &["profile", "check", "store/profiles/web/3.kdl"]));
    assert!(
        checked
            .starts_with("web: a resolved profile, which init can read: 1 layer; lamina.profile=web@sha256:"),
        "{checked}"
    );
    fs::write(folder.path().join("cut.kdl"), text.replace("4096", "\"x\"")).unwrap();
    let refused = lamina(folder.path(), &["profile", "check", "./cut.kdl"]);
    assert!(refused.status.code() == Some(1) && told(&refused).contains("cut.kdl:2:"), "{}", told(&refused));
    let written = "profile \"web\" {\n    description \"works\"\n    root writable=\"no\"\n}\n";
    fs::write(folder.path().join("profiles/web.kdl"), written).unwrap();
    let digest = builder::digest::digest_file(&file).unwrap().0.to_string();
    let listed = json(folder.path(), &["profile", "list", "--json"]);
    assert_eq!((&listed[0]["generation"], &listed[0]["digest"]), (&3.into(), &digest.clone().into()));
    let shown = told(&lamina(folder.path(), &["profile", "list"]));
    assert!(shown.contains(&format!("generation 3 {digest}  newest\n")), "{shown}");
}
