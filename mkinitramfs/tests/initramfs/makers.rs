//! The programs that make file systems: where they go, with which libraries, and what is said about those that are missing.

use std::path::PathBuf;

use crate::fixture::{Fixture, RELEASE, module, static_program};
use mkinitramfs::{FileSystemMaker, Source, Task};
use profiles::StateFileSystem;

fn kind(name: &str) -> StateFileSystem {
    StateFileSystem::parse(name).expect("a file system of the table")
}

fn maker(kind: StateFileSystem, program: Option<PathBuf>) -> FileSystemMaker {
    FileSystemMaker { task: Task::Make, kind, program }
}

#[test]
fn a_static_program_goes_where_init_looks_and_alone() {
    let fixture = Fixture::new();
    let mut request = fixture.request();
    let before = request.plan().expect("a plan").contents.iter().count();
    let program = fixture.put("mke2fs", &static_program());
    request.make_file_systems = vec![maker(kind("ext4"), Some(program))];
    let plan = request.plan().expect("a plan");
    // The folder sbin, and the program.
    assert_eq!(plan.contents.iter().count(), before + 2);
    assert_eq!(plan.contents.get("sbin/mkfs.ext4").map(|entry| entry.mode), Some(0o755));
    assert!(plan.to_string().contains("makes ext4 for a state"), "{plan}");
}

#[test]
fn a_program_of_this_machine_brings_its_libraries_and_the_driver() {
    let fixture = Fixture::new();
    fixture.put_module("kernel/fs/xfs.ko", &module("", "", RELEASE));
    let mut request = fixture.request();
    request.make_file_systems = ["xfs", "ext4"].map(|name| maker(kind(name), None)).into();
    let plan = request.plan().expect("a plan");
    assert!(plan.modules.picked.iter().any(|picked| picked.name == "xfs"), "{plan}");
    let loader = "lib64/ld-linux-x86-64.so.2";
    for path in ["sbin/mkfs.xfs", "sbin/mkfs.ext4", loader] {
        assert!(plan.contents.get(path).is_some(), "{path}: {plan}");
    }
    let libraries: Vec<&str> =
        plan.contents.iter().map(|(path, _)| path).filter(|path| path.contains(".so")).collect();
    // Both need the C library, which is there once; all lie beside it, where the loader looks without a cache.
    let of = |name: &str| libraries.iter().filter(|path| path.ends_with(name)).count();
    assert_eq!((of("/libc.so.6"), of("/libinih.so.1"), of("/libext2fs.so.2")), (1, 1, 1), "{libraries:?}");
    let folders: Vec<_> =
        libraries.iter().filter_map(|path| path.rsplit_once('/')).map(|(folder, _)| folder).collect();
    assert_eq!(
        folders.iter().filter(|folder| **folder != "lib64").count(),
        libraries.len() - 1,
        "{libraries:?}"
    );
    assert!(plan.to_string().contains("needed by mkfs.xfs"), "{plan}");
    // The bytes of the file that the link leads to.
    let link = plan.contents.iter().find(|(path, _)| path.ends_with("/libext2fs.so.2"));
    let whole = std::fs::read("/lib/x86_64-linux-gnu/libext2fs.so.2").expect("the library");
    assert!(matches!(link.map(|(_, entry)| &entry.source), Some(Source::Bytes(bytes)) if *bytes == whole));
}

#[test]
fn refusals_name_what_is_missing_and_the_package_that_has_it() {
    let fixture = Fixture::new();
    let mut request = fixture.request();
    request.make_file_systems = vec![maker(kind("f2fs"), None)];
    let refusal = fixture.refusal(&request);
    assert!(refusal.starts_with("the file system f2fs: the kernel 6.1.0-test does not have it"), "{refusal}");

    for kind in StateFileSystem::all() {
        let package = kind.file_system().package;
        let module_of = format!("kernel/fs/{kind}.ko");
        fixture.put_module(&module_of, &module("", "", RELEASE));
        request.make_file_systems = vec![maker(kind, Some(fixture.put("mkfs", &needs_what_is_nowhere())))];
        let refusal = fixture.refusal(&request);
        let wanted = "DIR/mkfs: mkfs needs libnowhere.so.9, which is in no folder of the loader /lib64/ld-linux-x86-64.so.2";
        assert!(refusal.starts_with(wanted), "{refusal}");
        assert!(refusal.contains(package) && refusal.contains(&format!("{kind}=FILE")), "{refusal}");
    }
    let script = fixture.put("script", b"#!/bin/sh\n");
    request.make_file_systems = vec![maker(kind("ext4"), Some(script))];
    assert_eq!(
        fixture.refusal(&request),
        "DIR/script: is not a 64-bit ELF program\nhelp: give the program itself, static or dynamic"
    );
    request.make_file_systems = vec![maker(kind("ext4"), Some(fixture.path("absent")))];
    assert!(fixture.refusal(&request).starts_with("DIR/absent: No such file or directory"));
    request.make_file_systems = vec![maker(kind("ext4"), None), maker(kind("ext4"), None)];
    assert_eq!(
        fixture.refusal(&request),
        "sbin/mkfs.ext4: would be in the initramfs twice\nhelp: name it once; of two keys with one name, give one file another name"
    );
}

/// mkfs.ext4 of this machine, with the name of one library changed to one that no machine has.
fn needs_what_is_nowhere() -> Vec<u8> {
    let mut bytes = std::fs::read("/usr/sbin/mkfs.ext4").expect("mkfs.ext4, of Debian's e2fsprogs");
    let name = b"libcom_err.so.2\0";
    let at = bytes.windows(name.len()).position(|window| window == name).expect("it needs libcom_err");
    bytes[at..at + name.len()].copy_from_slice(b"libnowhere.so.9\0");
    bytes
}

#[test]
fn a_checker_goes_beside_the_maker_under_the_name_that_init_runs() {
    let fixture = Fixture::new();
    let mut request = fixture.request();
    let program = |name: &str| Some(fixture.put(name, &static_program()));
    let checker = FileSystemMaker { task: Task::Check, kind: kind("ext4"), program: program("e2fsck") };
    request.make_file_systems = vec![maker(kind("ext4"), program("mke2fs")), checker];
    let plan = request.plan().expect("a plan");
    for path in ["sbin/mkfs.ext4", "sbin/fsck.ext4"] {
        assert_eq!(plan.contents.get(path).map(|entry| entry.mode), Some(0o755), "{plan}");
    }
    assert!(plan.to_string().contains("checks ext4 of a state"), "{plan}");
    // That of this machine: fsck.xfs looks at nothing.
    fixture.put_module("kernel/fs/xfs.ko", &module("", "", RELEASE));
    let checker = FileSystemMaker { task: Task::Check, kind: kind("xfs"), program: None };
    request.make_file_systems = vec![checker];
    let plan = request.plan().expect("a plan");
    let whole = std::fs::read("/usr/sbin/xfs_repair").expect("Debian's xfsprogs");
    let packed = plan.contents.get("sbin/fsck.xfs").map(|entry| &entry.source);
    assert!(matches!(packed, Some(Source::Bytes(bytes)) if *bytes == whole));
}
