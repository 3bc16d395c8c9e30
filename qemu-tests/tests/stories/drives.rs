//! Drives whose medium comes while init waits for it: nobody but init has the kernel look whether one was put in.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use qemu_tests::guest::Guest;
use qemu_tests::medium::{FileSystem, Identity};
use qemu_tests::scene::{DISK, Scene};
use qemu_tests::{Failure, Story};

/// Longer than it takes until the kernel looks again.
const LOOKED_AT: Duration = Duration::from_secs(4);

/// A store that says how often the kernel looks for new media in the running system.
fn scene(name: &str, series: &str) -> Result<Scene, Failure> {
    let scene = Scene::on_kernel(name, series)?;
    let lines = "echo every=$(cat /sys/module/block/parameters/events_dfl_poll_msecs) it runs";
    scene.profile_that_runs("one", &[], lines)?;
    Ok(scene)
}

/// A medium that holds nothing.
fn blank(scene: &Scene) -> Result<PathBuf, Failure> {
    let path = scene.scratch().join("blank.img");
    File::create(&path).and_then(|file| file.set_len(16 << 20)).map_err(Failure::at(&path))?;
    Ok(path)
}

/// A machine that waits for a medium with this label.
fn waits_for(scene: &Scene, store: &str, timeout: u32) -> Result<Guest, Failure> {
    let parameters = format!("lamina.profile=one lamina.store={store} lamina.timeout={timeout}");
    let monitor = scene.scratch().join("monitor");
    Guest::boot(&scene.machine(&parameters)?.drives(&blank(scene)?, &monitor))
}

fn runs(guest: &mut Guest) -> Story {
    guest.expect("every=0 it runs")?;
    guest.expect_off()
}

/// After init has given up, another try; then the wrong disc, and at last the right one.
#[test]
fn a_disc_that_is_put_in_while_init_waits_is_found() -> Story {
    let scene = scene("disc", "6.1")?;
    let store =
        scene.disk_as(FileSystem::Iso9660, Identity { label: "STORE", uuid: "2026-01-02-03-04-05-06" })?;
    let mut guest = waits_for(&scene, "LABEL=STORE", 6)?;
    guest.expect_screen(&["/dev/sr0 no medium", "/dev/sda 16 MiB", "put the medium in"])?;
    guest.expect("[p] power off")?;
    guest.type_text("t")?;
    guest.expect("load modules")?;
    guest.insert("disc", &blank(&scene)?)?;
    std::thread::sleep(LOOKED_AT / 2);
    guest.take_out("disc")?;
    guest.expect_screen(&["/dev/sr0 no medium"])?;
    guest.type_text("t")?;
    guest.expect("load modules")?;
    guest.insert("disc", &blank(&scene)?)?;
    std::thread::sleep(LOOKED_AT / 2);
    guest.insert("disc", &store)?;
    runs(&mut guest)
}

/// By the name of the drive, which is there all the time: an empty drive is not what was asked for.
#[test]
fn a_drive_that_is_named_is_waited_for_until_it_has_a_medium() -> Story {
    let scene = scene("named-drive", "6.12")?;
    let store =
        scene.disk_as(FileSystem::Iso9660, Identity { label: "STORE", uuid: "2026-01-02-03-04-05-06" })?;
    let mut guest = waits_for(&scene, "/dev/sr0", 30)?;
    guest.expect("load modules")?;
    std::thread::sleep(LOOKED_AT);
    guest.insert("disc", &store)?;
    runs(&mut guest)
}

#[test]
fn a_card_that_is_exchanged_while_init_waits_is_found() -> Story {
    let scene = scene("card", "6.1")?;
    let mut guest = waits_for(&scene, &format!("LABEL={}", DISK.label), 40)?;
    guest.expect("load modules")?;
    std::thread::sleep(LOOKED_AT / 2);
    guest.take_out("card")?;
    std::thread::sleep(LOOKED_AT);
    guest.insert("card", &scene.disk()?)?;
    runs(&mut guest)
}
