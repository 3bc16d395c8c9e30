//! Comparing two initramfs: by what is in them when they are unpacked.

use std::process::Command;

use crate::fixture::{Fixture, shell};
use mkinitramfs::diff;

/// `a` and `b`, two trees, and the same packed in every way that does not count.
fn trees(fixture: &Fixture) {
    let line = "mkdir -p a/bin a/lib a/only b/bin b/lib; for t in a b; do \
        echo same > $t/same; echo $t > $t/contents; ln -s $t $t/link; head -c 9999 /dev/zero > $t/lib/big; ln $t/lib/big $t/lib/twin; done; \
        echo longer >> b/contents; chmod 600 a/same; chmod 755 b/same; echo x > a/kind; mkdir b/kind; echo new > b/bin/new; \
        echo module > a/lib/m.ko; xz --check=crc32 < a/lib/m.ko > b/lib/m.ko.xz; \
        for t in a b; do (cd $t; find . | sort | cpio --quiet -o -H newc -R 0:0 > ../$t.cpio); done; \
        (cd a; find . | sort -r | cpio --quiet -o -H crc -R 0:0 | zstd -q > ../a.zst); \
        (cd a; find * | sort | cpio --quiet -o -H newc -R 0:5 > ../owner.cpio)";
    shell(fixture.folder.path(), line);
}

#[test]
fn every_difference_is_told_once_and_sorted() {
    let fixture = Fixture::new();
    trees(&fixture);
    let difference = diff(&fixture.path("a.cpio"), &fixture.path("b.cpio")).expect("two archives");
    let folder = fixture.folder.path().display().to_string();
    let text = difference.to_string().replace(&folder, "DIR");
    assert_eq!(
        text,
        "only in DIR/b.cpio: bin/new\n\
         differs: contents: 2 and 9 bytes, contents\n\
         differs: kind: file and folder\n\
         differs: link: -> a and -> b\n\
         only in DIR/a.cpio: only\n\
         differs: same: mode 600 and 755\n"
    );
    let back = diff(&fixture.path("b.cpio"), &fixture.path("a.cpio")).expect("two archives");
    assert_eq!(
        (back.only_in_first, back.only_in_second),
        (difference.only_in_second, difference.only_in_first)
    );
}

#[test]
fn order_compression_and_spelling_do_not_count_and_the_owner_does() {
    let fixture = Fixture::new();
    trees(&fixture);
    let same = diff(&fixture.path("a.cpio"), &fixture.path("a.zst")).expect("two archives");
    assert!(same.is_empty(), "{same}");
    let other = diff(&fixture.path("a.cpio"), &fixture.path("owner.cpio")).expect("two archives");
    let owners = other.changed.iter().filter(|changed| changed.owner == Some(((0, 0), (0, 5)))).count();
    // `find *` leaves out the root itself.
    assert_eq!((owners, &other.only_in_first[..]), (other.changed.len(), &[".".to_owned()][..]), "{other}");
    assert!(other.to_string().contains("differs: bin: owner 0:0 and 0:5\n"), "{other}");
}

#[test]
fn the_exit_status_is_that_of_diff() {
    let fixture = Fixture::new();
    trees(&fixture);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mkinitramfs"));
        let output = command.args(arguments).current_dir(fixture.folder.path()).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(run(&["diff", "a.cpio", "a.zst"]), (Some(0), String::new()));
    assert_eq!(run(&["diff", "a.cpio", "b.cpio"]).0, Some(1));
    assert_eq!(run(&["diff", "a.cpio", "absent"]), (Some(2), String::new()));
    assert_eq!(run(&["diff", "a.cpio", "same/x", "--output", "x"]), (Some(2), String::new()));
    assert_eq!(run(&["diff", "a.cpio"]), (Some(2), String::new()));
    let (status, json) = run(&["diff", "a.cpio", "b.cpio", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(status, Some(1));
    assert_eq!(json["only_in_second"], serde_json::json!(["bin/new"]));
    assert_eq!(json["changed"][0]["size"], serde_json::json!([2, 9]), "{json}");
}
