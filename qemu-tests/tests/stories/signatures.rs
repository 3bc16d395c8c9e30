//! Signed profiles: who may sign is fixed when the initramfs is made, and the kernel command line has no say in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use qemu_tests::Story;
use qemu_tests::failure::Failure;
use qemu_tests::fixture::{DISK, Fixture};
use qemu_tests::guest::Guest;
use qemu_tests::store::{ProfileText, sha256};

/// A pair of keys, made by Debian's minisign without a password.
struct Keys {
    secret: PathBuf,
    public: PathBuf,
}

fn keys(fixture: &Fixture, name: &str) -> Result<Keys, Failure> {
    let keys = Keys {
        secret: fixture.scratch().join(format!("{name}.key")),
        public: fixture.scratch().join(format!("{name}.pub")),
    };
    minisign(&["-G", "-W", "-p"], &[&keys.public], &["-s"], &[&keys.secret])?;
    Ok(keys)
}

fn sign(fixture: &Fixture, profile: &str, keys: &Keys) -> Result<PathBuf, Failure> {
    let path = fixture.store().folder().join("profiles").join(profile).join("1.kdl");
    minisign(&["-S", "-s"], &[&keys.secret], &["-m"], &[&path])?;
    Ok(path)
}

fn minisign(first: &[&str], then: &[&Path], second: &[&str], last: &[&Path]) -> Result<(), Failure> {
    let mut command = Command::new("minisign");
    command.args(first).args(then).args(second).args(last).stdin(Stdio::null());
    let output =
        command.output().map_err(Failure::about("minisign, which Debian's package `minisign` has"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))))
}

fn boot(fixture: &Fixture, keys: &Keys, parameters: &str) -> Result<Guest, Failure> {
    let initramfs =
        fixture.initramfs()?.option("--public-key", Some(&keys.public)).option("--require-signatures", None);
    let parameters = format!("lamina.store=LABEL={} {parameters}", DISK.label);
    Guest::boot(&fixture.machine_with(&initramfs.write()?, &parameters)?.disk(&fixture.disk()?))
}

#[test]
fn a_signed_profile_boots_and_the_report_names_the_key() -> Story {
    let fixture = Fixture::new("signed")?;
    let keys = keys(&fixture, "release")?;
    fixture.profile_that_runs("web", &[], "grep signed_by /run/lamina/report.json")?;
    sign(&fixture, "web", &keys)?;
    let mut guest = boot(&fixture, &keys, "lamina.profile=web")?;
    guest.expect("\"signed_by\": \"release\"")?;
    guest.expect("story: end")?;
    guest.expect_off()
}

#[test]
fn a_profile_that_nobody_signed_is_refused_and_so_is_what_would_take_its_place() -> Story {
    let fixture = Fixture::new("unsigned")?;
    let keys = keys(&fixture, "release")?;
    for name in ["web", "rescue"] {
        fixture.profile_that_runs(name, &[], "echo it should not have started")?;
    }
    let mut guest = boot(&fixture, &keys, "lamina.profile=web")?;
    let screen = guest.expect_screen(&["the profile is not signed", "keys of the initramfs: release"])?;
    assert!(!screen.contains("it should not have started"), "{screen}");
    Ok(())
}

#[test]
fn a_profile_that_was_changed_or_signed_by_another_is_refused() -> Story {
    let fixture = Fixture::new("wrongly-signed")?;
    let (ours, theirs) = (keys(&fixture, "release")?, keys(&fixture, "other")?);
    fixture.profile_that_runs("web", &[], "true")?;
    fixture.profile_that_runs("db", &[], "true")?;
    sign(&fixture, "db", &theirs)?;
    let path = sign(&fixture, "web", &ours)?;
    let text = std::fs::read_to_string(&path).map_err(Failure::at(&path))?;
    std::fs::write(&path, text.replace("50%", "60%")).map_err(Failure::at(&path))?;
    for name in ["web", "db"] {
        let mut guest = boot(&fixture, &ours, &format!("lamina.profile={name}"))?;
        guest.expect_screen(&["the signature is not by a key of this initramfs"])?;
    }
    Ok(())
}

/// What is packed into the initramfs needs no signature: so nothing that the command line names may count as packed.
#[test]
fn no_folder_of_the_medium_counts_as_the_initramfs() -> Story {
    let fixture = Fixture::new("not-packed")?;
    let keys = keys(&fixture, "release")?;
    fixture.profile_that_runs("web", &[], "echo it should not have started")?;
    sign(&fixture, "web", &keys)?;
    fixture.profile_that_runs("rescue", &[], "echo it should not have started")?;
    for folder in ["run/lamina/medium/lamina", "proc/1/root/run/lamina/medium/lamina"] {
        let mut guest = boot(&fixture, &keys, &format!("lamina.profile=web lamina.dir={folder}"))?;
        let screen = guest.expect_screen(&["the store has no profile `web`", folder])?;
        assert!(!screen.contains("it should not have started"), "{screen}");
    }
    Ok(())
}

/// An older generation and another profile have a good signature too: what the command line binds is bound all the same, and what it
/// binds as a fallback is what comes up.
#[test]
fn a_signature_does_not_take_the_place_of_a_digest() -> Story {
    let fixture = Fixture::new("signed-and-bound")?;
    let keys = keys(&fixture, "release")?;
    for name in ["web", "rescue", "small", "bound"] {
        fixture.profile_that_runs(name, &[], &format!("echo here is {name}"))?;
    }
    let digest = |name: &str| sha256(&fixture.store().folder().join(format!("profiles/{name}/1.kdl")));
    let (web, bound) = (digest("web")?, digest("bound")?);
    // Somebody takes the bound generation away and leaves one that is older and signed.
    fixture.profile_that_runs("web", &[], "echo here is the older web")?;
    for name in ["web", "rescue", "small", "bound"] {
        sign(&fixture, name, &keys)?;
    }
    let parameters = |fallback: &str| format!("lamina.profile=web@sha256:{web} lamina.fallback={fallback}");
    let mut guest = boot(&fixture, &keys, &parameters("small"))?;
    let screen = guest.expect_screen(&["no generation of `web` has sha256:"])?;
    assert!(!screen.contains("here is") && !screen.contains("[o] other profile"), "{screen}");
    drop(guest);
    let mut guest = boot(&fixture, &keys, &parameters(&format!("small,bound@sha256:{bound}")))?;
    guest.expect("trying lamina.fallback=bound")?;
    guest.expect("here is bound")?;
    guest.expect_off()
}

/// Who holds the medium in hands takes the sealed profile away, and leaves another one that the same key has signed; or adds a word to
/// the command line with which the system itself would open a shell.
#[test]
fn a_sealed_kiosk_does_not_become_a_root_shell() -> Story {
    let fixture = Fixture::new("kiosk")?.with_rescue_shell();
    let keys = keys(&fixture, "release")?;
    let system = fixture.small_system()?;
    let script = fixture.script_layer("script", "echo here is the kiosk")?;
    let kiosk = ProfileText::new("kiosk", &[system, vec![script]].concat()).init("/story").line("sealed");
    fixture.store().profile(&kiosk)?;
    fixture.profile_that_runs("rescue", &[], "echo it should not have started")?;
    for name in ["kiosk", "rescue"] {
        sign(&fixture, name, &keys)?;
    }
    let no_shell =
        |screen: &str| !screen.contains("[s] shell") && !screen.contains("should not have started");
    let mut guest = boot(&fixture, &keys, "lamina.profile=kiosk systemd.debug-shell")?;
    let screen = guest.expect_screen(&[
        "the profile is sealed and refuses systemd.debug-shell on the kernel command line",
        "the profile that was asked for is sealed, and this one is not",
    ])?;
    assert!(no_shell(&screen), "{screen}");
    drop(guest);
    let mut guest = boot(&fixture, &keys, "lamina.profile=kiosk")?;
    guest.expect("here is the kiosk")?;
    guest.expect_off()?;
    let folder = fixture.store().folder().join("profiles/kiosk");
    std::fs::remove_dir_all(&folder).map_err(Failure::at(&folder))?;
    let mut guest = boot(&fixture, &keys, "lamina.profile=kiosk lamina.rescue")?;
    let screen = guest.expect("[p] power off")?;
    assert!(no_shell(&screen), "{screen}");
    guest.type_text("t")?;
    let refused = "cannot be read and may be sealed, and this one is not";
    let screen = guest.expect_screen(&[refused])?;
    assert!(no_shell(&screen), "{screen}");
    // Nor by the key of a person.
    guest.type_text("o")?;
    guest.expect("number of the profile")?;
    guest.type_text("1")?;
    let screen = guest.expect_screen(&[refused])?;
    assert!(no_shell(&screen), "{screen}");
    Ok(())
}
