//! What the recipes of this repository promise, without building any of them.

mod program;

use std::path::Path;

use program::{lamina, told};

/// What `lamina` says of this repository's tree, and whether it ended well.
fn said(arguments: &[&str]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().display().to_string();
    let output = lamina(folder.path(), &[&["--tree", &tree], arguments].concat());
    (output.status.success(), told(&output))
}

fn resolved(package: &[&str]) -> String {
    let (ended_well, text) = said(&[&["info"], package, &["--resolved"]].concat());
    assert!(ended_well, "{text}");
    text
}

#[test]
fn a_patch_lies_over_the_older_versions_of_lua_alone() {
    let older = resolved(&["lua", "version=5.4.4"]);
    assert!(older.contains("lua-5.4.4.tar.gz") && older.contains("stack-overflow.patch"), "{older}");
    let newest = resolved(&["lua"]);
    assert!(newest.contains("lua-5.4.8.tar.gz") && !newest.contains(".patch"), "{newest}");
}

#[test]
fn who_cannot_be_static_says_why() {
    let (ended_well, text) = said(&["build", "proxychains-ng", "linkage=static", "--dry-run"]);
    assert!(!ended_well && text.contains("a static one has no loader"), "{text}");
    assert!(text.contains("help: it can be dynamic"), "{text}");
}

#[test]
fn curl_is_linked_with_the_library_that_was_chosen_and_with_no_other() {
    let libraries = ["mbedtls", "openssl", "libressl"];
    for chosen in libraries {
        let text = resolved(&["curl", &format!("tls={chosen}"), "linkage=mixed"]);
        for library in libraries {
            let is_named = text.contains(&format!("\nlibraries {library} "));
            assert_eq!(is_named, library == chosen, "{library} with {chosen}:\n{text}");
        }
    }
    let without = resolved(&["curl", "-tls"]);
    assert!(without.contains("--without-ssl") && !without.contains("ca-certificates"), "{without}");
}

#[test]
fn the_libressl_of_tests_is_had_by_name_alone() {
    let (_, text) = said(&["explain", "curl", "tls=libressl", "--versions"]);
    assert!(text.contains("4.2.1 (the newest; there is 2.0.0 too)"), "{text}");
    let (_, text) = said(&["build", "--all", "--dry-run"]);
    assert!(text.contains("build curl 7.88.1") && !text.contains("libressl"), "{text}");
}
