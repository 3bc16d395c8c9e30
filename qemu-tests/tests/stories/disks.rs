//! Disks by `lamina disk create`, started by a machine's own firmware: nothing but the disk is handed to QEMU.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use qemu_tests::artifacts;
use qemu_tests::guest::Guest;
use qemu_tests::initramfs::Initramfs;
use qemu_tests::programs::run;
use qemu_tests::{Failure, Story};
use vm::machine::{Firmware, Machine};

const PROMPT: &str = ":~# ";
/// The key "down" of a terminal (ECMA-48, CUD).
const DOWN: &[u8] = b"\x1b[B";
/// The key "up" (CUU).
const UP: &[u8] = b"\x1b[A";

/// A disk with a menu of three profiles of the real store.
struct MadeDisk {
    folder: tempfile::TempDir,
}

impl MadeDisk {
    fn new(name: &str, options: &[&str]) -> Result<Self, Failure> {
        Self::with_kernel("6.1", name, options)
    }

    /// With drivers of all hardware, as a stick needs them.
    fn stick(name: &str, options: &[&str]) -> Result<Self, Failure> {
        Self::with_kernel("6.1-all", name, options)
    }

    fn with_kernel(kernel: &str, name: &str, options: &[&str]) -> Result<Self, Failure> {
        let made = Self { folder: artifacts::scratch(name)? };
        let kernel = artifacts::kernel(kernel)?;
        let mut command = Command::new(artifacts::lamina()?);
        command.args(["disk", "create"]).arg(made.path());
        for profile in ["console", "web", "rescue"] {
            command.args(["--profile", profile]);
        }
        // The shell is where the story reads; the rest as in every machine of these stories.
        for parameter in ["console=ttyS0", "loglevel=4", "no_timer_check", "nohz=off", "highres=off"] {
            command.args(["--option", parameter]);
        }
        let command = command
            .arg("--kernel")
            .arg(&kernel.package)
            .arg("--initramfs")
            .arg(Initramfs::new(&kernel).write()?)
            .args(options)
            .env("LAMINA_STORE", artifacts::store())
            .stdin(Stdio::null());
        let output = command.output().map_err(Failure::about("lamina"))?;
        match output.status.success() {
            true => Ok(made),
            false => Err(Failure::new(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("disk.img")
    }

    fn boot(&self, name: &str, firmware: Firmware) -> Result<Guest, Failure> {
        Guest::boot(&Machine::from_firmware(name, firmware).disk(&self.path()))
    }

    fn boot_as_stick(&self, name: &str, firmware: Firmware) -> Result<Guest, Failure> {
        Guest::boot(&Machine::from_firmware(name, firmware).usb_stick(&self.path()))
    }
}

/// Waits for the prompt of a profile, and looks what was booted, from which partition, and bound to what.
fn expect_profile(guest: &mut Guest, profile: &str, store: &str) -> Story {
    guest.expect(&format!("{profile}{PROMPT}"))?;
    let line = guest.run("cat /proc/cmdline")?;
    assert!(line.contains(&format!("lamina.profile={profile}@sha256:")), "{line}");
    assert!(line.contains("lamina.fallback=rescue@sha256:"), "{line}");
    let digest = line.split_once(&format!("{profile}@sha256:")).map(|(_, rest)| &rest[..64]);
    let booted = guest.run("sha256sum /run/lamina/profile.kdl")?;
    assert_eq!(booted.split_whitespace().next(), digest, "{line}");
    let report = guest.run("cat /run/lamina/report.json")?;
    assert!(
        report.contains(&format!("\"{store} (ext4)\"")) && report.contains("\"bound\": true"),
        "{report}"
    );
    guest.type_line("poweroff")?;
    guest.expect_off()
}

#[test]
fn a_bios_boots_the_first_entry_of_a_disk_and_keys_choose_the_second_of_a_stick() -> Story {
    let disk = MadeDisk::new("disk-bios", &["--timeout", "5"])?;
    let mut guest = disk.boot("disk-bios", Firmware::Bios)?;
    guest.expect("GNU GRUB")?;
    guest.expect("*console: ")?;
    expect_profile(&mut guest, "console", "/dev/vda3")?;

    let disk = MadeDisk::stick("stick-bios-keys", &["--timeout", "60"])?;
    let mut guest = disk.boot_as_stick("stick-bios-keys", Firmware::Bios)?;
    guest.expect("*console: ")?;
    guest.expect("rescue: ")?;
    guest.send_noise(DOWN)?;
    guest.expect("*web: ")?;
    guest.send_noise(b"\r")?;
    expect_profile(&mut guest, "web", "/dev/sda3")
}

#[test]
fn uefi_boots_the_first_entry_of_a_disk_and_keys_choose_the_second_of_a_stick() -> Story {
    let disk = MadeDisk::new("disk-uefi", &["--firmware", "both", "--timeout", "2"])?;
    let mut guest = disk.boot("disk-uefi", Firmware::Uefi)?;
    guest.expect("console: ")?;
    guest.expect("Boot in ")?;
    expect_profile(&mut guest, "console", "/dev/vda3")?;

    let disk = MadeDisk::stick("stick-uefi-keys", &["--timeout", "60"])?;
    let mut guest = disk.boot_as_stick("stick-uefi-keys", Firmware::Uefi)?;
    guest.expect("Boot in ")?;
    guest.send_noise(DOWN)?;
    guest.expect("web: ")?;
    guest.send_noise(b"\r")?;
    expect_profile(&mut guest, "web", "/dev/sda3")
}

#[test]
fn uefi_boots_the_same_menu_by_grub() -> Story {
    let disk = MadeDisk::new("disk-grub", &["--loader", "grub", "--timeout", "2"])?;
    let mut guest = disk.boot("disk-grub", Firmware::Uefi)?;
    guest.expect("GNU GRUB")?;
    guest.expect("*console: ")?;
    expect_profile(&mut guest, "console", "/dev/vda3")
}

#[test]
fn changes_last_on_the_state_partition() -> Story {
    let disk = MadeDisk::new("disk-state", &["--state", "64M", "--timeout", "1"])?;
    let machine = Machine::from_firmware("disk-state", Firmware::Bios).kept_disk(&disk.path());
    for line in ["echo kept > /etc/note && sync", "grep -x kept /etc/note"] {
        let mut guest = Guest::boot(&machine)?;
        guest.expect(PROMPT)?;
        guest.run(line)?;
        guest.type_line("poweroff")?;
        guest.expect_off()?;
    }
    Ok(())
}

/// What the disk's menu has in it, by `lamina disk inspect`.
fn entries(disk: &MadeDisk) -> Result<String, Failure> {
    let output = Command::new(artifacts::lamina()?).args(["disk", "inspect"]).arg(disk.path()).output();
    let output = output.map_err(Failure::about("lamina"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    Ok(text.lines().filter(|line| line.starts_with("entry ")).collect::<Vec<_>>().join("\n"))
}

/// What GRUB has counted, by `lamina disk inspect`: the entry begins so, and has so many tries left.
fn counted_by_grub(disk: &MadeDisk) -> Result<Option<(String, u64)>, Failure> {
    let mut inspect = Command::new(artifacts::lamina()?);
    let output = run(inspect.args(["disk", "inspect", "--json"]).arg(disk.path()))?;
    let found: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(Failure::about("inspect"))?;
    let tries = &found["grub_tries"];
    Ok(tries["entry"].as_str().and_then(|entry| Some((entry.to_owned(), tries["left"].as_u64()?))))
}

/// The entry of a generation, by what its file is called.
fn counted(entries: &str, profile: &str, tries: &str) -> bool {
    let (_, rest) = entries.split_once(&format!("entry lamina-{profile}-")).unwrap_or_default();
    let name = rest.split_once(".conf").map_or("", |(name, _)| name);
    name.trim_start_matches(|c: char| c.is_ascii_digit()) == tries
}

/// What the kernel says on the serial line before it is one: the loader has counted by then.
const KERNEL_BEGINS: &str = "EFI stub: Loaded initrd";

/// A kernel that dies is a machine whose power goes off when its first words come.
#[test]
fn the_loader_counts_tries_until_a_boot_is_blessed() -> Story {
    let disk = MadeDisk::new("disk-tries", &["--firmware", "uefi", "--timeout", "1", "--tries", "2"])?;
    let machine = Machine::from_firmware("disk-tries", Firmware::Uefi).kept_disk(&disk.path());
    let mut guest = Guest::boot(&machine)?;
    guest.expect(KERNEL_BEGINS)?;
    drop(guest);
    assert!(counted(&entries(&disk)?, "console", "+1-1"), "{}", entries(&disk)?);

    let mut guest = Guest::boot(&machine)?;
    guest.expect(&format!("console{PROMPT}"))?;
    // The hook of the profile, or this one: they wait for each other.
    guest.run("/run/lamina/bin/lamina bless")?;
    let said = guest.run("/run/lamina/bin/lamina bless")?;
    assert!(said.contains("is known to be good") && !said.contains("counts the tries"), "{said}");
    assert!(guest.run("grep -c esp /proc/mounts; true")?.contains('0'));
    guest.type_line("poweroff")?;
    guest.expect_off()?;
    let shown = entries(&disk)?;
    assert!(counted(&shown, "console", "") && counted(&shown, "web", "+2-0"), "{shown}");
    Ok(())
}

/// GRUB counts in its environment block, takes another entry when no try is left, and counts no more what was blessed.
#[test]
fn grub_counts_the_tries_of_what_boots_by_itself_until_a_boot_is_blessed() -> Story {
    let disk = MadeDisk::new("disk-grub-tries", &["--firmware", "bios", "--timeout", "3", "--tries", "1"])?;
    let machine = Machine::from_firmware("disk-grub-tries", Firmware::Bios).kept_disk(&disk.path());
    let left = || {
        Ok::<_, Failure>(counted_by_grub(&disk)?.map(|(entry, left)| {
            assert!(entry.starts_with("lamina-console-"), "{entry}");
            left
        }))
    };
    assert_eq!(left()?, Some(1));
    let mut guest = Guest::boot(&machine)?;
    guest.expect("*console: ")?;
    guest.expect("lamina: kernel ")?;
    drop(guest);
    assert_eq!(left()?, Some(0));

    let mut guest = Guest::boot(&machine)?;
    guest.expect("*web: ")?;
    guest.expect(&format!("web{PROMPT}"))?;
    let said = guest.run("/run/lamina/bin/lamina bless")?;
    assert!(!said.contains("GRUB"), "{said}");
    guest.type_line("poweroff")?;
    guest.expect_off()?;
    assert_eq!(left()?, Some(0));

    let mut guest = Guest::boot(&machine)?;
    guest.expect("*web: ")?;
    guest.send_noise(UP)?;
    guest.expect("*console: ")?;
    guest.send_noise(b"\r")?;
    guest.expect(&format!("console{PROMPT}"))?;
    // The hook of the profile, or this one: they wait for each other.
    guest.run("/run/lamina/bin/lamina bless")?;
    guest.type_line("poweroff")?;
    guest.expect_off()?;
    assert_eq!(left()?, None);
    Ok(())
}

/// As last time: GRUB writes down what it starts. No entry needs to come up for that.
#[test]
fn grub_starts_what_was_started_last() -> Story {
    let disk = MadeDisk::new("disk-grub-last", &["--firmware", "bios", "--timeout", "3", "--last"])?;
    let machine = Machine::from_firmware("disk-grub-last", Firmware::Bios).kept_disk(&disk.path());
    let mut guest = Guest::boot(&machine)?;
    guest.expect("*console: ")?;
    guest.send_noise(DOWN)?;
    guest.expect("*web: ")?;
    guest.send_noise(b"\r")?;
    guest.expect("lamina: kernel ")?;
    drop(guest);

    let mut guest = Guest::boot(&machine)?;
    guest.expect("*web: ")?;
    guest.expect("find the profile: web")?;
    Ok(())
}

/// As last time, by systemd-boot: the firmware keeps what was started, as long as the machine has power.
#[test]
fn systemd_boot_starts_what_was_started_last() -> Story {
    let disk = MadeDisk::new("disk-uefi-last", &["--firmware", "uefi", "--timeout", "20", "--last"])?;
    let machine = Machine::from_firmware("disk-uefi-last", Firmware::Uefi).restarts().disk(&disk.path());
    let mut guest = Guest::boot(&machine)?;
    guest.expect("Boot in ")?;
    guest.send_noise(DOWN)?;
    guest.expect("web: ")?;
    guest.send_noise(b"\r")?;
    guest.expect(&format!("web{PROMPT}"))?;
    guest.type_line("reboot")?;
    guest.expect("Boot in ")?;
    expect_profile(&mut guest, "web", "/dev/vda2")
}
