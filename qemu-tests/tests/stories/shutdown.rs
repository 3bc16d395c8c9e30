//! How a system ends: everything unmounted, and the disks clean, whoever asks for it.

use std::env;
use std::path::{Path, PathBuf};

use qemu_tests::failure::Failure;
use qemu_tests::fixture::{DISK, Fixture};
use qemu_tests::guest::Guest;
use qemu_tests::medium::{FileSystem, Identity};
use qemu_tests::state_disk;
use qemu_tests::store::{Layer, ProfileText};
use qemu_tests::{Story, artifacts};

/// The command as it lies in the running system.
const LAMINA: &str = "/run/lamina/bin/lamina";
/// What the shutdown program says when it could unmount everything.
const CLEAN: &str = "nothing is left mounted";
/// The small system of these stories keeps what is written on a disk of its own.
const ON_A_DISK: &str = "root writable=\"LABEL=state\"";

/// The small system, its images under dm-verity, its changes on a disk. Without `lines` its init is busybox.
fn fixture_with_state(name: &str, layers: &[Layer], lines: &str) -> Result<(Fixture, PathBuf), Failure> {
    with_state(Fixture::new(name)?, name, layers, lines)
}

fn with_state(
    fixture: Fixture,
    name: &str,
    layers: &[Layer],
    lines: &str,
) -> Result<(Fixture, PathBuf), Failure> {
    let mut images = fixture.small_system()?;
    for layer in layers {
        images.push(fixture.store().add(layer)?);
    }
    images.push(fixture.script_layer(name, lines)?);
    let images =
        images.iter().map(|line| fixture.store().protect(line, None)).collect::<Result<Vec<_>, _>>()?;
    let init = if lines.is_empty() { "/sbin/init" } else { "/story" };
    fixture.store().profile(&ProfileText::new("end", &images).verify("verity").root(ON_A_DISK).init(init))?;
    let state = fixture.scratch().join("state.img");
    state_disk::ext4(&state, 64)?;
    Ok((fixture, state))
}

fn boot(fixture: &Fixture, medium: &Path, state: &Path) -> Result<Guest, Failure> {
    let parameters = format!("lamina.store=LABEL={} lamina.profile=end", DISK.label);
    Guest::boot(&fixture.machine(&parameters)?.kept_disk(medium).kept_disk(state))
}

/// As often as the variable LAMINA_ROUNDS says, for `make soak`; twice otherwise.
fn rounds() -> u32 {
    env::var("LAMINA_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(2)
}

/// The medium is FAT, which a power cut hurts most, and it is written to: init counts the boot, and the system blesses it.
#[test]
fn boot_and_shutdown_leave_medium_and_state_clean_every_time() -> Story {
    let write = format!(
        "n=$(cat /count 2>/dev/null); echo $((n + 1)) >/count; cat /count\n\
         dd if=/dev/urandom of=/noise bs=64k count=16 2>/dev/null\n{LAMINA} bless\nexec {LAMINA} shutdown poweroff"
    );
    let (fixture, state) = fixture_with_state("clean", &[], &write)?;
    fixture.store().boot_slots()?;
    let identity = Identity { label: DISK.label, uuid: "1A2B-3C4D" };
    let medium = fixture.disk_as(FileSystem::Vfat, identity)?;
    for round in 1..=rounds() {
        let mut guest = boot(&fixture, &medium, &state)?;
        guest.expect(&format!("story: begin\n{round}\n"))?;
        guest.expect(CLEAN)?;
        guest.expect_off()?;
        state_disk::expect_clean_ext4(&state)?;
        state_disk::expect_clean_vfat(&medium)?;
    }
    Ok(())
}

#[test]
fn every_file_system_of_a_state_is_left_clean() -> Story {
    // Debian's cloud kernels have no F2FS, and 6.1 no btrfs.
    for (file_system, kernel) in [("xfs", "6.1"), ("btrfs", "6.12"), ("f2fs", "6.1-all")] {
        let fixture = Fixture::on_kernel(&format!("clean-{file_system}"), kernel)?;
        let mut images = fixture.small_system()?;
        let lines = format!(
            "dd if=/dev/urandom of=/noise bs=64k count=16 2>/dev/null\nexec {LAMINA} shutdown poweroff"
        );
        images.push(fixture.script_layer(file_system, &lines)?);
        fixture.store().profile(&ProfileText::new("end", &images).root(ON_A_DISK).init("/story"))?;
        let state = fixture.scratch().join("state.img");
        state_disk::other(file_system, &state, 512)?;
        let initramfs = fixture.initramfs()?.option("--state-file-system", Some(Path::new(file_system)));
        let parameters = format!("lamina.store=LABEL={} lamina.profile=end", DISK.label);
        let machine = fixture.machine_with(&initramfs.write()?, &parameters)?;
        let mut guest = Guest::boot(&machine.disk(&fixture.disk()?).kept_disk(&state))?;
        guest.expect(CLEAN)?;
        guest.expect_off()?;
        state_disk::expect_clean_other(file_system, &state, "noise")?;
    }
    Ok(())
}

#[test]
fn busybox_init_makes_the_disks_read_only_with_one_line_in_its_script() -> Story {
    busybox_init_makes_the_disks_read_only("6.1")
}

#[test]
#[ignore = "the same on the second kernel: `make soak` tells it"]
fn busybox_init_does_so_on_the_newer_kernel() -> Story {
    busybox_init_makes_the_disks_read_only("6.12")
}

fn busybox_init_makes_the_disks_read_only(series: &str) -> Story {
    let end =
        Layer::new("end").script("/etc/init.d/rcK", &format!("{LAMINA} shutdown && echo all read-only"))?;
    let fixture = Fixture::on_kernel(&format!("busybox-end-{series}"), series)?;
    let (fixture, state) = with_state(fixture, "busybox-end", &[end], "")?;
    let medium = fixture.disk()?;
    let mut guest = boot(&fixture, &medium, &state)?;
    guest.expect("# ")?;
    guest.run("echo text >/note; sleep 1000 & true")?;
    guest.type_line("poweroff")?;
    guest.expect("all read-only")?;
    guest.expect_off()?;
    state_disk::expect_clean_ext4(&state)
}

/// A file that the kernel swaps to keeps its file system busy, whoever ends the system.
#[test]
fn swap_on_a_file_of_the_state_is_ended_before_its_disk() -> Story {
    let file = "/run/lamina/state/swap";
    let swap = format!(
        "dd if=/dev/zero of={file} bs=1M count=8 2>/dev/null; mkswap {file} >/dev/null && swapon {file}\n\
         grep -c '^{file}' /proc/swaps"
    );
    for (name, end, said) in [
        ("swap-unmounted", format!("exec {LAMINA} shutdown poweroff"), CLEAN),
        ("swap-read-only", format!("{LAMINA} shutdown && echo all read-only"), "all read-only"),
    ] {
        let (fixture, state) = fixture_with_state(name, &[], &format!("{swap}\n{end}"))?;
        let mut guest = boot(&fixture, &fixture.disk()?, &state)?;
        guest.expect("story: begin\n1\n")?;
        guest.expect(said)?;
        guest.expect_off()?;
        state_disk::expect_clean_ext4(&state)?;
    }
    Ok(())
}

#[test]
fn who_keeps_a_disk_writable_is_named() -> Story {
    let hold = format!("exec 5>/held\n{LAMINA} shutdown 2>&1; echo status=$?");
    let (fixture, state) = fixture_with_state("held", &[], &hold)?;
    let mut guest = boot(&fixture, &fixture.disk()?, &state)?;
    let told = guest.expect("status=1")?;
    assert!(told.contains("cannot make read-only"), "{told}");
    assert!(told.contains("because of") && told.contains("/held"), "{told}");
    guest.expect_off()
}

#[test]
fn without_a_loaded_kernel_kexec_becomes_a_reboot() -> Story {
    let (fixture, state) = fixture_with_state("kexec", &[], &format!("exec {LAMINA} shutdown kexec"))?;
    let mut guest = boot(&fixture, &fixture.disk()?, &state)?;
    guest.expect(&format!("{CLEAN}; starting the loaded kernel"))?;
    guest.expect("the kernel refuses")?;
    guest.expect_off()?;
    state_disk::expect_clean_ext4(&state)
}

#[test]
fn a_reboot_hands_its_parameter_to_the_kernel() -> Story {
    let (fixture, state) =
        fixture_with_state("parameter", &[], &format!("exec {LAMINA} shutdown reboot recovery"))?;
    let mut guest = boot(&fixture, &fixture.disk()?, &state)?;
    guest.expect(&format!("{CLEAN}; rebooting with `recovery`"))?;
    guest.expect("Restarting system with command 'recovery'")?;
    guest.expect_off()?;
    state_disk::expect_clean_ext4(&state)
}

/// A bug in the shutdown itself, at `places`: it says so, and the machine ends as it was told to. What the system wrote a moment
/// before is there at the next boot, although nobody unmounted the disk.
fn dies_and_ends(name: &str, places: &str, verb: &str, said: &[&str]) -> Story {
    let lines = format!(
        "if [ -e /note ]; then cat /note; exec {LAMINA} shutdown poweroff; fi\n\
         echo it was written >/note\nexec {LAMINA} shutdown {verb}"
    );
    let (fixture, state) = fixture_with_state(name, &[], &lines)?;
    let initramfs = fixture.initramfs()?.init(&artifacts::init_that_panics()?).write()?;
    let medium = fixture.disk()?;
    let boot = |more: &str| {
        let parameters = format!("lamina.store=LABEL={} lamina.profile=end {more}", DISK.label);
        Guest::boot(&fixture.machine_with(&initramfs, &parameters)?.disk(&medium).kept_disk(&state))
    };
    let mut guest = boot(&format!("PANIC_FOR_TESTS={places}"))?;
    for words in said {
        guest.expect(words)?;
    }
    guest.expect_off()?;
    let mut guest = boot("")?;
    guest.expect("it was written")?;
    guest.expect(CLEAN)?;
    guest.expect_off()?;
    state_disk::expect_clean_ext4(&state)
}

#[test]
fn a_panic_at_the_begin_of_the_shutdown_writes_back_and_powers_off() -> Story {
    dies_and_ends(
        "end-panic",
        "begin-shutdown",
        "poweroff",
        &["lamina: shutdown: panicked at", "told to at begin shutdown", "reboot: Power down"],
    )
}

#[test]
fn a_panic_half_way_reboots_when_that_was_asked() -> Story {
    dies_and_ends(
        "end-half-way",
        "free-devices",
        "reboot",
        &["told to at free devices", "reboot: Restarting system"],
    )
}

#[test]
fn a_panic_of_a_thread_of_the_shutdown_powers_off() -> Story {
    dies_and_ends("end-thread", "unmount", "poweroff", &["told to at unmount", "reboot: Power down"])
}

#[test]
fn a_crash_of_the_shutdown_writes_back_and_reboots() -> Story {
    dies_and_ends(
        "end-crash",
        "nowhere@begin-shutdown",
        "reboot",
        &["PID 1 died of SIGSEGV and cannot go on; rebooting in 0 s", "reboot: Restarting system"],
    )
}

#[test]
fn a_crash_of_the_last_words_of_the_shutdown_writes_back_and_powers_off() -> Story {
    dies_and_ends(
        "end-twice",
        "begin-shutdown,abort@end-after-a-panic",
        "poweroff",
        &["PID 1 died of SIGABRT and cannot go on; powering off in 0 s", "reboot: Power down"],
    )
}
