//! The recovery screen on whatever a machine has: a graphics card, a serial line full of noise, or nothing at all.

use std::time::{Duration, Instant};

use qemu_tests::fixture::{DISK, Fixture};
use qemu_tests::guest::Guest;
use qemu_tests::store::Layer;
use qemu_tests::{Failure, Story, qr};

/// A profile that the store does not have.
const WRONG: &str = "lamina.profile=tow";
/// What stands below a QR code.
const BELOW_CODE: &str = "q: draw it another way";

#[test]
fn a_telephone_reads_the_report_from_a_framebuffer_and_the_keyboard_beside_it_works() -> Story {
    // Debian's kernel for real machines: that for clouds has no VESA framebuffer. 791 is 1024 x 768 pixels.
    let fixture = Fixture::on_kernel("framebuffer", "6.1-all")?.with_rescue_shell();
    let monitor = fixture.scratch().join("monitor");
    let parameters = "vga=791 console=tty0 lamina.store=LABEL=NOWHERE lamina.timeout=1";
    let machine = fixture.machine(parameters)?.screen(&monitor);
    let mut guest = Guest::boot(&machine)?;
    // The serial line is not /dev/console here, and has the screen all the same.
    guest.expect_screen(&["nothing answers to LABEL=NOWHERE"])?;
    guest.expect("[p] power off")?;
    guest.press("q")?;
    guest.expect(BELOW_CODE)?;
    let picture = fixture.scratch().join("screen.ppm");
    guest.take_picture(&picture)?;
    let said = qr::read(&picture)?;
    assert!(said.starts_with("LAMINA ") && said.contains("FAILED FIND THE STORE: LABEL:NOWHERE"), "{said}");

    // The shell opens where it was asked for, and sees the text of the other console.
    guest.type_text("x")?;
    guest.expect("[p] power off")?;
    guest.type_text("s")?;
    guest.expect("# ")?;
    assert!(guest.run("busybox tty")?.contains("/dev/ttyS0"));
    assert!(guest.run("cat /proc/fb")?.contains("VESA"));
    guest.run("grep -q 'could not be started' /dev/vcs1")?;
    guest.run("grep -q 'find the store' /dev/vcs1")?;
    guest.type_line("exit")?;
    guest.expect("[p] power off")?;
    guest.press("p")?;
    guest.expect("reboot: Power down")?;
    guest.expect_off()
}

#[test]
fn a_usb_keyboard_of_a_machine_without_another_powers_off() -> Story {
    // All of USB is modules in Debian's kernel for real machines.
    let fixture = Fixture::on_kernel("usb-keyboard", "6.1-all")?;
    let monitor = fixture.scratch().join("monitor");
    let parameters = "console=tty0 lamina.store=LABEL=NOWHERE lamina.timeout=1";
    let mut guest = Guest::boot(&fixture.machine(parameters)?.screen(&monitor).usb_keyboard())?;
    guest.expect_screen(&["nothing answers to LABEL=NOWHERE"])?;
    guest.expect("[p] power off")?;
    guest.press("p")?;
    guest.expect("reboot: Power down")?;
    guest.expect_off()
}

#[test]
fn a_qr_code_on_a_serial_line_says_what_failed_in_both_drawings() -> Story {
    let fixture = Fixture::new("qr-serial")?;
    let mut guest = failed(&fixture, "")?;
    let mut said = Vec::new();
    for drawing in ["half-blocks", "characters"] {
        guest.type_text("q")?;
        guest.expect(BELOW_CODE)?;
        said.push(qr::read_drawn(guest.bytes(), &fixture.scratch().join(format!("{drawing}.pgm")))?);
    }
    for said in &said {
        assert!(said.contains("FAILED FIND THE PROFILE: TOW"), "{said}");
    }
    guest.type_text("x")?;
    guest.expect_screen(&["no profile `tow`"])?;
    guest.type_text("p")?;
    guest.expect_off()
}

#[test]
fn noise_on_the_line_is_no_key_and_costs_no_processor() -> Story {
    let fixture = Fixture::new("noise")?.with_rescue_shell();
    let mut guest = failed(&fixture, "")?;
    // `b` would reboot and `p` power off; what a line picks up contains them sooner or later.
    let noise: Vec<u8> = (0..=255u8).chain(*b"bbpptt").cycle().take(4096).collect();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(10) {
        guest.send_noise(&noise)?;
        std::thread::sleep(Duration::from_millis(20));
    }
    // What is still on its way must be over before a single key counts.
    std::thread::sleep(Duration::from_secs(5));
    guest.type_text("s")?;
    guest.expect("# ")?;
    // utime and stime of proc_pid_stat(5), in hundredths of a second.
    let times = guest.run("cut -d' ' -f14,15 /proc/1/stat")?;
    let used: u32 = times.split_whitespace().filter_map(|time| time.parse::<u32>().ok()).sum();
    assert!(used < 500, "{used} hundredths of a second for 10 s of noise");
    guest.type_line("exit")?;
    guest.expect("[p] power off")?;
    guest.type_text("p")?;
    guest.expect("reboot: Power down")?;
    guest.expect_off()
}

#[test]
fn noise_does_not_hold_up_the_time_that_panic_gives() -> Story {
    let fixture = Fixture::new("noise-panic")?;
    let mut guest = failed(&fixture, "panic=6")?;
    guest.expect("rebooting in 6 s unless one of these keys is pressed")?;
    for _ in 0..20 {
        guest.send_noise(b"zz\xff\0\x1b[Azz")?;
        std::thread::sleep(Duration::from_millis(200));
    }
    guest.expect_off()
}

#[test]
fn ctrl_s_on_the_console_does_not_stop_the_boot() -> Story {
    const CTRL_S: u8 = 0x13;
    const CTRL_Q: u8 = 0x11;
    let fixture = Fixture::new("ctrl-s")?;
    // With a line for each step these are more than the 4 KiB that the driver of a serial line keeps.
    let layers: Vec<Layer> = (0..40).map(|number| Layer::new(&format!("layer-{number}"))).collect();
    fixture.profile_that_runs("many", &layers, "true")?;
    // The wait for a state that is not there is the time to press the key; what the kernel says itself is not stopped.
    let parameters =
        "lamina.profile=many lamina.debug lamina.state=LABEL=NOWHERE lamina.timeout=8 loglevel=7";
    let mut guest = fixture.boot(&fixture.disk()?, parameters)?;
    guest.expect("read the profile")?;
    guest.send_noise(&[CTRL_S])?;
    guest.expect("lamina: warning: the state LABEL=NOWHERE cannot be used")?;
    guest.expect("lamina: warning: the console takes nothing: it is not waited for any more")?;
    guest.expect("starting /story")?;
    guest.send_noise(&[CTRL_Q])?;
    guest.expect("story: end")?;
    guest.expect_off()
}

#[test]
fn a_machine_without_any_console_restarts_by_itself() -> Story {
    let fixture = Fixture::new("no-console")?;
    fixture.profile_that_runs("one", &[], "true")?;
    let parameters = format!("lamina.store=LABEL={} {WRONG}", DISK.label);
    let machine = fixture.machine(&parameters)?.disk(&fixture.disk()?).without_console();
    let began = Instant::now();
    let mut guest = Guest::boot(&machine)?;
    // A kernel that panicked would stand for ever: nothing gives it a time.
    guest.expect_off()?;
    assert!(began.elapsed() > Duration::from_secs(30), "{:?}", began.elapsed());
    assert!(!guest.text().contains("lamina"), "{}", guest.text());
    Ok(())
}

/// What a boot says on the console before the system starts, and what the kernel's log has of it.
fn said(fixture: &Fixture, loudness: &str) -> Result<(Vec<String>, String), Failure> {
    let parameters = format!("lamina.profile=one lamina.colour=red {loudness}");
    let mut guest = fixture.boot(&fixture.disk()?, &parameters)?;
    let console = guest.expect("story: begin\n")?;
    let log = guest.expect("story: end")?;
    guest.expect_off()?;
    let ours = console.lines().filter_map(|line| line.trim_end().strip_prefix("lamina: "));
    Ok((ours.map(str::to_owned).collect(), log))
}

#[test]
fn quiet_normal_and_debug_say_as_much_as_was_asked_for() -> Story {
    let fixture = Fixture::new("loudness")?;
    fixture.profile_that_runs("one", &[], "dmesg | grep 'lamina: '")?;
    let has = |lines: &[String], part: &str| lines.iter().any(|line| line.contains(part));
    let warning = "warning: lamina.colour is unknown";
    // A stage (each image is opened and checked), a step of it, a line of the plan, the last line.
    let (stage, step) = ("check images: 6 steps", "check image busybox ");
    let (plan, last) = ("against sha256:", "profile one, 3 layers, ");

    let (quiet, log) = said(&fixture, "quiet")?;
    assert!(quiet.len() == 1 && quiet[0].starts_with(warning), "{quiet:?}");
    let (normal, log_of_normal) = said(&fixture, "")?;
    for part in ["kernel 6.1.", stage, last, warning] {
        assert!(has(&normal, part), "{part}: {normal:?}");
    }
    assert!(!has(&normal, step) && !has(&normal, plan), "{normal:?}");
    let (debug, log_of_debug) = said(&fixture, "quiet lamina.debug")?;
    for part in ["kernel 6.1.", "command line: ", stage, step, "load modules\n", last, warning] {
        assert!(has(&debug, part.trim_end()), "{part}: {debug:?}");
    }
    assert!(debug.len() > 2 * normal.len(), "{debug:?}");
    // The kernel's log has the warning and the last line, however loud the console is.
    for log in [log, log_of_normal, log_of_debug] {
        assert!(
            log.contains(&format!("lamina: {warning}")) && log.contains(&format!("lamina: {last}")),
            "{log}"
        );
    }
    Ok(())
}

/// A machine whose menu is there, because the store has no such profile.
fn failed(fixture: &Fixture, parameters: &str) -> Result<Guest, Failure> {
    fixture.profile_that_runs("one", &[], "true")?;
    let mut guest = fixture.boot(&fixture.disk()?, &format!("{WRONG} {parameters}"))?;
    guest.expect_screen(&["no profile `tow`"])?;
    guest.expect("[p] power off")?;
    Ok(guest)
}
