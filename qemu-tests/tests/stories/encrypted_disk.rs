//! A store on a disk that LUKS encrypts: the hook of the documentation asks for the passphrase.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use qemu_tests::fixture::{DISK, Fixture};
use qemu_tests::guest::Guest;
use qemu_tests::{Failure, Story, documents};

/// For the header, behind the file system.
const ROOM: u64 = 32 << 20;
const PASSPHRASE: &str = "a secret";
/// That of the hook in the documentation.
const UUID: &str = "01234567-89ab-cdef-0123-456789abcdef";

#[test]
fn a_disk_of_luks_is_opened_by_a_hook_that_asks() -> Story {
    let fixture = Fixture::on_kernel("encrypted-disk", "6.1-all")?.with_rescue_shell();
    fixture.profile_that_runs(
        "one",
        &[],
        "grep /run/lamina/medium /proc/mounts; cat /sys/class/block/dm-*/dm/name",
    )?;
    let disk = fixture.disk()?;
    encrypt(&disk)?;
    let hook = fixture.scratch().join("drop-in/hooks/before-store/10-unlock");
    let script = documents::script("initramfs.md")?;
    assert!(script.contains(UUID), "the story's disk has the UUID of the documentation: {script}");
    let made =
        fs::create_dir_all(hook.parent().unwrap_or(Path::new("/"))).and_then(|()| fs::write(&hook, script));
    let made = made.and_then(|()| fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)));
    made.map_err(Failure::at(&hook))?;
    let initramfs = fixture.initramfs()?.option("--luks", None);
    let initramfs = initramfs.option("--drop-in", Some(&fixture.scratch().join("drop-in"))).write()?;
    let parameters = format!("lamina.store=LABEL={} lamina.profile=one", DISK.label);
    let mut guest = Guest::boot(&fixture.machine_with(&initramfs, &parameters)?.disk(&disk))?;
    answer(&mut guest, "a guess")?;
    guest.expect("No key available with this passphrase.")?;
    answer(&mut guest, PASSPHRASE)?;
    guest.expect("story: begin")?;
    let seen = guest.expect("story: end")?;
    assert!(seen.contains("/dev/dm-0 /run/lamina/medium ext4 ro") && seen.contains("\nstore"), "{seen}");
    guest.expect_off()
}

/// cryptsetup asks before it turns the echo off, and drops what was typed until then (TCSAFLUSH of termios(3)).
fn answer(guest: &mut Guest, line: &str) -> Story {
    guest.expect("Enter passphrase for /dev/vda: ")?;
    thread::sleep(Duration::from_secs(1));
    guest.type_line(line)
}

/// In place, without the kernel's help: Argon2id, whose threads end as those of a person's header do.
fn encrypt(disk: &Path) -> Story {
    let file = OpenOptions::new().write(true).open(disk).map_err(Failure::at(disk))?;
    let length = file.metadata().map_err(Failure::at(disk))?.len();
    file.set_len(length + ROOM).map_err(Failure::at(disk))?;
    let mut command = Command::new("/usr/sbin/cryptsetup");
    let words = "reencrypt --encrypt --type luks2 --pbkdf argon2id --pbkdf-force-iterations 4 --pbkdf-memory 32768 \
        --pbkdf-parallel 2 --reduce-device-size 32M --batch-mode --key-file - --uuid";
    let child = command.args(words.split_whitespace()).arg(UUID).arg(disk).stdin(Stdio::piped()).spawn();
    let mut child = child.map_err(Failure::at(Path::new("/usr/sbin/cryptsetup")))?;
    if let Some(mut input) = child.stdin.take() {
        std::io::Write::write_all(&mut input, PASSPHRASE.as_bytes()).map_err(Failure::at(disk))?;
    }
    let ended = child.wait().map_err(Failure::at(disk))?;
    assert!(ended.success(), "cryptsetup: {ended}");
    Ok(())
}
