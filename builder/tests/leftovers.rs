//! What killed commands leave in a store, and stores that cannot be written to: no command is stopped by either.

mod program;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::fcntl::{Flock, FlockArg};
use program::made_disk::Shop;
use program::{lamina, lamina_with, site, told};

/// Runs a script in namespaces of its own, where everybody may mount; `$LAMINA` is the program.
fn in_private_mounts(folder: &Path, script: &str) -> Output {
    Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--propagation", "private", "sh", "-euc", script])
        .env("LAMINA", env!("CARGO_BIN_EXE_lamina"))
        .env("LAMINA_STORE", folder.join("store"))
        .env_remove("LAMINA_TREE")
        .current_dir(folder)
        .output()
        .unwrap()
}

fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{}", told(output));
    told(output)
}

/// A tree with one package that needs nothing, and a leftover of a killed build.
fn workshop() -> tempfile::TempDir {
    let folder = site();
    fs::create_dir_all(folder.path().join("packages")).unwrap();
    fs::create_dir_all(folder.path().join("profiles")).unwrap();
    fs::create_dir_all(folder.path().join("store/tmp/hello-1-0/build/busy")).unwrap();
    fs::write(folder.path().join("store/tmp/hello-1-0/build/file"), "x").unwrap();
    folder
}

/// `lamina fetch --all` in an empty tree writes nothing, and sweeps.
const SWEEP: &str = "\"$LAMINA\" fetch --all";

#[test]
fn what_cannot_be_removed_is_set_aside_said_once_and_stops_nothing() {
    let folder = workshop();
    // What is mounted in a leftover is not the leftover's, and keeps it from going.
    let script = format!(
        "mount -t tmpfs none store/tmp/hello-1-0/build/busy; echo kept > store/tmp/hello-1-0/build/busy/file
         {SWEEP}; echo second; {SWEEP}; cat store/tmp/set-aside-hello-1-0/build/busy/file
         test ! -e store/tmp/set-aside-hello-1-0/build/file
         \"$LAMINA\" store list; ! \"$LAMINA\" store verify"
    );
    let said = succeeds(&in_private_mounts(folder.path(), &script));
    let warning = "warning: tmp/set-aside-hello-1-0: was left by an interrupted command and set aside: build/busy cannot be removed";
    assert_eq!(said.matches("warning:").count(), 1, "{said}");
    assert!(said.contains(warning) && said.contains("rm -rf '"), "{said}");
    assert!(said.contains("kept\n"), "what is mounted was entered: {said}");
    assert!(said.contains("tmp/set-aside-hello-1-0: an interrupted command left it"), "{said}");
    // With the mount gone, the next sweep removes it.
    let said = told(&lamina(folder.path(), &["fetch", "--all"]));
    assert!(!said.contains("warning:"), "{said}");
    assert_eq!(fs::read_dir(folder.path().join("store/tmp")).unwrap().count(), 0);
}

#[test]
fn a_store_that_cannot_be_written_to_is_listed_and_read() {
    let folder = workshop();
    let script = "mount --bind store store; mount -o remount,bind,ro store
                  \"$LAMINA\" store list; \"$LAMINA\" store list --json; \"$LAMINA\" store verify
                  \"$LAMINA\" profile list; \"$LAMINA\" fetch --all; test -d store/tmp/hello-1-0";
    let said = succeeds(&in_private_mounts(folder.path(), script));
    assert!(said.contains("all sound") && !said.contains("warning"), "{said}");
}

/// A medium is a store too, and gets nothing that init does not want.
#[test]
fn looking_at_a_store_makes_no_folders() {
    let folder = site();
    fs::create_dir_all(folder.path().join("medium/images")).unwrap();
    for arguments in [["store", "list", "--store", "medium"], ["store", "verify", "--store", "medium"]] {
        succeeds(&lamina(folder.path(), &arguments));
    }
    let names =
        |folder: &Path| fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(names(&folder.path().join("medium")), ["images"]);
    let said = succeeds(&lamina(folder.path(), &["store", "list"]));
    assert!(said.contains("store: there is no store yet") && !folder.path().join("store").exists(), "{said}");
}

/// What lies in the folder for temporary files.
fn names(folder: &Path) -> Vec<std::ffi::OsString> {
    fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name()).collect()
}

/// `lamina` with these words, which is killed as soon as it has something in `temporary`.
fn killed_at_work(shop: &Shop, arguments: &[&str], temporary: &Path) {
    for _ in 0..50 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lamina"))
            .args(arguments)
            .env("LAMINA_STORE", shop.path("store"))
            .env("TMPDIR", temporary)
            .current_dir(shop.folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while names(temporary).is_empty() && command.try_wait().unwrap().is_none() {}
        command.kill().unwrap();
        command.wait().unwrap();
        if !names(temporary).is_empty() {
            return;
        }
    }
    panic!("{arguments:?} is never seen at work");
}

#[test]
fn what_a_killed_command_leaves_among_temporary_files_goes_with_the_next() {
    let shop = Shop::new();
    let temporary = shop.path("temporary");
    fs::create_dir(&temporary).unwrap();
    let next = |arguments: &[&str]| {
        let temporary = temporary.to_str().unwrap();
        let said = succeeds(&lamina_with(shop.folder.path(), arguments, &[("TMPDIR", temporary)]));
        assert!(!said.contains("warning"), "{said}");
    };
    for words in
        [&["system", "copy", "copy.img", "--disk", "disk.img"][..], &["system", "list", "--disk", "disk.img"]]
    {
        killed_at_work(&shop, words, &temporary);
        next(&["store", "list"]);
        assert!(names(&temporary).is_empty(), "{words:?}: {:?}", names(&temporary));
    }
    // What a command that is at work has stays. flock(1) holds it as another process would.
    let entry = temporary.join(format!("lamina-{}/disk-0-0", rustix::process::geteuid().as_raw()));
    fs::create_dir_all(&entry).unwrap();
    let mut owner = Command::new("flock")
        .arg("--no-fork")
        .arg(&entry)
        .args(["cat"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let is_held = || Flock::lock(File::open(&entry).unwrap(), FlockArg::LockExclusiveNonblock).is_err();
    while !is_held() {
        std::thread::yield_now();
    }
    next(&["system", "list", "--disk", "disk.img"]);
    assert!(entry.is_dir());
    drop(owner.stdin.take());
    owner.wait().unwrap();
    next(&["store", "list"]);
    assert!(names(&temporary).is_empty());
    // Where others may write, one of them can take the name. A link is not followed.
    let taken = entry.parent().unwrap();
    std::os::unix::fs::symlink(shop.folder.path(), taken).unwrap();
    next(&["system", "list", "--disk", "disk.img"]);
    assert_eq!(names(&temporary), [taken.file_name().unwrap()]);
    assert!(shop.path("disk.img").is_file());
}
