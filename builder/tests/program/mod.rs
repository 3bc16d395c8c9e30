//! The program `lamina`, run in a folder of its own.

// Each test program uses some of it.
#![allow(dead_code)]

pub mod copied_disk;
pub mod made_disk;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const LAMINA: &str = env!("CARGO_BIN_EXE_lamina");

/// Runs `lamina` in `folder`, with the store `store` and the cache `cache` there.
pub fn lamina(folder: &Path, arguments: &[&str]) -> Output {
    run(&mut Command::new(LAMINA), folder, arguments)
}

/// The same, with these variables.
pub fn lamina_with(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    run_with(&mut Command::new(LAMINA), folder, arguments, variables)
}

/// The same where modes of files hold for it: root would pass them by (CAP_DAC_OVERRIDE of capabilities(7)).
pub fn lamina_held_by_modes(folder: &Path, arguments: &[&str]) -> Output {
    lamina_held_by_modes_with(folder, arguments, &[])
}

/// The same, with these variables.
pub fn lamina_held_by_modes_with(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    if !rustix::process::geteuid().is_root() {
        return lamina_with(folder, arguments, variables);
    }
    let mut setpriv = Command::new("setpriv");
    let command = setpriv.args(["--bounding-set", "-dac_override,-dac_read_search", LAMINA]);
    run_with(command, folder, arguments, variables)
}

fn run(command: &mut Command, folder: &Path, arguments: &[&str]) -> Output {
    run_with(command, folder, arguments, &[])
}

fn run_with(command: &mut Command, folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    command
        .args(arguments)
        .env("LAMINA_STORE", folder.join("store"))
        .env("LAMINA_CACHE", folder.join("cache"))
        .env_remove("LAMINA_TREE")
        .env_remove("MINISIGN_PASSWORD")
        .envs(variables.iter().copied())
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
