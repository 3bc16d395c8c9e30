//! What uses up memory gives way to something smaller, and never ends in a kernel panic.

use std::fs;
use std::path::Path;

use qemu_tests::Story;
use qemu_tests::failure::Failure;
use qemu_tests::fixture::Fixture;
use qemu_tests::guest::Guest;
use qemu_tests::store::{ImageLine, Layer, ProfileText, sha256};

/// A machine of 512 MiB whose kernel prepares for so many processors; each squashfs costs a decompressor for every one of them.
fn console_and_rescue(possible: u32) -> Result<(Fixture, Guest), Failure> {
    let fixture = Fixture::new(&format!("possible-{possible}"))?;
    fixture.take_profile("console")?;
    fixture.profile_that_runs(
        "rescue",
        &[],
        "cat /sys/devices/system/cpu/possible; echo here is the rescue",
    )?;
    let machine = fixture.machine("lamina.store=LABEL=LAMINA lamina.profile=console")?;
    let machine = machine.possible_processors(possible).disk(&fixture.disk()?);
    let guest = Guest::boot(&machine)?;
    Ok((fixture, guest))
}

/// On 6.1, whose squashfs has no `threads=`: 86 MiB a layer, of which six do not fit and three do.
#[test]
fn with_128_possible_processors_the_console_gives_way_to_the_rescue_with_a_sentence() -> Story {
    let (_fixture, mut guest) = console_and_rescue(128)?;
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
    let (_fixture, mut guest) = console_and_rescue(240)?;
    guest.expect("trying the profile rescue of the store")?;
    let screen = guest.expect_screen(&["the memory is used up: ", "240 possible processors", "nr_cpus=N"])?;
    assert!(screen.contains("EROFS"), "{screen}");
    guest.type_text("p")?;
    guest.expect_off()
}

/// A file of 1 GiB that takes no room on the medium.
fn sparse(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(Failure::at(folder))?;
    fs::File::create(path).and_then(|file| file.set_len(1 << 30)).map_err(Failure::at(path))
}

/// A program whose header tells of 65,535 program headers of 65,535 bytes, which are 4 GiB.
fn hostile_program() -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    (bytes[16], bytes[18], bytes[32]) = (2, 62, 64);
    bytes[54..58].fill(0xff);
    bytes
}

/// An image of which the kernel makes a decompressor of xz with a dictionary of 64 MiB, for each possible processor: the options of
/// the compressor stand behind the superblock (`squashfs_xz_comp_opts` of fs/squashfs/xz_wrapper.c).
fn hostile_image(fixture: &Fixture) -> Result<ImageLine, Failure> {
    let mut line = fixture.store().add(&Layer::new("dictionary").file("/x", "x")?)?;
    let path = fixture.store().image_path(&line);
    let mut bytes = fs::read(&path).map_err(Failure::at(&path))?;
    bytes[20] = 4;
    bytes[25] |= 1 << 2;
    bytes[96..98].copy_from_slice(&0x8008_u16.to_le_bytes());
    bytes[98..102].copy_from_slice(&(64_u32 << 20).to_le_bytes());
    bytes[102..106].fill(0);
    fs::write(&path, &bytes).map_err(Failure::at(&path))?;
    line.digest = sha256(&path)?;
    fs::rename(&path, fixture.store().image_path(&line)).map_err(Failure::at(&path))?;
    Ok(line)
}

/// The smallest machine, and a medium with one thing after another that would fill its memory.
#[test]
fn hostile_files_of_each_kind_give_way_to_the_rescue_of_the_initramfs_in_128_mib() -> Story {
    let fixture = Fixture::new("hostile")?;
    let system = fixture.small_system()?;
    fixture.profile_that_runs("rescue", &[], "echo here is the packed rescue")?;
    let initramfs = fixture.initramfs()?.store(fixture.store().folder()).write()?;

    let profiles = fixture.store().folder().join("profiles");
    // 500,000 arguments were a tree of 415 MB.
    fixture
        .store()
        .profile_text("web", &format!("profile \"web\" format=1 {{\n  a{}\n}}\n", " 1".repeat(500_000)))?;
    let mut images = system.clone();
    images.push(fixture.store().add(&Layer::new("program").program("/hostile", hostile_program())?)?);
    fixture.store().profile(&ProfileText::new("small", &images).verify("none").init("/hostile"))?;
    let mut images = system;
    images.push(hostile_image(&fixture)?);
    fixture.store().profile(&ProfileText::new("rescue", &images).verify("none"))?;
    // What is beside them: a signature and slots that do not end, generations and profiles without number.
    sparse(&profiles.join("web/1.kdl.minisig"))?;
    ["a", "b"].iter().try_for_each(|slot| sparse(&fixture.store().folder().join("boot").join(slot)))?;
    for number in 0..3_000 {
        fixture.store().profile_text(&format!("n{number}"), "x")?;
    }

    let parameters = "lamina.store=LABEL=LAMINA lamina.profile=web lamina.fallback=small";
    let machine = fixture.machine_with(&initramfs, parameters)?.memory_mib(128).disk(&fixture.disk()?);
    let mut guest = Guest::boot(&machine)?;
    guest.expect("1.kdl:2:")?;
    guest.expect("this is the 16385th node, argument or property")?;
    guest.expect("trying lamina.fallback=small")?;
    guest.expect("its program headers have a size that the kernel refuses")?;
    guest.expect("trying the profile rescue of the store")?;
    guest.expect("the memory is used up: ")?;
    guest.expect("trying the profile rescue of the initramfs")?;
    guest.expect("here is the packed rescue")?;
    guest.expect_off()
}
