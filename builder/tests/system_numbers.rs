//! A generation is a number with bytes: the same bytes again, under another number or another signature.

mod program;

use std::fs;

use boot_entry::{BootEntry, EntryFileName};
use builder::system::target::Target;
use profiles::Digest;
use program::made_disk::{Shop, judge};
use program::{lamina, told};

fn read(shop: &Shop, inside: &str) -> Vec<u8> {
    fs::read(shop.path(inside)).unwrap_or_else(|error| panic!("{inside}: {error}"))
}

fn copy(shop: &Shop, from: &str, to: &str) {
    fs::copy(shop.path(from), shop.path(to)).unwrap();
}

fn sound(shop: &Shop, after: &str) {
    judge(&Target::mounted(&shop.path("medium"), &shop.path("esp")).unwrap(), after);
}

/// A key, by its name.
fn key(shop: &Shop, name: &str) {
    let made = lamina(shop.folder.path(), &["key", "create", name, "--no-password"]);
    assert!(made.status.success(), "{}", told(&made));
}

fn sign(shop: &Shop, key: &str) {
    let signed = lamina(shop.folder.path(), &["profile", "sign", "web", "--key", key]);
    assert!(signed.status.success(), "{}", told(&signed));
}

/// What the default entry falls back to, of its own profile.
fn fallbacks(shop: &Shop) -> Vec<Digest> {
    let listed = shop.listed();
    let default = listed.as_array().unwrap().iter().find(|it| it["default"] == true).unwrap();
    let entry = format!("esp/loader/entries/{}", default["entry"].as_str().unwrap());
    let entry = BootEntry::parse(&read(shop, &entry)).unwrap();
    entry.fallbacks().into_iter().filter(|it| it.0.as_str() == "web").map(|it| it.1).collect()
}

#[test]
fn what_was_installed_last_is_the_newest_also_where_its_bytes_were_there_before() {
    let shop = Shop::new();
    let bytes = |number: u64| read(&shop, &format!("medium/lamina/profiles/web/{number}.kdl"));
    copy(&shop, "store/profiles/web/1.kdl", "store/profiles/web/3.kdl");
    let said = shop.done(&["install", "web"]);
    assert!(said.contains("web/3 boots by itself"), "{said}");
    assert_eq!(bytes(3), bytes(1));
    assert_eq!(
        (shop.marked("default"), shop.marked("whole")[1..].to_vec()),
        (vec!["web/3".to_owned()], ["web/3", "web/2", "web/1"].map(str::to_owned).to_vec())
    );
    // Each has an entry, which is its own.
    let entries: Vec<String> =
        shop.listed().as_array().unwrap().iter().map(|it| it["entry"].as_str().unwrap().to_owned()).collect();
    for (entry, begins) in entries[1..].iter().zip(["lamina-web-3", "lamina-web-2", "lamina-web-1"]) {
        assert!(EntryFileName::parse(entry).unwrap().id.starts_with(begins), "{entries:?}");
    }
    let of = |number: u64| Digest::of(bytes(number).as_slice()).unwrap().0;
    assert_eq!(fallbacks(&shop), [of(2)], "what is the same cannot take its own place");
    sound(&shop, "install");
    // Again: it is the newest.
    assert_eq!(shop.done(&["install", "web", "--dry-run"]).lines().count(), 4);
    // The first was good, and would be the same system once more.
    shop.bless("web", 1);
    shop.done(&["rollback"]);
    assert_eq!(shop.marked("default"), ["web/2"]);
    shop.done(&["default", "web/1"]);
    assert_eq!(shop.marked("default"), ["web/1"]);
    shop.done(&["default", "web"]);
    assert_eq!(shop.marked("default"), ["web/3"]);
    shop.done(&["keep", "web/1"]);
    assert_eq!(shop.marked("kept"), ["web/1"]);
    shop.done(&["keep", "web/1", "--undo"]);
    shop.bless("web", 3);
    shop.done(&["gc", "--keep", "2"]);
    assert_eq!(shop.marked("whole"), ["rescue/1", "web/3", "web/2"]);
    sound(&shop, "gc");
    let text = shop.done(&["diff", "web/3", "web/2"]);
    assert!(text.starts_with("web/3 -> web/2\n~ own 1, "), "{text}");
}

/// Another store, or a store whose newest generation was installed before: the number of the medium goes up.
#[test]
fn an_older_number_of_the_store_gets_the_next_one_of_the_medium() {
    let shop = Shop::new();
    shop.generation("web", 3);
    shop.done(&["install", "web"]);
    fs::remove_file(shop.path("store/profiles/web/3.kdl")).unwrap();
    assert!(shop.done(&["install", "web"]).contains("web/4 boots by itself"));
    assert_eq!(
        read(&shop, "medium/lamina/profiles/web/4.kdl"),
        read(&shop, "medium/lamina/profiles/web/2.kdl")
    );
    shop.done(&["rollback"]);
    assert_eq!(shop.marked("default"), ["web/3"]);
    sound(&shop, "rollback");
}

#[test]
fn tries_and_parameters_of_a_new_number_are_its_own() {
    let shop = Shop::with(&["--tries", "3"]);
    let entry = |name: &str| shop.path("esp/loader/entries").join(name);
    fs::rename(entry("lamina-web-2+3-0.conf"), entry("lamina-web-2.conf")).unwrap();
    copy(&shop, "store/profiles/web/2.kdl", "store/profiles/web/4.kdl");
    shop.generation("web", 3);
    // The newest of the store is the second again, with a third in between.
    fs::rename(shop.path("store/profiles/web/4.kdl"), shop.path("web-4")).unwrap();
    shop.done(&["install", "web"]);
    fs::rename(shop.path("web-4"), shop.path("store/profiles/web/4.kdl")).unwrap();
    shop.done(&["install", "web", "--option", "quiet"]);
    let text = fs::read_to_string(entry("lamina-web-4+3-0.conf")).unwrap();
    assert!(text.contains(" quiet"), "{text}");
    assert_eq!(shop.marked("default"), ["web/4"]);
}

#[test]
fn a_full_row_of_numbers_is_told_as_what_it_is() {
    let shop = Shop::new();
    let last = u64::MAX;
    let other = fs::read_to_string(shop.path("store/profiles/web/2.kdl")).unwrap().replace("of 2", "of all");
    fs::write(shop.path(&format!("medium/lamina/profiles/web/{last}.kdl")), other).unwrap();
    let said = shop.refused(&["install", "web"]);
    assert!(
        !said.contains("is signed") && said.contains(&format!("{last}")) && said.contains("help: "),
        "{said}"
    );
}

#[test]
fn a_new_signature_of_the_same_bytes_comes_onto_the_medium() {
    let shop = Shop::new();
    shop.generation("web", 3);
    ["one", "other"].iter().for_each(|name| key(&shop, name));
    let (on_medium, of_store) =
        ("medium/lamina/profiles/web/3.kdl.minisig", "store/profiles/web/3.kdl.minisig");
    // Signed after it was installed without a signature.
    shop.done(&["install", "web"]);
    assert_eq!(shop.marked("signed"), [""; 0]);
    sign(&shop, "one");
    shop.done(&["install", "web"]);
    assert_eq!(
        (read(&shop, on_medium), shop.marked("signed")),
        (read(&shop, of_store), vec!["web/3".into()])
    );
    // Of the same length: it is written in place, where FAT keeps the one or the other.
    let inode = |path: &str| std::os::unix::fs::MetadataExt::ino(&fs::metadata(shop.path(path)).unwrap());
    let before = inode(on_medium);
    sign(&shop, "other");
    let plan = shop.done(&["install", "web", "--dry-run"]);
    assert!(plan.contains("profiles/web/3.kdl.minisig on the medium"), "{plan}");
    assert!(!plan.contains("profiles/web/3.kdl on the medium"), "{plan}");
    shop.done(&["install", "web"]);
    assert_eq!((read(&shop, on_medium), inode(on_medium)), (read(&shop, of_store), before));
    assert!(!shop.done(&["install", "web", "--dry-run"]).contains("minisig"));
    // Longer, by somebody's own comment.
    let text = String::from_utf8(read(&shop, of_store)).unwrap();
    fs::write(shop.path(of_store), text.replacen('\n', " and more\n", 1)).unwrap();
    shop.done(&["install", "web"]);
    assert_eq!(read(&shop, on_medium), read(&shop, of_store));
}

#[test]
fn a_signature_is_judged_by_what_it_is_over() {
    let shop = Shop::new();
    key(&shop, "one");
    shop.generation("web", 3);
    sign(&shop, "one");
    let stale = "medium/lamina/profiles/web/4.kdl.minisig";
    // That of another number, beside one that nobody signed; and of other bytes under the same number.
    copy(&shop, "store/profiles/web/3.kdl.minisig", "medium/lamina/profiles/web/2.kdl.minisig");
    fs::write(shop.path("medium/lamina/profiles/web/1.kdl.minisig"), "a signature").unwrap();
    assert_eq!(shop.marked("signed"), [""; 0]);
    let text = shop.done(&["list"]);
    let line = |row: &str| text.lines().find(|line| line.starts_with(row)).unwrap().to_owned();
    assert!(line("web/2 ").contains("signature of another"), "{text}");
    shop.done(&["install", "web"]);
    assert_eq!(shop.marked("signed"), ["web/3"]);
    copy(&shop, "store/profiles/web/3.kdl.minisig", stale);
    shop.generation("web", 4);
    shop.done(&["install", "web"]);
    assert_eq!(shop.marked("signed"), ["web/3"]);
    assert!(!shop.path(stale).exists(), "init refuses a signature of something else");
    // In the store too: other bytes under the number that was signed.
    shop.generation("web", 5);
    sign(&shop, "one");
    let other = fs::read_to_string(shop.path("store/profiles/web/4.kdl")).unwrap().replace("of 4", "of five");
    fs::write(shop.path("store/profiles/web/5.kdl"), other).unwrap();
    let said = shop.refused(&["install", "web"]);
    assert!(said.contains("5.kdl.minisig") && said.contains("profile sign web"), "{said}");
    let listed = program::json(shop.folder.path(), &["profile", "list", "--json"]);
    let signed = |number: u64| {
        let web = listed.as_array().unwrap().iter().find(|it| it["name"] == "web").unwrap();
        let all = web["generations"].as_array().unwrap().clone();
        all.into_iter().find(|it| it["generation"] == number).unwrap()["signed"] == true
    };
    assert_eq!((signed(3), signed(5)), (true, false), "{listed}");
}
