//! Stores in folders of this machine, as they would be on a medium.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use boot_store::{BootStore, ListedGeneration, MOST_GENERATIONS, ProfileError};
use profiles::{LARGEST, Name};

fn open(folder: &Path) -> BootStore {
    BootStore::open(folder, Path::new("")).unwrap()
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn write(store: &Path, file: &str, bytes: &[u8]) {
    let file = store.join("profiles").join(file);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, bytes).unwrap();
}

#[test]
fn the_highest_number_is_the_newest_and_its_signature_lies_beside_it() {
    let store = tempfile::tempdir().unwrap();
    for file in ["web/1.kdl", "web/9.kdl", "web/10.kdl", "web/011.kdl", "web/12.kdl~", "db/1.kdl"] {
        write(store.path(), file, file.as_bytes());
    }
    write(store.path(), "web/10.kdl.minisig", b"signature");
    fs::create_dir(store.path().join("profiles/empty")).unwrap();
    write(store.path(), "a-file", b"");
    let files = open(store.path());
    assert_eq!(files.generations(&name("web")).unwrap(), [10, 9, 1]);
    assert_eq!(files.newest(&name("empty")).unwrap(), None);
    assert_eq!(files.newest(&name("missing")).unwrap(), None);
    assert_eq!(files.profile_names(9).unwrap(), [name("db"), name("web")]);
    let profile = files.profile(&name("web"), 10).unwrap();
    assert_eq!((profile.generation, profile.bytes.as_slice()), (10, &b"web/10.kdl"[..]));
    assert_eq!(files.signature(&name("web"), 10).unwrap().as_deref(), Some("signature"));
    assert_eq!(files.signature(&name("web"), 9).unwrap(), None);
    fs::create_dir(store.path().join("profiles/web/9.kdl.minisig")).unwrap();
    assert_eq!(files.signature(&name("web"), 9).unwrap_err().to_string(), "it is not a file");
}

#[test]
fn folders_with_many_names_are_cut_where_it_does_not_hurt() {
    let store = tempfile::tempdir().unwrap();
    // Of all orders in which a folder may name them.
    for number in 1..=3_000_u64 {
        write(store.path(), &format!("web/{}.kdl", number * 7_919 % 3_001), b"");
    }
    let newest = open(store.path()).generations(&name("web")).unwrap();
    assert!(newest.len() == MOST_GENERATIONS && newest.is_sorted_by(|a, b| a > b) && newest[0] == 3_000);
    for number in 0..400 {
        write(store.path(), &format!("n{number}/1.kdl"), b"x");
    }
    assert_eq!(open(store.path()).profile_names(256).unwrap().len(), 256);
}

#[test]
fn everything_is_listed_or_said_not_to_be() {
    let store = tempfile::tempdir().unwrap();
    assert!(open(store.path()).everything().unwrap().is_empty());
    let files =
        ["web/1.kdl", "web/10.kdl", "web/9.kdl", "web/9.kdl.minisig", "web/10.keep", "web/notes", "a-file"];
    files.iter().for_each(|file| write(store.path(), file, b""));
    symlink("web", store.path().join("profiles/link")).unwrap();
    let listed = open(store.path()).everything().unwrap();
    let names: Vec<&str> = listed.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["a-file", "link", "web"]);
    let of = |at: usize| listed[at].generations.as_ref().unwrap();
    let one = |number, signed, kept| ListedGeneration { number, signed, kept };
    assert_eq!(*of(2), [one(10, false, true), one(9, true, false), one(1, false, false)]);
    assert!(of(0).is_empty());
    let why = listed[1].generations.as_ref().unwrap_err().to_string();
    assert!(why.contains("profiles/link cannot be listed: "), "{why}");
    // What is no file is none of them, and said.
    fs::create_dir(store.path().join("profiles/web/11.kdl")).unwrap();
    fs::create_dir(store.path().join("profiles/web/1.keep")).unwrap();
    symlink("9.kdl", store.path().join("profiles/web/8.kdl")).unwrap();
    ["web/7.kdl.minisig", "web/7.keep", "web/7.kdl.old"]
        .iter()
        .for_each(|file| write(store.path(), file, b""));
    fs::create_dir(store.path().join("profiles/web/notes.d")).unwrap();
    let listed = open(store.path()).everything().unwrap();
    let generations = listed[2].generations.as_ref().unwrap();
    assert_eq!(*generations, [one(10, false, true), one(9, true, false), one(1, false, false)]);
    let no_files = ["profiles/web/1.keep", "profiles/web/11.kdl", "profiles/web/8.kdl"];
    assert_eq!(listed[2].no_files, no_files.map(std::path::PathBuf::from));
    let of_none = ["profiles/web/7.kdl.minisig", "profiles/web/7.keep"];
    assert_eq!(listed[2].of_none, of_none.map(std::path::PathBuf::from));
    // Thousands too, of which a boot looks at the newest.
    (1..=3_000).for_each(|number| write(store.path(), &format!("many/{number}.kdl"), b""));
    let all = open(store.path()).everything().unwrap();
    assert_eq!(all[2].generations.as_ref().unwrap().len(), 3_000);
}

#[test]
fn odd_names_are_no_generations() {
    let store = tempfile::tempdir().unwrap();
    for odd in ["0.kdl", "01.kdl", "+1.kdl", "-1.kdl", "1.KDL", "1", ".kdl", "18446744073709551616.kdl"] {
        write(store.path(), &format!("web/{odd}"), b"");
    }
    fs::write(store.path().join("profiles/web").join(OsStr::from_bytes(b"1\xff.kdl")), "").unwrap();
    assert_eq!(open(store.path()).generations(&name("web")).unwrap(), Vec::<u64>::new());
    write(store.path(), "web/18446744073709551615.kdl", b"");
    assert_eq!(open(store.path()).generations(&name("web")).unwrap(), [u64::MAX]);
}

#[test]
fn no_link_is_followed_and_nothing_but_a_file_is_opened() {
    let (store, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(store.path(), "web/1.kdl", b"one");
    write(elsewhere.path(), "rescue/1.kdl", b"rescue");
    symlink(elsewhere.path().join("profiles/rescue"), store.path().join("profiles/rescue")).unwrap();
    symlink("1.kdl", store.path().join("profiles/web/2.kdl")).unwrap();
    fs::create_dir(store.path().join("profiles/web/3.kdl")).unwrap();
    let files = open(store.path());
    assert_eq!(files.profile_names(9).unwrap(), [name("web")]);
    let why = "there is a symbolic link, and none is followed on a medium";
    assert_eq!(files.newest(&name("rescue")).unwrap_err().to_string(), why);
    assert_eq!(files.profile(&name("web"), 2).unwrap_err().to_string(), why);
    assert_eq!(files.profile(&name("web"), 3).unwrap_err().to_string(), "it is not a file");
    // Where the store itself is a link beneath what is trusted, nothing of it is read.
    symlink(store.path(), elsewhere.path().join("lamina")).unwrap();
    assert_eq!(BootStore::open(elsewhere.path(), Path::new("lamina")).unwrap_err().to_string(), why);
}

#[test]
fn a_profile_that_is_too_long_or_that_of_another_is_refused() {
    let store = tempfile::tempdir().unwrap();
    write(store.path(), "db/1.kdl", &vec![b'{'; 3 << 20]);
    let long = open(store.path()).profile(&name("db"), 1).unwrap();
    assert_eq!(long.bytes.len(), LARGEST + 1);
    assert!(long.parse().unwrap_err().to_string().contains("the limit is 1048576"));
    let image = format!("image \"a\" version=\"1\" digest=\"sha256:{}\" size=1", "0".repeat(64));
    let text = format!(
        "profile \"db\" format=1 {{\n{image}\nroot writable=\"no\"\nverify \"digest\"\ninit \"/sbin/init\"\n}}\n"
    );
    write(store.path(), "db/2.kdl", text.as_bytes());
    write(store.path(), "web/2.kdl", text.as_bytes());
    let files = open(store.path());
    assert_eq!(files.profile(&name("db"), 2).unwrap().parse().unwrap().name, name("db"));
    match files.profile(&name("web"), 2).unwrap().parse() {
        Err(ProfileError::OtherName { says, .. }) => assert_eq!(says, name("db")),
        other => panic!("{other:?}"),
    }
}
