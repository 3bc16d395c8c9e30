//! A medium on which something is wrong. Each boot must stop with a screen that names the object, the cause and the remedy.

use std::fs::File;

use qemu_tests::fixture::{DISK, Fixture};
use qemu_tests::guest::Guest;
use qemu_tests::medium::{flip_a_bit, truncate};
use qemu_tests::store::{ImageLine, Layer, ProfileText};
use qemu_tests::{Failure, Story};

/// What the disk of the story gives before it stops: the one block in which the kernel looks for partitions.
const DYING: u64 = 4 << 10;

/// A bootable profile `one` with the layer `precious`, whose image the story may then damage.
fn fixture(name: &str) -> Result<(Fixture, ImageLine), Failure> {
    let fixture = Fixture::new(name)?;
    let mut images = fixture.small_system()?;
    let text = "the very same bytes, or none\n".repeat(100);
    let precious = fixture.store().add(&Layer::new("precious").file("/precious", &text)?)?;
    images.extend([precious.clone(), fixture.script_layer(name, "cat /precious")?]);
    fixture.store().profile(&ProfileText::new("one", &images).init("/story"))?;
    Ok((fixture, precious))
}

fn boot(fixture: &Fixture) -> Result<Guest, Failure> {
    fixture.boot(&fixture.disk()?, "lamina.profile=one")
}

#[test]
fn an_image_with_one_flipped_bit_is_refused_by_name() -> Story {
    let (fixture, precious) = fixture("flipped-bit")?;
    flip_a_bit(&fixture.store().image_path(&precious))?;
    let digest = format!("expected sha256:{}", precious.digest);
    boot(&fixture)?.expect_screen(&[
        "precious",
        "the digest does not match",
        &digest,
        "copy it to the medium again",
    ])?;
    Ok(())
}

#[test]
fn a_truncated_image_is_refused_with_both_sizes() -> Story {
    let (fixture, precious) = fixture("truncated")?;
    truncate(&fixture.store().image_path(&precious), 1000)?;
    let sizes = format!("truncated: expected {} bytes, found 1000", precious.size);
    boot(&fixture)?.expect_screen(&["precious", &sizes, "copy the image to the medium again"])?;
    Ok(())
}

#[test]
fn a_truncated_image_is_refused_even_when_nothing_is_verified() -> Story {
    let fixture = Fixture::new("truncated-unverified")?;
    let mut images = fixture.small_system()?;
    let precious = fixture.store().add(&Layer::new("precious").file("/precious", "text")?)?;
    images.push(precious.clone());
    fixture.store().profile(&ProfileText::new("one", &images).verify("none"))?;
    truncate(&fixture.store().image_path(&precious), 1000)?;
    boot(&fixture)?.expect_screen(&["precious", "truncated"])?;
    Ok(())
}

#[test]
fn a_missing_image_is_named_with_its_file() -> Story {
    let (fixture, precious) = fixture("missing-image")?;
    let path = fixture.store().image_path(&precious);
    std::fs::remove_file(&path).map_err(Failure::at(&path))?;
    let file = format!("{}.sqfs is not in the store", precious.digest);
    // What is there instead: base-files, busybox and the script.
    let seen = "/run/lamina/medium/lamina/images holds 3 images";
    boot(&fixture)?.expect_screen(&[
        "precious",
        &file,
        "copy the image of precious",
        "lamina medium create --profile",
        seen,
    ])?;
    Ok(())
}

#[test]
fn every_damaged_image_is_told_at_once() -> Story {
    let (fixture, precious) = fixture("two-damaged")?;
    let (_, images) = qemu_tests::store::newest_profile(fixture.store().folder(), "one")?;
    let script = images.last().ok_or_else(|| Failure::new("the profile has no images"))?;
    for image in [&precious, script] {
        flip_a_bit(&fixture.store().image_path(image))?;
    }
    boot(&fixture)?.expect_screen(&["precious", "also:", &script.name])?;
    Ok(())
}

#[test]
fn a_profile_that_is_not_there_lists_those_that_are() -> Story {
    let fixture = Fixture::new("missing-profile")?;
    for name in ["desktop", "server"] {
        fixture.profile_that_runs(name, &[], "true")?;
    }
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=sevrer")?;
    guest.expect_screen(&["the store has no profile `sevrer`", "desktop, server", "lamina.profile=NAME"])?;
    Ok(())
}

#[test]
fn a_store_that_never_appears_tells_what_did() -> Story {
    let (fixture, _) = fixture("missing-store")?;
    let machine =
        fixture.machine("quiet lamina.profile=one lamina.store=LABEL=ELSEWHERE lamina.timeout=6")?;
    let mut guest = Guest::boot(&machine.disk(&fixture.disk()?))?;
    // Nobody should have to guess for half a minute whether the machine hangs.
    guest.expect("lamina: waiting for LABEL=ELSEWHERE, at most 1 s more")?;
    guest.expect_screen(&["LABEL=ELSEWHERE after 6 s", "/dev/vda", "ext4", "LAMINA", "lamina.timeout="])?;
    Ok(())
}

/// A disk that no longer answers, named before and behind the one with the store.
#[test]
fn a_disk_that_does_not_answer_holds_up_neither_the_boot_nor_the_screen() -> Story {
    let fixture = Fixture::new("dying-disk")?;
    fixture.profile_that_runs("one", &[], "cat /proc/partitions")?;
    let (store, dying) = (fixture.disk()?, fixture.scratch().join("dying.img"));
    File::create(&dying).and_then(|file| file.set_len(64 << 20)).map_err(Failure::at(&dying))?;
    let machine = |store: &str, timeout: u32| {
        fixture.machine(&format!("lamina.profile=one lamina.store=LABEL={store} lamina.timeout={timeout}"))
    };
    let with_store = machine(DISK.label, 60)?;
    for machine in [
        with_store.clone().disk(&store).dying_disk(&dying, DYING),
        with_store.dying_disk(&dying, DYING).disk(&store),
    ] {
        let mut guest = Guest::boot(&machine)?;
        guest.expect("story: begin")?;
        guest.expect(" 65536 vd")?;
        guest.expect_off()?;
    }
    let mut guest = Guest::boot(&machine("ELSEWHERE", 3)?.disk(&store).dying_disk(&dying, DYING))?;
    let seen =
        ["nothing answers to LABEL=ELSEWHERE after 3 s", "/dev/vda ", "/dev/vdb 64 MiB (does not answer)"];
    guest.expect_screen(&seen)?;
    Ok(())
}

#[test]
fn a_machine_without_any_disk_says_so() -> Story {
    let fixture = Fixture::new("no-disk")?;
    let machine = fixture.machine("lamina.profile=one lamina.store=LABEL=LAMINA lamina.timeout=2")?;
    Guest::boot(&machine)?.expect_screen(&["no disk at all"])?;
    Ok(())
}

#[test]
fn a_mistake_in_a_profile_is_shown_with_line_column_and_caret() -> Story {
    let fixture = Fixture::new("bad-kdl")?;
    let text = "profile \"one\" format=1 {\n    imge \"busybox\"\n    verify \"digest\"\n    init \"/sbin/init\"\n}\n";
    fixture.store().profile_text("one", text)?;
    let screen =
        boot(&fixture)?.expect_screen(&["profiles/one/1.kdl:2:5: error:", "imge \"busybox\"", "image"])?;
    let lines: Vec<&str> = screen.lines().collect();
    let shown = lines.iter().position(|line| line.contains("imge \"busybox\"")).expect("looked for above");
    let column = lines[shown].find("imge");
    assert_eq!(lines[shown + 1].find('^'), column, "the caret does not stand below the mistake:{screen}");
    Ok(())
}

#[test]
fn nesting_without_end_is_refused_and_not_a_crash() -> Story {
    let fixture = Fixture::new("nested-kdl")?;
    fixture.store().profile_text("one", &"a {\n".repeat(100_000))?;
    boot(&fixture)?.expect_screen(&["profiles/one/1.kdl", "error:"])?;
    Ok(())
}
