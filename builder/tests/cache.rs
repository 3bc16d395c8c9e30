//! A cache that cannot be filled: what is said names it, and what chooses another one.

mod program;

use std::fs;
use std::path::Path;

use profiles::Digest;
use program::{lamina_held_by_modes_with, lamina_with, told};

const BODY: &str = "a kernel";

/// A tree with a listed kernel, whose file lies beside it.
fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |inside: &str| folder.path().join(inside);
    fs::create_dir_all(path("packages")).unwrap();
    fs::create_dir_all(path("kernel-config")).unwrap();
    let (body, digest) = (path("body"), Digest::of(BODY.as_bytes()).unwrap().0.hex());
    fs::write(&body, BODY).unwrap();
    let pinned = format!("sha256=\"{digest}\" size={} {{ mirror \"file:{}\"; }}", BODY.len(), body.display());
    let kernels =
        format!("kernel \"k\" {{ description \"k\"; release \"1\"; package \"k.deb\" {pinned}; }}\n");
    fs::write(path("kernel-config/kernels.kdl"), kernels).unwrap();
    folder
}

#[test]
fn what_cannot_be_made_or_written_to_is_named_as_the_cache() {
    let tree = tree();
    let path = |inside: &str| tree.path().join(inside).display().to_string();
    fs::write(path("file"), "").unwrap();
    fs::create_dir_all(path("closed/sources")).unwrap();
    fs::set_permissions(path("closed/sources"), std::os::unix::fs::PermissionsExt::from_mode(0o555)).unwrap();
    let places = [
        ("LAMINA_CACHE", "file", "file/sources: the cache cannot be made: "),
        ("LAMINA_CACHE", "file/below", "file/below/sources: the cache cannot be made: "),
        ("HOME", "file", "file/.cache/lamina/sources: the cache cannot be made: "),
        ("XDG_CACHE_HOME", "file", "file/lamina/sources: the cache cannot be made: "),
        ("LAMINA_CACHE", "closed", "closed/sources: the cache cannot be written to: Permission denied"),
    ];
    for (variable, place, meant) in places {
        let place = path(place);
        let variables = [("LAMINA_CACHE", ""), ("XDG_CACHE_HOME", ""), (variable, &*place)];
        let output = lamina_held_by_modes_with(tree.path(), &["kernel", "fetch", "k"], &variables);
        let said = told(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(meant) && said.contains("help: set LAMINA_CACHE to a folder"), "{said}");
        assert!(!said.contains("--store"), "{said}");
        let is_told = said.contains(&format!("{} is no folder", path("file")));
        assert!(place.ends_with("closed") || is_told, "{said}");
    }
    // What lies there already is taken from where nothing can be written.
    let name = format!("closed/sources/{}", Digest::of(BODY.as_bytes()).unwrap().0.hex());
    fs::set_permissions(path("closed/sources"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    fs::write(path(&name), BODY).unwrap();
    fs::set_permissions(path("closed/sources"), std::os::unix::fs::PermissionsExt::from_mode(0o555)).unwrap();
    let closed = path("closed");
    let output =
        lamina_held_by_modes_with(tree.path(), &["kernel", "fetch", "k"], &[("LAMINA_CACHE", &closed)]);
    assert_eq!(told(&output).trim(), path(&name));
}

/// The XDG Base Directory Specification: what is relative is ignored.
#[test]
fn a_relative_folder_of_caches_is_none() {
    let tree = tree();
    let home = tree.path().join("home").display().to_string();
    let variables = [("LAMINA_CACHE", ""), ("XDG_CACHE_HOME", "here"), ("HOME", &home)];
    let output = lamina_with(tree.path(), &["kernel", "fetch", "k"], &variables);
    assert!(output.status.success(), "{}", told(&output));
    assert!(Path::new(told(&output).trim()).starts_with(&home), "{}", told(&output));
}
