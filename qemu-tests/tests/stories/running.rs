//! The commands of the running system, in running systems: blessing, the report, and which layer gave a file.

use qemu_tests::fixture::{DISK, Fixture};
use qemu_tests::medium::{FileSystem, Identity};
use qemu_tests::store::{Layer, ProfileText, sha256};
use qemu_tests::{Failure, Story};

const LAMINA: &str = "/run/lamina/bin/lamina";

/// A system that blesses itself twice, boots the second time as if it were the first, and leaves its medium read-only.
fn blesses_itself_on(file_system: FileSystem, identity: Identity, name: &str) -> Story {
    let fixture = Fixture::new(name)?;
    fixture.store().boot_slots()?;
    let lines = format!(
        "grep -A2 '\"ledger\"' /run/lamina/report.json
        {LAMINA} bless && {LAMINA} bless
        grep ' /run/lamina/medium ' /proc/mounts
        sleep 0.1 2>/dev/null; touch /run/lamina/medium/x || echo nothing else can be written"
    );
    fixture.profile_that_runs("web", &[], &lines)?;
    let disk = fixture.disk_as(file_system, identity)?;
    for _ in 0..2 {
        let mut guest = fixture.boot_kept(&disk, "lamina.profile=web")?;
        guest.expect("\"attempt\": 1")?;
        guest.expect("web, generation 1 is good from now on")?;
        guest.expect("web, generation 1 is known to be good")?;
        let mounts = guest.expect("nothing else can be written")?;
        assert!(mounts.contains(" ro"), "the medium is read-only again:\n{mounts}");
        guest.expect_off()?;
    }
    Ok(())
}

#[test]
fn a_system_on_ext4_blesses_itself_and_the_next_boot_knows() -> Story {
    blesses_itself_on(FileSystem::Ext4, DISK, "bless-ext4")
}

#[test]
fn a_system_on_fat_blesses_itself_and_the_next_boot_knows() -> Story {
    blesses_itself_on(FileSystem::Vfat, Identity { uuid: "6C61-6D69", ..DISK }, "bless-fat")
}

#[test]
fn three_boots_without_a_blessing_give_way_to_the_last_good_generation() -> Story {
    let fixture = Fixture::new("bless-last-good")?;
    fixture.store().boot_slots()?;
    fixture.profile_that_runs("web", &[], &format!("echo the first generation; {LAMINA} bless"))?;
    let mut images = fixture.small_system()?;
    images.push(fixture.script_layer("second", "echo the second generation")?);
    fixture.store().generation(2, &ProfileText::new("web", &images).init("/story"))?;
    let disk = fixture.disk()?;

    let first = sha256(&fixture.store().folder().join("profiles/web/1.kdl"))?;
    let mut guest = fixture.boot_kept(&disk, &format!("lamina.profile=web@sha256:{first}"))?;
    guest.expect("the first generation")?;
    guest.expect("is good from now on")?;
    guest.expect_off()?;
    for _ in 0..3 {
        let mut guest = fixture.boot_kept(&disk, "lamina.profile=web")?;
        guest.expect("the second generation")?;
        guest.expect_off()?;
    }
    // The first one blesses itself again, and the second one stays what it was: given up. Two of its three layers are those of
    // the first one, and not suspected.
    for _ in 0..2 {
        let mut guest = fixture.boot_kept(&disk, "lamina.profile=web")?;
        guest.expect("never blessed (suspect: story-second 1)")?;
        guest.expect("the first generation")?;
        guest.expect_off()?;
    }
    Ok(())
}

/// Named on the screen, and in the report: the layers that the good generation does not have.
#[test]
fn a_generation_that_fails_gives_way_to_the_last_good_one_and_its_new_layers_are_suspected() -> Story {
    let fixture = Fixture::new("suspects")?;
    fixture.store().boot_slots()?;
    fixture.profile_that_runs("web", &[], &format!("{LAMINA} bless; cat /run/lamina/report.json"))?;
    let mut images = fixture.small_system()?;
    let lost = fixture.store().add(&Layer::new("lost").file("/lost", "gone")?)?;
    let path = fixture.store().image_path(&lost);
    std::fs::remove_file(&path).map_err(Failure::at(&path))?;
    images.extend([lost, fixture.store().add(&Layer::new("new").file("/new", "there")?)?]);
    fixture.store().generation(2, &ProfileText::new("web", &images))?;
    let disk = fixture.disk()?;
    let first = sha256(&fixture.store().folder().join("profiles/web/1.kdl"))?;
    let mut guest = fixture.boot_kept(&disk, &format!("lamina.profile=web@sha256:{first}"))?;
    guest.expect("is good from now on")?;
    guest.expect_off()?;

    let mut guest = fixture.boot_kept(&disk, "lamina.profile=web")?;
    let screen = guest.expect("trying the last good generation of web")?;
    assert!(screen.contains("  suspect: lost 1\n           new 1\n"), "{screen}");
    guest.expect("story: begin")?;
    let report = guest.expect("story: end")?;
    let suspects = report.split_once("\"suspects\": [").map_or("", |(_, rest)| rest);
    let suspects: Vec<&str> = suspects.split('"').skip(1).step_by(2).take(2).collect();
    assert_eq!(suspects, ["lost 1", "new 1"], "{report}");
    guest.expect_off()
}

#[test]
fn without_slots_a_service_that_blesses_does_not_fail_and_a_person_is_told_why() -> Story {
    let fixture = Fixture::new("bless-nowhere")?;
    let lines = format!("{LAMINA} bless --if-counted && echo no failure\n{LAMINA} bless || echo a failure");
    fixture.profile_that_runs("web", &[], &lines)?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=web")?;
    guest.expect("the boots of this system are not counted: ")?;
    guest.expect("no failure")?;
    guest.expect("the medium has no slots to count boots in")?;
    guest.expect("help: ")?;
    guest.expect("a failure")?;
    guest.expect_off()
}

#[test]
fn which_layer_gave_a_file_is_what_the_kernel_shows() -> Story {
    let fixture = Fixture::new("why")?;
    let lower = Layer::new("lower")
        .file("/data/both", "lower")?
        .file("/data/lower", "lower")?
        .file("/data/gone", "lower")?
        .file("/data/folder/old", "lower")?;
    let upper = Layer::new("upper").file("/data/both", "upper")?.whiteout("/data/gone")?;
    let lines = format!(
        "cd /data
        {LAMINA} why both; {LAMINA} why /data/gone
        echo changed > lower; {LAMINA} why ./lower
        rm both; {LAMINA} why both
        rm -r folder; mkdir folder; {LAMINA} why folder/old; {LAMINA} why folder
        {LAMINA} why /proc/cmdline && {LAMINA} why nothing || echo no such thing
        {LAMINA} why --json /data/lower"
    );
    fixture.profile_that_runs("web", &[lower, upper], &lines)?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=web")?;
    guest.expect("/data/both: file, 5 B")?;
    guest.expect("from      upper 1  sha256:")?;
    guest.expect("shadowed  lower 1  file, 5 B; sha256:")?;
    guest.expect("/data/gone: deleted")?;
    guest.expect("deleted by upper 1")?;
    guest.expect("/data/lower: file, 8 B")?;
    guest.expect("from      the writable top (in memory: lost at power-off)")?;
    guest.expect("shadowed  lower 1")?;
    guest.expect("/data/both: deleted")?;
    guest.expect("deleted by the writable top")?;
    guest.expect("/data/folder/old: only layers that are hidden here have it")?;
    guest.expect("/data/folder: folder that hides those below")?;
    guest.expect("proc (proc) is mounted at /proc")?;
    guest.expect("/data/nothing: no layer has it")?;
    guest.expect("no such thing")?;
    guest.expect("\"state\": \"given\"")?;
    guest.expect("story: end")?;
    guest.expect_off()
}

#[test]
fn the_report_of_a_boot_is_drawn_in_the_system_that_booted() -> Story {
    let fixture = Fixture::on_kernel("report", "6.12")?;
    let lines =
        format!("{LAMINA} report\n{LAMINA} report --svg | tail -n 1\n{LAMINA} report --json | head -n 2");
    fixture.profile_that_runs("web", &[], &lines)?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=web lamina.debgu")?;
    guest.expect("Boot of web, generation 1")?;
    guest.expect("/story started after ")?;
    guest.expect("warning: ")?;
    guest.expect("Slowest steps")?;
    let chart = guest.expect("Layers, top first")?;
    assert!(chart.contains("check images") && chart.contains('#'), "{chart}");
    guest.expect("story-web 1")?;
    guest.expect("</svg>")?;
    guest.expect("\"format\": 2")?;
    guest.expect_off()
}
