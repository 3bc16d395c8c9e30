//! The program `lamina`, run in a folder of its own.

// Each test program uses some of it.
#![allow(dead_code)]

pub mod copied_disk;
pub mod made_disk;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs `lamina` in `folder`, with the store `store` and the cache `cache` there.
pub fn lamina(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lamina"))
        .args(arguments)
        .env("LAMINA_STORE", folder.join("store"))
        .env("LAMINA_CACHE", folder.join("cache"))
        .env_remove("LAMINA_TREE")
        .env_remove("MINISIGN_PASSWORD")
        .current_dir(folder)
        .output()
        .unwrap()
}

/// Both its outputs, standard output first.
pub fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// What a command that succeeds prints as JSON.
pub fn json(folder: &Path, arguments: &[&str]) -> serde_json::Value {
    let output = lamina(folder, arguments);
    assert!(output.status.success(), "{}", told(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A folder with a tree to make an image of.
pub fn site() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("site/etc")).unwrap();
    fs::write(folder.path().join("site/etc/motd"), "hello\n").unwrap();
    folder
}

/// The folders of the store that tests fill by hand; reading commands make none.
pub fn make_store(folder: &Path) {
    for name in ["images", "builds", "sources", "profiles"] {
        fs::create_dir_all(folder.join("store").join(name)).unwrap();
    }
}
