//! Stores in folders of this machine.

use super::*;
use std::fs;
use std::os::unix::fs::symlink;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use profiles::{Digest, LARGEST};
use sha2::{Digest as _, Sha256};

/// As it would be on a medium.
fn open(folder: &Path) -> Store {
    Store::open(Origin::Medium, folder, "")
}

fn store() -> tempfile::TempDir {
    let store = tempfile::tempdir().unwrap();
    let files = [
        ("web", "1.kdl"),
        ("web", "9.kdl"),
        ("web", "10.kdl"),
        ("web", "011.kdl"),
        ("web", "12.kdl~"),
        ("db", "1.kdl"),
    ];
    for (name, file) in files {
        let folder = store.path().join("profiles").join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(file), format!("{name} {file}")).unwrap();
    }
    fs::create_dir(store.path().join("profiles/empty")).unwrap();
    store
}

fn wanted(name: &str, digest: Option<Digest>) -> WantedProfile {
    WantedProfile { name: Name::parse(name).unwrap(), digest }
}

#[test]
fn the_highest_number_is_the_newest() {
    let profile = open(store().path()).find_profile(Some(&wanted("web", None))).unwrap();
    assert_eq!((profile.profile.generation, profile.profile.bytes.as_slice()), (10, &b"web 10.kdl"[..]));
}

#[test]
fn profiles_are_listed_for_a_person_and_signatures_are_found() {
    let store = store();
    let names: Vec<String> =
        open(store.path()).choices(true).iter().map(|choice| choice.name.to_string()).collect();
    assert_eq!(names, ["db", "web"]);
    let name = |name| Name::parse(name).unwrap();
    assert!(open(store.path()).has_profile(&name("db")) && !open(store.path()).has_profile(&name("empty")));
    fs::write(store.path().join("profiles/web/10.kdl.minisig"), "signature").unwrap();
    let found = |name| open(store.path()).find_profile(Some(&wanted(name, None))).unwrap();
    assert_eq!(found("web").signature(), Ok(Some("signature")));
    assert_eq!(found("db").signature(), Ok(None));
}

#[test]
fn of_many_generations_without_the_digest_a_few_are_shown() {
    let store = tempfile::tempdir().unwrap();
    let folder = store.path().join("profiles/web");
    fs::create_dir_all(&folder).unwrap();
    for number in 1..=3_000 {
        fs::write(folder.join(format!("{number}.kdl")), number.to_string()).unwrap();
    }
    let none = wanted("web", Some(Digest::from_bytes([7; 32])));
    let failure = open(store.path()).find_profile(Some(&none)).unwrap_err();
    assert_eq!(failure.seen.len(), MOST_SEEN + 1);
    assert_eq!(failure.seen.last().map(String::as_str), Some("and 1016 older ones"));
}

#[test]
fn nothing_is_parsed_for_a_list_where_it_must_be_signed() {
    let image = format!("image \"a\" version=\"1\" digest=\"sha256:{}\" size=1", "0".repeat(64));
    let text = format!(
        "profile \"db\" format=1 {{\ndescription \"D\"\n{image}\nroot writable=\"no\"\nverify \"digest\"\ninit \"/i\"\n}}\n"
    );
    let store = store();
    fs::write(store.path().join("profiles/db/20.kdl"), text).unwrap();
    let described = |described| open(store.path()).choices(described)[0].description.clone();
    assert_eq!((described(true).as_deref(), described(false)), (Some("D"), None));
}

#[test]
fn a_digest_chooses_its_generation_or_none() {
    let store = store();
    let digest = Digest::from_bytes(Sha256::digest(b"web 9.kdl").into());
    assert_eq!(
        open(store.path()).find_profile(Some(&wanted("web", Some(digest)))).unwrap().profile.generation,
        9
    );
    let failure =
        open(store.path()).find_profile(Some(&wanted("web", Some(Digest::from_bytes([7; 32]))))).unwrap_err();
    assert_eq!(failure.seen.len(), 3);
    assert!(failure.remedies[0].starts_with("copy the original profile back"), "{failure:?}");
}

#[test]
fn a_profile_under_the_name_of_another_is_refused() {
    let image = format!("image \"a\" version=\"1\" digest=\"sha256:{}\" size=1", "0".repeat(64));
    let text = format!(
        "profile \"db\" format=1 {{\n{image}\nroot writable=\"no\"\nverify \"digest\"\ninit \"/sbin/init\"\n}}\n"
    );
    let store = store();
    for (folder, refused) in [("db", false), ("web", true)] {
        fs::write(store.path().join("profiles").join(folder).join("20.kdl"), &text).unwrap();
        let parsed = open(store.path()).find_profile(Some(&wanted(folder, None))).unwrap().parse();
        assert_eq!(parsed.is_err(), refused, "{parsed:?}");
        if let Err(failure) = parsed {
            assert!(failure.why.ends_with("it says that it is `db`"), "{failure:?}");
        }
    }
}

#[test]
fn a_generation_that_cannot_be_read_is_told_but_does_not_hide_another() {
    let store = store();
    let folder = store.path().join("profiles/web");
    fs::create_dir(folder.join("11.kdl")).unwrap();
    mkfifo(&folder.join("13.kdl"), Mode::S_IRWXU).unwrap();
    symlink("nowhere", folder.join("14.kdl")).unwrap();
    for (newest, why) in [
        ("14.kdl", "there is a symbolic link"),
        ("13.kdl", "it is not a file"),
        ("11.kdl", "it is not a file"),
    ] {
        let failure = open(store.path()).find_profile(Some(&wanted("web", None))).unwrap_err();
        assert!(failure.why.contains(newest) && failure.why.contains(why), "{failure:?}");
        let digest = Digest::from_bytes(Sha256::digest(b"web 9.kdl").into());
        let bound = open(store.path()).find_profile(Some(&wanted("web", Some(digest)))).unwrap();
        assert_eq!(bound.profile.generation, 9);
        fs::rename(folder.join(newest), folder.join("aside")).unwrap();
        let _ = fs::remove_file(folder.join("aside"));
    }
}

#[test]
fn a_profile_that_is_too_long_is_refused_by_its_parser() {
    let store = store();
    fs::write(store.path().join("profiles/db/2.kdl"), vec![b'{'; 3 << 20]).unwrap();
    let profile = open(store.path()).find_profile(Some(&wanted("db", None))).unwrap();
    assert_eq!(profile.profile.bytes.len(), LARGEST + 1);
    assert!(profile.parse().unwrap_err().why.contains("the limit is 1048576"));
}

#[test]
fn a_missing_profile_lists_those_that_exist() {
    let store = store();
    for wanted in [Some(wanted("wbe", None)), Some(wanted("empty", None)), None] {
        let failure = open(store.path()).find_profile(wanted.as_ref()).unwrap_err();
        assert_eq!(failure.seen, ["profiles in the store: db, web"]);
    }
}

#[test]
fn no_store_at_all_is_told() {
    let failure = open(Path::new("/nowhere")).find_profile(Some(&wanted("web", None))).unwrap_err();
    assert!(failure.seen[0].starts_with("/nowhere: "), "{failure:?}");
}

#[test]
fn a_bad_profile_shows_line_and_caret() {
    let store = store();
    fs::write(store.path().join("profiles/db/1.kdl"), "profile \"db\" format=1 {\n    imge \"a\"\n}\n")
        .unwrap();
    let failure = open(store.path()).find_profile(Some(&wanted("db", None))).unwrap().parse().unwrap_err();
    assert!(failure.why.contains("profiles/db/1.kdl:2:5: error:"), "{}", failure.why);
    assert!(failure.why.contains('^'), "{}", failure.why);
}

#[test]
fn no_link_in_a_store_is_followed() {
    let store = store();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::create_dir(elsewhere.path().join("rescue")).unwrap();
    fs::write(elsewhere.path().join("rescue/1.kdl"), "rescue").unwrap();
    symlink(elsewhere.path().join("rescue"), store.path().join("profiles/rescue")).unwrap();
    assert!(!open(store.path()).has_profile(&Name::parse("rescue").unwrap()));
    // Where the store itself is a link, nothing of it is read.
    symlink(store.path(), elsewhere.path().join("lamina")).unwrap();
    let linked = Store::open(Origin::Medium, elsewhere.path(), "lamina");
    let failure = linked.find_profile(Some(&wanted("web", None))).unwrap_err();
    assert!(
        failure.seen[0].ends_with("there is a symbolic link, and none is followed on a medium"),
        "{failure:?}"
    );
}

#[test]
fn the_packed_store_is_where_it_was_packed() {
    assert_eq!(Store::packed().folder, Path::new("/lamina"));
    // A folder of another mount is not the packed one, whatever it is called.
    let proc = Store::open(Origin::Initramfs, Path::new("/"), "proc");
    assert!(proc.folder().is_none() && !proc.has_profiles());
}
