//! What a stack of layers looks like from inside.

use qemu_tests::Story;
use qemu_tests::fixture::{DISK, Fixture};
use qemu_tests::guest::Guest;
use qemu_tests::store::{Layer, ProfileText, TestStore};

const SEVERAL: [&str; 3] = ["lower", "middle", "upper"];

#[test]
fn the_upper_layer_wins_and_a_whiteout_hides() -> Story {
    let fixture = Fixture::new("layer-order")?;
    let [lower, middle, upper] = SEVERAL;
    let layers = [
        Layer::new(lower).file("/data/who", lower)?.file("/data/gone", lower)?.file("/data/kept", lower)?,
        Layer::new(middle).file("/data/who", middle)?.file("/data/second", middle)?,
        Layer::new(upper).file("/data/who", upper)?.whiteout("/data/gone")?,
    ];
    let look = "cd /data; echo who=$(cat who) second=$(cat second) kept=$(cat kept) names=$(echo *)";
    fixture.profile_that_runs("order", &layers, look)?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=order")?;
    guest.expect("story: begin\n")?;
    let seen = guest.expect("story: end")?;
    assert_eq!(seen.trim(), "who=upper second=middle kept=lower names=kept second who");
    guest.expect_off()
}

#[test]
fn a_hundred_layers_are_one_system() -> Story {
    a_hundred_layers("6.1")
}

/// From 6.7 on, init passes each layer to the kernel on its own.
#[test]
#[ignore = "the same on the second kernel: `make soak` tells it"]
fn a_hundred_layers_are_one_system_on_the_newer_kernel() -> Story {
    a_hundred_layers("6.12")
}

fn a_hundred_layers(kernel: &str) -> Story {
    let fixture = Fixture::on_kernel(&format!("hundred-{kernel}"), kernel)?;
    // With base-files, busybox and the script's own layer these are a hundred.
    let layers = (0..97)
        .map(|number| Layer::new(&format!("layer-{number:02}")).file(&format!("/data/{number:02}"), "x"))
        .collect::<Result<Vec<_>, _>>()?;
    let look =
        "echo files=$(ls /data | wc -l) layers=$(ls /run/lamina/layers | wc -l) sum=$(cat /data/* | wc -c)";
    fixture.profile_that_runs("hundred", &layers, look)?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=hundred")?;
    guest.expect("story: begin\n")?;
    let seen = guest.expect("story: end")?;
    assert_eq!(seen.trim(), "files=97 layers=100 sum=97");
    guest.expect_off()
}

#[test]
fn a_root_without_a_writable_top_is_read_only() -> Story {
    let fixture = Fixture::new("read-only")?;
    let mut images = fixture.small_system()?;
    images.push(fixture.script_layer("read-only", "(echo text > /new) 2>&1")?);
    fixture.store().profile(&ProfileText::new("still", &images).read_only().init("/story"))?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=still")?;
    guest.expect("Read-only file system")?;
    guest.expect_off()
}

#[test]
fn the_kernels_own_ro_hands_the_root_over_read_only() -> Story {
    let fixture = Fixture::new("ro")?;
    fixture.profile_that_runs(
        "top",
        &[],
        "(echo text > /new) 2>&1; mount -o remount,rw / && echo text > /new && cat /new",
    )?;
    let mut guest = fixture.boot(&fixture.disk()?, "ro lamina.profile=top")?;
    guest.expect("Read-only file system")?;
    guest.expect("text")?;
    guest.expect_off()
}

#[test]
fn the_medium_stays_mounted_read_only() -> Story {
    let fixture = Fixture::new("after-boot")?;
    let look = "grep ' /run/lamina/medium ' /proc/mounts; ls /run/lamina";
    fixture.profile_that_runs("after", &[], look)?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=after")?;
    guest.expect("story: begin\n")?;
    let seen = guest.expect("story: end")?;
    assert!(seen.contains("/run/lamina/medium ext4 ro"), "{seen}");
    for left in ["layers", "profile.kdl", "report.json"] {
        assert!(seen.lines().any(|line| line.split_whitespace().any(|word| word == left)), "{left}: {seen}");
    }
    guest.expect_off()
}

/// Bytes that no compressor makes smaller (xorshift of 64 bits).
fn ballast(length: usize) -> Vec<u8> {
    let mut state = 0x6c61_6d69_6e61u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length / 8).flat_map(|_| next()).collect()
}

/// Kibibytes of a line of proc_meminfo(5).
fn kib(meminfo: &str, name: &str) -> u32 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(u32::MAX / 4)
}

/// What lies in a tmpfs is shared memory for the kernel, and what lies in a ramfs cannot be evicted: an initramfs is one of them.
#[test]
fn the_memory_of_the_initramfs_is_free_again() -> Story {
    const BALLAST: usize = 32 << 20;
    let fixture = Fixture::new("freed")?;
    fixture.profile_that_runs("after", &[], "cat /proc/meminfo")?;
    let packed = TestStore::create(&fixture.scratch().join("packed"))?;
    let image = packed.add(&Layer::new("ballast").program("/ballast", ballast(BALLAST))?)?;
    packed.profile(&ProfileText::new("spare", &[image]))?;
    let initramfs = fixture.initramfs()?.store(packed.folder()).write()?;
    let parameters = format!("lamina.store=LABEL={} lamina.profile=after", DISK.label);
    let mut guest = Guest::boot(&fixture.machine_with(&initramfs, &parameters)?.disk(&fixture.disk()?))?;
    guest.expect("story: begin\n")?;
    let seen = guest.expect("story: end")?;
    let held = kib(&seen, "Shmem") + kib(&seen, "Unevictable");
    assert!(held < 8 << 10, "{held} KiB are held after an initramfs of {} KiB: {seen}", BALLAST >> 10);
    guest.expect_off()
}
