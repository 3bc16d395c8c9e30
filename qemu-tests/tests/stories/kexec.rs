//! A shutdown that ends in another kernel, loaded by Debian's kexec(8): the same initramfs starts the same system again,
//! without the machine's firmware between.

use std::fs;

use qemu_tests::Story;
use qemu_tests::artifacts;
use qemu_tests::debian_root::{BOOKWORM, Recipe};
use qemu_tests::failure::Failure;
use qemu_tests::guest::Guest;
use qemu_tests::initramfs::Initramfs;
use qemu_tests::installed::{Installed, expect_kernel, log_in};

const SYSTEM: Recipe = Recipe {
    name: "kexec",
    release: BOOKWORM,
    packages: &["systemd", "systemd-sysv", "udev", "kexec-tools"],
    layers: &[("kexec", &[])],
};

/// Loads the kernel and the initramfs that run now, and marks the second boot by a word on its command line.
const LOAD: &str =
    "kexec -l /boot/vmlinuz --initrd=/boot/initrd --command-line=\"$(cat /proc/cmdline) second.boot\"";
/// What the shutdown program says when it could unmount everything, and goes on with the other kernel.
const LEFT: &str = "nothing is left mounted; starting the loaded kernel";
/// What a kernel says of a file system that was not unmounted: ext4 with a journal, ext4 without.
const DIRTY: [&str; 2] = ["recovery complete", "mounting unchecked fs"];

/// A system with the kernel and the initramfs in `/boot`, and a program to start with in systemd's place.
fn installed(name: &str, series: &str) -> Result<Installed, Failure> {
    let kernel = artifacts::kernel(series)?;
    let initramfs = Initramfs::new(&kernel).write()?;
    let bytes = |path| fs::read(path).map_err(Failure::at(path));
    let story = format!(
        "if grep -q second.boot /proc/cmdline; then\n    dmesg | grep EXT4; cat /var/note\n\
         exec /run/lamina/bin/lamina shutdown poweroff\nfi\n\
         echo kept >/var/note\n{LOAD} && exec /run/lamina/bin/lamina shutdown kexec"
    );
    Installed::new(name, series, &SYSTEM, |layer| {
        let layer = layer.program("/boot/vmlinuz", bytes(&kernel.vmlinuz)?)?;
        layer.program("/boot/initrd", bytes(&initramfs)?)?.script("/story", &story)
    })
}

/// The console begins anew: what a firmware prints is not on it, and the kernel's own time starts at zero.
fn expect_second_boot(guest: &mut Guest, series: &str) -> Story {
    guest.expect(LEFT)?;
    expect_kernel(guest, series)
}

fn expect_found_clean(guest: &mut Guest, log: &str) -> Story {
    // Both disks were mounted, and neither needed anything.
    let clean =
        log.contains("(vda)") && log.contains("(vdb)") && !DIRTY.iter().any(|word| log.contains(word));
    if clean { Ok(()) } else { Err(guest.told(&format!("a disk was not left clean: {log}"))) }
}

#[test]
fn systemd_starts_the_loaded_kernel_from_clean_disks() -> Story {
    systemd_starts_the_loaded_kernel("6.1")
}

#[test]
#[ignore = "the same on the second kernel: `make soak` tells it"]
fn systemd_does_so_on_the_newer_kernel() -> Story {
    systemd_starts_the_loaded_kernel("6.12")
}

fn systemd_starts_the_loaded_kernel(series: &str) -> Story {
    let installed = installed("kexec-systemd", series)?;
    let mut guest = installed.boot()?;
    log_in(&mut guest)?;
    guest.run(&format!("echo kept >/var/note; {LOAD}"))?;
    guest.type_line("systemctl kexec")?;
    expect_second_boot(&mut guest, series)?;
    log_in(&mut guest)?;
    guest.run("grep second.boot /proc/cmdline && grep kept /var/note")?;
    let log = guest.run("dmesg | grep EXT4")?;
    expect_found_clean(&mut guest, &log)?;
    guest.type_line("systemctl poweroff")?;
    guest.expect("nothing is left mounted; powering off")?;
    guest.expect_off()?;
    installed.expect_clean()
}

#[test]
fn an_init_that_hands_over_starts_the_loaded_kernel_from_clean_disks() -> Story {
    an_init_that_hands_over_starts_the_loaded_kernel("6.1")
}

#[test]
#[ignore = "the same on the second kernel: `make soak` tells it"]
fn an_init_that_hands_over_does_so_on_the_newer_kernel() -> Story {
    an_init_that_hands_over_starts_the_loaded_kernel("6.12")
}

/// The program turns the root around itself, as PID 1.
fn an_init_that_hands_over_starts_the_loaded_kernel(series: &str) -> Story {
    let installed = installed("kexec-script", series)?;
    let mut guest = installed.boot_with("init=/story")?;
    expect_second_boot(&mut guest, series)?;
    let log = guest.expect("kept\n")?;
    expect_found_clean(&mut guest, &log)?;
    guest.expect("nothing is left mounted; powering off")?;
    guest.expect_off()?;
    installed.expect_clean()
}
