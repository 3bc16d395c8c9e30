//! A disk may hold several partition tables and several superblocks, of which all but one are what somebody left there.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};

use qemu_tests::fixture::{DISK, Fixture};
use qemu_tests::guest::Guest;
use qemu_tests::medium::{Partition, write_gpt};
use qemu_tests::state_disk;
use qemu_tests::store::ProfileText;
use qemu_tests::{Failure, Story};

const MIB: u64 = 1 << 20;
const STATE_UUID: &str = "6C616D69-6E61-4000-8000-0000000000CC";

/// A fixture with the profile `one`, which tells where its writable top is.
fn fixture(name: &str, root: &str) -> Result<Fixture, Failure> {
    let fixture = Fixture::new(name)?;
    let mut images = fixture.small_system()?;
    images.push(fixture.script_layer("top", "grep -A 9 '\"top\"' /run/lamina/report.json; echo it runs")?);
    fixture.store().profile(&ProfileText::new("one", &images).init("/story").root(root))?;
    Ok(fixture)
}

fn write(disk: &Path, offset: u64, bytes: &[u8]) -> Story {
    let file = File::options().write(true).open(disk).map_err(Failure::at(disk))?;
    file.write_all_at(bytes, offset).map_err(Failure::at(disk))
}

fn zeros(path: &Path, length: u64) -> Story {
    File::create(path).and_then(|file| file.set_len(length)).map_err(Failure::at(path))
}

/// Writes a table by the program of that name without touching anything else on the disk.
fn sfdisk(disk: &Path, script: &str) -> Story {
    let mut command = Command::new("/usr/sbin/sfdisk");
    command.args(["--quiet", "--wipe", "never", "--wipe-partitions", "never"]).arg(disk);
    let mut child = command.stdin(Stdio::piped()).spawn().map_err(Failure::about("sfdisk"))?;
    child
        .stdin
        .take()
        .map(|mut input| input.write_all(script.as_bytes()))
        .transpose()
        .map_err(Failure::at(disk))?;
    assert!(child.wait().map_err(Failure::about("sfdisk"))?.success());
    Ok(())
}

/// A DOS image was written over the beginning of a stick that had a GPT, whose header is still there.
#[test]
fn a_dead_table_names_nothing_and_nothing_is_formatted_in_its_name() -> Story {
    let fixture = fixture("dead-gpt", "root writable=\"PARTLABEL=state\" create=\"ext4\"")?;
    let [first, empty, disk] = ["first", "empty", "stick.img"].map(|name| fixture.scratch().join(name));
    zeros(&first, 4 * MIB)?;
    zeros(&empty, 16 * MIB)?;
    let other = "6C616D69-6E61-4000-8000-0000000000BB";
    let of_old = [
        Partition { name: "other", uuid: other, content: &first },
        Partition { name: "state", uuid: STATE_UUID, content: &empty },
    ];
    write_gpt(&of_old, &disk)?;
    let old = fs::read(&disk).map_err(Failure::at(&disk))?;
    let store = fs::read(fixture.disk()?).map_err(Failure::at(&disk))?;
    let after = 64 * MIB + store.len() as u64;
    File::options()
        .write(true)
        .open(&disk)
        .and_then(|file| file.set_len(after))
        .map_err(Failure::at(&disk))?;
    write(&disk, 64 * MIB, &store)?;
    let sectors = store.len() / 512;
    write(&disk, 0, &[0; 512])?;
    // The second partition begins where that of the dead table did, by the rules of `write_gpt`.
    let second = 5 * MIB / 512;
    sfdisk(
        &disk,
        &format!(
            "label: dos\nlabel-id: 0xdeadbeef\nstart=131072, size={sectors}, type=83\nstart={second}, size=32768, type=83\n"
        ),
    )?;
    write(&disk, 512, &old[512..34 * 512])?;
    let parameters = "lamina.profile=one lamina.store=PARTUUID=deadbeef-01 lamina.timeout=3";
    let mut guest = Guest::boot(&fixture.machine(parameters)?.kept_disk(&disk))?;
    guest.expect("it runs")?;
    guest.expect_off()?;
    let text = guest.text();
    assert!(text.contains("\"kind\": \"tmpfs\"") && !text.contains("making the file system"), "{text}");
    assert!(text.contains("nothing answers to PARTLABEL=state"), "{text}");
    let now = fs::read(&disk).map_err(Failure::at(&disk))?;
    assert!(
        now[second as usize * 512..][..16 << 20].iter().all(|byte| *byte == 0),
        "the partition was written to"
    );
    Ok(())
}

/// An ISO on a stick, with a partition behind it for what is to last: mounting the whole stick would keep that from use.
#[test]
fn a_hybrid_iso_leaves_the_state_behind_it_usable() -> Story {
    let fixture = fixture("hybrid-iso", "root writable=\"LABEL=state\"")?;
    let [state, disk] = ["state", "stick.iso"].map(|name| fixture.scratch().join(name));
    state_disk::ext4(&state, 16)?;
    for begins_with_the_disk in [false, true] {
        let mut command = Command::new("xorriso");
        command.args(["-as", "mkisofs", "-quiet", "-R", "-V", "LIVE", "-partition_offset", "16"]);
        command.args(["-append_partition", "2", "0x83"]).arg(&state).arg("-o").arg(&disk);
        let output = command.arg(fixture.medium_folder()).output().map_err(Failure::about("xorriso"))?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        if begins_with_the_disk {
            // As isohybrid(1) has it: the first partition from the first block on, to where the second begins.
            let table = fs::read(&disk).map_err(Failure::at(&disk))?[446..510].to_vec();
            let first = [&[0x80, 0, 0, 0, 0x17, 0, 0, 0, 0, 0, 0, 0], &table[16 + 8..16 + 12]].concat();
            write(&disk, 446, &first)?;
        }
        let machine =
            fixture.machine("lamina.profile=one lamina.store=LABEL=LIVE lamina.timeout=5")?.kept_disk(&disk);
        let mut guest = Guest::boot(&machine)?;
        guest.expect("it runs")?;
        guest.expect_off()?;
        let text = guest.text();
        assert!(text.contains("\"kind\": \"state\"") && text.contains("\"device\": \"/dev/vda2\""), "{text}");
    }
    Ok(())
}

/// The medium is a disk that once was an ISO with the same label; the state is one half of a mirror whose superblock is at the end.
#[test]
fn what_was_there_before_stops_no_boot_and_half_a_mirror_is_left_alone() -> Story {
    let fixture = fixture("left-over", "root writable=\"LABEL=state\" create=\"ext4\"")?;
    let [disk, state] = ["disk.img", "state.img"].map(|name| fixture.scratch().join(name));
    write_gpt(&[Partition { name: "store", uuid: STATE_UUID, content: &fixture.disk()? }], &disk)?;
    let mut volume = vec![0; 2048];
    volume[..7].copy_from_slice(b"\x01CD001\x01");
    volume[40..72].fill(b' ');
    volume[40..40 + DISK.label.len()].copy_from_slice(DISK.label.as_bytes());
    volume[80..84].copy_from_slice(&20_000u32.to_le_bytes());
    volume[128..130].copy_from_slice(&2048u16.to_le_bytes());
    write(&disk, 32 << 10, &volume)?;
    state_disk::ext4(&state, 16)?;
    let at = 16 * MIB - 8192;
    let mut md = vec![0; 256];
    md[..8].copy_from_slice(b"\xfc\x4e\x2b\xa9\x01\0\0\0");
    md[128..136].copy_from_slice(&(at / 512).to_le_bytes());
    write(&state, at, &md)?;
    let before = fs::read(&state).map_err(Failure::at(&state))?;
    let parameters = format!("lamina.profile=one lamina.store=LABEL={} lamina.timeout=5", DISK.label);
    let mut guest = Guest::boot(&fixture.machine(&parameters)?.disk(&disk).kept_disk(&state))?;
    guest.expect("/dev/vdb is a part of a RAID (md), and is not used by itself")?;
    guest.expect("wipefs --all --types linux_raid_member /dev/vdb")?;
    guest.expect("it runs")?;
    guest.expect_off()?;
    assert!(guest.text().contains("\"kind\": \"tmpfs\""), "{}", guest.text());
    assert!(fs::read(&state).map_err(Failure::at(&state))? == before, "the mirror was written to");
    Ok(())
}
