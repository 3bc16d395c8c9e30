//! A running system that has the package `lamina` gives its own medium a new generation, goes back, and cleans up.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use qemu_tests::artifacts;
use qemu_tests::guest::Guest;
use qemu_tests::initramfs::Initramfs;
use qemu_tests::medium::{FileSystem, Identity, write};
use qemu_tests::programs::{self, run};
use qemu_tests::store::newest_profile;
use qemu_tests::{Failure, Story};
use vm::machine::{Firmware, Machine};

/// The profile console with the whole program.
const PROFILE: &str = "profile \"machine\" {\n    description \"the first one\"\n    include \"console\"\n    packages {\n        lamina\n        e2fsprogs\n    }\n    \
override \"/usr/bin/lamina\" from=\"lamina\"\n}\n";

/// A disk with that profile, and another one with a store that has a newer generation of it.
struct Machinery {
    folder: tempfile::TempDir,
}

impl Machinery {
    fn new() -> Result<Self, Failure> {
        let made = Self { folder: artifacts::scratch("own-medium")? };
        made.copy_store()?;
        made.write_tree()?;
        run(made.lamina().arg("--tree").arg(made.path("tree")).args(["build", "machine"]))?;
        made.make_disk()?;
        made.lock_another()?;
        made.make_data()?;
        Ok(made)
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    fn lamina(&self) -> Command {
        programs::lamina(&self.path("store"))
    }

    /// What was built already; unpacked trees are this store's own, because a link more would change the others.
    fn copy_store(&self) -> Story {
        fs::create_dir(self.path("store")).map_err(Failure::at(self.folder.path()))?;
        let parts = ["images", "builds", "profiles"].map(|part| artifacts::store().join(part));
        run(Command::new("cp").arg("-al").args(parts).arg(self.path("store"))).map(drop)
    }

    /// The packages and profiles of the repository, and the package of the release.
    fn write_tree(&self) -> Story {
        fs::create_dir(self.path("tree")).map_err(Failure::at(self.folder.path()))?;
        let parts = ["packages", "profiles"].map(|part| artifacts::repository().join(part));
        run(Command::new("cp").arg("-r").args(parts).arg(self.path("tree")))?;
        run(Command::new("cp")
            .arg("-r")
            .arg(artifacts::release()?.join("lamina"))
            .arg(self.path("tree/packages")))?;
        let path = self.path("tree/profiles/machine.kdl");
        fs::write(&path, PROFILE).map_err(Failure::at(&path))
    }

    fn make_disk(&self) -> Story {
        let kernel = artifacts::kernel("6.12")?;
        let mut command = self.lamina();
        command.args(["disk", "create"]).arg(self.path("disk.img"));
        command.args(["--profile", "machine", "--profile", "rescue", "--firmware", "uefi", "--timeout", "1"]);
        for parameter in ["console=ttyS0", "loglevel=4", "no_timer_check", "nohz=off", "highres=off"] {
            command.args(["--option", parameter]);
        }
        command.arg("--kernel").arg(&kernel.package).arg("--initramfs").arg(Initramfs::new(&kernel).write()?);
        run(command.args(["--size", "1G"])).map(drop)
    }

    /// Only its description differs.
    fn lock_another(&self) -> Story {
        let path = |number: u64| self.path(&format!("store/profiles/machine/{number}.kdl"));
        let text = fs::read_to_string(path(1)).map_err(Failure::at(&path(1)))?;
        let newer = text.replace("the first one", "the second one");
        assert_ne!(newer, text);
        fs::write(path(2), newer).map_err(Failure::at(&path(2)))
    }

    /// A disk with a store that has the newer generation and its images.
    fn make_data(&self) -> Story {
        let (_, images) = newest_profile(&self.path("store"), "machine")?;
        let data = self.path("data");
        fs::create_dir_all(data.join("store/images")).map_err(Failure::at(&data))?;
        fs::create_dir_all(data.join("store/profiles/machine")).map_err(Failure::at(&data))?;
        let files = images.iter().map(|image| format!("images/{}.sqfs", image.digest));
        for file in files.chain(["profiles/machine/2.kdl".to_owned()]) {
            let from = self.path("store").join(&file);
            fs::copy(&from, data.join("store").join(&file)).map_err(Failure::at(&from))?;
        }
        let identity = Identity { label: "DATA", uuid: "01234567-89ab-4cde-8f01-23456789abce" };
        write(FileSystem::Ext4, identity, &data, &self.path("data.img"))
    }

    /// Boots the disk by the firmware, and expects the generation with this description.
    fn boot(&self, name: &str, description: &str) -> Result<Guest, Failure> {
        self.boot_from(&["disk.img"], name, description)
    }

    /// The same from the first of these disks, with the one with the other store behind them.
    fn boot_from(&self, disks: &[&str], name: &str, description: &str) -> Result<Guest, Failure> {
        let machine = Machine::from_firmware(name, Firmware::Uefi);
        let machine = disks.iter().fold(machine, |machine, disk| machine.kept_disk(&self.path(disk)));
        let mut guest = Guest::boot(&machine.disk(&self.path("data.img")))?;
        guest.expect(description)?;
        guest.expect(":~# ")?;
        // The system blesses itself at some moment, for which it makes the medium writable: not while the story looks.
        guest.run("lamina bless")?;
        Ok(guest)
    }
}

/// Whether the medium's mount is read-only for the system, and whether its file system is.
fn is_read_only(guest: &mut Guest) -> Result<(bool, bool), Failure> {
    let mounted = guest.run("grep ' /run/lamina/medium ' /proc/self/mountinfo")?;
    // proc_pid_mountinfo(5): options of the mount, and behind the dash, as the last word, those of the file system.
    let (mount, file_system) = mounted.split_once(" - ").unwrap_or_default();
    let is = |options: Option<&str>| options.is_some_and(|it| it == "ro" || it.starts_with("ro,"));
    Ok((is(mount.split_whitespace().nth(5)), is(file_system.split_whitespace().last())))
}

/// What a command that changes the medium leaves in the mounts of the system.
fn expect_protected(guest: &mut Guest) -> Story {
    let tried =
        guest.run("touch /run/lamina/medium/x; ls /run/lamina/esp; grep -c vfat /proc/mounts; true")?;
    assert!(tried.contains("Read-only file system"), "{tried}");
    assert!(tried.contains("/run/lamina/esp: No such file"), "{tried}");
    assert!(tried.trim_end().ends_with('0'), "{tried}");
    assert_eq!(is_read_only(guest)?, (true, true));
    Ok(())
}

/// A command that is killed while it has the medium to itself: nobody else can write to it, and the next command ends what this one began.
fn kill_an_install(guest: &mut Guest) -> Story {
    let mounts = "/proc/$!/mountinfo 2>/dev/null";
    guest.run(&format!(
        "(lamina system install machine >/dev/null & while grep -q . {mounts} && ! grep -q ' /run/lamina/medium rw,' {mounts}; do :; done; \
         kill -9 $!)"
    ))?;
    assert_eq!(is_read_only(guest)?, (true, false));
    let tried = guest.run("touch /run/lamina/medium/x; true")?;
    assert!(tried.contains("Read-only file system"), "{tried}");
    Ok(())
}

fn power_off(mut guest: Guest) -> Story {
    guest.type_line("poweroff")?;
    guest.expect_off()
}

#[test]
fn a_running_system_installs_goes_back_and_cleans_up() -> Story {
    let machinery = Machinery::new()?;

    let mut guest = machinery.boot("own-medium-1", "the first one")?;
    let listed = guest.run("lamina system list")?;
    assert!(listed.contains("machine/1") && listed.contains("rescue/"), "{listed}");
    guest.run("mkdir /tmp/data && mount -o ro /dev/vdb /tmp/data && export LAMINA_STORE=/tmp/data/store")?;
    let differences = guest.run("lamina system diff running machine")?;
    assert!(differences.contains("the second one"), "{differences}");
    let planned = guest.run("lamina system install machine --dry-run")?;
    assert!(planned.contains("machine/2"), "{planned}");
    // Beside others that look: they mount and unmount the same partition.
    guest.type_line("for i in 1 2 3 4; do lamina system list >/dev/null || echo no list; done &")?;
    kill_an_install(&mut guest)?;
    let installed = guest.run("lamina system install machine; echo status $?; wait")?;
    assert!(installed.contains("status 0") && !installed.contains("no list"), "{installed}");
    expect_protected(&mut guest)?;
    power_off(guest)?;

    let mut guest = machinery.boot("own-medium-2", "the second one")?;
    let back = guest.run("lamina system rollback; echo status $?")?;
    assert!(back.contains("machine/1 boots by itself") && back.contains("status 0"), "{back}");
    expect_protected(&mut guest)?;
    power_off(guest)?;

    let mut guest = machinery.boot("own-medium-3", "the first one")?;
    // What runs and what boots by itself stays, whatever is newer.
    let cleaned =
        guest.run("lamina system default machine/2 && lamina system gc --keep 1; echo status $?")?;
    assert!(cleaned.contains("status 0"), "{cleaned}");
    let listed = guest.run("lamina system list")?;
    assert!(listed.contains("machine/2") && listed.contains("machine/1"), "{listed}");
    expect_protected(&mut guest)?;
    power_off(guest)?;
    expect_sound(&machinery.path("disk.img"))?;
    copy_to_another_disk(&machinery)
}

/// From the stick to the internal disk: the copy boots by the firmware's own path after the stick is taken away.
fn copy_to_another_disk(machinery: &Machinery) -> Story {
    let internal = machinery.path("internal.img");
    let disk = fs::File::create(&internal).map_err(Failure::at(&internal))?;
    disk.set_len(1 << 30).map_err(Failure::at(&internal))?;

    let mut guest = machinery.boot_from(&["disk.img", "internal.img"], "own-medium-4", "the second one")?;
    let planned = guest.run("lamina system copy --device /dev/vdb --dry-run; echo status $?")?;
    assert!(planned.contains("make ext4 LAMINA") && planned.contains("status 0"), "{planned}");
    let refused = guest.run("lamina system copy --device /dev/vda --erase vda; echo status $?")?;
    assert!(refused.contains("holds the system that runs") && refused.contains("status 1"), "{refused}");
    let copied = guest.run("lamina system copy --device /dev/vdb --erase vdb; echo status $?")?;
    assert!(copied.contains("written and compared") && copied.contains("status 0"), "{copied}");
    expect_protected(&mut guest)?;
    power_off(guest)?;
    expect_sound(&internal)?;

    let mut guest = machinery.boot_from(&["internal.img"], "own-medium-5", "the second one")?;
    let listed = guest.run("lamina system list")?;
    let runs = |line: &str| line.contains("machine/2 ") && line.contains("running");
    assert!(listed.lines().any(runs) && listed.contains("rescue/"), "{listed}");
    power_off(guest)
}

fn expect_sound(disk: &Path) -> Story {
    let mut command = Command::new(artifacts::lamina()?);
    run(command.args(["disk", "inspect"]).arg(disk)).map(drop)
}
