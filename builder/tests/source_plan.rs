//! The sources of a plan come first: with a mirror that is gone, nothing is built.

#[allow(dead_code, reason = "other tests look at more of a workshop")]
mod sandbox;

use std::fs;

use sandbox::{Way, Workshop};

const INSTALL: &str = "step \"install\" \"mkdir $OUT/x\"";

#[test]
fn a_dead_mirror_is_found_before_anything_is_built() {
    let workshop = Workshop::new(Way::Myself);
    let body = "sources\n";
    let source = |name: &str, sha256: &str, mirror: &str| {
        format!("source \"{name}\" sha256=\"{sha256}\" size={} {{ mirror \"{mirror}\"; }}\n", body.len())
    };
    // Nobody listens at port 1 (tcpmux).
    let dead = source("dead.txt", &"0".repeat(64), "http://127.0.0.1:1/dead.txt");
    workshop.recipe("lib", INSTALL);
    workshop.recipe("app", &format!("{dead}build-depends {{ lib; }}\n{INSTALL}"));
    let said = workshop.fail(&["build", "app"]);
    assert!(said.contains("dead.txt: no mirror gave the bytes"), "{said}");
    assert!(!said.contains("build lib"), "{said}");
    assert_eq!(workshop.logs(), "", "no build began: {said}");

    // What is needed by nothing that is built is not asked for.
    let sha256 = profiles::Digest::of(body.as_bytes()).unwrap().0.hex();
    fs::write(workshop.path("packages/lib/here.txt"), body).unwrap();
    workshop.recipe("lib", &(source("here.txt", &sha256, "file:here.txt") + INSTALL));
    workshop.recipe("other", &format!("build-depends {{ lib; }}\n{INSTALL}"));
    workshop.succeed(&["build", "other"]);
    for folder in ["store/sources", "cache"] {
        fs::remove_dir_all(workshop.path(folder)).unwrap();
    }
    fs::remove_file(workshop.path("packages/lib/here.txt")).unwrap();
    workshop.recipe("third", &format!("build-depends {{ lib; }}\n{INSTALL}"));
    workshop.succeed(&["build", "third"]);
}
