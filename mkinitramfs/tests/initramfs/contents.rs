//! What goes into an initramfs, judged by GNU cpio and zstd.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::fixture::{Fixture, RELEASE, module, shell, static_program};
use mkinitramfs::{Source, list};

#[test]
fn cpio_finds_the_planned_tree_file_by_file() {
    let fixture = Fixture::new();
    let busybox = fixture.put("busybox", &static_program());
    let mut request = fixture.request();
    request.busybox = Some(busybox);
    let plan = request.plan().expect("a plan");
    plan.write(3, &fixture.path("out.img")).expect("written");
    // Device nodes take root; all else is unpacked.
    let is_device = |path: &str| ["dev/console", "dev/null"].contains(&path);
    shell(
        fixture.folder.path(),
        "zstd -dcq out.img | (mkdir tree && cd tree && cpio --quiet -idm -f dev/console dev/null)",
    );
    let mut compared = 0;
    for (path, entry) in plan.contents.iter().filter(|(path, _)| !is_device(path)) {
        let place = fixture.path("tree").join(path);
        let found = fs::symlink_metadata(&place).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(found.is_symlink() || found.permissions().mode() & 0o7777 == entry.mode, "{path}: {found:?}");
        match &entry.source {
            Source::Folder => assert!(found.is_dir(), "{path}"),
            Source::Bytes(bytes) => assert!(fs::read(&place).expect("a file") == *bytes, "{path}"),
            Source::Link(target) => {
                assert_eq!(fs::read_link(&place).expect("a link").to_str(), Some(target.as_str()))
            }
            other => panic!("{path}: {other:?} was not planned"),
        }
        compared += 1;
    }
    let in_tree = shell(fixture.folder.path(), "cd tree && find . -mindepth 1 | wc -l");
    assert_eq!(in_tree.trim(), compared.to_string());
}

#[test]
fn cpio_sees_root_time_zero_and_the_devices() {
    let fixture = Fixture::new();
    fixture.request().plan().expect("a plan").write(1, &fixture.path("out.img")).expect("written");
    let listed = shell(fixture.folder.path(), "zstd -dcq out.img | TZ=UTC cpio --quiet -tvn");
    let device = |path: &str| {
        let line = listed.lines().find(|line| line.ends_with(path)).expect("a line for it");
        line.split_whitespace().take(6).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(device(" dev/console"), ["crw-------", "1", "0", "0", "5,", "1"]);
    assert_eq!(device(" dev/null"), ["crw-rw-rw-", "1", "0", "0", "1,", "3"]);
    for line in listed.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[2..4], ["0", "0"], "{line}");
        assert!(line.contains(" Jan  1  1970 "), "{line}");
    }
}

#[test]
fn our_list_agrees_with_cpio() {
    let fixture = Fixture::new();
    fixture.request().plan().expect("a plan").write(1, &fixture.path("out.img")).expect("written");
    let ours: Vec<String> =
        list(&fixture.path("out.img")).expect("listed").entries.into_iter().map(|entry| entry.path).collect();
    let theirs = shell(fixture.folder.path(), "zstd -dcq out.img | cpio --quiet -t");
    assert_eq!(ours, theirs.lines().collect::<Vec<_>>());
}

#[test]
fn the_same_input_gives_the_same_bytes_wherever_it_lies() {
    let (one, two) = (Fixture::new(), Fixture::new());
    // The second kernel has one of its modules compressed, which must make no difference.
    two.remove_module("kernel/lib/lib-b.ko");
    let compressed = zstd::encode_all(&module("", "", RELEASE)[..], 3).expect("compressed");
    two.put_module("kernel/lib/lib-b.ko.zst", &compressed);
    for fixture in [&one, &two] {
        fixture.request().plan().expect("a plan").write(15, &fixture.path("out.img")).expect("written");
    }
    let bytes = fs::read(one.path("out.img")).expect("the first");
    assert_eq!(bytes, fs::read(two.path("out.img")).expect("the second"));
    one.request().plan().expect("a plan").write(15, &one.path("out.img")).expect("written again");
    assert_eq!(bytes, fs::read(one.path("out.img")).expect("the third"));
}

#[test]
fn init_finds_its_list_and_its_contract() {
    let fixture = Fixture::new();
    let plan = fixture.request().plan().expect("a plan");
    let text = |path: &str| match &plan.contents.get(path).expect(path).source {
        Source::Bytes(bytes) => String::from_utf8(bytes.clone()).expect("text"),
        other => panic!("{path}: {other:?}"),
    };
    assert_eq!(text("etc/lamina/initramfs.kdl"), "initramfs format=1 kernel=\"6.1.0-test\"\n");
    assert_eq!(
        text("etc/lamina/modules"),
        "# Kernel modules of 6.1.0-test, in the order of loading.\n\
         loop\tlib/modules/6.1.0-test/kernel/drivers/block/loop.ko\t\n\
         lib_b\tlib/modules/6.1.0-test/kernel/lib/lib-b.ko\t\n\
         lib_a\tlib/modules/6.1.0-test/kernel/lib/lib-a.ko\tlib_b\n\
         squashfs\tlib/modules/6.1.0-test/kernel/fs/squashfs.ko\tlib_a,lib_b\n\
         overlay\tlib/modules/6.1.0-test/kernel/fs/overlayfs/overlay.ko\t\n\
         ext4\tbuiltin\n"
    );
}
