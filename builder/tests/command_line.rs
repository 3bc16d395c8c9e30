//! The command as a program: images, media, messages, and what a killed command leaves.

mod program;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use program::{json, lamina, site, told};

#[test]
fn an_image_is_made_and_inspected() {
    let folder = site();
    let made = json(folder.path(), &["image", "create", "site", "--all-root", "--time=0", "--json"]);
    assert_eq!(made["file"], "site.sqfs");
    assert_eq!(made["size"].as_u64(), Some(fs::metadata(folder.path().join("site.sqfs")).unwrap().len()));
    let seen = json(folder.path(), &["image", "inspect", "site.sqfs", "--files", "--json"]);
    let paths: Vec<&str> =
        seen["files"].as_array().unwrap().iter().map(|it| it["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["", "etc", "etc/motd"]);
    let cat = |path: &str| lamina(folder.path(), &["image", "cat", "site.sqfs", path]);
    assert_eq!(cat("/etc/motd").stdout, b"hello\n");
    let message = told(&cat("etc/mtod"));
    assert!(
        message.contains("site.sqfs: etc/mtod: ") && message.contains("inspect site.sqfs --files"),
        "{message}"
    );
    assert_eq!((seen["content"].as_u64(), seen["block_size"].as_u64()), (Some(6), Some(131_072)));
    let text = told(&lamina(folder.path(), &["image", "inspect", "site.sqfs", "--files"]));
    assert!(text.contains("/etc/motd") && text.contains("ratio"), "{text}");
}

#[test]
fn no_two_names_of_an_image_are_one_in_json() {
    use std::os::unix::ffi::OsStrExt;
    let folder = site();
    for name in [&b"\xff"[..], b"\xfe", b"\\xff", "\u{fffd}".as_bytes()] {
        fs::write(folder.path().join("site").join(std::ffi::OsStr::from_bytes(name)), "").unwrap();
    }
    json(folder.path(), &["image", "create", "site", "--json"]);
    let seen = json(folder.path(), &["image", "inspect", "site.sqfs", "--files", "--json"]);
    let paths: Vec<_> = seen["files"].as_array().unwrap().iter().map(|file| file["path"].clone()).collect();
    let expected = serde_json::json!(["", "\\xff", "etc", "etc/motd", "\u{fffd}", [0xfe], [0xff]]);
    assert_eq!(serde_json::Value::from(paths), expected);
}

#[test]
fn a_relative_folder_of_data_is_ignored() {
    let folder = site();
    let output = Command::new(env!("CARGO_BIN_EXE_lamina"))
        .args(["store", "list", "--verbose"])
        .env_remove("LAMINA_STORE")
        .env("XDG_DATA_HOME", "relative")
        .env("HOME", folder.path())
        .current_dir(folder.path())
        .output()
        .unwrap();
    let expected = format!("store: {}", folder.path().join(".local/share/lamina/store").display());
    assert!(told(&output).contains(&expected), "{}", told(&output));
}

#[test]
fn an_image_with_verity_is_the_same_every_time_and_veritysetup_accepts_it() {
    let folder = site();
    let path = |name: &str| folder.path().join(name);
    let create = |name: &str, jobs: &str| {
        let arguments = ["image", "create", "site", "--time=0", "--json", "--jobs", jobs, "-o", name];
        json(folder.path(), &arguments)
    };
    let (made, again) = (create("a.sqfs", "1"), create("b.sqfs", "4"));
    assert_eq!(fs::read(path("a.sqfs")).unwrap(), fs::read(path("b.sqfs")).unwrap());
    assert_eq!((&made["digest"], &made["verity"]), (&again["digest"], &again["verity"]));
    assert_eq!(made["size"].as_u64(), Some(fs::metadata(path("a.sqfs")).unwrap().len()));
    let digest = builder::digest::digest_file(&path("a.sqfs")).unwrap().0;
    assert_eq!(made["digest"], digest.to_string());

    let verity = &made["verity"];
    let root_hash = verity["root_hash"].as_str().unwrap();
    veritysetup_accepts(folder.path(), "a.sqfs", verity);

    let seen = json(folder.path(), &["image", "inspect", "a.sqfs", "--json"]);
    for name in ["root_hash", "salt", "data_blocks", "hash_offset", "fec_roots", "fec_offset"] {
        assert_eq!(seen["verity"][name], verity[name], "{name}");
    }
    let text = told(&lamina(folder.path(), &["image", "inspect", "a.sqfs"]));
    assert!(text.contains(verity["salt"].as_str().unwrap()) && text.contains("2 roots"), "{text}");
    let verify = |file: &str, root_hash: &str| {
        lamina(folder.path(), &["image", "verify", file, "--root-hash", root_hash])
    };
    assert!(verify("a.sqfs", root_hash).status.success());
    let mut bytes = fs::read(path("a.sqfs")).unwrap();
    bytes[200] ^= 1;
    fs::write(path("b.sqfs"), bytes).unwrap();
    lamina(folder.path(), &["image", "create", "site", "--no-verity", "-o", "bare.sqfs"]);
    for (file, root_hash, part) in [
        ("b.sqfs", root_hash, "b.sqfs: data block 0 (byte 0) does not match its hash"),
        ("a.sqfs", &"0".repeat(64), "the root hash is that of another image"),
        ("a.sqfs", "abc", "--root-hash abc: "),
        ("bare.sqfs", root_hash, "bare.sqfs: has no dm-verity tree"),
    ] {
        let output = verify(file, root_hash);
        assert_eq!(output.status.code(), Some(1), "{file}");
        assert!(told(&output).contains(part), "{part} in\n{}", told(&output));
    }
}

/// veritysetup checks the file against the numbers that a command printed as JSON.
fn veritysetup_accepts(folder: &Path, file: &str, verity: &serde_json::Value) {
    let judge = Command::new("/usr/sbin/veritysetup")
        .args(["verify", file, file, verity["root_hash"].as_str().unwrap()])
        .arg(format!("--fec-device={file}"))
        .arg(format!("--hash-offset={}", verity["hash_offset"]))
        .arg(format!("--fec-offset={}", verity["fec_offset"]))
        .arg(format!("--fec-roots={}", verity["fec_roots"]))
        .current_dir(folder)
        .output()
        .expect("veritysetup runs: apt-get install cryptsetup-bin");
    assert!(judge.status.success(), "{file}: {}", told(&judge));
}

/// Runs a program of another package in `folder`.
fn tool(folder: &Path, package: &str, program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}: apt-get install {package}"));
    assert!(output.status.success(), "{program}: {}", told(&output));
    output
}

#[test]
fn images_that_others_made_are_protected_and_read_as_before() {
    let folder = site();
    let numbers: String = (0..100_000).map(|number| format!("{number}\n")).collect();
    fs::write(folder.path().join("site/numbers"), numbers).unwrap();
    let path = |name: &str| folder.path().join(name);
    let tool = |package, program, arguments: &[&str]| tool(folder.path(), package, program, arguments);
    tool("squashfs-tools", "mksquashfs", &["site", "foreign.sqfs", "-nopad", "-comp", "gzip", "-quiet"]);
    tool("erofs-utils", "mkfs.erofs", &["foreign.erofs", "site"]);
    for (name, kind) in [("foreign.sqfs", "squashfs"), ("foreign.erofs", "erofs")] {
        let before = fs::read(path(name)).unwrap();
        let made = json(folder.path(), &["image", "protect", name, "-o", "out", "--json"]);
        assert_eq!(made["file_system"], kind);
        assert_eq!(fs::read(path(name)).unwrap(), before, "only the output is written");
        let after = fs::read(path("out")).unwrap();
        let own = before.len().min(after.len());
        assert!(after.len() > before.len() && after[..own] == before[..own], "{name}");
        assert_eq!(made["size"].as_u64(), Some(after.len() as u64));
        veritysetup_accepts(folder.path(), "out", &made["verity"]);
        // In place, and again: what is protected already comes out the same.
        for jobs in ["1", "3"] {
            let again = json(folder.path(), &["image", "protect", name, "--jobs", jobs, "--json"]);
            assert_eq!((&again["digest"], &again["verity"]), (&made["digest"], &made["verity"]));
            assert_eq!(fs::read(path(name)).unwrap(), after);
        }
        let root_hash = made["verity"]["root_hash"].as_str().unwrap();
        assert!(lamina(folder.path(), &["image", "verify", name, "--root-hash", root_hash]).status.success());
    }
    tool("squashfs-tools", "unsquashfs", &["-quiet", "-d", "unpacked", "foreign.sqfs"]);
    assert_eq!(fs::read(path("unpacked/numbers")).unwrap(), fs::read(path("site/numbers")).unwrap());
    tool("erofs-utils", "fsck.erofs", &["foreign.erofs"]);
    let message = told(&lamina(folder.path(), &["image", "protect", "site/numbers"]));
    assert!(message.contains("site/numbers: is no image") && message.contains("help: make one"), "{message}");
}

#[test]
fn what_is_no_image_is_refused_at_once_and_named_once() {
    let folder = site();
    tool(folder.path(), "coreutils", "mkfifo", &["fifo"]);
    let hex = "0".repeat(64);
    for arguments in [
        &["image", "inspect", "fifo"][..],
        &["image", "cat", "./fifo", "etc/motd"],
        &["image", "protect", "fifo"],
        &["image", "verify", "fifo", "--root-hash", &hex],
    ] {
        let lamina = [&["20", env!("CARGO_BIN_EXE_lamina")], arguments].concat();
        let output = Command::new("timeout").args(&lamina).current_dir(folder.path()).output().unwrap();
        let message = told(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
        assert!(message.contains("not a regular file"), "{message}");
        assert_eq!(message.matches("fifo").count(), 1, "{message}");
    }
    program::make_store(folder.path());
    let name = format!("store/images/{hex}.sqfs");
    std::os::unix::fs::symlink("nowhere", folder.path().join(&name)).unwrap();
    let output = lamina(folder.path(), &["store", "verify"]);
    let message = told(&output);
    assert!(message.contains(&format!("images/{hex}.sqfs: is a symbolic link")), "{message}");
    assert!(message.contains("1 wrong"), "{message}");
}

#[test]
fn an_erofs_is_inspected_and_a_protected_image_keeps_its_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let folder = site();
    tool(folder.path(), "erofs-utils", "mkfs.erofs", &["site.erofs", "site"]);
    let path = folder.path().join("site.erofs");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let made = json(folder.path(), &["image", "protect", "site.erofs", "--json"]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let seen = json(folder.path(), &["image", "inspect", "site.erofs", "--json"]);
    assert_eq!((&seen["file_system"], &seen["verity"]), (&"erofs".into(), &made["verity"]));
    let text = told(&lamina(folder.path(), &["image", "inspect", "site.erofs"]));
    assert!(text.starts_with("site.erofs: erofs, ") && text.contains("root hash"), "{text}");
    let refused = told(&lamina(folder.path(), &["image", "inspect", "site.erofs", "--files"]));
    assert!(refused.contains("dump.erofs"), "{refused}");
}

#[test]
fn jobs_do_not_change_the_bytes_and_levels_do() {
    let folder = site();
    let text: String = (0..200_000).map(|number| format!("{number}\n")).collect();
    fs::write(folder.path().join("site/numbers"), text).unwrap();
    let digest = |extra: &[&str]| {
        json(folder.path(), &[&["image", "create", "site", "--time", "0", "--json"], extra].concat())["digest"].clone()
    };
    assert_eq!(digest(&["--jobs", "1"]), digest(&["--jobs", "4"]));
    assert_ne!(digest(&["--level", "1"]), digest(&["--level", "15"]));
    assert_ne!(digest(&["--block-size", "4"]), digest(&["--block-size", "128"]));
}

#[test]
fn a_killed_image_create_leaves_nothing() {
    let folder = site();
    let random = fs::File::create(folder.path().join("site/random")).unwrap();
    // Much to compress, quickly made: a sparse file would be skipped, so repeat a real one.
    let mut source = fs::File::open("/dev/urandom").unwrap();
    std::io::copy(&mut std::io::Read::take(&mut source, 64 << 20), &mut &random).unwrap();
    for signal in [nix::sys::signal::Signal::SIGTERM, nix::sys::signal::Signal::SIGKILL] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lamina"))
            .args(["image", "create", "site", "-o", "out.sqfs", "--level", "19"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It has the nameless file open as soon as it writes.
        let files = format!("/proc/{}/fd", child.id());
        let writes = || {
            fs::read_dir(&files).unwrap().flatten().any(|it| {
                fs::read_link(it.path()).is_ok_and(|to| {
                    to.starts_with(folder.path()) && to.to_string_lossy().contains("(deleted)")
                })
            })
        };
        while !writes() {
            assert_eq!(child.try_wait().unwrap(), None, "it ended before it could be killed");
            std::thread::yield_now();
        }
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        assert!(!child.wait().unwrap().success());
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["site"], "{signal}");
    }
}

#[test]
fn messages_name_object_cause_and_remedy() {
    let folder = site();
    let cases: [(&[&str], i32, &[&str]); 8] = [
        (&["bild"], 2, &["there is no command 'bild'", "did you mean 'build'?"]),
        (&["image", "inspct", "x"], 2, &["lamina image: there is no command", "did you mean 'inspect'?"]),
        (&["build"], 1, &["neither it nor a folder above it has a folder packages/", "--tree DIR"]),
        (&["image", "inspect", "no.sqfs"], 1, &["no.sqfs", "No such file"]),
        (&["image", "inspect", "site/etc/motd"], 1, &["site/etc/motd"]),
        (&["image", "create", "nowhere"], 1, &["nowhere", "No such file"]),
        (
            &["image", "create", "site", "-o", "a/b/c"],
            1,
            &["a/b: cannot make a file", "help: choose a folder"],
        ),
        (&["completions", "bsah"], 1, &["shell 'bsah'", "did you mean 'bash'?"]),
    ];
    for (arguments, code, parts) in cases {
        let output = lamina(folder.path(), arguments);
        let message = told(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
        for part in parts {
            assert!(message.contains(part), "{arguments:?}: {part} in\n{message}");
        }
    }
}

#[test]
fn help_completions_and_manual_pages_are_there() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, part) in [
        (vec!["--help"], "lamina build console"),
        (vec!["build", "--help"], "--dry-run"),
        (vec!["completions", "bash"], "complete -F _lamina"),
        (vec!["completions", "zsh"], "#compdef lamina"),
        (vec!["completions", "fish"], "complete -c lamina"),
    ] {
        let output = lamina(folder.path(), &arguments);
        assert!(output.status.success() && told(&output).contains(part), "{arguments:?}: {}", told(&output));
    }
    let fish = told(&lamina(folder.path(), &["completions", "fish"]));
    assert!(!fish.contains("commandline -x"), "fish 3 does not know -x");
    assert!(lamina(folder.path(), &["man", "pages"]).status.success());
    let page = fs::read_to_string(folder.path().join("pages/lamina-profile-lock.1")).unwrap();
    assert!(page.starts_with(".TH LAMINA-PROFILE-LOCK 1\n"), "{page}");
}

/// A byte that was flipped on the disk is neither printed nor hidden.
#[test]
fn cat_mends_what_it_prints_or_prints_nothing() {
    let folder = site();
    // Not compressible, so that a flipped byte would be a wrong letter and no error of the decompressor.
    let text: Vec<u8> = (0..40_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    fs::write(folder.path().join("site/etc/noise"), &text).unwrap();
    assert!(lamina(folder.path(), &["image", "create", "site"]).status.success());
    let image = folder.path().join("site.sqfs");
    let sound = fs::read(&image).unwrap();
    let cat = |damage: &mut dyn Iterator<Item = usize>| {
        let mut bytes = sound.clone();
        damage.for_each(|offset| bytes[offset] ^= 1);
        fs::write(&image, bytes).unwrap();
        lamina(folder.path(), &["image", "cat", "site.sqfs", "etc/noise"])
    };
    let output = cat(&mut [9000].into_iter());
    assert!(output.status.success() && output.stdout == text, "{}", told(&output));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("warning: site.sqfs: 1 damaged block, mended by error correction"), "{message}");
    let output = cat(&mut (8192..60_000).step_by(4096));
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    let message = told(&output);
    assert!(message.contains("site.sqfs") && message.contains("does not match its hash"), "{message}");
    assert!(message.contains("help: "), "{message}");
    let output = cat(&mut [].into_iter());
    assert!(output.stdout == text && output.stderr.is_empty());
}

#[test]
fn an_image_goes_to_the_end_of_a_link_and_the_link_stays() {
    let folder = site();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("there")).unwrap();
    std::os::unix::fs::symlink("there/image", path("link")).unwrap();
    let is_link = || fs::symlink_metadata(path("link")).unwrap().is_symlink();
    for arguments in [
        &["image", "create", "site", "-o", "link", "--no-verity"][..],
        &["image", "protect", "link"],
        &["image", "create", "site", "-o", "link", "--level", "1"],
    ] {
        let before = fs::read(path("there/image")).unwrap_or_default();
        let made = json(folder.path(), &[arguments, &["--json"]].concat());
        assert!(is_link() && fs::read(path("there/image")).unwrap() != before, "{arguments:?}");
        assert_eq!(made["size"], fs::metadata(path("there/image")).unwrap().len(), "{arguments:?}");
        assert_eq!(fs::read_dir(path("there")).unwrap().count(), 1);
    }
}

#[test]
fn what_lies_behind_a_file_system_is_not_dropped_in_silence() {
    let folder = site();
    let path = |name: &str| folder.path().join(name);
    let run = |arguments: &[&str]| lamina(folder.path(), &[&["image"], arguments].concat());
    assert!(run(&["create", "site", "-o", "plain", "--no-verity"]).status.success());
    assert!(run(&["protect", "plain", "-o", "whole"]).status.success());
    let (plain, whole) = (fs::read(path("plain")).unwrap(), fs::read(path("whole")).unwrap());
    let with = |bytes: &[u8], more: &[u8]| [bytes, more].concat();
    let changed = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    // bytes_used of the superblock (squashfs_fs.h of the kernel); behind it mksquashfs and we pad to 4 KiB.
    let own = u64::from_le_bytes(plain[40..48].try_into().unwrap()) as usize;
    assert_eq!(plain.len(), 4096);
    for (bytes, part) in [
        (with(&plain, b"key"), format!("something lies behind its squashfs of {own} bytes, from byte 4096")),
        (with(&plain, &[&[0; 9000][..], b"x"].concat()), format!("from byte {}", 4096 + 9000)),
        (with(&whole, b"key"), "too long or too short".to_owned()),
        (changed(own), format!("from byte {own}")),
        (changed(4096 + 8), "it has another hash".to_owned()),
        // The data, behind the superblock of the squashfs.
        (changed(100), "is not the one that was written".to_owned()),
    ] {
        for output in ["image", "other"] {
            fs::write(path("image"), &bytes).unwrap();
            let message = told(&run(&["protect", "image", "-o", output]));
            assert!(message.contains(&part), "{part} in {message}");
            let cut = format!("truncate -s {own} FILE");
            assert!(message.contains("help: ") && message.contains(&cut), "{message}");
            assert!(fs::read(path("image")).unwrap() == bytes && !path("other").exists());
        }
    }
    // Zeros hold nothing, and error correction that is damaged is made again.
    for bytes in [with(&plain, &[0; 4096]), changed(whole.len() - 1)] {
        fs::write(path("image"), bytes).unwrap();
        let output = run(&["protect", "image"]);
        assert!(output.status.success(), "{}", told(&output));
        assert_eq!(fs::read(path("image")).unwrap(), whole);
    }
}
