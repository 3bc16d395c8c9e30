//! Wrong uses: each is refused at once, with the object, the cause and what to do, and leaves nothing behind.

mod program;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use program::{lamina, site, told};

const HEX: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A command line, how its message begins, and a part of the remedy.
const CASES: &[(&[&str], &str, &str)] = &[
    (&["image", "create", "text"], "text: is not a directory", "give the folder"),
    (&["image", "create", "fifo"], "fifo: is not a directory", "give the folder"),
    (&["image", "create", "site", "--level", "99"], "--level 99: ", "give 1 to 22"),
    (&["image", "create", "site", "--block-size", "3"], "--block-size 3: ", "give 4, 8, 16"),
    (&["image", "create", "site", "-o", "site"], "site: ", "give the name of a file"),
    (&["image", "create", "site", "-o", "site/x.sqfs"], "site/x.sqfs: lies in the folder", "-o FILE"),
    (&["image", "create", "site", "-o", "no/x"], "no: cannot make a file", "choose a folder"),
    (&["image", "create", "site", "-o", "-"], "-: is standard output", "name of a file"),
    (&["image", "create", "site", "-o", "fifo"], "fifo: is a FIFO", "name of a file"),
    (&["image", "create", "site", "-o", "inside"], "inside: lies in the folder", "-o FILE"),
    (&["image", "protect", "site.sqfs", "-o", "fifo"], "fifo: is a FIFO", "name of a file"),
    (&["image", "protect", "site.sqfs", "-o", "-"], "-: is standard output", "name of a file"),
    (&["image", "inspect", "site"], "site: is not a regular file", "give the file of an image"),
    (&["image", "inspect", "none.sqfs"], "none.sqfs: No such file", "check the path"),
    (
        &["image", "inspect", "none"],
        "package none: has no build in this store",
        "the path of an image has a slash",
    ),
    (&["image", "verify", "site.sqfs"], "site.sqfs: nothing says which root hash", "give `--root-hash HEX`"),
    (&["image", "inspect", "cut.sqfs"], "cut.sqfs: its squashfs has", "get or make it again"),
    (&["image", "inspect", "text"], "text: is no image", "make one with"),
    (&["image", "verify", "cut.sqfs", "--root-hash", HEX], "cut.sqfs: ", "get or make it again"),
    (&["image", "verify", "site.sqfs", "--root-hash", HEX], "site.sqfs: ", "another image"),
    (&["image", "verify", "site.sqfs", "--root-hash", "xyz"], "--root-hash xyz: ", "64 hexadecimal"),
    (&["image", "cat", "site.sqfs", "etc"], "site.sqfs: etc: not a regular file", "inspect site.sqfs"),
    (&["image", "cat", "..", "etc"], "'..': ", "give a package"),
    (&["image", "protect", "cut.sqfs"], "cut.sqfs: ", "get or make it again"),
    (&["image", "protect", "/dev/null"], "/dev/null: is not a regular file", "give the file"),
    (&["image", "protect", "site.sqfs", "-o", "site"], "site: is a folder", "give the name of a file"),
    (&["store", "list", "--store", "fifo"], "fifo: is not a folder", "--store DIR"),
    (&["store", "list", "--store", ""], "--store: is empty", "give a folder"),
    (&["store", "verify", "--store", "/proc/none"], "/proc/none: there is no store here", "--store DIR"),
    (&["build", "x", "--tree", ""], "--tree: is empty", "give a folder"),
    (&["build", "x", "--tree", "site"], "site: has no folder packages/", "--tree DIR"),
    (&["build"], "targets: ", "lamina build console"),
    (&["build", "../x"], "'../x': the name ", "give the name of a package"),
    (&["build", "x"], "'x': is neither a package nor a profile", "is it the right tree?"),
    (&["build", "x", "--with", "a", "--without", "a"], "--with a: and --without a", "give one of them"),
    (&["build", "x", "--dry-run", "--check"], "--dry-run: and --check", "give one of them"),
    (&["build", "--all", "--profile"], "--all: and --profile", "give one of them"),
    (&["build", "x", "--explain-id", "--json"], "--explain-id: and --json", "give one of them"),
    (&["medium", "create", "disk"], "medium: no profile", "--profile NAME"),
    (&["medium", "create", "disk", "--profile", "a/b"], "'a/b': ", "lamina profile list"),
    (
        &["medium", "create", "disk", "--profile", "web"],
        "profile web: has not been locked",
        "lamina build web",
    ),
    (&["profile", "check", "none"], "profile none: ", "is it the right tree?"),
    (&["profile", "check", "./none.kdl"], "./none.kdl: No such file", "check the path"),
    (&["profile", "check", "./fifo"], "./fifo: is not a regular file", "put a text file there"),
    (&["profile", "lock"], "profiles: none is named", "lamina profile list"),
    (&["profile", "sign", "web", "--key", "text"], "profile web: ", "lamina build web"),
    (&["profile", "verify", "web", "--public-key", "text"], "profile web: ", "lamina build web"),
    (&["key", "create", "text"], "text: is there already", "another name"),
    (&["key", "create", "no/key"], "no: cannot make a file", "choose a folder"),
    (&["kernel", "check", "fifo"], "fifo: is neither a regular file nor a folder", "give a kernel package"),
    (&["kernel", "check", "site"], "site: it holds no kernel", "give a linux-image package"),
    (&["kernel", "check", "none"], "none: ", "check the path"),
    (&["kernel", "build", "--fragment", "none"], "none: ", "or one of core, media"),
    (
        &["kernel", "build", "--fragment", "text", "--dry-run"],
        "text:1:1: `hello` is no setting",
        "a line is CONFIG_X=y, =m, =n,",
    ),
    (&["kernel", "build", "--fragment", "text"], "text:1:1: `hello` is no setting", "a line is CONFIG_X=y,"),
    (&["report", "fifo"], "fifo: is not a regular file", "give a report"),
    (&["report", "site"], "site: is not a regular file", "give a report"),
    (&["report", "text"], "text: is no JSON", "give a report"),
    (&["report", "--svg", "--json"], "--svg: and --json", "give one of them"),
    (&["why"], "why: no path", "lamina why /etc/motd"),
    (&["man", "text"], "text: ", "give a folder"),
    (&["completions", "sh"], "shell 'sh': ", "did you mean 'zsh'?"),
];

/// A folder with an image, a cut image, a FIFO, an empty tree of recipes, and a store.
fn workshop() -> tempfile::TempDir {
    let folder = site();
    let path = |name: &str| folder.path().join(name);
    for name in ["packages", "profiles"] {
        fs::create_dir(path(name)).unwrap();
    }
    assert!(lamina(folder.path(), &["image", "create", "site"]).status.success());
    let image = fs::read(path("site.sqfs")).unwrap();
    fs::write(path("cut.sqfs"), &image[..100]).unwrap();
    fs::write(path("text"), "hello\n").unwrap();
    std::os::unix::fs::symlink("site/not-yet", path("inside")).unwrap();
    let made =
        Command::new("mkfifo").arg(path("fifo")).status().expect("mkfifo runs: apt-get install coreutils");
    assert!(made.success());
    folder
}

/// Runs it with a bound: a wrong use that waits for a FIFO must fail the test, not hold it up.
fn refused(folder: &Path, arguments: &[&str]) -> Output {
    Command::new("timeout")
        .args([&["60", env!("CARGO_BIN_EXE_lamina")], arguments].concat())
        .env("LAMINA_STORE", folder.join("store"))
        .env_remove("LAMINA_TREE")
        .current_dir(folder)
        .output()
        .expect("timeout runs: apt-get install coreutils")
}

#[test]
fn every_refusal_names_object_cause_and_remedy() {
    let folder = workshop();
    let before = names(folder.path());
    for (arguments, object, remedy) in CASES {
        let output = refused(folder.path(), arguments);
        let message = told(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
        let error = message.lines().find(|line| line.starts_with("lamina: ")).unwrap_or_default();
        assert!(error.starts_with(&format!("lamina: {object}")), "{arguments:?}: {message}");
        assert!(message.contains(remedy), "{arguments:?}: {message}");
    }
    let after: Vec<String> = names(folder.path()).into_iter().filter(|name| name != "store").collect();
    assert_eq!(after, before);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_command_line_that_is_not_understood_ends_with_status_two() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, part) in [
        (&["store", "verify", "--josn"][..], "did you mean '--json'?"),
        (&["stroe", "list"], "did you mean 'store'?"),
        (&["image", "create", "x", "--jobs", "0"], "--jobs"),
        (&["image", "create", "x", "--time", "-1"], "--time"),
        (&["image", "verify"], "IMAGE is missing"),
        (&["store", "list", "--store"], "--store has no value"),
        (&[], "lamina --help"),
    ] {
        let output = refused(folder.path(), arguments);
        let message = told(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(part), "{arguments:?}: {message}");
    }
}

#[test]
fn a_full_disk_leaves_no_half_a_file() {
    let folder = workshop();
    let before = names(folder.path());
    // No file may grow beyond 0 bytes, as on a full disk (the shell's ulimit; setrlimit(2), RLIMIT_FSIZE).
    for arguments in [
        "image create site -o new.sqfs",
        "image protect site.sqfs",
        "image protect site.sqfs -o new.sqfs",
        "key create --no-password new.key",
        "man .",
    ] {
        let script = format!("trap '' XFSZ; ulimit -f 0; exec \"$0\" {arguments}");
        let output = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_lamina")])
            .env("LAMINA_STORE", folder.path().join("store"))
            .current_dir(folder.path())
            .output()
            .unwrap();
        let message = told(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments}: {message}");
        assert!(message.contains("File too large"), "{arguments}: {message}");
        assert!(message.contains("help: make room"), "{arguments}: {message}");
        assert_eq!(names(folder.path()), before, "{arguments}");
    }
}

/// Puts the image into the store, and a profile `web` that names it. Gives the image's name.
fn fill_store(folder: &Path) -> String {
    let digest = builder::digest::digest_file(&folder.join("site.sqfs")).unwrap().0;
    let (name, size) =
        (format!("{}.sqfs", digest.hex()), fs::metadata(folder.join("site.sqfs")).unwrap().len());
    program::make_store(folder);
    fs::copy(folder.join("site.sqfs"), folder.join("store/images").join(&name)).unwrap();
    fs::create_dir(folder.join("store/profiles/web")).unwrap();
    let text = format!(
        "profile \"web\" format=1 {{\n    image \"site\" version=\"1\" digest=\"{digest}\" size={size}\n    \
         root writable=\"no\"\n    verify \"none\"\n    init \"/init\"\n}}\n"
    );
    fs::write(folder.join("store/profiles/web/1.kdl"), text).unwrap();
    name
}

#[test]
fn two_commands_may_fill_one_medium() {
    let folder = workshop();
    let name = fill_store(folder.path());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let output =
                    lamina(folder.path(), &["medium", "create", "disk", "--profile", "web", "--json"]);
                assert!(output.status.success(), "{}", told(&output));
            });
        }
    });
    let images = folder.path().join("disk/images");
    assert_eq!(names(&images), [name.as_str()]);
    assert_eq!(fs::read(images.join(&name)).unwrap(), fs::read(folder.path().join("site.sqfs")).unwrap());
    assert_eq!(names(&folder.path().join("disk/boot")), ["a", "b"]);
}

#[test]
fn a_damaged_image_goes_onto_no_medium() {
    let folder = workshop();
    let stored = folder.path().join("store/images").join(fill_store(folder.path()));
    let mut bytes = fs::read(&stored).unwrap();
    bytes[200] ^= 1;
    fs::write(&stored, bytes).unwrap();
    let output = lamina(folder.path(), &["medium", "create", "disk", "--profile", "web"]);
    let message = told(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains("the file was changed or damaged") && message.contains("store verify"),
        "{message}"
    );
    assert!(!folder.path().join("disk").exists(), "nothing of it is there");
}
