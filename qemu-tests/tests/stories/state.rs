//! A writable top that lasts: on which disk, over which stack, and what happens when something is wrong with it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use qemu_tests::fixture::{DISK, Fixture, built_program};
use qemu_tests::guest::Guest;
use qemu_tests::medium::{Partition, write_gpt};
use qemu_tests::store::{Layer, ProfileText};
use qemu_tests::{Failure, Story};

pub const LABEL: &str = "state";
pub const MIB: u64 = 1 << 20;
/// What the first program of each profile does: adds a line to a file of the root, counts the lines, and shows the report.
pub const COUNT: &str = "echo boot >> /count; echo count=$(wc -l < /count) folders $(ls /run/lamina/state/lamina); \
                     grep -A 9 '\"top\"' /run/lamina/report.json; sync";

/// A fixture with one store and one disk for the state.
pub struct StateFixture {
    base: Fixture,
    /// Options of mkinitramfs.
    options: Vec<(&'static str, PathBuf)>,
    pub state: PathBuf,
    store: PathBuf,
}

impl StateFixture {
    pub fn new(name: &str) -> Result<Self, Failure> {
        Self::on_kernel(name, "6.1")
    }

    /// With an ext4 disk labelled `state`.
    fn on_kernel(name: &str, series: &str) -> Result<Self, Failure> {
        let base = Fixture::on_kernel(name, series)?;
        let state = base.scratch().join("state.img");
        let fixture = Self { store: PathBuf::new(), options: Vec::new(), state, base };
        fixture.format("mkfs.ext4", &["-q", "-F", "-L", LABEL], 64 * MIB)?;
        Ok(fixture)
    }

    /// Makes the state disk anew.
    pub fn format(&self, program: &str, options: &[&str], size: u64) -> Story {
        self.blank(size)?;
        let output =
            Command::new(Path::new("/usr/sbin").join(program)).args(options).arg(&self.state).output();
        let output = output.map_err(Failure::about(program))?;
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Makes the state disk a file of zeros.
    fn blank(&self, size: u64) -> Story {
        let _ = fs::remove_file(&self.state);
        let file = File::create(&self.state).map_err(Failure::at(&self.state))?;
        file.set_len(size).map_err(Failure::at(&self.state))
    }

    /// Makes the state disk one with an empty partition that is called `state`.
    fn empty_partition(&self, size: u64) -> Story {
        let empty = self.base.scratch().join("empty");
        File::create(&empty).and_then(|file| file.set_len(size)).map_err(Failure::at(&empty))?;
        let uuid = "6C616D69-6E61-4000-8000-0000000000CC";
        write_gpt(&[Partition { name: LABEL, uuid, content: &empty }], &self.state)
    }

    /// Writes bytes over the state disk.
    fn damage(&self, offset: u64, bytes: &[u8]) -> Story {
        let file = File::options().write(true).open(&self.state).map_err(Failure::at(&self.state))?;
        file.write_all_at(bytes, offset).map_err(Failure::at(&self.state))
    }

    /// Writes the profile `name`, with this node `root`, on a stack that `version` makes different from others.
    pub fn profile(&mut self, name: &str, root: &str, version: &str) -> Story {
        self.profile_that_runs(name, root, version, COUNT)
    }

    pub fn profile_that_runs(&mut self, name: &str, root: &str, version: &str, lines: &str) -> Story {
        let mut images = self.base.small_system()?;
        images.push(self.base.script_layer(name, lines)?);
        let highest = Layer::new("version").file("/version", version)?.root(0o711, 12)?;
        images.push(self.base.store().add(&highest)?);
        self.base.store().profile(&ProfileText::new(name, &images).init("/story").root(root))?;
        self.store = self.base.disk()?;
        Ok(())
    }

    /// Boots a profile with both disks.
    fn start(&self, parameters: &str) -> Result<Guest, Failure> {
        let parameters = format!("lamina.store=LABEL={} lamina.timeout=5 {parameters}", DISK.label);
        let options = self.options.iter();
        let initramfs = options
            .fold(self.base.initramfs()?, |initramfs, (name, value)| initramfs.option(name, Some(value)));
        let machine = self.base.machine_with(&initramfs.write()?, &parameters)?;
        Guest::boot(&machine.disk(&self.store).kept_disk(&self.state))
    }

    /// Boots a profile to its end and returns all that was printed.
    pub fn run(&self, parameters: &str) -> Result<String, Failure> {
        let mut guest = self.start(parameters)?;
        guest.expect("story: begin\n")?;
        guest.expect("story: end")?;
        guest.expect_off()?;
        Ok(guest.text().to_owned())
    }
}

/// The node of a profile.
pub fn root(rest: &str) -> String {
    format!("root writable=\"LABEL={LABEL}\"{rest}")
}

pub fn assert_has(text: &str, wanted: &[&str]) {
    for wanted in wanted {
        assert!(text.contains(wanted), "{wanted:?} is missing in:\n{text}");
    }
}

#[test]
fn a_file_survives_a_reboot() -> Story {
    survives(StateFixture::new("state-survives")?)
}

#[test]
#[ignore = "the same on the second kernel: `make soak` tells it"]
fn a_file_survives_a_reboot_on_the_newer_kernel() -> Story {
    survives(StateFixture::on_kernel("state-survives-6.12", "6.12")?)
}

fn survives(mut fixture: StateFixture) -> Story {
    // A device node works on the root although the state itself is mounted without devices.
    let lines = format!(
        "{COUNT}; [ -e /zero ] || mknod /zero c 1 5; echo zeros=$(head -c 4 /zero | wc -c); grep ' /run/lamina/' /proc/mounts; \
         echo root=$(ls -ldn / | tr -s ' ' | cut -d ' ' -f 1,3,4); chmod 0751 /; sync"
    );
    fixture.profile_that_runs("one", &root(""), "1", &lines)?;
    let folder = "\"folder\": \"/run/lamina/state/lamina/one\"";
    let text = fixture.run("lamina.profile=one")?;
    assert_has(&text, &["count=1 ", "\"action\": \"created\"", "\"kind\": \"state\"", folder, "zeros=4\n"]);
    assert_has(
        &text,
        &["/dev/vdb /run/lamina/state ext4 rw,nosuid,nodev,noexec,relatime", "/dev/vdb /run/lamina/top ext4"],
    );
    // The root is that of the highest layer, and afterwards what the running system made of it.
    assert_has(&text, &["root=drwx--x--x 0 12\n"]);
    let text = fixture.run("lamina.profile=one")?;
    assert_has(&text, &["count=2 ", "\"action\": \"reused\"", "zeros=4\n", "root=drwxr-x--x 0 12\n"]);
    let text = fixture.run("lamina.profile=one lamina.state=tmpfs")?;
    assert_has(&text, &["count=1 ", "root=drwx--x--x 0 12\n"]);
    Ok(())
}

/// overlayfs would mount over all of them and only warn, or refuse with the reason in the kernel's log.
#[test]
fn a_file_system_that_overlayfs_cannot_use_gives_way_with_the_reason() -> Story {
    let mut fixture = StateFixture::new("state-unfit")?;
    fixture.options.push(("--state-file-system", "xfs".into()));
    fixture.profile("one", &root(""), "1")?;
    let no_types =
        "cannot be used: /dev/vdb: it cannot hold a writable top: its directory entries have no types";
    for (program, options, said) in [
        ("mkfs.ext4", &["-O", "^filetype"][..], no_types),
        ("mkfs.xfs", &["-m", "crc=0", "-n", "ftype=0"], no_types),
        ("mkfs.ext4", &["-O", "casefold"], "that do not tell capitals from small letters (casefold)"),
    ] {
        fixture.format(program, &[&["-q", "-L", LABEL], options].concat(), 320 * MIB)?;
        falls_back(&fixture, "lamina.profile=one", &[said, "make the file system anew"])?;
    }
    Ok(())
}

#[test]
fn two_profiles_have_two_folders() -> Story {
    let mut fixture = StateFixture::new("state-two")?;
    fixture.profile("one", &root(""), "1")?;
    fixture.profile("two", &root(""), "1")?;
    fixture.run("lamina.profile=one")?;
    assert_has(&fixture.run("lamina.profile=two")?, &["count=1 folders one two\n"]);
    assert_has(&fixture.run("lamina.profile=one")?, &["count=2 folders one two\n"]);
    Ok(())
}

#[test]
fn a_changed_stack_sets_the_old_top_aside_and_gets_it_back_when_it_comes_back() -> Story {
    let mut fixture = StateFixture::new("state-aside")?;
    fixture.profile("one", &root(""), "1")?;
    fixture.run("lamina.profile=one")?;
    fixture.profile("one", &root(""), "2")?;
    let text = fixture.run("lamina.profile=one quiet")?;
    assert_has(
        &text,
        &[
            "the stack of one changed: the top is set aside as lamina/one.aside-1",
            "count=1 folders one one.aside-1\n",
        ],
    );
    assert_has(&text, &["\"action\": \"set aside\"", "\"aside\": \"/run/lamina/state/lamina/one.aside-1\""]);
    fixture.profile("one", &root(""), "1")?;
    assert_has(
        &fixture.run("lamina.profile=one")?,
        &["is in use again", "count=2 ", "\"action\": \"taken back\""],
    );
    Ok(())
}

#[test]
fn keep_keeps_and_refuse_refuses() -> Story {
    let mut fixture = StateFixture::new("state-keep")?;
    fixture.profile("one", &root(" changed=\"keep\""), "1")?;
    fixture.run("lamina.profile=one")?;
    fixture.profile("one", &root(" changed=\"keep\""), "2")?;
    let text = fixture.run("lamina.profile=one")?;
    assert_has(
        &text,
        &["the stack of one changed", "its top is kept", "count=2 folders one\n", "\"action\": \"kept\""],
    );
    fixture.profile("one", &root(" changed=\"refuse\""), "3")?;
    fixture
        .start("lamina.profile=one")?
        .expect_screen(&["the stack of one changed", "lamina.state=tmpfs"])?;
    let text = fixture.run(&format!("lamina.profile=one lamina.state=LABEL={LABEL},changed=keep"))?;
    assert_has(&text, &["count=3 "]);
    Ok(())
}

#[test]
fn a_state_that_is_broken_or_not_there_is_told_in_red_and_a_tmpfs_serves() -> Story {
    let mut fixture = StateFixture::new("state-broken")?;
    fixture.profile("one", "root writable=\"/dev/vdb\"", "1")?;
    // The magic of the superblock (ext4_super_block.s_magic of the kernel), then the group descriptors behind it.
    for (offset, bytes, why) in
        [(1080, vec![0; 2], "is not empty, and has no file system"), (1024 + 4, vec![0xff; 4], "")]
    {
        fixture.format("mkfs.ext4", &["-q", "-F", "-L", LABEL], 64 * MIB)?;
        fixture.damage(offset, &bytes)?;
        falls_back(&fixture, "lamina.profile=one", &[why])?;
    }
    falls_back(
        &fixture,
        "lamina.profile=one lamina.state=LABEL=elsewhere",
        &["nothing answers to LABEL=elsewhere after 5 s"],
    )
}

/// What a power cut leaves when the disk writes one of the superblock's two sectors and not the other.
#[test]
fn a_torn_superblock_is_told_and_e2fsck_gives_the_files_back() -> Story {
    let mut fixture = StateFixture::new("state-torn")?;
    fixture.profile("one", "root writable=\"/dev/vdb\"", "1")?;
    fixture.run("lamina.profile=one")?;
    // s_free_blocks_count of the kernel's ext4_super_block: the sector with it is older than the one with the checksum.
    fixture.damage(1024 + 12, &[0x55, 0x55])?;
    let said = ["to try: its metadata is damaged, perhaps by a power cut: ", ": e2fsck -f -y /dev/vdb"];
    falls_back(&fixture, "lamina.profile=one", &said)?;
    let repaired = Command::new("/usr/sbin/e2fsck").args(["-f", "-y"]).arg(&fixture.state).output();
    let repaired = repaired.map_err(Failure::about("e2fsck"))?;
    // e2fsck(8): errors were corrected.
    assert_eq!(repaired.status.code(), Some(1), "{}", String::from_utf8_lossy(&repaired.stdout));
    assert_has(&fixture.run("lamina.profile=one")?, &["count=2 ", "\"action\": \"reused\""]);
    Ok(())
}

pub fn falls_back(fixture: &StateFixture, parameters: &str, why: &[&str]) -> Story {
    let mut guest = fixture.start(parameters)?;
    guest.expect("story: end")?;
    assert_has(guest.text(), &["cannot be used: ", "count=1 ", "\"kind\": \"tmpfs\"", "\"fell_back\": \""]);
    assert_has(guest.text(), why);
    let printed = String::from_utf8_lossy(guest.bytes()).into_owned();
    let red = printed.lines().any(|line| line.contains("\u{1b}[1;31m") && line.contains("cannot be used"));
    assert!(red, "not in red: {printed}");
    guest.expect_off()
}

#[test]
fn the_other_file_systems_hold_a_state_too() -> Story {
    for (program, options, kernel) in [
        ("mkfs.xfs", ["-q", "-L", LABEL].as_slice(), "6.1"),
        ("mkfs.btrfs", &["-q", "-L", LABEL], "6.12"),
        ("mkfs.f2fs", &["-q", "-l", LABEL], "6.1-all"),
    ] {
        let mut fixture = StateFixture::on_kernel(&format!("state-{program}"), kernel)?;
        fixture.options.push(("--state-file-system", program.trim_start_matches("mkfs.").into()));
        fixture.format(program, options, 512 * MIB)?;
        fixture.profile("one", &root(""), "1")?;
        fixture.run("lamina.profile=one")?;
        fixture.profile("one", &root(""), "2")?;
        assert_has(&fixture.run("lamina.profile=one")?, &["count=1 folders one one.aside-1\n"]);
        fixture.profile("one", &root(""), "1")?;
        assert_has(&fixture.run("lamina.profile=one")?, &["is in use again", "count=2 "]);
    }
    Ok(())
}

#[test]
fn an_empty_partition_gets_a_file_system_at_first_use_and_never_again() -> Story {
    let mut fixture = StateFixture::new("state-create")?;
    let program = fixture.base.scratch().join("mke2fs");
    let program = built_program("e2fsprogs", "usr/sbin/mkfs.ext4", &program)?;
    fixture.options.push(("--make-file-system", PathBuf::from(format!("ext4={}", program.display()))));
    fixture.empty_partition(64 * MIB)?;
    fixture.profile("one", &root(" create=\"ext4\""), "1")?;
    let text = fixture.run("lamina.profile=one")?;
    assert_has(
        &text,
        &["/dev/vdb1 is empty: making the file system ext4", "count=1 ", "\"device\": \"/dev/vdb1\""],
    );
    let text = fixture.run("lamina.profile=one")?;
    assert_has(&text, &["count=2 "]);
    assert!(!text.contains("making the file system"), "{text}");
    Ok(())
}

#[test]
fn each_file_system_is_made_at_first_use_by_the_program_of_this_machine() -> Story {
    // Debian's cloud kernels have no F2FS, and 6.1 no btrfs.
    let on = [("ext4", "6.1"), ("xfs", "6.1"), ("btrfs", "6.12"), ("f2fs", "6.1-all")];
    assert!(file_systems::with_top().map(|(row, _)| row.driver).eq(on.map(|(name, _)| name)));
    for (name, kernel) in on {
        let mut fixture = StateFixture::on_kernel(&format!("state-make-{name}"), kernel)?;
        let program = format!("{name}=/usr/sbin/mkfs.{name}");
        fixture.options.push(("--make-file-system", program.into()));
        fixture.empty_partition(512 * MIB)?;
        fixture.profile("one", &root(&format!(" create=\"{name}\"")), "1")?;
        let text = fixture.run("lamina.profile=one")?;
        let made = format!("/dev/vdb1 is empty: making the file system {name}");
        let file_system = format!("\"file_system\": \"{name}\"");
        assert_has(&text, &[&made, "count=1 ", "\"device\": \"/dev/vdb1\"", &file_system]);
        let text = fixture.run("lamina.profile=one")?;
        assert_has(&text, &["count=2 ", "\"action\": \"reused\"", &file_system]);
        assert!(!text.contains("making the file system"), "{text}");
    }
    Ok(())
}

#[test]
fn what_is_not_empty_is_never_formatted() -> Story {
    let mut fixture = StateFixture::new("state-precious")?;
    fixture.profile("one", "root writable=\"/dev/vdb\" create=\"ext4\"", "1")?;
    let precious = b"the only copy of something";
    for offset in [0, 512, 64 * MIB - 512] {
        fixture.blank(64 * MIB)?;
        fixture.damage(offset, precious)?;
        let before = fs::read(&fixture.state).map_err(Failure::at(&fixture.state))?;
        falls_back(&fixture, "lamina.profile=one", &["/dev/vdb is not empty, and has no file system"])?;
        assert!(
            fs::read(&fixture.state).map_err(Failure::at(&fixture.state))? == before,
            "the disk was written to"
        );
    }
    fixture.format("mkfs.vfat", &[], 64 * MIB)?;
    falls_back(&fixture, "lamina.profile=one", &["/dev/vdb has vfat, which cannot hold a writable top"])
}
