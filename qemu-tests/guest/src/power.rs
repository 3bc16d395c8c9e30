//! A life on a disk that remembers ([`logged`]).
//!
//! [`record`] is PID 1 of the initramfs: it makes the device and becomes the real init, which is not changed. [`live`] is PID 1
//! of the booted system: it does with the medium, or with the state, what a system does in its life.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use boot_ledger::{Generation, Slots};
use boot_report::paths::{LAMINA, MEDIUM};
use profiles::{Digest, Name};
use sha2::Digest as _;
use stack::mount;

use crate::host;
use crate::logged::{self, mark, setting};
use crate::machine::{load_modules, mount_kernel_file_systems, say, switch_off};

const REAL_INIT: &str = "/init";
const STORE: &str = "/run/lamina/medium/lamina";
const PROFILE: &str = "soak";

/// PID 1 of the initramfs.
pub fn record() -> Result<(), String> {
    mount_kernel_file_systems()?;
    load_modules()?;
    host::show()?;
    logged::create()?;
    host::hide();
    for folder in ["/dev", "/sys", "/proc"] {
        mount::unmount(Path::new(folder)).map_err(|error| error.to_string())?;
    }
    let mut init = Command::new(REAL_INIT);
    init.args(env::args_os().skip(1)).env_remove("soak_role");
    Err(format!("starting {REAL_INIT}: {}", init.exec()))
}

/// PID 1 of the booted system.
pub fn live() -> Result<(), String> {
    host::show()?;
    mark("arrived")?;
    match setting("life")?.as_str() {
        "medium" => live_on_medium()?,
        _ => live_on_state()?,
    }
    nix::unistd::sync();
    mark("end")?;
    say("life done");
    switch_off()
}

/// Blesses the generation that was booted; then new ones come, are tried, and are blessed.
fn live_on_medium() -> Result<(), String> {
    let work = setting("work")?;
    let last: u64 = setting("generations")?.parse().map_err(|_| "soak.generations= is no number")?;
    bless_as_the_system_does(&ledger_entry(1)?)?;
    mark("blessed-1")?;
    let lamina = setting("lamina")?;
    for number in 2..=last {
        while_writable(|| {
            let (store, folder) = (format!("{work}/store-{number}"), format!("{work}/medium/lamina"));
            // All stay: the command runs in another root, where it cannot see which generation this system runs.
            let command =
                [lamina.as_str(), "medium", "create", &folder, "--profile", PROFILE, "--keep", "100"];
            // Only now: a bind mount takes over whether the mount below it is read-only at that moment.
            let place = format!("{work}/medium");
            host::bind(Path::new(MEDIUM), &place)?;
            let done = host::run(&command, &[("LAMINA_STORE", &store), ("HOME", "/")]);
            host::unbind(&place)?;
            done
        })?;
        mark(&format!("switched-{number}"))?;
        let generation = ledger_entry(number)?;
        change_ledger(|ledger, name| ledger.note_attempt(name, &generation))?;
        mark(&format!("tried-{number}"))?;
        change_ledger(|ledger, name| ledger.bless(name, &generation))?;
        mark(&format!("blessed-{number}"))?;
    }
    Ok(())
}

/// Writes files to the root, whose top is the state.
fn live_on_state() -> Result<(), String> {
    for number in 0..20 {
        let path = format!("/file-{number}");
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(&vec![b'x'; 3000 * number])?;
            if number % 4 == 0 { file.sync_all() } else { Ok(()) }
        };
        write().map_err(|error| format!("{path}: {error}"))?;
    }
    Ok(())
}

/// `lamina bless`, where init has left it; else the same by the same crate.
fn bless_as_the_system_does(generation: &Generation) -> Result<(), String> {
    if !Path::new(LAMINA).exists() {
        say("no face of init in the running system");
        return change_ledger(|ledger, name| ledger.bless(name, generation));
    }
    let done = Command::new(LAMINA).arg("bless").output().map_err(|error| format!("{LAMINA}: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    Err(format!("lamina bless: {}", String::from_utf8_lossy(&done.stderr).trim()))
}

/// A generation as the ledger names it.
fn ledger_entry(number: u64) -> Result<Generation, String> {
    let path = format!("{STORE}/profiles/{PROFILE}/{number}.kdl");
    let bytes = fs::read(&path).map_err(|error| format!("{path}: {error}"))?;
    Ok(Generation { number, digest: Digest::from_bytes(sha2::Sha256::digest(bytes).into()) })
}

fn change_ledger<T>(change: impl FnOnce(&mut boot_ledger::Ledger, &Name) -> T) -> Result<(), String> {
    let name = Name::parse(PROFILE).map_err(|error| error.to_string())?;
    let slots = Slots::open(Path::new(STORE)).map_err(|error| error.to_string())?;
    let slots = slots.ok_or("the medium has no boot slots")?;
    let mut ledger = slots.read().ledger;
    change(&mut ledger, &name);
    while_writable(|| slots.write(&ledger).map_err(|error| error.to_string()))
}

fn while_writable(action: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let medium = Path::new(MEDIUM);
    mount::remount(medium, false).map_err(|error| error.to_string())?;
    let done = action();
    let again = mount::remount(medium, true).map_err(|error| error.to_string());
    done.and(again)
}
