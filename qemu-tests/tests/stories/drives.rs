//! Drives whose medium comes while init waits for it: nobody but init has the kernel look whether one was put in.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use qemu_tests::fixture::{DISK, Fixture};
use qemu_tests::guest::Guest;
use qemu_tests::medium::{FileSystem, Identity};
use qemu_tests::{Failure, Story};

/// Longer than it takes until the kernel looks again.
const LOOKED_AT: Duration = Duration::from_secs(4);

/// A store that says how often the kernel looks for new media in the running system.
fn fixture(name: &str, series: &str) -> Result<Fixture, Failure> {
    let fixture = Fixture::on_kernel(name, series)?;
    let lines = "echo every=$(cat /sys/module/block/parameters/events_dfl_poll_msecs) it runs";
    fixture.profile_that_runs("one", &[], lines)?;
    Ok(fixture)
}

/// A medium that holds nothing.
fn blank(fixture: &Fixture) -> Result<PathBuf, Failure> {
    let path = fixture.scratch().join("blank.img");
    File::create(&path).and_then(|file| file.set_len(16 << 20)).map_err(Failure::at(&path))?;
    Ok(path)
}

/// A machine that waits for a medium with this label.
fn waits_for(fixture: &Fixture, store: &str, timeout: u32) -> Result<Guest, Failure> {
    let parameters = format!("lamina.profile=one lamina.store={store} lamina.timeout={timeout}");
    let monitor = fixture.scratch().join("monitor");
    Guest::boot(&fixture.machine(&parameters)?.drives(&blank(fixture)?, &monitor))
}

fn runs(guest: &mut Guest) -> Story {
    guest.expect("every=0 it runs")?;
    guest.expect_off()
}

/// After init has given up, another try; then the wrong disc, and at last the right one.
#[test]
fn a_disc_that_is_put_in_while_init_waits_is_found() -> Story {
    let fixture = fixture("disc", "6.1")?;
    let store =
        fixture.disk_as(FileSystem::Iso9660, Identity { label: "STORE", uuid: "2026-01-02-03-04-05-06" })?;
    let mut guest = waits_for(&fixture, "LABEL=STORE", 6)?;
    guest.expect_screen(&["/dev/sr0 no medium", "/dev/sda 16 MiB", "put the medium in"])?;
    guest.expect("[p] power off")?;
    guest.type_text("t")?;
    guest.expect("load modules")?;
    guest.insert("disc", &blank(&fixture)?)?;
    std::thread::sleep(LOOKED_AT / 2);
    guest.take_out("disc")?;
    guest.expect_screen(&["/dev/sr0 no medium"])?;
    guest.type_text("t")?;
    guest.expect("load modules")?;
    guest.insert("disc", &blank(&fixture)?)?;
    std::thread::sleep(LOOKED_AT / 2);
    guest.insert("disc", &store)?;
    runs(&mut guest)
}

/// By the name of the drive, which is there all the time: an empty drive is not what was asked for.
#[test]
fn a_drive_that_is_named_is_waited_for_until_it_has_a_medium() -> Story {
    let fixture = fixture("named-drive", "6.12")?;
    let store =
        fixture.disk_as(FileSystem::Iso9660, Identity { label: "STORE", uuid: "2026-01-02-03-04-05-06" })?;
    let mut guest = waits_for(&fixture, "/dev/sr0", 30)?;
    guest.expect("load modules")?;
    std::thread::sleep(LOOKED_AT);
    guest.insert("disc", &store)?;
    runs(&mut guest)
}

#[test]
fn a_card_that_is_exchanged_while_init_waits_is_found() -> Story {
    let fixture = fixture("card", "6.1")?;
    let mut guest = waits_for(&fixture, &format!("LABEL={}", DISK.label), 40)?;
    guest.expect("load modules")?;
    std::thread::sleep(LOOKED_AT / 2);
    guest.take_out("card")?;
    std::thread::sleep(LOOKED_AT);
    guest.insert("card", &fixture.disk()?)?;
    runs(&mut guest)
}
