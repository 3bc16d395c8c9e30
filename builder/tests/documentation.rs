//! The example of docs/recipes.md is built as it stands there, over the packages of this repository.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// The text of the only block of `document` in this language, or of the first.
fn block<'a>(document: &'a str, language: &str) -> &'a str {
    let (_, rest) = document.split_once(&format!("```{language}\n")).expect(language);
    rest.split_once("```").expect("an end").0
}

#[test]
fn the_example_of_the_documentation_builds() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let document = fs::read_to_string(repository.join("docs/recipes.md")).unwrap();
    let tree = tempfile::tempdir().unwrap();
    let packages = tree.path().join("packages");
    let hello = packages.join("hello");
    fs::create_dir_all(&hello).unwrap();
    fs::write(hello.join("recipe.kdl"), block(&document, "kdl")).unwrap();
    fs::write(hello.join("shorter-greeting.patch"), block(&document, "diff")).unwrap();
    fs::write(hello.join("greeting.conf"), block(&document, "conf")).unwrap();
    for entry in fs::read_dir(repository.join("packages")).unwrap().map(Result::unwrap) {
        copy(&entry.path(), &packages.join(entry.file_name()));
    }
    // Kept between runs for what the example stands on; the example itself is built each time, from the cache of sources.
    let store = Path::new(env!("CARGO_TARGET_TMPDIR")).join("documentation-store");
    let lamina = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lamina"));
        command.arg("--store").arg(&store).arg("--tree").arg(tree.path()).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    lamina(&["build", "musl", "base-files"]);
    lamina(&["build", "--check", "hello"]);
    assert_eq!(lamina(&["image", "cat", "hello", "etc/greeting.conf"]), block(&document, "conf").as_bytes());
    let program = tree.path().join("program");
    fs::write(&program, lamina(&["image", "cat", "hello", "usr/bin/hello"])).unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(Command::new(&program).output().unwrap().stdout, b"Hello!\n");
}

/// Copies a folder: recipes are not read through links that lead out of the tree.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => copy(&entry.path(), &target),
            kind if kind.is_symlink() => symlink(fs::read_link(entry.path()).unwrap(), target).unwrap(),
            _ => _ = fs::copy(entry.path(), target).unwrap(),
        }
    }
}
