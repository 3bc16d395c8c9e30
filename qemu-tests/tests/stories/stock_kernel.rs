//! Debian's kernel for real machines, where nearly everything is a module: what a file system takes from the kernel's crypto
//! interface is loaded by nobody when the initramfs does not have it.

use qemu_tests::Story;
use qemu_tests::fixture::Fixture;
use qemu_tests::guest::Guest;
use qemu_tests::medium::{FileSystem, Identity};
use qemu_tests::store::ProfileText;

#[test]
fn a_store_on_ext4_boots_with_images_checked_once_and_block_by_block() -> Story {
    let fixture = Fixture::on_kernel("stock-ext4", "6.1-all")?;
    fixture.profile_that_runs("plain", &[], "grep ' /run/lamina/medium ' /proc/mounts")?;
    let mut images = fixture.small_system()?;
    images.push(fixture.script_layer("checked", "cat /sys/block/dm-*/dm/name")?);
    let protected = images.iter().map(|image| fixture.store().protect(image, Some(2)));
    let protected = protected.collect::<Result<Vec<_>, _>>()?;
    fixture.store().profile(&ProfileText::new("checked", &protected).verify("verity").init("/story"))?;
    let disk = fixture.disk()?;
    for (profile, expected) in [("plain", " ext4 ro"), ("checked", "lamina-")] {
        let mut guest = fixture.boot(&disk, &format!("lamina.profile={profile}"))?;
        guest.expect("story: begin")?;
        let seen = guest.expect("story: end")?;
        assert!(seen.contains(expected), "{seen}");
        guest.expect_off()?;
    }
    Ok(())
}

#[test]
fn a_store_on_fat_boots() -> Story {
    let fixture = Fixture::on_kernel("stock-fat", "6.1-all")?;
    fixture.profile_that_runs("one", &[], "grep ' /run/lamina/medium ' /proc/mounts")?;
    let disk = fixture.disk_as(FileSystem::Vfat, Identity { label: "STICK", uuid: "1A2B-3C4D" })?;
    let machine = fixture.machine("lamina.profile=one lamina.store=LABEL=STICK")?.disk(&disk);
    let mut guest = Guest::boot(&machine)?;
    guest.expect("story: begin")?;
    let seen = guest.expect("story: end")?;
    assert!(seen.contains(" vfat ro"), "{seen}");
    guest.expect_off()
}
