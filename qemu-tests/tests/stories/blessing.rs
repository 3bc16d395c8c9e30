//! The hooks of `init/units`, installed as their own comments say, in the init systems that they are for: each blesses the boot
//! when the system has come up, and the next boot is a first attempt again.

use std::fs;

use qemu_tests::debian_root::{OPENRC, SYSTEMD};
use qemu_tests::fixture::Fixture;
use qemu_tests::guest::Guest;
use qemu_tests::installed::{Installed, log_in};
use qemu_tests::store::{Layer, ProfileText};
use qemu_tests::{Failure, Story, artifacts};

const LAMINA: &str = "/run/lamina/bin/lamina";
/// What `lamina bless` says when somebody was there before.
const BLESSED: &str = "generation 1 is known to be good";

/// A file of `init/units`.
fn hook(name: &str) -> Result<Vec<u8>, Failure> {
    let path = artifacts::repository().join("init/units").join(name);
    fs::read(&path).map_err(Failure::at(&path))
}

fn expect_first_attempt(guest: &mut Guest) -> Story {
    let noted = guest.run("grep -A3 '\"ledger\"' /run/lamina/report.json")?;
    assert!(noted.contains("\"counted\": true") && noted.contains("\"attempt\": 1"), "{noted}");
    Ok(())
}

#[test]
fn systemd_blesses_the_boot_when_the_system_is_up() -> Story {
    let unit = String::from_utf8_lossy(&hook("lamina-bless.service")?).into_owned();
    let installed = Installed::new("bless-systemd", "6.1", &SYSTEMD, |layer| {
        layer.file("/usr/lib/systemd/system/lamina-bless.service", &unit)
    })?;
    let mut guest = installed.boot()?;
    log_in(&mut guest)?;
    expect_first_attempt(&mut guest)?;
    // An ordering cycle or an unknown word would stand there.
    let said =
        guest.run("systemd-analyze verify lamina-bless.service 2>&1 | grep -v 'man lamina-bless'; true")?;
    assert_eq!(said.trim(), "");
    guest.run("systemctl enable --now lamina-bless")?;
    assert!(guest.run(&format!("{LAMINA} bless"))?.contains(BLESSED));
    guest.type_line("systemctl poweroff")?;
    guest.expect_off()?;

    // Not counted on from the first boot, and blessed by the unit alone.
    let mut guest = installed.boot()?;
    log_in(&mut guest)?;
    expect_first_attempt(&mut guest)?;
    guest.run("systemctl is-system-running --wait; systemctl is-active lamina-bless")?;
    assert!(guest.run(&format!("{LAMINA} bless"))?.contains(BLESSED));
    guest.type_line("systemctl poweroff")?;
    guest.expect_off()?;
    installed.expect_clean()
}

#[test]
fn openrc_blesses_the_boot_last_in_its_runlevel() -> Story {
    let script = hook("lamina-bless.openrc")?;
    let rc = "case $1 in\n0) /sbin/openrc off; /run/lamina/bin/lamina shutdown; exec halt -d -f -p ;;\n\
              *) exec /sbin/openrc default ;;\nesac";
    let inittab = "id:2:initdefault:\nsi::sysinit:/etc/init.d/rcS\nl0:0:wait:/etc/init.d/rc 0\n\
                   l2:2:wait:/etc/init.d/rc 2\ns0:2:respawn:/sbin/getty 115200 ttyS0\n";
    let installed = Installed::new("bless-openrc", "6.12", &OPENRC, |layer| {
        let layer = layer.script("/etc/init.d/rc", rc)?.file("/etc/inittab", inittab)?;
        layer.program("/etc/init.d/lamina-bless", script)
    })?;
    for _ in 0..2 {
        let mut guest = installed.boot()?;
        log_in(&mut guest)?;
        expect_first_attempt(&mut guest)?;
        // The first time: from the next boot on the runlevel has it.
        guest.run(
            "rc-update show default | grep -q lamina-bless || \
             { rc-update add lamina-bless default && rc-service lamina-bless start; }",
        )?;
        assert!(guest.run("rc-status default")?.contains("lamina-bless"));
        assert!(guest.run(&format!("{LAMINA} bless"))?.contains(BLESSED));
        guest.type_line("poweroff")?;
        guest.expect_off()?;
    }
    installed.expect_clean()
}

/// The small system with an inittab of its own, which has the hook as its comment says.
#[test]
fn busybox_init_blesses_the_boot_by_the_script() -> Story {
    let fixture = Fixture::new("bless-script")?;
    fixture.store().boot_slots()?;
    let inittab = "::sysinit:/etc/init.d/rcS\n::once:/etc/init.d/lamina-bless\nconsole::respawn:-/bin/sh\n";
    let layer = Layer::new("hook").program("/etc/init.d/lamina-bless", hook("lamina-bless.sh")?)?;
    let mut images = fixture.small_system()?;
    images.push(fixture.store().add(&layer.file("/etc/inittab", inittab)?)?);
    fixture.store().profile(&ProfileText::new("hooked", &images))?;
    let disk = fixture.disk()?;
    for _ in 0..2 {
        let mut guest = fixture.boot_kept(&disk, "lamina.profile=hooked")?;
        guest.expect("generation 1 is good from now on")?;
        // Whichever of the two was there first.
        guest.type_line("")?;
        guest.expect(":~# ")?;
        ends_as_blessed(&mut guest)?;
    }
    Ok(())
}

/// What `make boot` starts needs nobody's hook: `base-files` has one, which tells the system's log.
#[test]
fn a_shipped_profile_blesses_itself() -> Story {
    let fixture = Fixture::new("bless-shipped")?;
    fixture.store().boot_slots()?;
    fixture.take_profile("console")?;
    let disk = fixture.disk()?;
    for _ in 0..2 {
        let mut guest = fixture.boot_kept(&disk, "lamina.profile=console")?;
        guest.expect(":~# ")?;
        // The shell does not wait for it.
        guest.run("for second in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do logread | grep 'good from now on' && break; sleep 1; done")?;
        ends_as_blessed(&mut guest)?;
    }
    Ok(())
}

/// A first attempt, although this may be the second boot, and nothing left to bless.
fn ends_as_blessed(guest: &mut Guest) -> Story {
    expect_first_attempt(guest)?;
    let said = guest.run(&format!("{LAMINA} bless"))?;
    assert!(said.contains(BLESSED), "{said}");
    guest.type_line("poweroff")?;
    guest.expect_off()
}
