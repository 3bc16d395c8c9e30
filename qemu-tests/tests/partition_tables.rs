//! A disk may hold several partition tables and several superblocks, of which all but one are what somebody left there.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};

use qemu_tests::guest::Guest;
use qemu_tests::medium::{Partition, write_gpt};
use qemu_tests::scene::Scene;
use qemu_tests::store::ProfileText;
use qemu_tests::{Failure, Story};

const MIB: u64 = 1 << 20;
const STATE_UUID: &str = "6C616D69-6E61-4000-8000-0000000000CC";

/// A scene with the profile `one`, which tells where its writable top is.
fn scene(name: &str, root: &str) -> Result<Scene, Failure> {
    let scene = Scene::new(name)?;
    let mut images = scene.small_system()?;
    images.push(scene.script_layer("top", "grep -A 9 '\"top\"' /run/lamina/report.json; echo it runs")?);
    scene.store().profile(&ProfileText::new("one", &images).init("/story").root(root))?;
    Ok(scene)
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
    let scene = scene("dead-gpt", "root writable=\"PARTLABEL=state\" create=\"ext4\"")?;
    let [first, empty, disk] = ["first", "empty", "stick.img"].map(|name| scene.scratch().join(name));
    zeros(&first, 4 * MIB)?;
    zeros(&empty, 16 * MIB)?;
    let other = "6C616D69-6E61-4000-8000-0000000000BB";
    let of_old = [
        Partition { name: "other", uuid: other, content: &first },
        Partition { name: "state", uuid: STATE_UUID, content: &empty },
    ];
    write_gpt(&of_old, &disk)?;
    let old = fs::read(&disk).map_err(Failure::at(&disk))?;
    let store = fs::read(scene.disk()?).map_err(Failure::at(&disk))?;
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
    let mut guest = Guest::boot(&scene.machine(parameters)?.kept_disk(&disk))?;
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
