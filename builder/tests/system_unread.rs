//! What of a medium or its partition cannot be read: it is told as that. It is not taken for what is not there, and nothing goes because of it.
//! Links that lead to themselves are such for everybody, and modes of files for all but root, who gives up that right here.

mod program;

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use program::made_disk::Shop;
use program::{lamina_held_by_modes, told};

const DENIED: &str = "Permission denied";

/// What `lamina system` says where modes hold for it, and whether it went well.
fn held(shop: &Shop, arguments: &[&str]) -> (bool, String) {
    let target = ["--medium", "medium", "--esp", "esp"];
    let output = lamina_held_by_modes(shop.folder.path(), &[&["system"], arguments, &target].concat());
    (output.status.success(), told(&output))
}

fn close(shop: &Shop, path: &str) {
    fs::set_permissions(shop.path(path), Permissions::from_mode(0o000)).unwrap();
}

fn open(shop: &Shop, path: &str) {
    fs::set_permissions(shop.path(path), Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_medium_that_may_not_be_entered_is_not_called_none() {
    let shop = Shop::new();
    for folder in ["medium", "medium/lamina"] {
        close(&shop, folder);
        let (done, said) = held(&shop, &["list"]);
        assert!(!done && said.contains(DENIED) && !said.contains("is no medium"), "{said}");
        open(&shop, folder);
    }
    // Nobody can tell whether it is a store of builds, of which nothing may go.
    symlink("builds", shop.path("medium/lamina/builds")).unwrap();
    let said = shop.refused(&["gc", "--keep", "1"]);
    assert!(said.contains("medium/lamina/builds: "), "{said}");
    fs::remove_file(shop.path("medium/lamina/builds")).unwrap();
    symlink("itself", shop.path("itself")).unwrap();
    let output =
        program::lamina(shop.folder.path(), &["system", "list", "--medium", "medium", "--esp", "itself"]);
    assert!(!told(&output).contains("is no folder"), "{}", told(&output));
}

#[test]
fn a_generation_that_cannot_be_read_is_not_written_over() {
    let shop = Shop::new();
    close(&shop, "medium/lamina/profiles/web/2.kdl");
    let (done, said) = held(&shop, &["install", "web", "--dry-run"]);
    assert!(done && said.contains("write profiles/web/3.kdl on the medium"), "{said}");
    assert!(!said.contains("write profiles/web/2.kdl"), "{said}");
}

#[test]
fn a_signature_that_cannot_be_read_is_named_and_stays() {
    let shop = Shop::new();
    let signature = "medium/lamina/profiles/web/2.kdl.minisig";
    fs::write(shop.path(signature), "untrusted comment: of somebody\n").unwrap();
    let (_, said) = held(&shop, &["list"]);
    assert!(said.contains("signature of another"), "{said}");
    close(&shop, signature);
    let (done, said) = held(&shop, &["list"]);
    assert!(done && said.contains("signature not read") && !said.contains("signature of another"), "{said}");
    let words = format!("warning: web/2: its signature cannot be read: {DENIED}");
    assert!(said.contains(&words), "{said}");
    let (done, said) = held(&shop, &["install", "web", "--dry-run"]);
    assert!(done && said.contains(&words) && !said.contains("remove profiles/web/2.kdl.minisig"), "{said}");
    // A copy with an empty one would be refused where signatures are required.
    let (done, said) = held(&shop, &["copy", "out.img", "--all", "--dry-run"]);
    assert!(!done && said.contains("2.kdl.minisig: cannot be read: "), "{said}");
}

#[test]
fn images_and_kernels_of_which_nobody_can_tell_are_named() {
    let shop = Shop::new();
    let first = |folder: &str| {
        let mut names: Vec<_> =
            fs::read_dir(shop.path(folder)).unwrap().map(|it| it.unwrap().path()).collect();
        names.sort();
        names[0].strip_prefix(shop.folder.path()).unwrap().to_str().unwrap().to_owned()
    };
    let image = first("medium/lamina/images");
    close(&shop, &image);
    let (done, said) = held(&shop, &["list"]);
    assert!(done && said.contains(&format!("warning: {image}: {DENIED}")), "{said}");
    open(&shop, &image);
    let kernel = first("esp/lamina");
    close(&shop, &kernel);
    let (done, said) = held(&shop, &["list"]);
    assert!(!done && said.contains(&format!("{kernel}: {DENIED}")), "{said}");
    open(&shop, &kernel);
    // What is not Lamina's is of no concern.
    fs::write(shop.path("esp/lamina/notes"), "of somebody").unwrap();
    close(&shop, "esp/lamina/notes");
    let (done, said) = held(&shop, &["list"]);
    assert!(done, "{said}");
}

#[test]
fn slots_that_cannot_be_read_are_not_passed_over_in_silence() {
    let shop = Shop::new();
    assert!(!shop.done(&["list"]).contains("warning: "));
    for slot in ["a", "b"] {
        fs::write(shop.path("medium/lamina/boot").join(slot), [7; 4096]).unwrap();
    }
    for arguments in [&["list"][..], &["rollback", "--dry-run"]] {
        let said = shop.done(arguments);
        let warned = "warning: the slots that count boots cannot be read: is damaged";
        assert!(said.contains(warned) && said.contains("help: remove what has their name"), "{said}");
    }
}

#[test]
fn a_kernel_stays_that_an_entry_may_name_which_is_not_read() {
    let shop = Shop::new();
    let linux = format!("lamina/linux-{}", "1".repeat(64));
    fs::write(shop.path("esp").join(&linux), "of another").unwrap();
    // As a FAT shows `käse.conf` that is mounted with another character set.
    let entry = shop.path("esp/loader/entries").join(OsStr::from_bytes(b"k\xe4se.conf"));
    fs::write(&entry, format!("title x\nlinux /{linux}\n")).unwrap();
    let said = shop.done(&["gc", "--keep", "1"]);
    assert!(said.contains("has a name that is no text, and is not read: no kernel is removed"), "{said}");
    assert!(shop.path("esp").join(&linux).exists() && entry.exists());
    fs::remove_file(&entry).unwrap();
    shop.done(&["gc", "--keep", "1"]);
    assert!(!shop.path("esp").join(&linux).exists());
}

#[test]
fn a_difference_says_why_nobody_knows_it() {
    let shop = Shop::new();
    close(&shop, "store/images");
    let diff = |one: &str| told(&lamina_held_by_modes(shop.folder.path(), &["system", "diff", one, "web/2"]));
    let said = diff("web/1");
    assert!(said.contains("what becomes of its files is not known: ") && said.contains(DENIED), "{said}");
    open(&shop, "store/images");
    fs::write(shop.path("store/profiles/web/1.kdl"), "no profile").unwrap();
    let said = diff("web/1");
    assert!(said.contains("store/profiles/web/1.kdl") && !said.contains("is not in the store"), "{said}");
    assert!(diff("web/7").contains("web/7: is not in the store"), "{said}");
}
