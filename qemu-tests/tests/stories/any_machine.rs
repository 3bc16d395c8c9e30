//! One initramfs for any machine: the store lies behind controllers of other hypervisors and computers, or comes while init waits.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qemu_tests::fixture::{DISK, Fixture};
use qemu_tests::guest::Guest;
use qemu_tests::medium::{FileSystem, Identity};
use qemu_tests::{Failure, Story};
use vm::machine::Controller;

/// Debian's kernel for real machines, with what `--generic` takes of it; and the parameters that boot its store.
fn any_machine(name: &str) -> Result<(Fixture, PathBuf, String), Failure> {
    let fixture = Fixture::on_kernel(name, "6.1-all")?;
    fixture.profile_that_runs("one", &[], "grep ' /run/lamina/medium ' /proc/mounts; echo it runs")?;
    let initramfs = fixture.initramfs()?.option("--generic", None).write()?;
    Ok((fixture, initramfs, format!("lamina.profile=one lamina.store=LABEL={}", DISK.label)))
}

/// The store on ext4, as long as SD cards are.
fn disk(fixture: &Fixture) -> Result<PathBuf, Failure> {
    let disk = fixture.disk()?;
    let length = |file: &File| file.metadata().map(|found| found.len().next_power_of_two());
    let grown = File::options().write(true).open(&disk).and_then(|file| file.set_len(length(&file)?));
    grown.map_err(Failure::at(&disk))?;
    Ok(disk)
}

/// The store on a disc: ext4 of this length has blocks that are smaller than a disc's.
fn disc(fixture: &Fixture) -> Result<PathBuf, Failure> {
    let label = Identity { uuid: "2026-01-02-03-04-05-06", ..DISK };
    let disc = fixture.scratch().join("disc.iso");
    qemu_tests::medium::write(FileSystem::Iso9660, label, &fixture.medium_folder(), &disc)?;
    Ok(disc)
}

/// Boots the store behind each of them.
fn is_found_behind(name: &str, controllers: &[Controller]) -> Story {
    let (fixture, initramfs, parameters) = any_machine(name)?;
    let (disk, disc) = (disk(&fixture)?, disc(&fixture)?);
    for controller in controllers {
        let (medium, mounted): (&Path, _) = match controller {
            Controller::SataDisc => (&disc, "/dev/sr0 "),
            _ => (&disk, " ext4 ro"),
        };
        let machine = fixture.machine_with(&initramfs, &parameters)?.disk_behind(medium, *controller);
        let mut guest = Guest::boot(&machine)?;
        let seen = guest.expect("it runs");
        let seen = seen.map_err(|failure| Failure::new(format!("{controller:?}: {failure}")))?;
        assert!(seen.contains(mounted), "{controller:?}: {seen}");
        guest.expect_off()?;
    }
    Ok(())
}

#[test]
fn the_store_is_found_behind_what_virtual_machines_and_computers_mostly_have() -> Story {
    use Controller::{Nvme, Sata, SataDisc, UsbStick, VirtioBlk, VirtioScsi};
    is_found_behind("usual-machine", &[VirtioBlk, VirtioScsi, Sata, SataDisc, Nvme, UsbStick])
}

/// The cloud kernels have no drivers for most of them. Of QEMU's LSI SAS 1068 the driver starts, and is told of no disk.
#[test]
fn the_store_is_found_behind_the_controllers_of_any_machine() -> Story {
    use Controller::{Lsi53c895a, MegaRaid, PvScsi, SdCard, Uas};
    is_found_behind("any-machine", &[Uas, MegaRaid, Lsi53c895a, PvScsi, SdCard])
}

/// A stick that somebody plugs in so long after init began to look for it; init waits 30 seconds unless it is told otherwise.
fn a_stick_comes_after(seconds: u64) -> Story {
    let (fixture, initramfs, parameters) = any_machine(&format!("stick-after-{seconds}"))?;
    let monitor = fixture.scratch().join("monitor");
    let machine = fixture.machine_with(&initramfs, &parameters)?.late_stick(&fixture.disk()?, &monitor);
    let mut guest = Guest::boot(&machine)?;
    guest.expect("load modules")?;
    std::thread::sleep(Duration::from_secs(seconds));
    assert!(!guest.text().contains("could not be started"), "{}", guest.text());
    guest.plug_in()?;
    let seen = guest.expect("it runs")?;
    assert!(seen.contains("/dev/sda "), "{seen}");
    guest.expect_off()
}

#[test]
fn a_stick_that_is_plugged_in_after_five_seconds_is_found() -> Story {
    a_stick_comes_after(5)
}

/// All other modules were loaded long ago, and the console has said what is waited for.
#[test]
fn a_stick_that_is_plugged_in_after_twenty_seconds_is_found() -> Story {
    a_stick_comes_after(20)
}
