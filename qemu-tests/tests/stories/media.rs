//! Where the store may lie, and by which names it is found.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use qemu_tests::fixture::{DISK, Fixture};
use qemu_tests::guest::Guest;
use qemu_tests::medium::{FileSystem, Identity, Partition, write_gpt};
use qemu_tests::state_disk;
use qemu_tests::store::ProfileText;
use qemu_tests::{Failure, Story};
use vm::share::{Access, VirtioFsDaemon};

const PARTITION_NAME: &str = "lamina-store";
const PARTITION_UUID: &str = "6C616D69-6E61-4000-8000-0000000000AA";
const OTHER_UUID: &str = "6C616D69-6E61-4000-8000-0000000000BB";

/// A fixture whose one profile says that it runs.
fn fixture(name: &str) -> Result<Fixture, Failure> {
    let fixture = Fixture::new(name)?;
    fixture.profile_that_runs("one", &[], "echo it runs")?;
    Ok(fixture)
}

/// Boots once for each name, from one disk.
fn found_by(fixture: &Fixture, disk: &Path, names: &[String]) -> Story {
    for name in names {
        let machine = fixture.machine(&format!("lamina.profile=one lamina.store={name}"))?.disk(disk);
        runs(&mut Guest::boot(&machine)?)?;
    }
    Ok(())
}

fn runs(guest: &mut Guest) -> Story {
    guest.expect("it runs")?;
    guest.expect_off()
}

#[test]
fn ext4_is_found_by_label_uuid_and_path() -> Story {
    let fixture = fixture("ext4")?;
    let names = [format!("LABEL={}", DISK.label), format!("UUID={}", DISK.uuid), "/dev/vda".to_owned()];
    found_by(&fixture, &fixture.disk()?, &names)
}

/// As after a power cut, with the disk's switch set since then. The state's disk is write-protected too.
#[test]
fn write_protected_disks_serve_as_far_as_they_can() -> Story {
    let fixture = Fixture::new("write-protected")?;
    let mut images = fixture.small_system()?;
    images.push(fixture.script_layer("write-protected", "touch /written && echo it runs")?);
    let profile = ProfileText::new("one", &images).init("/story");
    fixture.store().profile(&profile.root("root writable=\"LABEL=state\""))?;
    let medium = fixture.disk_as(FileSystem::JournaledExt4, DISK)?;
    let mark =
        Command::new("/usr/sbin/debugfs").args(["-w", "-R", "feature needs_recovery"]).arg(&medium).output();
    let mark = mark.map_err(Failure::at(&medium))?;
    assert!(String::from_utf8_lossy(&mark.stdout).contains("needs_recovery"), "{mark:?}");
    let state = fixture.scratch().join("state.img");
    state_disk::ext4(&state, 16)?;
    let parameters = format!("lamina.profile=one lamina.store=LABEL={}", DISK.label);
    let machine = fixture.machine(&parameters)?.protected_disk(&medium).protected_disk(&state);
    let mut guest = Guest::boot(&machine)?;
    guest.expect("the state LABEL=state cannot be used: /dev/vdb is write-protected")?;
    guest.expect("look for a switch on it")?;
    runs(&mut guest)
}

#[test]
fn vfat_is_found_by_label_and_uuid() -> Story {
    let fixture = fixture("vfat")?;
    let disk = fixture.disk_as(FileSystem::Vfat, Identity { label: "FATSTORE", uuid: "1A2B-3C4D" })?;
    found_by(&fixture, &disk, &["LABEL=FATSTORE".to_owned(), "UUID=1A2B-3C4D".to_owned()])
}

#[test]
fn iso_9660_is_found_by_label_and_uuid() -> Story {
    let fixture = fixture("iso")?;
    let uuid = "2026-01-02-03-04-05-06";
    let disk = fixture.disk_as(FileSystem::Iso9660, Identity { label: "LAMINA_ISO", uuid })?;
    found_by(&fixture, &disk, &["LABEL=LAMINA_ISO".to_owned(), format!("UUID={uuid}")])
}

/// A FAT that an old tool has filled has its names in capitals; an ISO without Rock Ridge has cut the long ones.
#[test]
fn names_in_capitals_are_found_and_names_that_were_cut_are_told() -> Story {
    let fixture = fixture("names")?;
    let identity = Identity { label: DISK.label, uuid: "2026-01-02-03-04-05-06" };
    let cut = fixture.disk_as(FileSystem::PlainIso9660, identity)?;
    let mut guest = fixture.boot(&cut, "lamina.profile=one")?;
    let screen = guest.expect_screen(&["is not in the store", "may be it, under a name that was cut"])?;
    assert!(screen.contains("an ISO needs Rock Ridge"), "{screen}");
    drop(guest);
    let profiles = fixture.store().folder().join("profiles");
    for (from, to) in [("one/1.kdl", "one/1.KDL"), ("one", "ONE"), ("../profiles", "../PROFILES")] {
        let (from, to) = (profiles.join(from), profiles.join(to));
        std::fs::rename(&from, &to).map_err(Failure::at(&from))?;
    }
    let identity = Identity { label: "CAPITALS", uuid: "1A2B-3C4D" };
    let capitals = fixture.disk_as(FileSystem::Vfat, identity)?;
    runs(&mut fixture.boot(&capitals, "lamina.profile=one lamina.store=LABEL=CAPITALS")?)
}

#[test]
fn btrfs_serves_when_the_initramfs_has_it_and_is_written_to_like_the_others() -> Story {
    // Debian's cloud kernel 6.1 has no btrfs.
    let fixture = Fixture::on_kernel("btrfs", "6.12")?;
    fixture.store().boot_slots()?;
    fixture.profile_that_runs(
        "one",
        &[],
        "/run/lamina/bin/lamina bless && grep -A2 '\"ledger\"' /run/lamina/report.json",
    )?;
    let disk = fixture.disk_as(FileSystem::Btrfs, DISK)?;
    let parameters = format!("lamina.profile=one lamina.store=UUID={}", DISK.uuid);
    let initramfs = fixture.initramfs()?.option("--state-file-system", Some(Path::new("btrfs"))).write()?;
    for _ in 0..2 {
        let mut guest = Guest::boot(&fixture.machine_with(&initramfs, &parameters)?.kept_disk(&disk))?;
        guest.expect("is good from now on")?;
        guest.expect("\"attempt\": 1")?;
        guest.expect_off()?;
    }
    let mut guest = Guest::boot(&fixture.machine(&parameters)?.disk(&disk))?;
    guest.expect_screen(&["/dev/vda (btrfs) at /run/lamina/medium", "mkinitramfs --module btrfs"])?;
    Ok(())
}

#[test]
fn a_partition_is_found_by_its_own_name_and_identifier() -> Story {
    let fixture = fixture("partition")?;
    let disk = second_of_two_partitions(&fixture)?;
    let names =
        [format!("PARTLABEL={PARTITION_NAME}"), format!("PARTUUID={}", PARTITION_UUID.to_lowercase())];
    found_by(&fixture, &disk, &names)
}

fn second_of_two_partitions(fixture: &Fixture) -> Result<PathBuf, Failure> {
    let (store, empty) = (fixture.disk()?, fixture.scratch().join("empty"));
    std::fs::write(&empty, vec![0; 1 << 20]).map_err(Failure::at(&empty))?;
    let disk = fixture.scratch().join("gpt.img");
    let partitions = [
        Partition { name: "something-else", uuid: OTHER_UUID, content: &empty },
        Partition { name: PARTITION_NAME, uuid: PARTITION_UUID, content: &store },
    ];
    write_gpt(&partitions, &disk)?;
    Ok(disk)
}

#[test]
fn a_disk_that_comes_late_is_waited_for() -> Story {
    let fixture = fixture("late")?;
    let monitor = fixture.scratch().join("monitor");
    let parameters = format!("lamina.profile=one lamina.store=LABEL={}", DISK.label);
    let machine = fixture.machine(&parameters)?.late_disk(&fixture.disk()?, &monitor);
    let mut guest = Guest::boot(&machine)?;
    guest.expect("load modules")?;
    // By now init looks for the disk, and nothing but the kernel's word can tell it that one came.
    std::thread::sleep(Duration::from_secs(3));
    assert!(!guest.text().contains("find the store"), "{}", guest.text());
    guest.plug_in()?;
    runs(&mut guest)
}

#[test]
fn a_store_in_another_folder_is_named_by_lamina_dir() -> Story {
    let fixture = fixture("folder")?;
    let medium = fixture.medium_folder();
    std::fs::create_dir(medium.join("systems")).map_err(Failure::at(&medium))?;
    std::fs::rename(medium.join("lamina"), medium.join("systems/mine")).map_err(Failure::at(&medium))?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=one lamina.dir=systems/mine")?;
    runs(&mut guest)
}

#[test]
fn a_folder_of_the_host_serves_over_virtiofs() -> Story {
    let fixture = fixture("virtiofs")?;
    let daemon = VirtioFsDaemon::serve(&fixture.medium_folder(), fixture.scratch(), Access::Write)?;
    let machine =
        fixture.machine("lamina.profile=one lamina.store=virtiofs:store")?.virtiofs("store", daemon.socket());
    runs(&mut Guest::boot(&machine)?)
}

#[test]
fn a_folder_of_the_host_serves_over_9p() -> Story {
    // Debian's cloud kernels have no 9p.
    let fixture = Fixture::on_kernel("9p", "6.1-all")?;
    fixture.profile_that_runs("one", &[], "echo it runs")?;
    let machine = fixture.machine("lamina.profile=one lamina.store=9p:store")?;
    runs(&mut Guest::boot(&machine.nine_p("store", &fixture.medium_folder(), Access::Read))?)
}

#[test]
fn the_initramfs_itself_can_carry_the_store() -> Story {
    let fixture = fixture("packed")?;
    let initramfs = fixture.initramfs()?.store(fixture.store().folder()).write()?;
    let machine = fixture.machine_with(&initramfs, "lamina.profile=one lamina.store=initramfs")?;
    runs(&mut Guest::boot(&machine)?)
}
