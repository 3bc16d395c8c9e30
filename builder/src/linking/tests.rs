use elf_linkage::{Kind, Linkage, Machine, NeededVersion};
use profiles::Name;
use squashfs::Metadata;

use super::*;
use crate::stacking::{Folder, Node};

const GLIBC: &str = "/lib64/ld-linux-x86-64.so.2";
const MUSL: &str = "/lib/ld-musl-x86_64.so.1";

/// A file that needs these libraries.
fn elf(path: &str, needed: &[&str]) -> ElfFile {
    let linkage = Linkage {
        machine: Machine::X86_64,
        kind: Kind::Shared,
        dynamic: true,
        interpreter: None,
        soname: None,
        needed: needed.iter().map(|name| (*name).to_owned()).collect(),
        rpath: Vec::new(),
        runpath: Vec::new(),
        no_usual_folders: false,
        needed_versions: Vec::new(),
        versioned: false,
        defined_versions: None,
    };
    ElfFile { path: path.to_owned(), linkage }
}

fn program(path: &str, interpreter: &str, needed: &[&str]) -> ElfFile {
    let mut file = elf(path, needed);
    (file.linkage.kind, file.linkage.interpreter) = (Kind::Executable, Some(interpreter.to_owned()));
    file
}

fn library(path: &str, needed: &[&str]) -> ElfFile {
    let mut file = elf(path, needed);
    file.linkage.soname = path.rsplit('/').next().map(str::to_owned);
    file
}

fn image(files: &[ElfFile], links: &[(&str, &str)]) -> ImageFacts {
    let links = links.iter().map(|(path, target)| ((*path).to_owned(), (*target).to_owned())).collect();
    ImageFacts { files: files.to_vec(), links, ..ImageFacts::default() }
}

/// A layer for each image, called `a`, `b` and so on.
fn found_with(images: &[ImageFacts], others: &[(usize, &str, Node)], stack: usize) -> Vec<String> {
    let names: Vec<Name> =
        ('a'..).take(images.len()).map(|name| Name::parse(&name.to_string()).unwrap()).collect();
    let of = |layer: usize| others.iter().filter(move |(at, ..)| *at == layer);
    let paths: Vec<Vec<(Vec<u8>, Node)>> = (0..images.len())
        .map(|layer| of(layer).map(|(_, path, node)| (path.as_bytes().to_vec(), node.clone())).collect())
        .collect();
    let layers = names.iter().zip(images).zip(&paths);
    let layers: Vec<Layer<'_>> = layers.map(|((name, facts), paths)| Layer { name, facts, paths }).collect();
    findings(&layers, stack).iter().map(ToString::to_string).collect()
}

fn found(images: &[ImageFacts]) -> Vec<String> {
    found_with(images, &[], images.len())
}

/// The links of one `/usr`, and a C library below them.
fn base() -> ImageFacts {
    image(
        &[
            library("usr/lib64/ld-linux-x86-64.so.2", &[]),
            library("usr/lib/libc.so.6", &["ld-linux-x86-64.so.2"]),
        ],
        &[("lib", "usr/lib"), ("lib64", "usr/lib64"), ("usr/lib/ld-musl-x86_64.so.1", "libc.so")],
    )
}

fn musl() -> ImageFacts {
    image(&[elf("usr/lib/libc.so", &[])], &[])
}

#[test]
fn what_lies_below_is_found_and_what_lies_above_is_named() {
    let tls = image(
        &[library("usr/lib/libtls.so.1.2", &["libc.so.6"])],
        &[("usr/lib/libtls.so.1", "libtls.so.1.2")],
    );
    let user = image(&[program("usr/bin/user", GLIBC, &["libtls.so.1", "libc.so.6"])], &[]);
    assert_eq!(found(&[base(), tls.clone(), user.clone()]), [] as [&str; 0]);
    assert_eq!(
        found(&[base(), user.clone(), tls.clone()]),
        ["b: /usr/bin/user needs libtls.so.1; c has it, and does not lie below b"]
    );
    assert_eq!(
        found(&[tls, user]),
        [
            "a: /usr/lib/libtls.so.1.2 needs libc.so.6",
            "b: /usr/bin/user needs the interpreter /lib64/ld-linux-x86-64.so.2",
            // Its library is found only where `lib` is a link.
            "b: /usr/bin/user needs libc.so.6",
        ]
    );
}

#[test]
fn several_files_that_lack_the_same_are_one_finding() {
    let files =
        ["one", "two", "three"].map(|name| program(&format!("usr/bin/{name}"), GLIBC, &["libx.so.1"]));
    assert_eq!(
        found(&[base(), image(&files[..2], &[])]),
        ["b: /usr/bin/one and one other file need libx.so.1"]
    );
    assert_eq!(found(&[base(), image(&files, &[])]), ["b: /usr/bin/one and 2 other files need libx.so.1"]);
}

#[test]
fn what_can_be_added_has_the_stack_below_it_and_nothing_else() {
    let give = image(&[library("usr/lib/libx.so.1", &[])], &[]);
    let user = image(&[program("usr/bin/user", GLIBC, &["libx.so.1"])], &[]);
    let both = [base(), give.clone(), user.clone()];
    assert_eq!(found_with(&both, &[], 2), [] as [&str; 0]);
    assert_eq!(
        found_with(&both, &[], 1),
        ["c: /usr/bin/user needs libx.so.1; b has it, and does not lie below c"]
    );
}

#[test]
fn what_is_hidden_is_not_there() {
    let folder = || Node::Folder(Folder::of(&Metadata::mode(0o755)));
    let give = image(&[library("usr/lib/libx.so.1", &[])], &[]);
    let user = image(&[program("usr/bin/user", GLIBC, &["libx.so.1"])], &[]);
    let images = [base(), give, image(&[], &[]), user];
    let missing = ["d: /usr/bin/user needs libx.so.1"];
    assert_eq!(found_with(&images, &[(2, "usr/lib", folder())], 4), [] as [&str; 0]);
    assert_eq!(found_with(&images, &[(2, "usr/lib/libx.so.1", Node::Other)], 4), missing);
    // With all that lies in the folder: of the loader the program is not told to be without, which lies elsewhere.
    assert_eq!(found_with(&images, &[(2, "usr/lib", Node::Other)], 4), missing);
    // A file above the layer that needs it.
    assert_eq!(found_with(&images, &[(3, "usr/lib/libx.so.1", Node::Other)], 4), missing);
}

#[test]
fn musl_is_one_file_under_many_names_and_is_told_its_folders() {
    let needed = ["libc.so", "libc.musl-x86_64.so.1", "libpthread.so.0", "libm.so", "ld-musl-x86_64.so.1"];
    let user = image(&[program("usr/bin/user", MUSL, &needed)], &[]);
    assert_eq!(found(&[base(), musl(), user]), [] as [&str; 0]);
    let user = image(&[program("usr/bin/user", MUSL, &["libcrypt.so.1"])], &[]);
    assert_eq!(found(&[base(), musl(), user]), ["c: /usr/bin/user needs libcrypt.so.1"]);

    let user = || image(&[program("usr/bin/user", MUSL, &["libx.so.1"])], &[]);
    let give = |path: &str| image(&[library(path, &[])], &[]);
    for (path, there) in [
        ("usr/lib/libx.so.1", true),
        ("usr/local/lib/libx.so.1", true),
        ("usr/lib/x86_64-linux-gnu/libx.so.1", false),
        ("opt/libx.so.1", false),
    ] {
        assert_eq!(found(&[base(), musl(), give(path), user()]).is_empty(), there, "{path}");
    }
    let told = ImageFacts { musl_folders: Some("/opt\n/srv:/mnt\n".to_owned()), ..musl() };
    for (path, there) in [("opt/libx.so.1", true), ("mnt/libx.so.1", true), ("usr/lib/libx.so.1", false)] {
        assert_eq!(found(&[base(), told.clone(), give(path), user()]).is_empty(), there, "{path}");
    }
}

#[test]
fn a_library_that_something_opens_finds_what_is_loaded_or_lies_beside_it_or_in_its_layer() {
    let user = |needed: &[&str]| program("usr/bin/user", GLIBC, needed);
    let mut with_path = user(&["libown.so"]);
    with_path.linkage.runpath = vec!["/usr/lib/user".to_owned()];
    let module = library("usr/lib/modules.d/module.so", &["libown.so", "libbeside.so"]);
    let own = library("usr/lib/user/libown.so", &[]);
    let beside = library("usr/lib/modules.d/libbeside.so", &[]);
    let all = [with_path.clone(), module.clone(), own.clone(), beside.clone()];
    assert_eq!(found(&[base(), image(&all, &[])]), [] as [&str; 0]);
    let module_alone = image(&[module.clone(), beside], &[]);
    assert_eq!(found(&[base(), image(&[module.clone(), own.clone()], &[])]).len(), 1);
    // A program of a layer below that does not load it finds it no more than this one.
    assert_eq!(
        found(&[base(), image(std::slice::from_ref(&own), &[]), module_alone.clone()]),
        ["c: /usr/lib/modules.d/module.so needs libown.so"]
    );
    let loads = image(&[with_path.clone(), own], &[]);
    assert_eq!(found(&[base(), loads, module_alone]), [] as [&str; 0]);
    assert_eq!(
        found(&[base(), image(&[with_path, module], &[])]),
        [
            "b: /usr/lib/modules.d/module.so needs libbeside.so",
            "b: /usr/bin/user and one other file need libown.so",
        ]
    );
}

#[test]
fn files_for_other_machines_need_nothing_and_help_nobody() {
    let other = |mut file: ElfFile| {
        file.linkage.machine.number = 183;
        file
    };
    let foreign = image(&[other(program("usr/bin/arm", "/lib/ld-linux-aarch64.so.1", &["libc.so.6"]))], &[]);
    assert_eq!(found(&[base(), foreign.clone()]), [] as [&str; 0]);
    assert_eq!(first_dynamic(&foreign), None);
    let give = image(&[other(library("usr/lib/libx.so.1", &[]))], &[]);
    let user = image(&[program("usr/bin/user", GLIBC, &["libx.so.1"])], &[]);
    assert_eq!(
        found(&[base(), give, user]),
        ["c: /usr/bin/user needs libx.so.1 (/lib/libx.so.1 is for another machine)"]
    );
}

#[test]
fn a_library_that_cannot_be_loaded_is_told_with_the_reason() {
    let mut give = image(&[], &[]);
    give.unreadable = vec![Unreadable {
        path: "usr/lib/libx.so.1".into(),
        why: "is a damaged ELF file: it is cut off".into(),
    }];
    let user = image(&[program("usr/bin/user", GLIBC, &["libx.so.1"])], &[]);
    assert_eq!(
        found(&[base(), give, user]),
        ["c: /usr/bin/user needs libx.so.1 (/lib/libx.so.1 is a damaged ELF file: it is cut off)"]
    );
}

#[test]
fn a_version_is_told_with_the_library_that_lacks_it_and_with_what_has_it() {
    let needs = |mut file: ElfFile, version: &str| {
        let library = file.linkage.needed[0].clone();
        file.linkage.needed_versions =
            vec![NeededVersion { library, version: version.to_owned(), weak: false }];
        file
    };
    let gives = |path: &str, versions: &[&str]| {
        let mut file = library(path, &[]);
        file.linkage.defined_versions = Some(versions.iter().map(|it| (*it).to_owned()).collect());
        image(&[file], &[])
    };
    let user = image(&[needs(program("usr/bin/user", GLIBC, &["libx.so.1"]), "X_2")], &[]);
    let (old, new) = (gives("usr/lib/libx.so.1", &["X_1"]), gives("opt/libx.so.1", &["X_1", "X_2"]));
    assert_eq!(
        found(&[base(), old, user, new]),
        ["c: /usr/bin/user needs version X_2 of libx.so.1 (/usr/lib/libx.so.1 does not define it); \
             d has it, and does not lie below c"]
    );
}

#[test]
fn only_what_a_loader_has_to_do_with_is_dynamic() {
    let alone = |file: ElfFile| first_dynamic(&image(&[file], &[])).is_some();
    assert!(!alone(elf("usr/lib/libc.so", &[])));
    assert!(alone(program("usr/bin/user", MUSL, &[])));
    assert!(alone(elf("usr/lib/module.so", &["libc.so"])));
    assert!(alone(library("usr/lib/libx.so.1", &[])));
}

#[test]
fn circles_of_links_and_of_libraries_come_to_an_end() {
    let circle = image(
        &[library("usr/lib/liba.so", &["libb.so"]), library("usr/lib/libb.so", &["liba.so", "libc.so"])],
        &[("usr/lib/libc.so", "libd.so"), ("usr/lib/libd.so", "libc.so"), ("opt", "opt/opt")],
    );
    // musl is there without a file.
    assert_eq!(found(&[circle]), [] as [&str; 0]);
}
