//! Real init systems on a stack: each boots to where a person can log in, and goes off by its own command, with the disks clean.
//!
//! Each is told on both kernels, as are busybox init (`shutdown.rs`) and kexec (`kexec.rs`): on the second one by `make soak`.

use qemu_tests::Story;
use qemu_tests::debian_root::{BOOKWORM, OPENRC, Recipe, SYSTEMD};
use qemu_tests::guest::Guest;
use qemu_tests::installed::{Installed, log_in};

const RUNIT: Recipe = Recipe {
    name: "runit",
    release: BOOKWORM,
    packages: &["runit", "runit-init"],
    layers: &[("runit", &[])],
};

/// Debian 12 has s6 and no s6-linux-init, so that root serves two stories.
const FINIT_AND_S6: Recipe = Recipe {
    name: "finit",
    release: BOOKWORM,
    packages: &["finit-sysv", "s6", "execline"],
    layers: &[("finit", &[])],
};

/// What the shutdown program says when it could unmount everything.
const CLEAN: &str = "nothing is left mounted";

#[test]
fn systemd_in_three_layers_shows_the_time_of_the_initramfs_and_ends_cleanly() -> Story {
    let installed = Installed::new("systemd", "6.1", &SYSTEMD, Ok)?;
    let mut guest = installed.boot()?;
    log_in(&mut guest)?;
    let times = guest.run("systemctl is-system-running --wait; systemd-analyze time")?;
    assert!(times.contains("(kernel) + ") && times.contains("(initrd) + "), "{times}");
    guest.run("echo kept >/var/note; sync")?;
    guest.type_line("systemctl poweroff")?;
    guest.expect(CLEAN)?;
    guest.expect_off()?;
    installed.expect_clean()?;

    let mut guest = installed.boot()?;
    log_in(&mut guest)?;
    assert!(guest.run("cat /var/note")?.contains("kept"));
    guest.type_line("systemctl reboot --reboot-argument=recovery")?;
    guest.expect(&format!("{CLEAN}; rebooting with `recovery`"))?;
    guest.expect("Restarting system with command 'recovery'")?;
    guest.expect_off()?;
    installed.expect_clean()
}

#[test]
#[ignore = "the same on the second kernel: `make soak` tells it"]
fn systemd_does_so_on_the_newer_kernel() -> Story {
    let installed = Installed::new("systemd", "6.12", &SYSTEMD, Ok)?;
    let mut guest = installed.boot()?;
    log_in(&mut guest)?;
    let times = guest.run("systemctl is-system-running --wait; systemd-analyze time")?;
    assert!(times.contains("(initrd) + "), "{times}");
    ends_cleanly_from_here(&installed, &mut guest, "systemctl poweroff")
}

/// One boot, a file written, the system's own command, and clean disks.
fn ends_cleanly(installed: &Installed, guest: &mut Guest, command: &str) -> Story {
    log_in(guest)?;
    ends_cleanly_from_here(installed, guest, command)
}

/// The same, when somebody is logged in.
fn ends_cleanly_from_here(installed: &Installed, guest: &mut Guest, command: &str) -> Story {
    guest.run("echo kept >/var/note")?;
    guest.type_line(command)?;
    guest.expect_off()?;
    if guest.text().contains("cannot make read-only") {
        return Err(guest.told("a disk stayed writable"));
    }
    installed.expect_clean()
}

#[test]
fn openrc_boots_and_ends_cleanly() -> Story {
    openrc_ends_cleanly("6.1")
}

#[test]
#[ignore = "the same on the second kernel: `make soak` tells it"]
fn openrc_does_so_on_the_newer_kernel() -> Story {
    openrc_ends_cleanly("6.12")
}

fn openrc_ends_cleanly(series: &str) -> Story {
    let rc = "case $1 in\n0) /sbin/openrc off; /run/lamina/bin/lamina shutdown; exec halt -d -f -p ;;\n\
              6) /sbin/openrc off; /run/lamina/bin/lamina shutdown; exec reboot -d -f ;;\n\
              *) exec /sbin/openrc default ;;\nesac";
    let inittab = "id:2:initdefault:\nsi::sysinit:/etc/init.d/rcS\nl0:0:wait:/etc/init.d/rc 0\n\
                   l2:2:wait:/etc/init.d/rc 2\nl6:6:wait:/etc/init.d/rc 6\n\
                   s0:2:respawn:/sbin/getty 115200 ttyS0\n";
    let installed = Installed::new("openrc", series, &OPENRC, |layer| {
        layer.script("/etc/init.d/rc", rc)?.file("/etc/inittab", inittab)
    })?;
    let mut guest = installed.boot()?;
    ends_cleanly(&installed, &mut guest, "poweroff")
}

#[test]
fn runit_boots_and_ends_cleanly() -> Story {
    runit_ends_cleanly("6.1")
}

#[test]
#[ignore = "the same on the second kernel: `make soak` tells it"]
fn runit_does_so_on_the_newer_kernel() -> Story {
    runit_ends_cleanly("6.12")
}

fn runit_ends_cleanly(series: &str) -> Story {
    // runit goes off by itself after its stage 3.
    let stage_3 = "sv force-stop /etc/service/*; sv exit /etc/service/*; /run/lamina/bin/lamina shutdown";
    let installed = Installed::new("runit", series, &RUNIT, |layer| layer.script("/etc/runit/3", stage_3))?;
    let mut guest = installed.boot()?;
    ends_cleanly(&installed, &mut guest, "init 0")
}

#[test]
fn finit_boots_and_ends_cleanly() -> Story {
    finit_ends_cleanly("6.1")
}

#[test]
#[ignore = "the same on the second kernel: `make soak` tells it"]
fn finit_does_so_on_the_newer_kernel() -> Story {
    finit_ends_cleanly("6.12")
}

fn finit_ends_cleanly(series: &str) -> Story {
    let configuration = "shutdown /etc/end\ntty [12345] /dev/ttyS0 115200 vt100 nowait\n";
    let installed = Installed::new("finit", series, &FINIT_AND_S6, |layer| {
        layer.file("/etc/finit.conf", configuration)?.script("/etc/end", "/run/lamina/bin/lamina shutdown")
    })?;
    let mut guest = installed.boot()?;
    ends_cleanly(&installed, &mut guest, "poweroff")
}

#[test]
fn s6_hands_pid_1_over_and_everything_is_unmounted() -> Story {
    s6_hands_pid_1_over("6.1")
}

#[test]
#[ignore = "the same on the second kernel: `make soak` tells it"]
fn s6_does_so_on_the_newer_kernel() -> Story {
    s6_hands_pid_1_over("6.12")
}

/// s6-svscan becomes the script `finish` at its end, and that becomes our program, as PID 1, which turns the root around itself.
fn s6_hands_pid_1_over(series: &str) -> Story {
    let begin = "mkdir -p /run/service/console/ /run/service/.s6-svscan\n\
                 cp /etc/s6-console /run/service/console/run\ncp /etc/s6-finish /run/service/.s6-svscan/finish\n\
                 exec s6-svscan /run/service";
    let console = "exec setsid -w getty 115200 ttyS0";
    let finish = "exec /run/lamina/bin/lamina shutdown poweroff";
    let installed = Installed::new("s6", series, &FINIT_AND_S6, |layer| {
        let layer = layer.script("/etc/s6-init", begin)?.script("/etc/s6-console", console)?;
        layer.script("/etc/s6-finish", finish)
    })?;
    let mut guest = installed.boot_with("init=/etc/s6-init")?;
    log_in(&mut guest)?;
    guest.type_line("s6-svscanctl -t /run/service")?;
    guest.expect(CLEAN)?;
    guest.expect_off()?;
    installed.expect_clean()
}
