//! Which layer gave a file: a system of four layers, as overlayfs would join them.

mod fixture;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use fixture::Fixture;
use nix::sys::stat::{Mode, SFlag, mknod};
use running::why::{Verdict, why};

/// Layers a, b, c, bottom first, and a writable top.
fn system() -> Fixture {
    let system = Fixture::new(&["a", "b", "c"]);
    for layer in ["a", "b"] {
        system.file(layer, "etc/motd", "hello");
    }
    system.file("a", "etc/only-a", "12345678");
    system.file("c", "etc/c.conf", "");
    system.file("a", "usr/bin/sh", "#");
    symlink("usr/bin", system.layer("a").join("bin")).unwrap();
    symlink("../usr/lib/os-release", system.layer("b").join("etc/os-release")).unwrap();
    system
}

fn whiteout(system: &Fixture, layer: &str, path: &str) {
    let path = system.layer(layer).join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    mknod(&path, SFlag::S_IFCHR, Mode::empty(), 0).unwrap();
}

fn ask(system: &Fixture, path: &str) -> (Verdict, String) {
    let answers = why(&system.system(), Path::new("/etc"), &[PathBuf::from(path)]).unwrap();
    (answers[0].verdict, answers[0].text())
}

#[test]
fn a_name_forges_no_line_and_no_terminal_obeys_it() {
    let system = system();
    let name = "/etc/a\n  from      c 1\u{1b}[2J\u{9b}1m\u{202e}ü";
    symlink(format!("/gone{name}"), system.layer("c").join("etc/link")).unwrap();
    system.file("c", name.trim_start_matches('/'), "x");
    for path in [name, "/etc/link"] {
        let text = ask(&system, path).1;
        assert!(text.contains(r"a\n  from      c 1\u{1b}[2J\u{9b}1m\u{202e}ü"), "{text}");
        assert!(
            !text.contains(|c: char| c != '\n' && c.is_control()) && !text.contains('\u{202e}'),
            "{text:?}"
        );
    }
}

#[test]
fn a_file_comes_from_the_highest_layer_and_shadows_the_others() {
    let (verdict, text) = ask(&system(), "/etc/motd");
    assert_eq!(verdict, Verdict::Given);
    let expected = "/etc/motd: file, 5 B\n  from      b 1  sha256:b (verity)\n  shadowed  a 1  file, 5 B; sha256:a (verity)";
    assert_eq!(text, expected);
    assert_eq!(ask(&system(), "motd").1, expected, "relative to the current folder");
    assert_eq!(ask(&system(), "../usr/.././etc/motd").1, expected);
}

#[test]
fn a_change_in_the_running_system_is_told_with_what_it_covers() {
    let system = system();
    system.file("top", "etc/motd", "changed");
    system.file("top", "etc/new", "");
    let (_, text) = ask(&system, "/etc/motd");
    assert!(
        text.starts_with(
            "/etc/motd: file, 7 B\n  from      the writable top (in memory: lost at power-off)\n"
        )
    );
    assert_eq!(text.matches("\n  shadowed  ").count(), 2, "{text}");
    assert_eq!(ask(&system, "/etc/new").1.lines().count(), 2);
}

#[test]
fn deleted_files_and_folders_are_told() {
    let system = system();
    whiteout(&system, "top", "etc/only-a");
    let (verdict, text) = ask(&system, "/etc/only-a");
    assert_eq!(verdict, Verdict::Deleted);
    assert!(text.starts_with("/etc/only-a: deleted\n  shadowed  a 1  file, 8 B; sha256:a"), "{text}");
    assert!(text.ends_with("note      deleted by the writable top"), "{text}");

    whiteout(&system, "c", "usr/bin");
    let (verdict, text) = ask(&system, "/usr/bin/sh");
    assert_eq!(verdict, Verdict::Deleted);
    assert!(text.contains("shadowed  a 1") && text.ends_with("/usr/bin is deleted by c 1"), "{text}");
    // Made anew above the whiteout: what is below it stays hidden.
    system.file("top", "usr/bin/new", "");
    assert_eq!(ask(&system, "/usr/bin/new").0, Verdict::Given);
    let (verdict, text) = ask(&system, "/usr/bin/sh");
    assert_eq!(verdict, Verdict::Missing);
    assert!(text.starts_with("/usr/bin/sh: only layers that are hidden here have it"), "{text}");
}

#[test]
fn a_folder_is_in_all_layers_that_have_it() {
    let system = system();
    let (verdict, text) = ask(&system, ".");
    assert_eq!(verdict, Verdict::Given);
    assert!(text.starts_with("/etc: folder of 3 layers\n  from      c 1"), "{text}");
    assert_eq!(text.matches("\n  and       ").count(), 2);
    assert!(ask(&system, "/").1.starts_with("/: folder of 4 layers\n"));
    // A file above a folder hides it, and the other way round.
    system.file("c", "usr/bin", "a file");
    let (_, text) = ask(&system, "/usr/bin");
    assert!(
        text.starts_with("/usr/bin: file, 6 B\n  from      c 1") && text.contains("shadowed  a 1"),
        "{text}"
    );
    let (verdict, text) = ask(&system, "/usr/bin/sh");
    assert_eq!(verdict, Verdict::Missing);
    assert!(text.ends_with("/usr/bin is no folder, but a file of c 1"), "{text}");
    system.file("top", "usr/bin2/x", "");
    system.file("c", "usr/bin2", "a file");
    assert!(ask(&system, "/usr/bin2").1.starts_with("/usr/bin2: folder\n  from      the writable top"));
}

#[test]
fn a_link_at_the_end_is_not_followed_but_its_target_is_named() {
    let system = system();
    let (_, text) = ask(&system, "/etc/os-release");
    assert!(text.starts_with("/etc/os-release: symbolic link to ../usr/lib/os-release\n"), "{text}");
    assert!(text.ends_with("the link leads to /usr/lib/os-release: ask for that"), "{text}");
}

#[test]
fn links_to_folders_on_the_way_are_followed() {
    let system = system();
    let expected = "/bin/sh is /usr/bin/sh: file, 1 B\n  from      a 1  sha256:a (verity)\n  \
                    note      /bin is a symbolic link of a 1 to usr/bin";
    assert_eq!(ask(&system, "/bin/sh"), (Verdict::Given, expected.to_owned()));
    // `..` leads up from where the link leads to, not from where it stands.
    let (verdict, text) = ask(&system, "/bin/../bin/sh");
    assert_eq!(verdict, Verdict::Given);
    assert!(text.starts_with("/bin/../bin/sh is /usr/bin/sh: file"), "{text}");
    // A slash at the end asks for the folder.
    assert!(ask(&system, "/bin").1.starts_with("/bin: symbolic link to usr/bin\n"));
    for path in ["/bin/", "/bin/."] {
        assert!(ask(&system, path).1.starts_with(&format!("{path} is /usr/bin: folder\n")), "{path}");
    }
    // A link to a link, absolute ones, one that is covered by a folder above it, and one of the writable top.
    symlink("/bin", system.layer("b").join("sbin")).unwrap();
    assert!(ask(&system, "/sbin/sh").1.starts_with("/sbin/sh is /usr/bin/sh: file"));
    symlink("/etc", system.layer("top").join("sbin")).unwrap();
    let text = ask(&system, "/sbin/motd").1;
    assert!(text.starts_with("/sbin/motd is /etc/motd: file"), "{text}");
    assert!(text.contains("/sbin is a symbolic link of the writable top to /etc"), "{text}");
    system.file("c", "bin/own", "");
    assert_eq!(ask(&system, "/bin/own").1.lines().next(), Some("/bin/own: file, 0 B"));
    assert_eq!(ask(&system, "/bin/sh").0, Verdict::Missing);
    let answers = why(&system.system(), Path::new("/"), &["sbin/motd".into()]).unwrap();
    let json = answers[0].json();
    assert_eq!((json["path"].as_str(), json["asked"].as_str()), (Some("/etc/motd"), Some("/sbin/motd")));
}

#[test]
fn links_in_a_circle_end() {
    let system = system();
    symlink("round", system.layer("a").join("about")).unwrap();
    symlink("about", system.layer("a").join("round")).unwrap();
    let (verdict, text) = ask(&system, "/round/x");
    assert_eq!(verdict, Verdict::Missing);
    assert!(text.matches("is a symbolic link of a 1 to").count() == 40 && text.contains("ask for"), "{text}");
}

#[test]
fn a_link_that_a_mount_covers_is_not_followed() {
    let system = system();
    symlink("/etc", system.layer("a").join("usr/link")).unwrap();
    fs::create_dir_all(system.path("proc/self")).unwrap();
    let mounts = "22 1 0:21 / / rw - overlay lamina rw\n23 22 0:5 / /usr rw - ext4 /dev/vdb rw\n\
                  24 22 0:6 / /etc rw - tmpfs tmpfs rw\n";
    fs::write(system.path("proc/self/mountinfo"), mounts).unwrap();
    let text = ask(&system, "/usr/link/motd").1;
    assert!(
        text.starts_with("/usr/link/motd: not from a layer: ext4 (/dev/vdb) is mounted at /usr"),
        "{text}"
    );
    // Where a link leads is what counts.
    let text = ask(&system, "/bin/sh").1;
    assert!(text.starts_with("/bin/sh is /usr/bin/sh: not from a layer: ext4 (/dev/vdb)"), "{text}");
}

#[test]
fn what_no_layer_has_may_be_on_a_mount() {
    let system = system();
    assert_eq!(ask(&system, "/etc/nothing").1, "/etc/nothing: no layer has it");
    assert_eq!(ask(&system, &format!("/{}", "x".repeat(300))).0, Verdict::Missing);
    fs::create_dir_all(system.path("proc/self")).unwrap();
    let mounts = "22 1 0:21 / / rw - overlay lamina rw\n23 22 0:5 / /proc rw - proc proc rw\n";
    fs::write(system.path("proc/self/mountinfo"), mounts).unwrap();
    let (verdict, text) = ask(&system, "/proc/1");
    assert_eq!(verdict, Verdict::Missing);
    let expected = "/proc/1: not from a layer: proc (proc) is mounted at /proc; below it: no layer has it";
    assert_eq!(text, expected);
    assert_eq!(ask(&system, "/etc/motd").0, Verdict::Given);
}

#[test]
fn layers_that_cannot_be_looked_at_are_named() {
    let system = system();
    fs::rename(system.layer("b"), system.path("elsewhere")).unwrap();
    let (_, text) = ask(&system, "/etc/motd");
    assert!(text.contains("from      a 1") && text.contains("b was not looked at"), "{text}");
}

#[test]
fn names_obey_nothing_and_json_has_all_of_it() {
    let system = system();
    system.file("b", "etc/\x1b[31m", "x");
    assert!(ask(&system, "/etc/\x1b[31m").1.starts_with("/etc/\\u{1b}[31m: file"));
    let answers = why(&system.system(), Path::new("/"), &["etc/motd".into(), "etc/no".into()]).unwrap();
    let json = answers[0].json();
    assert_eq!(
        (json["state"].as_str(), json["from"]["source"]["layer"].as_str()),
        (Some("given"), Some("b"))
    );
    assert_eq!(json["shadowed"][0]["source"]["digest"], "sha256:a");
    assert_eq!(json["from"]["size"], 5);
    assert_eq!((&answers[1].json()["state"], answers[1].is_there()), (&"missing".into(), false));
}

#[test]
fn a_system_that_lamina_did_not_boot_says_so() {
    let system = system();
    fs::remove_file(system.path("run/lamina/report.json")).unwrap();
    let error = why(&system.system(), Path::new("/"), &["x".into()]).unwrap_err();
    assert!(error.cause().contains("was not booted by Lamina") && error.has_own_remedy());
    assert_eq!(running::report::text(&system.system(), None).unwrap_err(), error);
}
