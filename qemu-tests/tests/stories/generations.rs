//! New generations on a made disk: the firmware boots what `lamina system` has chosen.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use qemu_tests::artifacts;
use qemu_tests::guest::Guest;
use qemu_tests::initramfs::Initramfs;
use qemu_tests::medium::{FileSystem, Identity, write};
use qemu_tests::programs::{self, run};
use qemu_tests::{Failure, Story};
use vm::machine::{Firmware, Machine};

/// A disk whose partitions are taken out, changed as folders, and put back.
struct Workshop {
    folder: tempfile::TempDir,
    /// Start and length of the EFI system partition and of the store, in bytes.
    partitions: [(u64, u64); 2],
}

impl Workshop {
    /// A disk with the newest generation of the real profile `console`, and a rescue.
    fn new(name: &str, options: &[&str]) -> Result<Self, Failure> {
        let mut made = Self { folder: artifacts::scratch(name)?, partitions: [(0, 0); 2] };
        fs::create_dir_all(made.path("store")).map_err(Failure::at(made.folder.path()))?;
        for part in ["images", "profiles"] {
            // Links cost nothing, and what is added is this store's alone.
            let linked =
                run(Command::new("cp").arg("-al").arg(artifacts::store().join(part)).arg(made.path("store")));
            linked?;
        }
        let kernel = artifacts::kernel("6.1")?;
        let mut command = made.lamina();
        command.args(["disk", "create"]).arg(made.path("disk.img")).args([
            "--profile",
            "console",
            "--profile",
            "rescue",
        ]);
        for parameter in ["console=ttyS0", "loglevel=4", "no_timer_check", "nohz=off", "highres=off"] {
            command.args(["--option", parameter]);
        }
        command.arg("--kernel").arg(&kernel.package).arg("--initramfs").arg(Initramfs::new(&kernel).write()?);
        run(command.args(["--timeout", "1", "--size", "1G"]).args(options))?;
        made.take_apart()?;
        Ok(made)
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    fn lamina(&self) -> Command {
        programs::lamina(&self.path("store"))
    }

    fn system(&self, arguments: &[&str]) -> Result<Output, Failure> {
        let mut command = self.lamina();
        command.arg("system").args(arguments).arg("--medium").arg(self.path("store-folder"));
        run(command.arg("--esp").arg(self.path("esp-folder")))
    }

    fn take_apart(&mut self) -> Result<(), Failure> {
        let found = run(self.lamina().args(["disk", "inspect", "--json"]).arg(self.path("disk.img")))?;
        let found: serde_json::Value =
            serde_json::from_slice(&found.stdout).map_err(Failure::about("inspect"))?;
        let list = found["partitions"].as_array().cloned().unwrap_or_default();
        for (place, name) in ["esp", "store"].into_iter().enumerate() {
            let named = |it: &&serde_json::Value| it["name"] == format!("lamina-{name}");
            let partition = list.iter().find(named).ok_or(Failure::new("a partition is missing"))?;
            let number = |key: &str| partition[key].as_u64().unwrap_or(0);
            self.partitions[place] = (number("start"), number("size"));
            let part = self.path(&format!("{name}.part"));
            let copied = File::open(self.path("disk.img")).and_then(|mut disk| {
                disk.seek(SeekFrom::Start(number("start")))?;
                io::copy(&mut disk.take(number("size")), &mut File::create(&part)?)
            });
            copied.map_err(Failure::at(&part))?;
            let folder = self.path(&format!("{name}-folder"));
            fs::create_dir_all(&folder).map_err(Failure::at(&folder))?;
        }
        run(Command::new("mcopy")
            .arg("-sni")
            .arg(self.path("esp.part"))
            .arg("::/")
            .arg(self.path("esp-folder")))?;
        let dump = format!("rdump /lamina {}", self.path("store-folder").display());
        run(Command::new("/usr/sbin/debugfs").args(["-R", &dump]).arg(self.path("store.part"))).map(drop)
    }

    /// Writes the folders into the partitions of the disk.
    fn put_together(&self) -> Story {
        let uuids = ["0123-4567", "01234567-89ab-4cde-8f01-23456789abcd"];
        for (place, (name, kind)) in
            [("esp", FileSystem::Vfat), ("store", FileSystem::Ext4)].into_iter().enumerate()
        {
            let part = self.path(&format!("{name}.part"));
            fs::remove_file(&part).map_err(Failure::at(&part))?;
            let identity = Identity { label: "PUT BACK", uuid: uuids[place] };
            write(kind, identity, &self.path(&format!("{name}-folder")), &part)?;
            let (start, size) = self.partitions[place];
            let copied = File::open(&part).and_then(|mut part| {
                assert!(part.metadata()?.len() <= size, "{name} has outgrown its partition");
                let mut disk = File::options().write(true).open(self.path("disk.img"))?;
                disk.seek(SeekFrom::Start(start))?;
                io::copy(&mut part, &mut disk)
            });
            copied.map_err(Failure::at(&part))?;
        }
        Ok(())
    }

    /// Another generation of the profile `console`: only its description differs.
    fn lock_another(&self, before: u64) -> Story {
        let path = |number: u64| self.path(&format!("store/profiles/console/{number}.kdl"));
        let text = fs::read_to_string(path(before)).map_err(Failure::at(&path(before)))?;
        let (_, rest) = text.split_once("description \"").unwrap_or_default();
        let newer = text.replacen(rest.split('"').next().unwrap_or_default(), "the new generation", 1);
        assert_ne!(newer, text);
        fs::write(path(before + 1), newer).map_err(Failure::at(&path(before + 1)))
    }

    /// Boots the disk by its firmware, and expects this generation, bound to its digest.
    fn expect_generation(&self, name: &str, firmware: Firmware, generation: u64, title: &str) -> Story {
        self.put_together()?;
        let mut guest = Guest::boot(&Machine::from_firmware(name, firmware).disk(&self.path("disk.img")))?;
        guest.expect(title)?;
        guest.expect(":~# ")?;
        let file = self.path(&format!("store/profiles/console/{generation}.kdl"));
        let digest = run(Command::new("sha256sum").arg(&file))?;
        let digest = String::from_utf8_lossy(&digest.stdout)[..64].to_owned();
        let line = guest.run("cat /proc/cmdline")?;
        assert!(line.contains(&format!("lamina.profile=console@sha256:{digest}")), "{line}");
        let booted = guest.run("sha256sum /run/lamina/profile.kdl")?;
        assert!(booted.contains(&digest), "{booted}");
        guest.type_line("poweroff")?;
        guest.expect_off()
    }

    fn newest(&self) -> Result<u64, Failure> {
        let folder = self.path("store/profiles/console");
        let names = fs::read_dir(&folder).map_err(Failure::at(&folder))?.flatten();
        let number = |name: std::ffi::OsString| Path::new(&name).file_stem()?.to_str()?.parse::<u64>().ok();
        names.filter_map(|it| number(it.file_name())).max().ok_or(Failure::new("console was never locked"))
    }
}

#[test]
fn uefi_boots_the_generation_that_was_installed_and_after_a_rollback_the_one_before() -> Story {
    let shop = Workshop::new("generations-uefi", &["--firmware", "uefi"])?;
    let first = shop.newest()?;
    shop.lock_another(first)?;
    shop.system(&["install", "console"])?;
    shop.expect_generation("generations-uefi", Firmware::Uefi, first + 1, "the new generation")?;
    shop.system(&["rollback"])?;
    shop.expect_generation("generations-uefi-back", Firmware::Uefi, first, "console, generation")
}

#[test]
fn a_bios_boots_the_generation_that_was_installed_by_grub() -> Story {
    let shop = Workshop::new("generations-bios", &[])?;
    let first = shop.newest()?;
    shop.lock_another(first)?;
    shop.system(&["install", "console"])?;
    shop.expect_generation("generations-bios", Firmware::Bios, first + 1, "*console: the new generation")
}
