//! A store in which somebody has put a link, a FIFO or a folder in the place of what was there.

use std::os::unix::fs::symlink;
use std::sync::mpsc;
use std::time::Duration;

use super::*;

/// What `work` gives; it must not wait for anybody.
fn at_once<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (say, told) = mpsc::channel();
    std::thread::spawn(move || say.send(work()));
    told.recv_timeout(Duration::from_secs(60)).expect("it waits for what never comes")
}

fn fifo(path: &Path) {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

const NO_LINK: &str = "is a symbolic link, and no folder of a store or a medium may be one\nhelp: ";

#[test]
fn what_a_link_in_the_place_of_a_folder_names_is_left_alone() {
    let (folder, victim) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::set_permissions(victim.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (store, image) = store_with_every_kind(folder.path());
    let layer = layer(image);
    let replace = |name: &str| {
        let path = store.root().join(name);
        let aside = store.root().join(format!("{name}-aside"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::rename(&path, &aside);
        symlink(victim.path(), &path).unwrap();
        (path, aside)
    };
    let bring_back = |(path, aside): (PathBuf, PathBuf)| {
        fs::remove_file(&path).unwrap();
        let _ = fs::rename(aside, path);
    };
    let refused = |name: &str, work: &dyn Fn() -> Result<()>| {
        let replaced = replace(name);
        let message = work().unwrap_err().to_string();
        assert!(message.contains(NO_LINK), "{name}: {message}");
        assert_eq!(fs::read_dir(victim.path()).unwrap().count(), 0, "{name}");
        assert_eq!(mode(victim.path()), 0o755, "{name}");
        bring_back(replaced);
    };
    refused("trees", &|| store.unpacked(&layer, &Report::default()).map(drop));
    refused("builds", &|| store.write(&store.record_path(&digest("id")), b"record"));
    refused("images", &|| store.write(&store.image_path(&digest("id")), b"image"));
    refused("stacks", &|| store.write(&store.stack_path(&digest("id")), b"stack"));
    refused("logs", &|| store.take_log(&store.log_path(&digest("id")), || ()).map(drop));
    refused("tmp", &|| store.scratch("x").map(drop));
    refused("profiles", &|| store.hold(&store.profiles().join("name")).map(drop));
    refused("profiles/name", &|| store.hold(&store.profiles().join("name")).map(drop));
    refused("sources", &|| make_shared_folder(&store.sources()));
}

#[test]
fn trees_of_an_earlier_version_are_closed_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let (store, image) = store_with_every_kind(folder.path());
    let trees = store.root().join("trees");
    fs::create_dir(&trees).unwrap();
    fs::set_permissions(&trees, fs::Permissions::from_mode(0o755)).unwrap();
    store.unpacked(&layer(image), &Report::default()).unwrap();
    assert_eq!(mode(&trees), 0o700);
}

#[test]
fn a_fifo_in_the_place_of_a_stamp_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let (store, image) = store_with_every_kind(folder.path());
    let root = store.unpacked(&layer(image), &Report::default()).unwrap();
    let stamp = root.with_file_name("stamp");
    let before = root.metadata().unwrap().ino();
    fs::remove_file(&stamp).unwrap();
    fifo(&stamp);
    let again = at_once(move || store.unpacked(&layer(image), &Report::default()).unwrap());
    assert_ne!(again.metadata().unwrap().ino(), before, "it was unpacked again");
    assert!(fs::symlink_metadata(again.with_file_name("stamp")).unwrap().is_file());
}

#[test]
fn verify_names_an_image_that_is_a_link_and_no_build_is_finished_by_it() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, record) = store_with(folder.path(), "image");
    let (path, elsewhere) = (store.image_path(&record.digest), other.path().join("image"));
    fs::rename(&path, &elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    let findings = store.verify(JOBS, Progress::Silent).unwrap().findings;
    let message = findings.iter().map(Error::to_string).collect::<String>();
    assert!(
        message.contains("is a symbolic link, and no image may be one\nhelp: put the file itself there"),
        "{message}"
    );
    assert_eq!(store.finished_build(&record.id).unwrap(), None);
    store.write(&path, b"image").unwrap();
    assert_eq!(store.finished_build(&record.id).unwrap(), Some(record));
    assert_eq!(fs::read(elsewhere).unwrap(), b"image");
}

#[test]
fn a_folder_in_the_place_of_a_file_is_told_before_anything_is_built() {
    let folder = tempfile::tempdir().unwrap();
    let (store, record) = store_with(folder.path(), "image");
    let log = store.log_path(&record.id);
    for path in [store.image_path(&record.digest), store.record_path(&record.id)] {
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let message = store.finished_build(&record.id).unwrap_err().to_string();
        let expected = format!(
            "{}: is a folder, and a file of the store belongs there\nhelp: move it out of the store",
            path.display()
        );
        assert!(message.starts_with(&expected), "{message}");
        fs::remove_dir(&path).unwrap();
        store.write(&store.record_path(&record.id), record.to_kdl().as_bytes()).unwrap();
    }
    fs::create_dir_all(&log).unwrap();
    let message = store.take_log(&log, || ()).unwrap_err().to_string();
    assert!(message.contains("is a folder, and a file of the store belongs there"), "{message}");
}
