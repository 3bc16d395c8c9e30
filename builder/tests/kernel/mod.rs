//! Folders of kernels whose modules are real ELF files, small ones, and images of packages with such modules.

// Each test program uses some of it.
#![allow(dead_code)]

use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::process::Command;

use builder::image::format::ImageFormat;
use builder::image::output;
use builder::kernel::module_tree::{insert, insert_folders};
use builder::store::{BuildRecord, Store};
use profiles::Digest;
use squashfs::{Kind, Tree};

use crate::record;

/// A module that exports one symbol and, where it needs one, uses another's.
pub fn module(name: &str, exports: &str, needs: Option<&str>) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("module.c");
    let uses = needs.map_or_else(String::new, |it| {
        format!("extern int {it}(void);\nint uses(void) {{ return {it}(); }}\n")
    });
    let text = format!(
        "static const char info[] __attribute__((section(\".modinfo\"), used)) = \"name={name}\\0license=GPL\\0alias=pci:{name}*\";\n\
         static const char symbols[] __attribute__((section(\"__ksymtab_strings\"), used)) = \"{exports}\";\n\
         int {exports}(void) {{ return 1; }}\n{uses}"
    );
    fs::write(&source, text).unwrap();
    let object = folder.path().join("module.ko");
    let built = Command::new("gcc").args(["-c", "-O1", "-o"]).args([&object, &source]).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    fs::read(object).unwrap()
}

/// The folder of an unpacked kernel package, with modules `low`, compressed as Debian's are, and `high`, which needs it.
pub fn folder(folder: &Path, release: &str) {
    let put = |path: String, bytes: &[u8]| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    put(format!("boot/vmlinuz-{release}"), format!("the kernel {release}").as_bytes());
    put(format!("boot/config-{release}"), b"CONFIG_MODULES=y\n");
    let modules = format!("lib/modules/{release}");
    put(format!("{modules}/kernel/lib/low.ko"), &module("low", "low_symbol", None));
    put(format!("{modules}/kernel/net/high.ko"), &module("high", "high_symbol", Some("low_symbol")));
    put(format!("{modules}/modules.builtin"), b"kernel/fs/ext4/ext4.ko\n");
    put(format!("{modules}/modules.order"), b"kernel/net/high.ko\nkernel/lib/low.ko\n");
    // Of another machine, and for other tools.
    put(format!("{modules}/modules.dep"), b"rubbish\n");
    put(format!("{modules}/System.map"), b"0 T start\n");
    put("lib/firmware/a card of 1.bin".to_owned(), b"firmware");
    let packed =
        Command::new("xz").arg(folder.join(format!("{modules}/kernel/lib/low.ko"))).status().unwrap();
    assert!(packed.success());
    std::os::unix::fs::symlink("/usr/src/linux", folder.join(format!("{modules}/build"))).unwrap();
}

/// An image in the store with these files, as that of a package; each package has an id of its own.
pub fn package(store: &Store, name: &str, files: &[(&str, &[u8])]) -> BuildRecord {
    let mut tree = Tree::new();
    for (path, bytes) in files {
        insert_folders(&mut tree, path).unwrap();
        insert(&mut tree, path, Kind::File(bytes.to_vec().into())).unwrap();
        tree.metadata_mut(path.as_bytes()).unwrap().unwrap().mode = 0o755;
    }
    put(store, name, &tree)
}

/// The same of a tree.
pub fn put(store: &Store, name: &str, tree: &Tree) -> BuildRecord {
    let scratch = store.scratch("test").unwrap();
    let image = scratch.path().join("image");
    let options = ImageFormat::BOOTSTRAP.write_options(NonZero::<usize>::MIN);
    let written = output::write(tree, &options, &image).unwrap();
    store.publish(&image, &store.image_path(&written.digest)).unwrap();
    let id = Digest::of(name.as_bytes()).unwrap().0;
    BuildRecord { id, ..record::of(name, &written) }
}
