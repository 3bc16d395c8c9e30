//! Files that a compiler has made, against what readelf(1) says of them: both are of packages that `make deps` installs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use elf_linkage::{Error, Kind, Linkage, Machine, NeededVersion, exports};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes `text` and lets `gcc` make the file `name` of it.
    fn compile(&self, name: &str, text: &str, words: &[&str]) -> Vec<u8> {
        let source = self.path(&format!("{name}.c"));
        fs::write(&source, text).expect("written");
        let output = Command::new("gcc")
            .current_dir(self.0.path())
            .args(["-fPIC", "-o", name])
            .arg(&source)
            .args(words)
            .output()
            .expect("gcc: missing: run `make deps`");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        fs::read(self.path(name)).expect("what gcc made")
    }
}

fn linkage(bytes: &[u8]) -> Linkage {
    Linkage::read(&mut &*bytes).unwrap_or_else(|error| panic!("{error}"))
}

fn readelf(words: &[&str], path: &Path) -> Vec<String> {
    let output = Command::new("readelf").args(words).arg(path).output().expect("readelf, of binutils");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Lines `0x... (NEEDED)  Shared library: [NAME]`.
fn tagged(path: &Path, tag: &str) -> Vec<String> {
    let lines = readelf(&["-dW"], path).into_iter().filter(|line| line.contains(tag));
    lines.filter_map(|line| Some(line.split_once('[')?.1.trim_end_matches(']').to_owned())).collect()
}

/// Lines `  Version: 1  File: libc.so.6  Cnt: 2`, and `  Name: GLIBC_2.34  Flags: none  Version: 3` below them.
fn versions(path: &Path) -> BTreeSet<(String, String)> {
    let word = |line: &str, key: &str| Some(line.split_once(key)?.1.split_whitespace().next()?.to_owned());
    let (mut found, mut file) = (BTreeSet::new(), None);
    for line in readelf(&["-VW"], path) {
        if line.contains("Version definition section") || line.contains("Version symbols section") {
            file = None;
        } else if let Some(name) = word(&line, "File: ") {
            file = Some(name);
        } else if let (Some(file), Some(version)) = (&file, word(&line, "Name: ")) {
            found.insert((file.clone(), version));
        }
    }
    found
}

/// Lines `   12: 0000000000001109    11 FUNC    GLOBAL DEFAULT   12 name@@VERSION`. What a program has copied of a library has a word more.
fn exported(path: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in readelf(&["--dyn-syms", "-W"], path) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, _, _, _, binding, visibility, section, name] = words[..] else { continue };
        if ["GLOBAL", "WEAK", "UNIQUE"].contains(&binding)
            && ["DEFAULT", "PROTECTED"].contains(&visibility)
            && section != "UND"
            // The name of a version is a symbol too.
            && (section != "ABS" || name.contains('@'))
        {
            found.insert(name.replace("@@", "@"));
        }
    }
    found
}

#[test]
fn what_programs_and_libraries_of_this_machine_need_and_give_is_what_readelf_says() {
    let libc = "/lib/x86_64-linux-gnu/libc.so.6";
    let stdcxx = "/usr/lib/x86_64-linux-gnu/libstdc++.so.6";
    for path in ["/bin/sh", "/usr/bin/gcc", libc, stdcxx, "/lib64/ld-linux-x86-64.so.2"] {
        let path = fs::canonicalize(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let bytes = fs::read(&path).expect("readable");
        let found = linkage(&bytes);
        assert_eq!(found.needed, tagged(&path, "(NEEDED)"), "{path:?}");
        assert_eq!(found.soname.iter().cloned().collect::<Vec<_>>(), tagged(&path, "(SONAME)"), "{path:?}");
        let pair = |it: &NeededVersion| (it.library.clone(), it.version.clone());
        let needed: BTreeSet<_> = found.needed_versions.iter().map(pair).collect();
        assert_eq!(needed, versions(&path), "{path:?}");
        let symbols = exports(&mut bytes.as_slice()).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let symbols: BTreeSet<String> = symbols.iter().map(ToString::to_string).collect();
        let judged = exported(&path);
        assert_eq!(symbols.symmetric_difference(&judged).collect::<Vec<_>>(), [] as [&String; 0], "{path:?}");
        assert!(found.soname.is_none() || symbols.len() > 20, "{path:?}: {}", symbols.len());
    }
}

const LIBRARY: &str = "int old(void) { return 1; }\nint both_new(void) { return 2; }\nint both_old(void) { return 3; }\n\
                       static int own(void) { return 4; }\nint hidden(void) { return own(); }\n__thread int each;\n\
                       __asm__(\".symver both_old,both@ONE\\n.symver both_new,both@@TWO\");\n";
const MAP: &str = "ONE { global: old; both; local: *; };\nTWO { global: both; each; } ONE;\n";

#[test]
fn a_library_with_versions_and_a_program_that_needs_them() {
    let folder = Folder::new();
    fs::write(folder.path("map"), MAP).expect("written");
    let library = folder.compile(
        "libit.so.1",
        LIBRARY,
        &["-shared", "-nostdlib", "-Wl,-soname,libit.so.1", "-Wl,--version-script=map"],
    );
    let found = linkage(&library);
    assert_eq!((found.machine, found.kind, found.dynamic), (Machine::X86_64, Kind::Shared, true));
    assert_eq!(found.soname.as_deref(), Some("libit.so.1"));
    assert_eq!((found.interpreter.as_ref(), found.needed.len()), (None, 0));
    let names = ["libit.so.1", "ONE", "TWO"].map(str::to_owned);
    assert_eq!(found.defined_versions, Some(names.to_vec()));
    let symbols = exports(&mut library.as_slice()).expect("its symbols");
    let symbols: Vec<String> = symbols.iter().map(ToString::to_string).collect();
    assert_eq!(symbols, ["both@ONE", "both@TWO", "each@TWO", "old@ONE"]);

    let text =
        "int both(void);\nint old(void) __attribute__((weak));\nint main(void) { return both() + old(); }\n";
    let path = ["libit.so.1", "-Wl,-rpath,$ORIGIN/../lib:/opt/lib"];
    let program = folder.compile("program", text, &[&path[..], &["-Wl,--enable-new-dtags", "-pie"]].concat());
    let found = linkage(&program);
    assert_eq!(found.interpreter.as_deref(), Some("/lib64/ld-linux-x86-64.so.2"));
    assert_eq!((found.kind, found.needed), (Kind::Executable, vec!["libit.so.1".into(), "libc.so.6".into()]));
    assert_eq!((found.rpath.len(), found.runpath), (0, vec!["$ORIGIN/../lib".into(), "/opt/lib".into()]));
    let of_it = |it: &&NeededVersion| it.library == "libit.so.1";
    let needed: Vec<_> = found.needed_versions.iter().filter(of_it).map(|it| it.version.as_str()).collect();
    assert_eq!(needed.iter().copied().collect::<BTreeSet<_>>(), BTreeSet::from(["ONE", "TWO"]));
    assert_eq!((found.soname, found.defined_versions), (None, None));

    let words = [&path[..], &["-Wl,--disable-new-dtags", "-no-pie", "-Wl,-z,nodefaultlib"]].concat();
    let found = linkage(&folder.compile("older", text, &words));
    assert_eq!((found.rpath.len(), found.runpath.len(), found.no_usual_folders), (2, 0, true));
    assert_eq!(found.kind, Kind::Executable);
}

#[test]
fn section_headers_are_not_looked_at() {
    let folder = Folder::new();
    let bytes = folder.compile(
        "program",
        "int main(void) { return 0; }\nint given(void) { return 1; }\n",
        &["-rdynamic"],
    );
    let (whole, symbols) = (linkage(&bytes), exports(&mut bytes.as_slice()).expect("its symbols"));
    assert!(symbols.iter().any(|symbol| symbol.name == "given"), "{symbols:?}");
    let mut lying = bytes.clone();
    // e_shoff, and e_shentsize, e_shnum and e_shstrndx.
    lying[40..48].fill(0xff);
    lying[58..64].fill(0xff);
    assert_eq!(linkage(&lying), whole);
    assert_eq!(exports(&mut lying.as_slice()).expect("its symbols"), symbols);
}

#[test]
fn both_kinds_of_hash_tables_count_the_symbols() {
    let folder = Folder::new();
    let text: String =
        (0..500).map(|number| format!("int f{number}(void) {{ return {number}; }}\n")).collect();
    for style in ["sysv", "gnu", "both"] {
        let style = format!("-Wl,--hash-style={style}");
        let bytes = folder.compile("lib.so", &text, &["-shared", "-nostdlib", &style]);
        assert_eq!(exports(&mut bytes.as_slice()).expect(&style).len(), 500, "{style}");
    }
    // One that gives nothing has an empty table.
    let bytes = folder.compile(
        "none.so",
        "extern int x; int *f(void); static int *g(void) { return &x; }\n",
        &["-shared", "-nostdlib", "-Wl,--hash-style=gnu"],
    );
    assert!(exports(&mut bytes.as_slice()).expect("no symbols").is_empty());
}

#[test]
fn static_programs_and_objects_ask_for_nothing() {
    let folder = Folder::new();
    let text = "int main(void) { return 0; }\n";
    let found = linkage(&folder.compile("static", text, &["-static"]));
    assert_eq!((found.kind, found.dynamic, found.interpreter), (Kind::Executable, false, None));
    let found = linkage(&folder.compile("static-pie", text, &["-static-pie"]));
    assert_eq!((found.kind, found.dynamic, found.interpreter), (Kind::Executable, true, None));
    assert_eq!((found.needed.len(), found.soname), (0, None));
    let found = linkage(&folder.compile("object", text, &["-c"]));
    assert_eq!((found.kind, found.dynamic), (Kind::Relocatable, false));
    let read = |bytes: &[u8]| Linkage::read(&mut &*bytes);
    assert!(matches!(read(b"#!/bin/sh\n"), Err(Error::NotElf)));
    assert!(matches!(read(b"\x7fELF"), Err(Error::NotElf)));
    assert!(matches!(read(&[b"\x7fELF\x07\x01\x01".as_slice(), &[0; 60]].concat()), Err(Error::NotElf)));
}

#[test]
fn pieces_and_damaged_copies_are_read_within_bounds() {
    let folder = Folder::new();
    fs::write(folder.path("map"), MAP).expect("written");
    let bytes = folder.compile("libit.so.1", LIBRARY, &["-shared", "-Wl,--version-script=map"]);
    for length in (0..bytes.len()).step_by(97) {
        let _ = (Linkage::read(&mut &bytes[..length]), exports(&mut &bytes[..length]));
    }
    let mut random = 7_u64;
    let mut read = 0;
    for _ in 0..3000 {
        let mut damaged = bytes.clone();
        for _ in 0..6 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let end = damaged.len().min(4096);
            damaged[5 + (random >> 40) as usize % (end - 5)] = (random >> 33) as u8;
        }
        read += u32::from(Linkage::read(&mut damaged.as_slice()).is_ok());
        let _ = exports(&mut damaged.as_slice());
    }
    assert!(read > 100, "most of them would be refused at once: {read}");
}
