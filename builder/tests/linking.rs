//! Locking looks whether programs and libraries of the layers find what they were linked with, in images of what gcc makes here.

mod record;

use std::fs;
use std::num::NonZero;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use builder::image::attributes::Attributes;
use builder::image::format::ImageFormat;
use builder::image::output;
use builder::linking::{ImageFacts, Libraries, first_dynamic, stands_in_for};
use builder::profile::folder::ProfileFolder;
use builder::profile::lock::{self, Builds, Locked};
use builder::profile::replacing::{self, Replacement};
use builder::store::{BuildRecord, Store};
use profiles::Name;

const JOBS: NonZero<usize> = NonZero::<usize>::MIN;

/// A store, and folders that become images in it.
struct Shop {
    folder: tempfile::TempDir,
    store: Store,
}

impl Shop {
    fn new() -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        Shop { folder, store }
    }

    fn compile(&self, compiler: &str, text: &str, to: &Path, words: &str) {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let source = self.folder.path().join("source.c");
        fs::write(&source, text).unwrap();
        let here = self.folder.path().to_str().unwrap();
        let words = words.split_whitespace().map(|word| word.replace('@', here));
        let mut command = Command::new(compiler);
        command.arg("-fPIC").arg("-o").arg(to).arg(&source).args(words);
        let output =
            command.output().unwrap_or_else(|error| panic!("{compiler}: {error}: run `make deps-test`"));
        assert!(output.status.success(), "{to:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Makes the folder `name` with `fill`, and an image of it.
    fn image(&self, name: &str, fill: impl FnOnce(&Path)) -> BuildRecord {
        let output = self.folder.path().join(name);
        fs::create_dir(&output).unwrap();
        fill(&output);
        let (tree, _) = output::tree_of(&output, &Attributes::of_package(&[])).unwrap();
        let scratch = self.store.scratch("test").unwrap();
        let options = ImageFormat::BOOTSTRAP.write_options(JOBS);
        let written = output::write(&tree, &options, &scratch.path().join("image")).unwrap();
        self.store.publish(&scratch.path().join("image"), &self.store.image_path(&written.digest)).unwrap();
        record::of(name, &written)
    }

    /// The C libraries of this machine, in a system with one `/usr`, and a first program.
    fn base(&self) -> BuildRecord {
        self.image("base", |root| {
            for folder in ["usr/bin", "usr/lib/x86_64-linux-gnu", "usr/lib64"] {
                fs::create_dir_all(root.join(folder)).unwrap();
            }
            for name in ["bin", "lib", "lib64"] {
                symlink(format!("usr/{name}"), root.join(name)).unwrap();
            }
            let copy = |from: &str, to: &str| fs::copy(from, root.join(to)).unwrap();
            copy("/lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/libc.so.6");
            copy("/lib64/ld-linux-x86-64.so.2", "usr/lib64/ld-linux-x86-64.so.2");
            copy("/lib/ld-musl-x86_64.so.1", "usr/lib/libc.so");
            symlink("libc.so", root.join("usr/lib/ld-musl-x86_64.so.1")).unwrap();
            self.compile("gcc", "int main(void) { return 0; }\n", &root.join("usr/bin/init"), "-static");
        })
    }

    /// A library that gives the function `gives`, and is called `libx.so.1`.
    fn library(&self, name: &str, gives: &str, words: &str) -> BuildRecord {
        self.image(name, |root| {
            let text: String =
                gives.split(' ').map(|it| format!("int {it}(void) {{ return 0; }}\n")).collect();
            let words = format!("-shared -Wl,-soname,libx.so.1 {words}");
            self.compile("gcc", &text, &root.join("usr/lib/libx.so.1.0"), &words);
            symlink("libx.so.1.0", root.join("usr/lib/libx.so.1")).unwrap();
        })
    }

    /// A program that is linked with the library of the folder `library`.
    fn program(&self, name: &str, compiler: &str, library: &str) -> BuildRecord {
        self.image(name, |root| {
            let text = "int one(void);\nint main(void) { return one(); }\n";
            let words = format!("@/{library}/usr/lib/libx.so.1.0");
            self.compile(compiler, text, &root.join(format!("usr/bin/{name}")), &words);
        })
    }

    fn lock(
        &self,
        layers: &[&BuildRecord],
        optional: &[&BuildRecord],
        lines: &str,
    ) -> builder::Result<Locked> {
        let names: Vec<&str> = layers.iter().map(|record| record.name.as_str()).collect();
        let file = self.folder.path().join("web.kdl");
        let text = format!(
            "profile \"web\" {{\n    packages {{ {}; }}\n    {lines}\n    init \"/bin/init\"\n}}\n",
            names.join("; ")
        );
        fs::write(&file, text).unwrap();
        let composition = ProfileFolder::new(self.folder.path().to_path_buf()).compose_file(&file)?;
        let builds = Builds { stack: layers.to_vec(), optional: optional.to_vec() };
        lock::lock(&composition, &builds, &self.store, JOBS)
    }

    fn facts(&self, record: &BuildRecord) -> ImageFacts {
        let image = self.store.open_image(&record.digest, record.verity.as_ref()).unwrap();
        ImageFacts::read(image.image()).unwrap()
    }

    fn libraries(&self, record: &BuildRecord) -> Libraries {
        let image = self.store.open_image(&record.digest, record.verity.as_ref()).unwrap();
        Libraries::read(image.image(), &self.facts(record)).unwrap()
    }
}

#[test]
fn what_no_layer_below_gives_is_refused_with_every_finding_until_it_is_allowed() {
    let shop = Shop::new();
    let (base, library) = (shop.base(), shop.library("library", "one", ""));
    let user = shop.program("user", "gcc", "library");
    let other = shop.program("other", "musl-gcc", "library");
    assert!(shop.lock(&[&base, &library, &user, &other], &[], "").unwrap().unresolved.is_empty());
    let message = shop.lock(&[&base, &user, &library, &other], &[], "").unwrap_err().to_string();
    assert_eq!(
        message,
        "profile web: programs and libraries of its layers need what neither their layer nor one below it has\n    \
         user: /usr/bin/user needs libx.so.1; library has it, and does not lie below user\n\
         help: let a package that has it lie below: name it in `depends` of the recipe, or before the other in `packages`; \
         for what is missing on purpose add to the profile\n    \
         unresolved \"libx.so.1\" from=\"user\""
    );
    let message = shop.lock(&[&base, &other, &user], &[], "").unwrap_err().to_string();
    for line in [
        "\n    other: /usr/bin/other needs libx.so.1\n    user: /usr/bin/user needs libx.so.1\nhelp: ",
        "\n    unresolved \"libx.so.1\" from=\"other\"\n    unresolved \"libx.so.1\" from=\"user\"",
    ] {
        assert!(message.contains(line), "{message}");
    }
    let lines = "unresolved \"libx.so.1\" from=\"user\"\n    unresolved \"liby.so\" from=\"user\"";
    let locked = shop.lock(&[&base, &user], &[], lines).unwrap();
    assert_eq!((locked.unresolved.len(), locked.idle_unresolved), (1, vec!["liby.so".to_owned()]));
    // Of another package it allows nothing.
    assert!(shop.lock(&[&base, &user, &other], &[], lines).is_err());
    // What can be added has the stack below it.
    assert!(shop.lock(&[&base, &library], &[&user, &other], "").is_ok());
    let message = shop.lock(&[&base], &[&library, &user], "").unwrap_err().to_string();
    assert!(message.contains("user: /usr/bin/user needs libx.so.1; library has it"), "{message}");
}

#[test]
fn a_version_that_the_library_below_lacks_is_refused() {
    let shop = Shop::new();
    let base = shop.base();
    let map =
        |version: &str| fs::write(shop.folder.path().join("map"), format!("{version} {{ global: *; }};\n"));
    let words = "-Wl,--version-script=@/map";
    map("X_2").unwrap();
    let new = shop.library("new", "one", words);
    map("X_1").unwrap();
    let old = shop.library("old", "one", words);
    let user = shop.program("user", "gcc", "new");
    assert!(shop.lock(&[&base, &new, &user], &[], "").is_ok());
    let message = shop.lock(&[&base, &old, &user], &[], "").unwrap_err().to_string();
    let line = "\n    user: /usr/bin/user needs version X_2 of libx.so.1 (/usr/lib/libx.so.1.0 does not define it)\n";
    assert!(message.contains(line), "{message}");
}

#[test]
fn what_was_read_of_an_image_is_kept_and_read_again_when_it_is_damaged() {
    let shop = Shop::new();
    let (base, library) = (shop.base(), shop.library("library", "one", ""));
    let user = shop.program("user", "gcc", "library");
    let lock = || shop.lock(&[&base, &user], &[], "").unwrap_err().to_string();
    let first = lock();
    let kept = shop.store.elf_path(&user.digest);
    let whole = fs::read_to_string(&kept).unwrap();
    assert!(whole.starts_with("{\"format\":1,\"facts\":{") && whole.contains("libx.so.1"), "{whole}");
    for damaged in [&whole[1..], "", "{}", &whole.replace("\"format\":1", "\"format\":2")] {
        fs::write(&kept, damaged).unwrap();
        assert_eq!(lock(), first);
        assert_eq!(fs::read_to_string(&kept).unwrap(), whole);
    }
    // It is what is believed.
    fs::write(&kept, whole.replace("libx.so.1", "liby.so.1")).unwrap();
    assert_ne!(lock(), first);
    // A link there is not followed, and a folder is no reason to fail.
    fs::remove_file(&kept).unwrap();
    fs::create_dir(&kept).unwrap();
    assert_eq!(lock(), first);
    assert!(shop.lock(&[&base, &library, &user], &[], "").is_ok());
}

#[test]
fn linkage_of_images_is_told_from_their_files() {
    let shop = Shop::new();
    let text = "int main(void) { return 0; }\n";
    for (name, compiler, words, dynamic) in [
        ("static", "gcc", "-static", false),
        ("static-pie", "gcc", "-static-pie", false),
        ("dynamic", "gcc", "", true),
        ("stripped", "gcc", "-s", true),
        ("musl-static", "musl-gcc", "-static", false),
        ("musl-dynamic", "musl-gcc", "", true),
        ("object", "gcc", "-c", false),
    ] {
        let record = shop.image(name, |root| {
            shop.compile(compiler, text, &root.join("usr/bin/program"), words);
            fs::hard_link(root.join("usr/bin/program"), root.join("usr/bin/again")).unwrap();
            fs::write(root.join("usr/bin/script"), "#!/bin/sh\n".repeat(100)).unwrap();
        });
        let facts = shop.facts(&record);
        assert_eq!(
            first_dynamic(&facts).map(|file| file.path.as_str()),
            dynamic.then_some("usr/bin/again"),
            "{name}"
        );
        assert_eq!((facts.files.len(), facts.unreadable.len()), (if dynamic { 2 } else { 0 }, 0), "{name}");
    }
    let elsewhere = shop.image("elsewhere", |root| {
        for folder in ["usr/lib/modules", "usr/lib/firmware", "usr/lib/debug"] {
            shop.compile("gcc", text, &root.join(folder).join("program"), "");
        }
    });
    assert_eq!(shop.facts(&elsewhere), ImageFacts::default());
    // A cut one is nothing that a loader loads, and no reason to refuse an image.
    let cut = shop.image("cut", |root| {
        shop.compile("gcc", text, &root.join("program"), "");
        let bytes = fs::read(root.join("program")).unwrap();
        fs::write(root.join("program"), &bytes[..700]).unwrap();
    });
    let facts = shop.facts(&cut);
    assert_eq!((facts.files.len(), facts.unreadable[0].path.as_str()), (0, "program"));
}

#[test]
fn a_library_takes_the_place_of_another_when_it_gives_as_much_at_the_same_path() {
    let shop = Shop::new();
    let map = |text: &str| fs::write(shop.folder.path().join("map"), text).unwrap();
    let words = "-Wl,--version-script=@/map";
    map("X_1 { global: one; };\nX_2 { global: two; };\n");
    let old = shop.libraries(&shop.library("old", "one two", words));
    assert_eq!(old.0.len(), 1);
    let judge = |new: &BuildRecord| {
        let differences = stands_in_for(&old, &shop.libraries(new)).err().unwrap_or_default();
        differences.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    map("X_1 { global: one; };\nX_2 { global: two; three; };\n");
    assert_eq!(judge(&shop.library("more", "one two three", words)), [] as [&str; 0]);
    map("X_1 { global: one; two; };\n");
    assert_eq!(
        judge(&shop.library("moved", "one two", words)),
        ["libx.so.1 does not define: X_2", "libx.so.1 lacks 1 symbol: two@X_2"]
    );
    map("X_1 { global: one; };\nX_2 { global: three; };\n");
    assert_eq!(judge(&shop.library("less", "one three", words)), ["libx.so.1 lacks 1 symbol: two@X_2"]);
    let plain = judge(&shop.library("plain", "one two", ""));
    assert!(plain[0].starts_with("libx.so.1 does not define: X_1, X_2"), "{plain:?}");
    assert_eq!(plain[1], "libx.so.1 lacks 2 symbols: one@X_1, two@X_2");
    let elsewhere = shop.image("elsewhere", |root| {
        let from = shop.folder.path().join("more/usr/lib/libx.so.1.0");
        fs::create_dir_all(root.join("usr/local/lib")).unwrap();
        fs::copy(from, root.join("usr/local/lib/libx.so.1")).unwrap();
    });
    assert_eq!(judge(&elsewhere), ["libx.so.1 is not at /usr/lib/libx.so.1"]);
    let nothing = shop.image("nothing", |root| fs::write(root.join("file"), "text").unwrap());
    assert_eq!(judge(&nothing), ["libx.so.1 is missing"]);
    let none = stands_in_for(&shop.libraries(&nothing), &old).unwrap_err();
    assert_eq!(none[0].to_string(), "there is no library to be replaced");
}

/// The figures of docs/linking.md come from here.
/// What was built with the one before stays as it is.
#[test]
fn a_library_is_put_in_the_place_of_another_by_locking_alone() {
    let shop = Shop::new();
    let (base, library) = (shop.base(), shop.library("library", "one", ""));
    let user = shop.program("user", "gcc", "library");
    let (newer, lesser) = (shop.library("newer", "one two", ""), shop.library("lesser", "two", ""));
    let replaced = |of: &str, by: &BuildRecord| {
        let replacements = [Replacement { of: Name::parse(of).unwrap(), by: by.clone() }];
        let builds = Builds { stack: vec![&base, &library, &user], optional: Vec::new() };
        let builds = replacing::replace(&Name::parse("web").unwrap(), builds, &replacements, &shop.store)?;
        shop.lock(&builds.stack, &[], "")
    };
    let digests =
        |locked: &Locked| locked.profile.images.iter().map(|image| image.digest).collect::<Vec<_>>();
    let locked = replaced("library", &newer).unwrap();
    assert_eq!(digests(&locked), [base.digest, newer.digest, user.digest]);
    let message = replaced("library", &lesser).unwrap_err().to_string();
    for part in
        ["cannot take the place of library", "libx.so.1 lacks 1 symbol: one", "built-with --using library"]
    {
        assert!(message.contains(part), "{part}: {message}");
    }
    let message = replaced("libary", &newer).unwrap_err().to_string();
    assert!(message.contains("package libary") && message.contains("no layer"), "{message}");
}

#[test]
fn locking_again_costs_next_to_nothing() {
    let shop = Shop::new();
    let (base, library) = (shop.base(), shop.library("library", "one", ""));
    let many = shop.image("many", |root| {
        let text = "int one(void);\nint main(void) { return one(); }\n";
        shop.compile("gcc", text, &root.join("usr/bin/0"), "@/library/usr/lib/libx.so.1.0");
        for number in 1..1000 {
            fs::copy(root.join("usr/bin/0"), root.join(format!("usr/bin/{number}"))).unwrap();
        }
    });
    let timed = || {
        let begun = Instant::now();
        shop.lock(&[&base, &library, &many], &[], "").unwrap();
        begun.elapsed()
    };
    let first = timed();
    let again = (0..5).map(|_| timed()).min().unwrap();
    fs::remove_dir_all(shop.store.root().join("elf")).unwrap();
    println!("1000 programs: {first:?} at first, {again:?} again");
    assert!(again < first.max(std::time::Duration::from_millis(200)), "{again:?} {first:?}");
}
