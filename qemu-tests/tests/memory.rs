//! What uses up memory gives way to something smaller, and never ends in a kernel panic.

use qemu_tests::Story;
use qemu_tests::guest::Guest;
use qemu_tests::scene::Scene;

/// A machine of 512 MiB whose kernel prepares for so many processors; each squashfs costs a decompressor for every one of them.
fn console_and_rescue(possible: u32) -> Result<(Scene, Guest), qemu_tests::Failure> {
    let scene = Scene::new(&format!("possible-{possible}"))?;
    scene.take_profile("console")?;
    scene.profile_that_runs(
        "rescue",
        &[],
        "cat /sys/devices/system/cpu/possible; echo here is the rescue",
    )?;
    let machine = scene.machine("lamina.store=LABEL=LAMINA lamina.profile=console")?;
    let machine = machine.possible_processors(possible).disk(&scene.disk()?);
    let guest = Guest::boot(&machine)?;
    Ok((scene, guest))
}

/// On 6.1, whose squashfs has no `threads=`: 86 MiB a layer, of which six do not fit and three do.
#[test]
fn with_128_possible_processors_the_console_gives_way_to_the_rescue_with_a_sentence() -> Story {
    let (_scene, mut guest) = console_and_rescue(128)?;
    guest.expect("the memory is used up: ")?;
    guest.expect("a decompressor for each of 128 possible processors")?;
    guest.expect("make EROFS images")?;
    guest.expect("nr_cpus=N")?;
    guest.expect("trying the profile rescue of the store")?;
    guest.expect("0-127")?;
    guest.expect("here is the rescue")?;
    guest.expect_off()
}

/// 162 MiB a layer: not even the rescue has room, and a person reads why.
#[test]
#[ignore = "the same with more processors: `make soak` tells it"]
fn with_240_possible_processors_the_screen_says_why_nothing_fits() -> Story {
    let (_scene, mut guest) = console_and_rescue(240)?;
    guest.expect("trying the profile rescue of the store")?;
    let screen = guest.expect_screen(&["the memory is used up: ", "240 possible processors", "nr_cpus=N"])?;
    assert!(screen.contains("EROFS"), "{screen}");
    guest.type_text("p")?;
    guest.expect_off()
}
