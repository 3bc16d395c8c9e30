//! Never stranded: what boots when what was asked for cannot.

use qemu_tests::Story;
use qemu_tests::failure::Failure;
use qemu_tests::fixture::Fixture;
use qemu_tests::guest::Guest;
use qemu_tests::store::{Layer, ProfileText, sha256};

/// A profile `name` whose one added layer is gone from the medium.
fn broken(fixture: &Fixture, name: &str) -> Result<(), Failure> {
    let mut images = fixture.small_system()?;
    let lost = fixture.store().add(&Layer::new("lost").file("/lost", name)?)?;
    std::fs::remove_file(fixture.store().image_path(&lost)).map_err(Failure::about("the lost image"))?;
    images.push(lost);
    fixture.store().profile(&ProfileText::new(name, &images))
}

#[test]
fn a_fallback_boots_and_the_report_tells_of_both() -> Story {
    let fixture = Fixture::new("chain-fallback")?;
    broken(&fixture, "web")?;
    fixture.profile_that_runs("small", &[], "cat /run/lamina/report.json")?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=web lamina.fallback=small")?;
    guest.expect("is not in the store")?;
    guest.expect("trying lamina.fallback=small")?;
    let report = guest.expect("story: end")?;
    for part in
        ["\"attempts\"", "\"candidate\": \"the profile web\"", "\"outcome\": \"failed\"", "open image"]
    {
        assert!(report.contains(part), "{part} is not in\n{report}");
    }
    guest.expect_off()
}

#[test]
fn the_rescue_profile_of_the_store_is_the_last_that_is_tried() -> Story {
    let fixture = Fixture::on_kernel("chain-rescue", "6.12")?;
    broken(&fixture, "web")?;
    broken(&fixture, "small")?;
    fixture.profile_that_runs("rescue", &[], "true")?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=web lamina.fallback=small")?;
    guest.expect("trying lamina.fallback=small")?;
    guest.expect("trying the profile rescue of the store")?;
    guest.expect("story: end")?;
    guest.expect_off()
}

#[test]
fn the_rescue_profile_of_the_initramfs_boots_when_there_is_no_medium() -> Story {
    let fixture = Fixture::new("chain-no-medium")?;
    fixture.profile_that_runs("rescue", &[], "true")?;
    let initramfs = fixture.initramfs()?.store(fixture.store().folder()).write()?;
    let parameters = "lamina.profile=web lamina.store=LABEL=NOWHERE lamina.timeout=1";
    let mut guest = Guest::boot(&fixture.machine_with(&initramfs, parameters)?)?;
    guest.expect("trying the profile rescue of the initramfs")?;
    guest.expect("story: end")?;
    guest.expect_off()
}

#[test]
fn a_bound_profile_gives_way_to_nothing_of_the_medium_that_is_not_bound() -> Story {
    let fixture = Fixture::new("chain-bound")?;
    broken(&fixture, "web")?;
    fixture.profile_that_runs("rescue", &[], "true")?;
    fixture.profile_that_runs("small", &[], "true")?;
    let profile = fixture.store().folder().join("profiles/web/1.kdl");
    let digest = sha256(&profile)?;
    // The last word is what the recovery screen hands to the next init; the kernel takes it from anybody.
    let parameters = format!("lamina.profile=web@sha256:{digest} lamina.fallback=small LAMINA_PROFILE=small");
    let mut guest = fixture.boot(&fixture.disk()?, &parameters)?;
    let screen = guest.expect_screen(&["is not in the store"])?;
    assert!(!screen.contains("trying"), "{screen}");
    // Nor may a person choose another.
    assert!(screen.contains("[t] try again") && !screen.contains("[o] other profile"), "{screen}");
    guest.type_text("p")?;
    guest.expect_off()
}

/// Each of them ended the boot, though the initramfs has a rescue; with `panic=` the machine would have started for ever.
#[test]
fn no_slip_on_the_command_line_ends_a_boot_that_has_something_to_boot() -> Story {
    let fixture = Fixture::new("chain-slips")?;
    // Its streams led to the node of the initramfs, `/dev/console (deleted)`; the shell keeps its script open as 10.
    let streams = "echo here is web; ls -l /proc/1/fd; echo that is all";
    fixture.profile_that_runs("web", &[], streams)?;
    fixture.profile_that_runs("rescue", &[], "echo here is the rescue")?;
    let initramfs = fixture.initramfs()?.store(fixture.store().folder()).write()?;
    let boot = |parameters: &str| Guest::boot(&fixture.machine_with(&initramfs, parameters)?);
    let mut guest =
        boot("quiet panic=-1 lamina.profile=web lamina.timeout=30s lamina.debug=1 lamina.fallback=")?;
    guest.expect("lamina.timeout=30s was ignored: it is not a whole number of seconds")?;
    guest.expect("lamina.debug=1 was ignored: it takes no value")?;
    guest.expect("here is web")?;
    let descriptors = guest.expect("that is all")?;
    for descriptor in ["0", "1", "2"] {
        let console = format!("{descriptor} -> /dev/console\n");
        assert!(descriptors.replace('\r', "").contains(&console), "{descriptors}");
    }
    assert_eq!(descriptors.matches("->").count(), 4, "{descriptors}");
    guest.expect_off()?;
    let mut guest =
        boot("quiet panic=-1 lamina.profile=web lamina.verify=strict init=sbin/init lamina.toram")?;
    guest.expect("lamina.verify=strict")?;
    guest.expect("here is the rescue")?;
    guest.expect_off()
}

#[test]
fn three_boots_that_nobody_blessed_move_on_and_come_back_when_nothing_else_stands() -> Story {
    let fixture = Fixture::new("chain-counted")?;
    fixture.store().boot_slots()?;
    fixture.profile_that_runs("web", &[], "grep -A4 '\"ledger\"' /run/lamina/report.json")?;
    fixture.profile_that_runs("small", &[], "echo here is the small one")?;
    let disk = fixture.disk()?;
    let boot = |parameters: &str| fixture.boot_kept(&disk, &format!("lamina.profile=web {parameters}"));
    for attempt in 1..=3 {
        let mut guest = boot("lamina.fallback=small")?;
        guest.expect(&format!("\"attempt\": {attempt}"))?;
        guest.expect_off()?;
    }
    let mut guest = boot("lamina.fallback=small")?;
    guest.expect("it was started three times in a row, and never blessed")?;
    guest.expect("here is the small one")?;
    guest.expect_off()?;
    let mut guest = boot("")?;
    guest.expect("\"attempt\": 4")?;
    guest.expect_off()
}

#[test]
fn a_rescue_that_nobody_blesses_boots_for_ever_and_what_a_person_chooses_boots_at_once() -> Story {
    let fixture = Fixture::new("chain-rescue-for-ever")?.with_rescue_shell();
    fixture.store().boot_slots()?;
    // A kernel panic in real life: for init it is a boot that nobody blessed.
    fixture.profile_that_runs("web", &[], "echo here is web")?;
    fixture.profile_that_runs("rescue", &[], "echo here is the rescue")?;
    let disk = fixture.disk()?;
    let boot = |parameters: &str| fixture.boot_kept(&disk, &format!("lamina.profile=web {parameters}"));
    for here in ["web"; 3].into_iter().chain(["the rescue"; 5]) {
        let mut guest = boot("")?;
        let said = guest.expect("story: end")?;
        assert!(said.contains(&format!("here is {here}")), "{said}");
        guest.expect_off()?;
    }
    let mut guest = boot("lamina.rescue")?;
    guest.expect("# ")?;
    guest.type_line("exit")?;
    guest.expect("[p] power off")?;
    guest.type_text("t")?;
    guest.expect("here is web")?;
    guest.expect_off()
}
