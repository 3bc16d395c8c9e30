//! A bug in init itself: PID 1 must not end, whichever thread fails, and however early.

use std::path::PathBuf;

use qemu_tests::guest::Guest;
use qemu_tests::scene::{DISK, Scene};
use qemu_tests::{Failure, Story, artifacts};

/// Boots the init that panics at these places.
fn boot(scene: &Scene, places: &str, parameters: &str) -> Result<Guest, Failure> {
    scene.profile_that_runs("one", &[], "true")?;
    let initramfs: PathBuf = scene.initramfs()?.init(&artifacts::init_that_panics()?).write()?;
    let parameters = format!("lamina.store=LABEL={} PANIC_FOR_TESTS={places} {parameters}", DISK.label);
    Guest::boot(&scene.machine_with(&initramfs, &parameters)?.disk(&scene.disk()?))
}

#[test]
fn threads_that_panic_together_come_to_one_recovery_screen() -> Story {
    let scene = Scene::new("panic-threads")?;
    let mut guest = boot(&scene, "check-image", "lamina.profile=one")?;
    guest.expect_screen(&["run init", "init itself failed: told to at check image", "report it"])?;
    guest.expect("[p] power off")?;
    guest.type_text("r")?;
    guest.expect("any key leads back")?;
    guest.type_text("x")?;
    guest.expect_screen(&["told to at check image"])?;
    guest.type_text("p")?;
    guest.expect("reboot: Power down")?;
    guest.expect_off()?;
    assert_eq!(guest.text().matches("this system could not be started").count(), 2, "{}", guest.text());
    Ok(())
}

#[test]
fn a_panic_before_anything_is_mounted_comes_to_the_screen_and_can_be_tried_again() -> Story {
    let scene = Scene::new("panic-early")?;
    let mut guest = boot(&scene, "mount", "lamina.profile=one")?;
    guest.expect_screen(&["told to at mount"])?;
    guest.expect("[p] power off")?;
    guest.type_text("p")?;
    guest.expect_off()
}

#[test]
fn a_panic_of_recovery_itself_says_one_line_and_reboots() -> Story {
    let scene = Scene::new("panic-recovery")?;
    let mut guest = boot(&scene, "recovery", "lamina.profile=tow panic=3")?;
    guest.expect("recovery itself failed: told to at recovery")?;
    guest.expect("rebooting in 3 s")?;
    guest.expect_off()?;
    assert_eq!(guest.text().matches("itself failed").count(), 1, "{}", guest.text());
    Ok(())
}

#[test]
fn a_panic_of_recovery_after_a_panic_of_init_is_the_end_too() -> Story {
    let scene = Scene::new("panic-twice")?;
    let mut guest = boot(&scene, "check-image,recovery", "lamina.profile=one panic=3")?;
    guest.expect("recovery itself failed: told to at recovery")?;
    guest.expect("rebooting in 3 s")?;
    guest.expect_off()
}
