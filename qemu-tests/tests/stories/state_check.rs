//! A state whose metadata is damaged here and there, and whose profile asks for a check before it is mounted.

use std::path::{Path, PathBuf};
use std::process::Command;

use qemu_tests::fixture::{DISK, Fixture};
use qemu_tests::guest::Guest;
use qemu_tests::state_disk;
use qemu_tests::store::ProfileText;
use qemu_tests::{Failure, Story};

/// Counts its boots in the root, and shows what the report says of the top.
const COUNT: &str =
    "echo boot >> /count; echo count=$(wc -l < /count); grep -A 10 '\"top\"' /run/lamina/report.json; sync";

/// Changes one file of the disk, as damage would: debugfs(8).
fn damage(disk: &Path, what: &str) -> Story {
    // The guest was switched off without an unmount: the journal would undo the damage.
    let replayed = Command::new("/usr/sbin/e2fsck").arg("-p").arg(disk).status();
    assert!(replayed.map_err(Failure::about("e2fsck"))?.code().is_some_and(|code| code <= 1));
    let output = Command::new("/usr/sbin/debugfs").args(["-w", "-R", what]).arg(disk).output();
    let output = output.map_err(Failure::about("debugfs"))?;
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

struct StateFixture {
    base: Fixture,
    store: PathBuf,
    state: PathBuf,
}

impl StateFixture {
    fn run(&self, packed: bool, parameters: &str, wanted: &[&str]) -> Result<String, Failure> {
        let parameters = format!("lamina.store=LABEL={} lamina.profile=one {parameters}", DISK.label);
        let checker = Path::new("ext4=/usr/sbin/fsck.ext4");
        let initramfs = match packed {
            true => self.base.initramfs()?.option("--check-file-system", Some(checker)),
            false => self.base.initramfs()?,
        };
        let machine = self.base.machine_with(&initramfs.write()?, &parameters)?;
        let mut guest = Guest::boot(&machine.disk(&self.store).kept_disk(&self.state))?;
        guest.expect("story: end")?;
        guest.expect_off()?;
        let text = guest.text().to_owned();
        wanted.iter().for_each(|words| assert!(text.contains(words), "{words} is missing in:\n{text}"));
        Ok(text)
    }
}

#[test]
fn scattered_damage_of_a_state_is_repaired_or_told_before_it_is_mounted() -> Story {
    let base = Fixture::new("state-check")?;
    let mut images = base.small_system()?;
    images.push(base.script_layer("one", COUNT)?);
    let root = "root writable=\"LABEL=state\" check=#true";
    base.store().profile(&ProfileText::new("one", &images).init("/story").root(root))?;
    let state = base.scratch().join("state.img");
    state_disk::ext4(&state, 64)?;
    let fixture = StateFixture { store: base.disk()?, base, state };

    fixture.run(true, "", &["count=1\n", "\"check\": \"good\""])?;
    // What loses nothing is repaired, and said.
    damage(&fixture.state, "set_inode_field /lamina/one/upper/count links_count 7")?;
    fixture.run(
        true,
        "quiet",
        &["/dev/vdb was damaged, and /sbin/fsck.ext4 repaired it", "count=2\n", "\"check\": \"repaired\""],
    )?;
    // The rest is for a person: nothing of it is mounted.
    damage(&fixture.state, "set_inode_field /lamina/one/upper/count block[0] 0x1234")?;
    let told = [
        "the state LABEL=state cannot be used: /dev/vdb: /sbin/fsck.ext4 found damage that it does not repair by itself",
        "UNEXPECTED INCONSISTENCY",
        "to try: check the state file system with `e2fsck -f -y /dev/vdb`",
        "count=1\n",
    ];
    fixture.run(true, "", &told)?;
    // Without the program it is said, and goes on as without a check.
    let not_checked = "/dev/vdb is not checked: the initramfs has no /sbin/fsck.ext4; make it again with mkinitramfs --check-file-system ext4";
    state_disk::ext4(&fixture.state, 64)?;
    fixture.run(
        false,
        "lamina.state=LABEL=state,check",
        &[not_checked, "count=1\n", "\"check\": \"not packed\""],
    )?;
    Ok(())
}
