//! Signatures of profiles: Debian's minisign judges ours, and makes some for us.

mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use program::{lamina, told};

fn minisign(folder: &Path, arguments: &[&str]) {
    let output = Command::new("minisign").args(arguments).current_dir(folder).output();
    let output = output.expect("minisign runs: apt-get install minisign");
    assert!(output.status.success(), "{arguments:?}: {}", told(&output));
}

fn profile(name: &str, number: u32) -> String {
    let digest = "0".repeat(64);
    format!(
        "profile \"{name}\" format=1 {{\n    description \"{number}\"\n    \
         image \"site\" version=\"1\" digest=\"sha256:{digest}\" size=4096\n    root writable=\"no\"\n    \
         verify \"digest\"\n    init \"/init\"\n}}\n"
    )
}

/// Puts generation `number` of a profile without a real image into the store.
fn put_profile(folder: &Path, number: u32) -> PathBuf {
    let profiles = folder.join("store/profiles/web");
    fs::create_dir_all(&profiles).unwrap();
    let path = profiles.join(format!("{number}.kdl"));
    fs::write(&path, profile("web", number)).unwrap();
    path
}

#[test]
fn minisign_accepts_our_signatures_and_we_accept_its() {
    let folder = tempfile::tempdir().unwrap();
    let minisign = |arguments: &[&str]| minisign(folder.path(), arguments);
    let run = |arguments: &[&str]| {
        let output = lamina(folder.path(), arguments);
        assert!(output.status.success(), "{arguments:?}: {}", told(&output));
        told(&output)
    };
    put_profile(folder.path(), 1);
    let profile = put_profile(folder.path(), 2);
    let signature = profile.with_extension("kdl.minisig");
    minisign(&["-G", "-W", "-p", "theirs.pub", "-s", "theirs"]);
    let told_by_key = run(&["key", "create", "ours", "--no-password"]);
    assert_eq!(told_by_key, "ours.pub\nours: keep it secret, and keep a copy\n");
    for (secret, public) in [("theirs", "theirs.pub"), ("ours", "ours.pub")] {
        run(&["profile", "sign", "web", "--key", secret]);
        minisign(&["-V", "-H", "-p", public, "-m", profile.to_str().unwrap()]);
        let told = run(&["profile", "verify", "web", "--public-key", public]);
        assert_eq!(told, "profile web generation 2: signed, and says \"profile web generation 2\"\n");
        fs::remove_file(&signature).unwrap();
        minisign(&["-S", "-W", "-s", secret, "-t", "by hand", "-m", profile.to_str().unwrap()]);
        assert!(run(&["profile", "verify", "web", "--public-key", public]).contains("says \"by hand\""));
    }
    let refused = |arguments: &[&str], part: &str| {
        let output = lamina(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(told(&output).contains(part), "{part} in {}", told(&output));
    };
    refused(
        &["profile", "verify", "web", "--public-key", "theirs.pub"],
        "not of this profile, or by another key",
    );
    refused(&["profile", "verify", "web", "--public-key", "ours"], "is no minisign public key");
    refused(&["profile", "sign", "web", "--key", "ours.pub"], "is no minisign secret key");
    refused(&["profile", "sign", "mail", "--key", "ours"], "has not been locked");
    refused(&["key", "create", "ours", "--no-password"], "is there already, and keys are never replaced");
    fs::write(&profile, self::profile("web", 3)).unwrap();
    refused(
        &["profile", "verify", "web", "--public-key", "ours.pub"],
        "not of this profile, or by another key",
    );
    fs::remove_file(&signature).unwrap();
    refused(
        &["profile", "verify", "web", "--public-key", "ours.pub"],
        "`lamina profile sign web --key FILE`",
    );
}

#[test]
fn a_key_with_a_password_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    put_profile(folder.path(), 1);
    let with_password = |password: &str, arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_lamina"))
            .args(arguments)
            .env("LAMINA_STORE", folder.path().join("store"))
            .env("MINISIGN_PASSWORD", password)
            .current_dir(folder.path())
            .output()
            .unwrap()
    };
    let made = with_password("open sesame", &["key", "create", "site.key"]);
    assert!(made.status.success(), "{}", told(&made));
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(folder.path().join("site.key")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let wrong = with_password("open", &["profile", "sign", "web", "--key", "site.key"]);
    assert!(
        told(&wrong).contains("Wrong password") && told(&wrong).contains("MINISIGN_PASSWORD"),
        "{}",
        told(&wrong)
    );
    let signed = with_password("open sesame", &["profile", "sign", "web", "--key", "site.key"]);
    assert!(signed.status.success(), "{}", told(&signed));
    let public = ["profile", "verify", "web", "--public-key", "site.key.pub"];
    assert!(lamina(folder.path(), &public).status.success());
}

#[test]
fn a_key_that_cannot_be_written_or_read_is_told_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    put_profile(folder.path(), 1);
    // In a session without a terminal nobody can be asked.
    let alone = |arguments: &[&str]| {
        let lamina = env!("CARGO_BIN_EXE_lamina");
        let output = Command::new("timeout")
            .args(["20", "setsid", "--wait", lamina])
            .args(arguments)
            .env("LAMINA_STORE", folder.path().join("store"))
            .env_remove("MINISIGN_PASSWORD")
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", told(&output));
        told(&output)
    };
    let said = alone(&["key", "create", "site.key"]);
    assert!(said.contains("no terminal to ask") && said.contains("MINISIGN_PASSWORD"), "{said}");
    std::os::unix::fs::symlink("nowhere", folder.path().join("link.pub")).unwrap();
    let said = alone(&["key", "create", "--no-password", "link"]);
    assert!(said.contains("link.pub: is there already"), "{said}");
    assert!(!folder.path().join("site.key").exists() && !folder.path().join("link").exists());
    nix::unistd::mkfifo(&folder.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for file in ["fifo", "/dev/zero"] {
        let said = alone(&["profile", "sign", "web", "--key", file]);
        assert!(said.contains("is no minisign secret key"), "{said}");
        let said = alone(&["profile", "verify", "web", "--public-key", file]);
        assert!(said.contains("is no minisign public key"), "{said}");
    }
    let empty = Command::new(env!("CARGO_BIN_EXE_lamina"))
        .args(["key", "create", "site.key"])
        .env("MINISIGN_PASSWORD", "")
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(told(&empty).contains("MINISIGN_PASSWORD: is empty"), "{}", told(&empty));
}

#[test]
fn a_full_disk_leaves_no_half_of_a_key_pair() {
    let folder = tempfile::tempdir().unwrap();
    // No file may grow beyond 0 bytes, as on a full disk (the shell's ulimit; setrlimit(2), RLIMIT_FSIZE).
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" key create --no-password site.key";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_lamina")])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("site.key: File too large"), "{}", told(&output));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_public_half_of_a_pair_can_be_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let create = ["key", "create", "--no-password", "site.key"];
    assert!(lamina(folder.path(), &create).status.success());
    let public = || fs::read_to_string(folder.path().join("site.key.pub")).unwrap();
    let key = public().lines().nth(1).unwrap().to_owned();
    fs::remove_file(folder.path().join("site.key.pub")).unwrap();
    let said = told(&lamina(folder.path(), &create));
    assert!(said.contains("`minisign -R -s site.key -p site.key.pub`"), "{said}");
    minisign(folder.path(), &["-R", "-s", "site.key", "-p", "site.key.pub"]);
    assert_eq!(public().lines().nth(1), Some(key.as_str()));
}

#[test]
fn a_secret_key_that_others_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    put_profile(folder.path(), 1);
    assert!(lamina(folder.path(), &["key", "create", "--no-password", "site.key"]).status.success());
    let sign = ["profile", "sign", "web", "--key", "site.key"];
    assert!(!told(&lamina(folder.path(), &sign)).contains("warning"));
    fs::set_permissions(folder.path().join("site.key"), fs::Permissions::from_mode(0o640)).unwrap();
    let said = told(&lamina(folder.path(), &sign));
    assert!(said.contains("warning: site.key: others may") && said.contains("chmod 600 site.key"), "{said}");
}

#[test]
fn only_a_profile_of_that_name_is_signed() {
    let folder = tempfile::tempdir().unwrap();
    let path = put_profile(folder.path(), 1);
    assert!(lamina(folder.path(), &["key", "create", "--no-password", "site.key"]).status.success());
    let refused = |part: &str| {
        let output = lamina(folder.path(), &["profile", "sign", "web", "--key", "site.key"]);
        assert!(output.status.code() == Some(1) && told(&output).contains(part), "{}", told(&output));
        assert!(!path.with_extension("kdl.minisig").exists());
    };
    fs::write(&path, profile("mail", 1)).unwrap();
    refused("is a file of another profile: it says that it is `mail`");
    fs::write(&path, "root:x:0:0\n").unwrap();
    refused("1.kdl:1:");
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    refused("is not a regular file");
}

#[test]
fn help_for_a_reader_that_went_away_is_no_crash() {
    let (read, write) = std::io::pipe().unwrap();
    drop(read);
    let output = Command::new(env!("CARGO_BIN_EXE_lamina")).arg("--help").stdout(write).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", told(&output));
}
