//! What a person can do when a boot has failed, and how mistakes on the command line are told.

use std::time::{Duration, Instant};

use qemu_tests::Story;
use qemu_tests::fixture::Fixture;
use qemu_tests::store::ProfileText;

const PROFILE: &str = "lamina.profile=one";

#[test]
fn a_rescue_shell_opens_after_a_failure_and_shows_the_report() -> Story {
    let fixture = Fixture::new("rescue-shell")?.with_rescue_shell();
    fixture.profile_that_runs("one", &[], "true")?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=tow")?;
    guest.expect_screen(&["no profile `tow`"])?;
    guest.type_text("s")?;
    guest.expect("# ")?;
    assert!(guest.run("cat /run/lamina/report.json")?.contains("\"failed\""));
    guest.run("ls /run/lamina/medium/lamina/profiles/one/1.kdl")?;
    guest.type_line("exit")?;
    guest.expect("[s] shell")?;
    guest.type_text("p")?;
    guest.expect_off()
}

#[test]
fn a_rescue_shell_can_be_asked_for() -> Story {
    let fixture = Fixture::new("rescue-asked")?.with_rescue_shell();
    fixture.profile_that_runs("one", &[], "true")?;
    let mut guest = fixture.boot(&fixture.disk()?, &format!("{PROFILE} lamina.rescue"))?;
    guest.expect("stopped for rescue")?;
    guest.expect("# ")?;
    assert!(guest.run("cat /proc/1/comm")?.contains("init"));
    Ok(())
}

#[test]
fn without_a_shell_a_key_powers_off() -> Story {
    let fixture = Fixture::new("no-shell-off")?;
    let mut guest = fixture.boot(&fixture.disk()?, PROFILE)?;
    let screen = guest.expect_screen(&["profile"])?;
    assert!(!screen.contains("[s] shell"), "{screen}");
    guest.expect("[p] power off")?;
    guest.type_text("p")?;
    guest.expect("reboot: Power down")?;
    guest.expect_off()
}

#[test]
fn without_a_shell_a_key_reboots() -> Story {
    let fixture = Fixture::new("no-shell-reboot")?;
    let mut guest = fixture.boot(&fixture.disk()?, &format!("{PROFILE} ignore_loglevel"))?;
    guest.expect_screen(&["profile"])?;
    guest.expect("[p] power off")?;
    guest.type_text("b")?;
    guest.expect("reboot: ")?;
    guest.expect_off()
}

#[test]
fn a_boot_can_be_tried_again() -> Story {
    let fixture = Fixture::on_kernel("try-again", "6.12")?;
    let mut guest = fixture.boot(&fixture.disk()?, PROFILE)?;
    guest.expect_screen(&["profile"])?;
    guest.type_text("t")?;
    // Not only the screen once more: a boot, from the first line on.
    guest.expect("lamina: trying again")?;
    guest.expect("lamina: kernel 6.12.")?;
    guest.expect("find the profile")?;
    guest.expect_screen(&["profile"])?;
    guest.type_text("p")?;
    guest.expect_off()
}

#[test]
fn another_profile_can_be_chosen_and_the_system_hears_nothing_of_it() -> Story {
    let fixture = Fixture::new("other-profile")?;
    fixture.profile_that_runs("one", &[], "true")?;
    fixture.profile_that_runs("two", &[], "echo this is two, chosen=$LAMINA_PROFILE.")?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=tow")?;
    guest.expect_screen(&["no profile `tow`", "[o] other profile"])?;
    guest.type_text("o")?;
    guest.expect("1  one")?;
    guest.expect("2  two")?;
    guest.expect("number of the profile")?;
    // A number that nobody has leads back.
    guest.type_text("9")?;
    guest.expect_screen(&["no profile `tow`"])?;
    guest.type_text("o")?;
    guest.expect("number of the profile")?;
    guest.type_text("2")?;
    guest.expect("this is two, chosen=.")?;
    guest.expect("story: end")?;
    guest.expect_off()
}

#[test]
fn the_report_can_be_read_in_pages() -> Story {
    let fixture = Fixture::new("report-pages")?;
    fixture.profile_that_runs("one", &[], "true")?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=tow")?;
    guest.expect_screen(&["[r] report"])?;
    guest.expect("[p] power off")?;
    guest.type_text("r")?;
    let first = guest.expect("-- report, page 1 of ")?;
    assert!(first.contains("devices:") && first.contains("vda"), "{first}");
    assert!(first.contains("state: failed") && first.contains("step: find the profile"), "{first}");
    assert!(first.trim_start().lines().count() <= 20, "{first}");
    guest.expect("any key: more, q: back --")?;
    guest.type_text("q")?;
    guest.expect_screen(&["no profile `tow`"])?;
    guest.type_text("p")?;
    guest.expect_off()
}

#[test]
fn the_time_of_panic_ends_in_a_reboot_and_a_key_stops_it() -> Story {
    let fixture = Fixture::new("panic-time")?;
    fixture.profile_that_runs("one", &[], "true")?;
    let parameters = "lamina.profile=tow panic=5";
    let mut guest = fixture.boot(&fixture.disk()?, parameters)?;
    guest.expect("rebooting in 5 s unless one of these keys is pressed")?;
    let began = Instant::now();
    guest.expect_off()?;
    assert!(began.elapsed() > Duration::from_secs(4), "{:?}", began.elapsed());

    let mut guest = fixture.boot(&fixture.disk()?, parameters)?;
    guest.expect("rebooting in 5 s")?;
    guest.type_text("r")?;
    guest.expect("-- report, page 1 of ")?;
    guest.type_text("q")?;
    let screen = guest.expect_screen(&[])?;
    assert!(!screen.contains("rebooting"), "{screen}");
    std::thread::sleep(Duration::from_secs(7));
    guest.type_text("p")?;
    guest.expect("reboot: Power down")?;
    guest.expect_off()?;

    // At once, as the kernel understands a negative number, and not without a word.
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=tow panic=-1 ignore_loglevel")?;
    guest.expect_screen(&["no profile `tow`"])?;
    guest.expect("  rebooting\n")?;
    guest.expect("reboot: Restarting system")?;
    guest.expect_off()
}

#[test]
fn an_unknown_parameter_gets_the_nearest_name_and_the_boot_goes_on() -> Story {
    let fixture = Fixture::new("unknown-parameter")?;
    fixture.profile_that_runs("one", &[], "true")?;
    let mut guest = fixture.boot(&fixture.disk()?, &format!("{PROFILE} lamina.timout=5"))?;
    guest.expect("lamina.timout")?;
    guest.expect("lamina.timeout")?;
    guest.expect("story: end")?;
    guest.expect_off()
}

#[test]
fn a_first_program_that_is_not_there_is_named_with_those_that_are() -> Story {
    let fixture = Fixture::new("missing-init")?;
    fixture.profile_that_runs("one", &[], "true")?;
    let mut guest = fixture.boot(&fixture.disk()?, &format!("{PROFILE} init=/sbin/nothing"))?;
    guest.expect_screen(&[
        "/sbin/nothing does not exist in the stack",
        "these can start: /sbin/init",
        "init=PATH",
    ])?;
    Ok(())
}

#[test]
fn a_name_that_leaves_the_store_is_refused() -> Story {
    let fixture = Fixture::new("path-escape")?;
    fixture.store().profile(&ProfileText::new("one", &fixture.small_system()?))?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=../one")?;
    guest.expect_screen(&["lamina.profile=../one"])?;
    Ok(())
}
