//! A store, a kernel and an initramfs that are enough for a disk which nobody boots.

// Each test program uses some of it.
#![allow(dead_code)]

use std::fs;

use super::program::{self, json};

/// A store with a locked profile, and a kernel with an initramfs that nobody starts.
pub fn shop() -> tempfile::TempDir {
    let folder = program::site();
    program::make_store(folder.path());
    let path = |inside: &str| folder.path().join(inside);
    let made = json(folder.path(), &["image", "create", "site", "-o", "image", "--time", "0", "--json"]);
    let (digest, verity) = (made["digest"].as_str().unwrap(), &made["verity"]);
    fs::rename(path("image"), path(&format!("store/images/{}.sqfs", &digest["sha256:".len()..]))).unwrap();
    for (name, description) in [("web", r#"Seiten für \"alle\" $5"#), ("rescue", "")] {
        let text = format!(
            "profile \"{name}\" format=1 {{\n    description \"{description}\"\n    image \"site\" version=\"1\" digest=\"{digest}\" \
             size={} root-hash={} salt={} data-blocks={} fec-roots={}\n    root writable=\"tmpfs\"\n    verify \"verity\"\n    \
             init \"/init\"\n}}\n",
            made["size"], verity["root_hash"], verity["salt"], verity["data_blocks"], verity["fec_roots"]
        );
        fs::create_dir_all(path(&format!("store/profiles/{name}"))).unwrap();
        fs::write(path(&format!("store/profiles/{name}/1.kdl")), text).unwrap();
    }
    fs::create_dir_all(path("kernel/boot")).unwrap();
    fs::create_dir_all(path("kernel/lib/modules/6.1.0-test")).unwrap();
    fs::write(path("kernel/boot/vmlinuz-6.1.0-test"), "a kernel").unwrap();
    fs::write(path("kernel/lib/modules/6.1.0-test/modules.builtin"), "").unwrap();
    fs::write(path("initramfs"), "an initramfs").unwrap();
    folder
}

/// The words of `lamina disk create` for it.
pub fn create<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let always =
        ["disk", "create", out, "--kernel", "kernel", "--initramfs", "initramfs", "--profile", "web"];
    [&always, more].concat()
}
