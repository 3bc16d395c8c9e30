use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::*;

#[test]
fn scratch_is_kept_while_its_owner_lives_and_swept_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let scratch = store.scratch("build").unwrap();
    let closed = scratch.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::write(closed.join("file"), "x").unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    assert_eq!(store.sweep(), []);
    assert!(scratch.path().is_dir(), "another command must not sweep what is in use");
    let path = scratch.path().to_path_buf();
    // What a killed process leaves: the folder without the lock.
    std::mem::forget(scratch);
    let abandoned = store.root().join("tmp/killed-1-0");
    fs::rename(&path, &abandoned).unwrap();
    let other = store.root().join("tmp/killed-2-0");
    fs::create_dir_all(other.join("out")).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o000)).unwrap();
    std::os::unix::fs::symlink(folder.path(), store.root().join("tmp/link")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        store.root().join("tmp/fifo"),
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    assert_eq!(store.sweep(), []);
    for gone in ["link", "fifo"] {
        assert!(fs::symlink_metadata(store.root().join("tmp").join(gone)).is_err(), "{gone}");
    }
    assert!(abandoned.is_dir(), "its lock is still held by this process, whatever its name");
    assert!(!other.exists());
}

#[test]
fn scratch_of_a_killed_process_is_swept() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let entry = store.root().join("tmp/other-0-0");
    fs::create_dir_all(&entry).unwrap();
    // flock(1) holds the lock as another process would.
    let mut owner = Command::new("flock")
        .arg("--no-fork")
        .arg(&entry)
        .args(["sleep", "60"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let held = || Flock::lock(File::open(&entry).unwrap(), FlockArg::LockExclusiveNonblock).is_err();
    while !held() {
        std::thread::yield_now();
    }
    store.sweep();
    assert!(entry.is_dir());
    owner.kill().unwrap();
    owner.wait().unwrap();
    while held() {
        std::thread::yield_now();
    }
    store.sweep();
    assert!(!entry.exists());
}
