//! What asked for a module, told of a file.

use std::process::Command;

use crate::fixture::{Fixture, shell};
use mkinitramfs::why;

#[test]
fn a_module_is_explained_with_all_that_needs_it() {
    let fixture = Fixture::new();
    fixture.request().plan().expect("a plan").write(3, &fixture.path("out.img")).expect("written");
    let found = why("lib-b.ko", &fixture.path("out.img")).expect("explained");
    assert_eq!(found.module, "lib_b");
    let text = found.to_string();
    assert!(text.starts_with("lib_b (lib/modules/6.1.0-test/kernel/lib/lib-b.ko)\n  needed by\n"), "{text}");
    assert!(text.contains("\n    lib_a (") && text.contains("\n        squashfs ("), "{text}");
    assert!(text.contains("\n          group core (CONFIG_SQUASHFS): "), "{text}");
    let built_in = why("ext4", &fixture.path("out.img")).expect("explained").to_string();
    assert!(built_in.starts_with("ext4 (the kernel has it built in)\n  group "), "{built_in}");
}

#[test]
fn what_is_asked_for_by_name_and_by_a_device_is_told() {
    let fixture = Fixture::new();
    let mut request = fixture.request();
    request.modules = vec!["odd".to_owned()];
    request.plan().expect("a plan").write(3, &fixture.path("out.img")).expect("written");
    let text = why("odd", &fixture.path("out.img")).expect("explained").to_string();
    assert!(text.contains("\n  loaded always: --module names it"), "{text}");
    let list = "virtio\\tlib/virtio.ko\\t\\nvirtio_blk\\tlib/blk.ko\\tvirtio\\tvirtio:d00000002v*\\tfs-x\\n";
    let line = format!(
        "mkdir -p etc/lamina; printf '{list}' > etc/lamina/modules; find etc | cpio --quiet -o -H newc | gzip > other.img"
    );
    shell(fixture.folder.path(), &line);
    let text = why("virtio_blk", &fixture.path("other.img")).expect("explained").to_string();
    assert!(text.contains("\n  asked for by devices virtio:d00000002v*\n"), "{text}");
    assert!(text.contains("\n  asked for by what is about to use fs-x\n  needs virtio\n"), "{text}");
    let text = why("virtio", &fixture.path("other.img")).expect("explained").to_string();
    assert!(text.contains("  needed by\n    virtio_blk (lib/blk.ko)\n"), "{text}");
}

#[test]
fn refusals_and_json_and_the_option() {
    let fixture = Fixture::new();
    fixture.request().plan().expect("a plan").write(3, &fixture.path("out.img")).expect("written");
    let refusal = why("squshfs", &fixture.path("out.img")).expect_err("no module").to_string();
    assert!(refusal.contains("has no module 'squshfs'\nhelp: did you mean 'squashfs'?"), "{refusal}");
    shell(fixture.folder.path(), "echo init | cpio --quiet -o -H newc > foreign.img");
    let refusal = why("loop", &fixture.path("foreign.img")).expect_err("no list").to_string();
    assert!(refusal.contains("has no /etc/lamina/modules: mkinitramfs did not make it"), "{refusal}");
    for arguments in [["--why", "lib_a", "out.img", "--json"], ["why", "lib_a", "out.img", "--json"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mkinitramfs"));
        let output = command.args(arguments).current_dir(fixture.folder.path()).output().expect("it runs");
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(json["needs"], serde_json::json!(["lib_b"]));
        assert_eq!(json["needed_by"][0]["module"], "squashfs");
    }
}
