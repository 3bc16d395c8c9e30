//! What the commands list and check, also when something there is damaged, and what they say while they work.

mod program;

use std::fs;
use std::process::{Command, Stdio};

use program::{json, lamina, site, told};

#[test]
fn an_empty_store_is_sound_and_lists_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(json(folder.path(), &["store", "list", "--json"]), serde_json::json!([]));
    assert!(told(&lamina(folder.path(), &["store", "verify"])).contains("there is no store here"));
    program::make_store(folder.path());
    let report = json(folder.path(), &["store", "verify", "--json"]);
    let nothing = serde_json::json!({"images": 0, "sources": 0, "kernels": 0, "bytes": 0, "trees": 0, "records": 0, "id_texts": 0, "profiles": 0, "orphans": [], "findings": []});
    assert_eq!(report, nothing);
}

#[test]
fn verify_fails_when_an_image_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    program::make_store(folder.path());
    let name = format!("{}.sqfs", "0".repeat(64));
    fs::write(folder.path().join("store/images").join(&name), "x").unwrap();
    let output = lamina(folder.path(), &["store", "verify"]);
    assert_eq!(output.status.code(), Some(1));
    let message = told(&output);
    assert!(
        message.contains(&format!("images/{name}: its SHA-256 is")) && message.contains("help: remove it"),
        "{message}"
    );
}

#[test]
fn verify_fails_when_a_source_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    program::make_store(folder.path());
    let name = "0".repeat(64);
    fs::write(folder.path().join("store/sources").join(&name), "x").unwrap();
    let output = lamina(folder.path(), &["store", "verify"]);
    assert_eq!(output.status.code(), Some(1));
    let message = told(&output);
    assert!(message.contains(&format!("sources/{name}: its SHA-256 is 2d711642b726b04")), "{message}");
    assert!(message.contains("help: remove it; `lamina build` fetches it again"), "{message}");
    assert!(
        message.contains("0 images, 1 source (1 B), 0 trees, 0 records, 0 profiles: 1 wrong"),
        "{message}"
    );
}

#[test]
fn one_damaged_record_is_named_and_the_rest_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    program::make_store(folder.path());
    let id = "ab".repeat(32);
    let sound = format!(
        "build \"hello\" format=1 {{\n version \"2\"\n id \"{id}\"\n license \"MIT\"\n target \"x\"\n \
         image digest=\"sha256:{id}\" size=5\n}}\n"
    );
    let builds = folder.path().join("store/builds");
    fs::write(builds.join(format!("{id}.kdl")), &sound).unwrap();
    let listed = json(folder.path(), &["store", "list", "--json"]);
    assert_eq!((&listed[0]["name"], &listed[0]["image"]), (&"hello".into(), &"missing".into()));
    assert!(told(&lamina(folder.path(), &["store", "list"])).contains(" missing  id "));
    fs::write(builds.join("bad.kdl"), &sound[..30]).unwrap();
    for arguments in [&["store", "list"][..], &["store", "list", "--json"], &["store", "verify"]] {
        let output = lamina(folder.path(), arguments);
        let (message, found) = (told(&output), String::from_utf8_lossy(&output.stdout));
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
        assert!(found.contains("hello"), "{arguments:?}: {message}");
        assert!(message.contains("builds/bad.kdl: line 1: "), "{arguments:?}: {message}");
        assert!(message.contains("help: remove it"), "{arguments:?}: {message}");
    }
    let output = lamina(folder.path(), &["store", "list", "--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    // Two findings: the record, and the image that is missing.
    assert!(
        told(&lamina(folder.path(), &["store", "verify"]))
            .contains("0 images, 0 sources (0 B), 0 trees, 2 records, 0 profiles: 2 wrong")
    );
}

#[test]
fn one_bad_profile_is_named_and_the_rest_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("packages")).unwrap();
    fs::create_dir_all(folder.path().join("profiles")).unwrap();
    let profile = |name: &str, text: &str| {
        fs::write(folder.path().join(format!("profiles/{name}.kdl")), text).unwrap();
    };
    profile("bad", "profile \"bad\" {\n    pakages {\n    }\n}\n");
    profile("good", "profile \"good\" {\n    description \"works\"\n    root writable=\"no\"\n}\n");
    for arguments in [&["profile", "list"][..], &["profile", "list", "--json"]] {
        let output = lamina(folder.path(), arguments);
        let (message, found) = (told(&output), String::from_utf8_lossy(&output.stdout));
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(found.contains("works") && !found.contains("bad"), "{message}");
        assert!(
            message.contains("profiles/bad.kdl:2:") && message.contains("did you mean 'packages'?"),
            "{message}"
        );
    }
}

#[test]
fn long_work_shows_a_line_that_moves_on_a_terminal_and_plain_lines_elsewhere() {
    let folder = site();
    let plain = lamina(folder.path(), &["image", "create", "site"]);
    let expected = "reading site\nwriting site.sqfs: 6 B\nprotecting site.sqfs: 4.0 KiB\n";
    assert_eq!(String::from_utf8_lossy(&plain.stderr), expected);
    let plain = lamina(folder.path(), &["image", "protect", "site.sqfs"]);
    // Folders carry the time at which they were made, which compresses now better and now worse.
    let without_sizes = String::from_utf8_lossy(&plain.stderr).replace(|c: char| c.is_ascii_digit(), "");
    assert_eq!(without_sizes, "checking site.sqfs: . KiB\ncopying site.sqfs:  B\nprotecting site.sqfs:  B\n");
    program::make_store(folder.path());
    let plain = lamina(folder.path(), &["store", "verify", "--json"]);
    assert_eq!(String::from_utf8_lossy(&plain.stderr), "checking 0 images and 0 sources: 0 B\n");
    // script(1) gives it a terminal; what the terminal gets comes back, with a return before each newline.
    let line = format!("{} image create site", env!("CARGO_BIN_EXE_lamina"));
    let terminal = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("TERM", "xterm")
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .expect("script runs: apt-get install bsdutils");
    let shown = told(&terminal);
    assert!(terminal.status.success(), "{shown}");
    assert!(shown.contains("\r\x1b[K\x1b[?7lwriting site.sqfs: "), "{shown:?}");
    assert!(shown.contains("% of 4.0 KiB\x1b[?7h"), "{shown:?}");
    // The line is taken away before the result.
    assert!(shown.contains("\r\x1b[Ksite.sqfs 1"), "{shown:?}");
}

/// A store with an image and a profile that names it and another one. Gives the names of both images.
fn store_with_a_profile(folder: &std::path::Path) -> (String, String) {
    let made = json(folder, &["image", "create", "site", "--time", "0", "--json"]);
    let (digest, verity) = (made["digest"].as_str().unwrap(), &made["verity"]);
    let (missing, size) = ("1".repeat(64), &made["size"]);
    program::make_store(folder);
    let name = digest.replace("sha256:", "");
    fs::rename(folder.join("site.sqfs"), folder.join(format!("store/images/{name}.sqfs"))).unwrap();
    fs::create_dir(folder.join("store/profiles/web")).unwrap();
    for (number, optional) in [(1, ""), (3, "optional \"lost\" version=\"1\" digest=\"sha256:LOST\" size=5")]
    {
        let text = format!(
            "profile \"web\" format=1 {{\n    image \"site\" version=\"1\" digest=\"{digest}\" size={size} root-hash={} \
             salt={} data-blocks={} fec-roots={}\n    {}\n    root writable=\"no\"\n    verify \"none\"\n    init \"/init\"\n}}\n",
            verity["root_hash"],
            verity["salt"],
            verity["data_blocks"],
            verity["fec_roots"],
            optional.replace("LOST", &missing)
        );
        fs::write(folder.join(format!("store/profiles/web/{number}.kdl")), text).unwrap();
    }
    (format!("{name}.sqfs"), format!("{missing}.sqfs"))
}

#[test]
fn verify_reads_every_generation_of_every_profile() {
    let folder = site();
    let (_, missing) = store_with_a_profile(folder.path());
    let verify = |code| {
        let output = lamina(folder.path(), &["store", "verify"]);
        let message = told(&output);
        assert_eq!(output.status.code(), Some(code), "{message}");
        message
    };
    let message = verify(1);
    assert!(message.contains("profiles/web/3.kdl: its image lost 1 (images/1111"), "{message}");
    assert!(message.contains("is missing") && message.contains("2 profiles: 1 wrong"), "{message}");
    fs::write(folder.path().join("store/images").join(&missing), "other").unwrap();
    assert!(verify(1).contains("its SHA-256 is"));
    fs::remove_file(folder.path().join("store/images").join(&missing)).unwrap();
    // Cut short, as a power cut or a full disk does.
    let path = folder.path().join("store/profiles/web/3.kdl");
    let whole = fs::read(&path).unwrap();
    for bytes in [&whole[..0], &whole[..100], &whole[..whole.len() - 3]] {
        fs::write(&path, bytes).unwrap();
        let message = verify(1);
        assert!(
            message.contains("profiles/web/3.kdl: line ") && message.contains("lamina profile lock web"),
            "{message}"
        );
    }
    fs::remove_file(&path).unwrap();
    assert!(verify(0).contains("1 profile: all sound"));
    // In the folder of another profile, without its profile, or unreadable.
    fs::create_dir(folder.path().join("store/profiles/mail")).unwrap();
    fs::copy(folder.path().join("store/profiles/web/1.kdl"), folder.path().join("store/profiles/mail/1.kdl"))
        .unwrap();
    fs::write(folder.path().join("store/profiles/web/9.kdl.minisig"), "x").unwrap();
    fs::create_dir(folder.path().join("store/profiles/web/4.kdl")).unwrap();
    let message = verify(1);
    for part in [
        "profiles/mail/1.kdl: is the profile 'web'",
        "profiles/web/9.kdl.minisig: is the signature of no profile",
        "profiles/web/4.kdl: is not a regular file",
        "3 wrong",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn verify_lists_what_nobody_names_and_checks_what_only_a_profile_names() {
    let folder = site();
    let (name, _) = store_with_a_profile(folder.path());
    fs::remove_file(folder.path().join("store/profiles/web/3.kdl")).unwrap();
    let digest = |text: &[u8]| profiles::Digest::of(text).unwrap().0.hex();
    let orphan = format!("{}.sqfs", digest(b"orphan"));
    fs::write(folder.path().join("store/images").join(&orphan), "orphan").unwrap();
    let message = told(&lamina(folder.path(), &["store", "verify"]));
    assert!(
        message.contains(&format!("images/{orphan}: no build record and no profile names it")),
        "{message}"
    );
    assert!(message.contains("all sound") && !message.contains(&format!("{name}: no")), "{message}");
    let report = json(folder.path(), &["store", "verify", "--json"]);
    assert_eq!(report["orphans"], serde_json::json!([format!("images/{orphan}")]));
    // A wrong root hash in the profile: init would not get past it.
    let path = folder.path().join("store/profiles/web/1.kdl");
    let text = fs::read_to_string(&path).unwrap();
    let at = text.find("root-hash=\"").unwrap() + 11;
    fs::write(&path, format!("{}{}{}", &text[..at], "0".repeat(64), &text[at + 64..])).unwrap();
    let message = told(&lamina(folder.path(), &["store", "verify"]));
    assert!(message.contains(&name) && message.contains("does not match its hash"), "{message}");
}

#[test]
fn every_generation_of_every_profile_is_listed_with_its_digest() {
    let folder = site();
    store_with_a_profile(folder.path());
    let web = folder.path().join("store/profiles/web");
    let made = lamina(folder.path(), &["key", "create", "key", "--no-password"]);
    assert!(made.status.success(), "{}", told(&made));
    let signed = lamina(folder.path(), &["profile", "sign", "web", "--key", "key"]);
    assert!(signed.status.success(), "{}", told(&signed));
    // What is beside another generation is none of its.
    fs::copy(web.join("3.kdl.minisig"), web.join("1.kdl.minisig")).unwrap();
    fs::write(web.join("10.kdl"), "profile").unwrap();
    fs::write(web.join("04.kdl"), "no generation").unwrap();
    fs::create_dir(folder.path().join("store/profiles/empty")).unwrap();
    let digest = |number: u64| {
        let text = fs::read(web.join(format!("{number}.kdl"))).unwrap();
        profiles::Digest::of(text.as_slice()).unwrap().0.to_string()
    };
    // Without a tree the store speaks for itself.
    let generations = format!(
        "  generation 10 {}  newest\n  generation 3 {}  signed\n  generation 1 {}\n",
        digest(10),
        digest(3),
        digest(1)
    );
    let shown = told(&lamina(folder.path(), &["profile", "list"]));
    assert_eq!(shown, format!("web                         (not in this tree)\n{generations}"));
    for name in ["packages", "profiles"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let profile = |name: &str| {
        let text =
            format!("profile \"{name}\" {{\n    description \"A {name}\"\n    root writable=\"no\"\n}}\n");
        fs::write(folder.path().join(format!("profiles/{name}.kdl")), text).unwrap();
    };
    profile("web");
    profile("mail");
    let shown = told(&lamina(folder.path(), &["profile", "list"]));
    let mail = "mail             not locked A mail\n";
    assert_eq!(shown, format!("{mail}web                         A web\n{generations}"));
    let listed = json(folder.path(), &["profile", "list", "--json"]);
    assert_eq!(listed[0]["generations"], serde_json::json!([]));
    let expected = |number: u64, signed: bool, newest: bool| serde_json::json!({ "generation": number, "digest": digest(number), "signed": signed, "newest": newest, "kernel": null });
    let all = [expected(10, false, true), expected(3, true, false), expected(1, false, false)];
    assert_eq!(listed[1]["generations"], serde_json::json!(all));
    assert_eq!((&listed[1]["generation"], &listed[1]["digest"]), (&10.into(), &digest(10).into()));
}

#[test]
fn no_two_builds_look_alike_in_the_list() {
    let folder = tempfile::tempdir().unwrap();
    program::make_store(folder.path());
    let record = |id: &str, nodes: &str| {
        let id = id.repeat(32);
        let text = format!(
            "build \"hello\" format=1 {{\n version \"2\"\n id \"{id}\"\n license \"MIT\"\n target \"x\"\n{nodes}\n \
             image digest=\"sha256:{}\" size=5\n}}\n",
            "7".repeat(64)
        );
        fs::write(folder.path().join(format!("store/builds/{id}.kdl")), text).unwrap();
    };
    let layer = |name: &str, id: &str| {
        let hex = id.repeat(32);
        format!(" layer \"{name}\" version=\"1\" id=\"{hex}\" digest=\"sha256:{hex}\"\n")
    };
    record("a1", " variant \"static\"\n feature \"manual\" on=#true");
    record("a2", " variant \"shared\"\n feature \"manual\" on=#true\n depends \"musl\"\n depends \"zlib\"");
    record("a3", &format!("{}{}", layer("base", "01"), layer("musl", "02")));
    record("a4", &format!("{}{}", layer("base", "01"), layer("musl", "03")));
    let list = told(&lamina(folder.path(), &["store", "list"]));
    let ends: Vec<&str> = list.lines().map(|line| line.split(&"7".repeat(64)).nth(1).unwrap()).collect();
    assert_eq!(
        ends,
        [" static +manual", " shared +manual  needs musl zlib", "  of musl@02020202", "  of musl@03030303"]
    );
    assert!(list.contains("id a1a1a1a1a1a1  sha256:777"), "{list}");
}
