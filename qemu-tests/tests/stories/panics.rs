//! A bug in init itself: PID 1 must not end, whichever thread fails, and however early.

use std::path::PathBuf;

use qemu_tests::fixture::{DISK, Fixture};
use qemu_tests::guest::Guest;
use qemu_tests::{Failure, Story, artifacts};

/// Boots the init that panics at these places.
fn boot(fixture: &Fixture, places: &str, parameters: &str) -> Result<Guest, Failure> {
    fixture.profile_that_runs("one", &[], "true")?;
    let initramfs: PathBuf = fixture.initramfs()?.init(&artifacts::init_that_panics()?).write()?;
    let parameters = format!("lamina.store=LABEL={} PANIC_FOR_TESTS={places} {parameters}", DISK.label);
    Guest::boot(&fixture.machine_with(&initramfs, &parameters)?.disk(&fixture.disk()?))
}

#[test]
fn threads_that_panic_together_come_to_one_recovery_screen() -> Story {
    let fixture = Fixture::new("panic-threads")?;
    let mut guest = boot(&fixture, "check-image", "lamina.profile=one")?;
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
    let fixture = Fixture::on_kernel("panic-early", "6.12")?;
    let mut guest = boot(&fixture, "mount", "lamina.profile=one")?;
    guest.expect_screen(&["told to at mount"])?;
    guest.expect("[p] power off")?;
    guest.type_text("p")?;
    guest.expect_off()
}

#[test]
fn a_panic_of_recovery_itself_says_one_line_and_reboots() -> Story {
    let fixture = Fixture::new("panic-recovery")?;
    let mut guest = boot(&fixture, "recovery", "lamina.profile=tow panic=3")?;
    guest.expect("recovery itself failed: told to at recovery")?;
    guest.expect("rebooting in 3 s")?;
    guest.expect_off()?;
    assert_eq!(guest.text().matches("itself failed").count(), 1, "{}", guest.text());
    Ok(())
}

#[test]
fn a_panic_of_recovery_after_a_panic_of_init_is_the_end_too() -> Story {
    let fixture = Fixture::new("panic-twice")?;
    let mut guest = boot(&fixture, "check-image,recovery", "lamina.profile=one panic=3")?;
    guest.expect("recovery itself failed: told to at recovery")?;
    guest.expect("rebooting in 3 s")?;
    guest.expect_off()
}

/// A crash is no panic of Rust: no hook runs, the kernel sends a signal.
fn a_crash_comes_to_the_screen(name: &str, way: &str, signal: &str) -> Story {
    let fixture = Fixture::new(name)?;
    let mut guest = boot(&fixture, &format!("{way}@check-image"), "lamina.profile=one")?;
    guest.expect(&format!("PID 1 died of {signal}; starting it anew"))?;
    guest.expect_screen(&["run init", &format!("init itself failed: {signal}"), "try again"])?;
    // Another try is a first life again, which may die again.
    guest.expect("[p] power off")?;
    guest.type_text("t")?;
    guest.expect(&format!("PID 1 died of {signal}; starting it anew"))?;
    guest.expect_screen(&[&format!("init itself failed: {signal}")])?;
    guest.expect("[p] power off")?;
    guest.type_text("p")?;
    guest.expect("reboot: Power down")?;
    guest.expect_off()
}

#[test]
fn an_abort_comes_to_the_screen() -> Story {
    a_crash_comes_to_the_screen("crash-abort", "abort", "SIGABRT")
}

#[test]
fn a_fault_in_memory_comes_to_the_screen() -> Story {
    a_crash_comes_to_the_screen("crash-nowhere", "nowhere", "SIGSEGV")
}

#[test]
fn a_stack_that_overflows_comes_to_the_screen() -> Story {
    a_crash_comes_to_the_screen("crash-overflow", "overflow", "SIGSEGV (stack overflow)")
}

#[test]
fn a_crash_of_recovery_after_a_crash_of_init_says_one_line_and_reboots() -> Story {
    let fixture = Fixture::new("crash-twice")?;
    let mut guest = boot(&fixture, "nowhere@check-image,abort@recovery", "lamina.profile=one panic=3")?;
    guest.expect("PID 1 died of SIGSEGV; starting it anew")?;
    guest.expect("PID 1 died of SIGABRT and cannot go on; rebooting in 3 s")?;
    guest.expect_off()?;
    // Once from the kernel's log, once from standard error.
    assert_eq!(guest.text().matches("starting it anew").count(), 2, "{}", guest.text());
    Ok(())
}

/// The init that is shipped, killed from its own rescue shell.
#[test]
fn after_a_death_the_next_system_is_started_as_ever() -> Story {
    let fixture = Fixture::new("crash-shell")?.with_rescue_shell();
    fixture.profile_that_runs(
        "one",
        &[],
        "echo died=$LAMINA_DIED.; grep -E 'SigBlk|SigIgn|SigCgt' /proc/self/status",
    )?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=tow")?;
    guest.expect_screen(&["no profile `tow`"])?;
    guest.type_text("s")?;
    guest.expect("# ")?;
    guest.type_line("kill -BUS 1")?;
    guest.expect_screen(&["init itself failed: SIGBUS"])?;
    guest.expect("[p] power off")?;
    guest.type_text("t")?;
    guest.expect_screen(&["no profile `tow`", "[o] other profile"])?;
    guest.type_text("o")?;
    guest.expect("number of the profile")?;
    guest.type_text("1")?;
    guest.expect("died=.")?;
    for what in ["SigBlk:", "SigIgn:", "SigCgt:"] {
        guest.expect(&format!("{what}\t0000000000000000"))?;
    }
    guest.expect("story: end")?;
    guest.expect_off()
}
