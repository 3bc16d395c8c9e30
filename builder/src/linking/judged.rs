//! What this machine's own loaders say: programs that gcc makes run, or do not, as was foretold. Both C libraries are of packages that
//! `make deps-test` installs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use elf_linkage::Linkage;
use profiles::Name;

use super::*;

/// A folder with programs and libraries.
struct Place {
    folder: tempfile::TempDir,
    compiler: &'static str,
}

impl Place {
    fn new(compiler: &'static str) -> Place {
        Place { folder: tempfile::tempdir().unwrap(), compiler }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes `name` of `text`. `@` in a word is this folder.
    fn make(&self, name: &str, text: &str, words: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        let source = self.path("source.c");
        fs::write(&source, text).unwrap();
        let here = self.folder.path().to_str().unwrap();
        let output = Command::new(self.compiler)
            .arg("-fPIC")
            .arg("-o")
            .arg(self.path(name))
            .arg(&source)
            .args(words.split_whitespace().map(|word| word.replace('@', here)))
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}: run `make deps-test`", self.compiler));
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A library that gives `gives()`, which calls `needs()`.
    fn library(&self, name: &str, (gives, needs): (&str, Option<&str>), words: &str) {
        let call = needs.map_or("0".to_owned(), |needs| format!("{needs}()"));
        let text =
            format!("int {}(void);\nint {gives}(void) {{ return {call}; }}\n", needs.unwrap_or("unused"));
        let soname = name.rsplit('/').next().unwrap();
        self.make(name, &text, &format!("-shared -Wl,-soname,{soname} {words}"));
    }

    /// A program that calls `needs()`.
    fn program(&self, name: &str, needs: &str, words: &str) {
        let text = format!("int {needs}(void);\nint main(void) {{ return {needs}(); }}\n");
        self.make(name, &text, &format!("-Wl,--allow-shlib-undefined {words}"));
    }

    fn runs(&self, name: &str) -> bool {
        let mut program = Command::new(self.path(name));
        program.env_remove("LD_LIBRARY_PATH").stdout(Stdio::null()).stderr(Stdio::null());
        program.status().unwrap().success()
    }

    /// What is foretold of the programs and libraries here, above this machine's C libraries.
    fn foretold(&self) -> Vec<String> {
        let mut machine = ImageFacts::default();
        for path in
            ["/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6", "/lib/ld-musl-x86_64.so.1"]
        {
            add(&mut machine, Path::new(path), 40);
        }
        machine.musl_folders = fs::read_to_string("/etc/ld-musl-x86_64.path").ok();
        let (mut own, mut folders) = (ImageFacts::default(), vec![self.folder.path().to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                } else {
                    add(&mut own, &path, 1);
                }
            }
        }
        let (one, two) = (Name::parse("machine").unwrap(), Name::parse("own").unwrap());
        let layers = [(&one, &machine), (&two, &own)].map(|(name, facts)| Layer { name, facts, paths: &[] });
        findings(&layers, 2).iter().map(ToString::to_string).collect()
    }

    /// Whether the program runs, after it was seen that this was foretold.
    fn judge(&self, program: &str) -> bool {
        let (runs, foretold) = (self.runs(program), self.foretold());
        assert_eq!(foretold.is_empty(), runs, "{} {program}: {foretold:?}", self.compiler);
        runs
    }
}

/// Adds a path of this machine, and so many links on the way.
fn add(facts: &mut ImageFacts, path: &Path, links: usize) {
    let Some(links) = links.checked_sub(1) else { return };
    let mut here = PathBuf::from("/");
    let mut names = path.components();
    while let Some(name) = names.next() {
        here.push(name);
        if let Ok(target) = fs::read_link(&here) {
            let text = |path: &Path| path.strip_prefix("/").unwrap_or(path).to_str().unwrap().to_owned();
            facts.links.insert(text(&here), target.to_str().unwrap().to_owned());
            return add(facts, &here.parent().unwrap().join(target).join(names.as_path()), links);
        }
    }
    let Ok(bytes) = fs::read(&here) else { return };
    let path = fs::canonicalize(&here).unwrap().strip_prefix("/").unwrap().to_str().unwrap().to_owned();
    match Linkage::read(&mut bytes.as_slice()) {
        Ok(linkage) => facts.files.push(ElfFile { path, linkage }),
        Err(error) if bytes.starts_with(b"\x7fELF") => {
            facts.unreadable.push(Unreadable { path, why: error.to_string() });
        }
        Err(_) => {}
    }
}

const BOTH: [&str; 2] = ["gcc", "musl-gcc"];

#[test]
fn folders_of_a_program_and_of_its_libraries() {
    let mut told = Vec::new();
    for compiler in BOTH {
        // Which of the two tags, whose, and whether the second library is found by it.
        for (tag, program_has, library_has) in [
            ("new", "$ORIGIN/../lib:$ORIGIN/../deep", ""),
            ("old", "$ORIGIN/../lib:$ORIGIN/../deep", ""),
            ("new", "${ORIGIN}/../lib", "$ORIGIN/../deep"),
            ("old", "$ORIGIN/../lib", "@/deep"),
            ("old", "", "$ORIGIN/../deep"),
            ("new", "@/lib:relative", "$ORIGIN/nowhere"),
        ] {
            let place = Place::new(compiler);
            let tags = if tag == "new" { "-Wl,--enable-new-dtags" } else { "-Wl,--disable-new-dtags" };
            let path = |folders: &str| match folders {
                "" => String::new(),
                folders => format!("{tags} -Wl,-rpath,{folders}"),
            };
            place.library("deep/libtwo.so.1", ("two", None), "");
            place.library(
                "lib/libone.so.1",
                ("one", Some("two")),
                &format!("@/deep/libtwo.so.1 {}", path(library_has)),
            );
            place.program("bin/program", "one", &format!("@/lib/libone.so.1 {}", path(program_has)));
            told.push(place.judge("bin/program"));
        }
    }
    // The loaders differ in the first one: musl hands DT_RUNPATH down too.
    assert_eq!(told, [false, true, true, true, false, false, true, true, true, true, false, false]);
}

#[test]
fn both_tags_at_once_and_links() {
    for compiler in BOTH {
        let place = Place::new(compiler);
        place.library("real/libone.so.1.2", ("one", None), "");
        fs::create_dir(place.path("lib")).unwrap();
        std::os::unix::fs::symlink("../real", place.path("lib/way")).unwrap();
        std::os::unix::fs::symlink("way/libone.so.1.2", place.path("lib/libone.so.1.2")).unwrap();
        place.program("bin/program", "one", "@/real/libone.so.1.2 -Wl,-rpath,$ORIGIN/../lib");
        assert!(place.judge("bin/program"));
        fs::remove_file(place.path("lib/way")).unwrap();
        std::os::unix::fs::symlink("way", place.path("lib/way")).unwrap();
        assert!(!place.judge("bin/program"));
    }
}

#[test]
fn a_library_that_is_there_already_is_not_looked_for() {
    for compiler in BOTH {
        let place = Place::new(compiler);
        place.library("deep/libtwo.so.1", ("two", None), "");
        place.library("lib/libone.so.1", ("one", Some("two")), "@/deep/libtwo.so.1");
        let words = "@/lib/libone.so.1 -Wl,--no-as-needed @/deep/libtwo.so.1 -Wl,--enable-new-dtags";
        place.program("bin/program", "one", &format!("{words} -Wl,-rpath,$ORIGIN/../lib:$ORIGIN/../deep"));
        assert!(place.judge("bin/program"));
    }
}

#[test]
fn a_needed_path_is_a_path() {
    for compiler in BOTH {
        let place = Place::new(compiler);
        place.make("lib/one.so", "int one(void) { return 0; }\n", "-shared");
        place.program("bin/program", "one", "@/lib/one.so");
        assert!(place.judge("bin/program"));
        fs::remove_file(place.path("lib/one.so")).unwrap();
        assert!(!place.judge("bin/program"));
    }
}

#[test]
fn files_that_cannot_be_loaded_stop_a_loader_or_are_passed_over() {
    let mut told = Vec::new();
    for compiler in BOTH {
        for instead in ["nothing", "text", "damaged", "machine", "bits"] {
            let place = Place::new(compiler);
            place.library("second/libone.so.1", ("one", None), "");
            place.program(
                "bin/program",
                "one",
                "@/second/libone.so.1 -Wl,-rpath,$ORIGIN/../first:$ORIGIN/../second",
            );
            let mut bytes = fs::read(place.path("second/libone.so.1")).unwrap();
            match instead {
                "text" => bytes = b"INPUT(libother.so)\n".to_vec(),
                "damaged" => bytes[54] = 1,
                "machine" => bytes[18] = 183,
                "bits" => bytes[4] = 1,
                _ => {}
            }
            fs::create_dir(place.path("first")).unwrap();
            if instead != "nothing" {
                fs::write(place.path("first/libone.so.1"), bytes).unwrap();
            }
            // A text is no ELF file, of which nothing is known here but in an image. musl does not look for which machine a file is.
            let not_seen = compiler == "musl-gcc" && ["machine", "bits"].contains(&instead);
            if instead != "text" && !not_seen {
                told.push(place.judge("bin/program"));
            }
        }
    }
    assert_eq!(told, [true, false, true, true, true, false]);
}

#[test]
fn versions_are_compared_by_glibc_alone() {
    let mut told = Vec::new();
    for compiler in BOTH {
        for now in ["ONE", "TWO", "none", "of others", "weak"] {
            let place = Place::new(compiler);
            let map = |version: &str| {
                fs::write(place.path("map"), format!("{version} {{ global: *; }};\n")).unwrap()
            };
            let words = "-Wl,--version-script=@/map";
            map("ONE");
            place.library("lib/libone.so.1", ("one", None), words);
            place.program("bin/program", "one", "@/lib/libone.so.1 -Wl,-rpath,$ORIGIN/../lib");
            match now {
                "none" => place.library("lib/libone.so.1", ("one", None), "-nostdlib"),
                "of others" => {
                    let text = "int getpid(void);\nint one(void) { return getpid() == 0; }\n";
                    place.make("lib/libone.so.1", text, "-shared -Wl,-soname,libone.so.1");
                }
                "weak" => {
                    let mut bytes = fs::read(place.path("bin/program")).unwrap();
                    let at = weak_flag(&bytes, "ONE");
                    bytes[at] |= 2;
                    fs::write(place.path("bin/program"), bytes).unwrap();
                    // The loader goes on; what it says of the symbol in the end is not about versions alone.
                    map("TWO");
                    place.library("lib/libone.so.1", ("one", None), words);
                    assert_eq!(place.foretold(), [] as [&str; 0], "{compiler}");
                    continue;
                }
                version => {
                    map(version);
                    place.library("lib/libone.so.1", ("one", None), words);
                }
            }
            told.push(place.judge("bin/program"));
        }
    }
    assert_eq!(told, [true, false, false, true, true, true, true, true]);
}

/// Where the flags of a needed version stand: behind the hash of its name, which no other four bytes happen to be.
fn weak_flag(bytes: &[u8], version: &str) -> usize {
    let hash = version.bytes().fold(0_u32, |hash, byte| {
        let hash = (hash << 4) + u32::from(byte);
        (hash ^ ((hash & 0xf000_0000) >> 24)) & 0x0fff_ffff
    });
    let hash = hash.to_le_bytes();
    bytes.windows(4).position(|window| window == hash).unwrap() + 4
}

#[test]
fn no_usual_folders_and_no_interpreter() {
    let place = Place::new("gcc");
    place.program("bin/program", "getpid", "-Wl,-z,nodefaultlib");
    // getpid() is no success; whether the loader gets so far is what counts.
    let status = Command::new(place.path("bin/program")).stderr(Stdio::null()).status().unwrap();
    assert_eq!((status.code(), place.foretold().len()), (Some(127), 1), "{:?}", place.foretold());
    for compiler in BOTH {
        let place = Place::new(compiler);
        place.make(
            "bin/program",
            "int main(void) { return 0; }\n",
            "-Wl,--dynamic-linker,@/lib/ld-linux.so.9",
        );
        assert!(Command::new(place.path("bin/program")).status().is_err());
        let foretold = place.foretold();
        assert!(foretold[0].contains("/bin/program needs the interpreter /"), "{foretold:?}");
    }
}
