//! `lamina vm`, as somebody at a terminal uses it: the command becomes QEMU, and its streams are the guest's serial console.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use qemu_tests::programs::lamina;
use qemu_tests::vm_slots::{self, Slot};
use qemu_tests::{Failure, Story, artifacts, logs, outside};
use vm::console::Console;

const PATIENCE: Duration = Duration::from_secs(200);

/// A guest of the command.
struct CommandedGuest {
    name: String,
    child: Child,
    console: Console,
    _slot: Slot,
}

impl CommandedGuest {
    fn start(name: &str, arguments: &[&str]) -> Result<Self, Failure> {
        let slot = vm_slots::take()?;
        let log = logs::console(name)?;
        let errors = fs::File::create(&log).map_err(Failure::at(&log))?;
        let mut child = lamina(&artifacts::store())
            .arg("vm")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.try_clone().map_err(Failure::at(&log))?)
            .spawn()
            .map_err(Failure::about("lamina"))?;
        let streams = child.stdout.take().zip(child.stdin.take());
        let (output, input) = streams.ok_or_else(|| Failure::new("no pipes".to_owned()))?;
        let console = Console::new(output, input, errors);
        Ok(Self { name: name.to_owned(), child, console, _slot: slot })
    }

    fn expect(&mut self, wanted: &str) -> Result<String, Failure> {
        let missed = self.console.wait_for(wanted, PATIENCE);
        missed.map_err(|missed| {
            Failure::new(format!(
                "{}: {wanted:?} did not come ({missed:?}):\n{}",
                self.name,
                self.console.text()
            ))
        })
    }

    /// Waits for the shell, and keeps the kernel from writing between its words: drivers are still being loaded.
    fn expect_shell(&mut self, prompt: &str) -> Result<(), Failure> {
        self.expect(prompt)?;
        self.console.send(b"dmesg -n 1\n")?;
        self.expect("dmesg -n 1")?;
        self.expect(":~# ").map(drop)
    }

    /// What a line for the shell prints.
    fn run(&mut self, line: &str) -> Result<String, Failure> {
        self.console.send(format!("{line}; echo e'nd' $?\n").as_bytes())?;
        self.expect("e'nd' $?")?;
        let said = self.expect("end ")?;
        let status = self.expect(":~# ")?;
        match status.starts_with("0\n") {
            true => Ok(said),
            false => Err(Failure::new(format!("`{line}` ended with {status}, and said {said}"))),
        }
    }

    /// Switches it off from inside, and sees that the command ends well with it.
    fn power_off(mut self) -> Story {
        self.console.send(b"poweroff\n")?;
        self.console
            .wait_for_end(PATIENCE)
            .map_err(|missed| Failure::new(format!("{}: is still on: {missed:?}", self.name)))?;
        let status = self.child.wait().map_err(Failure::about("lamina"))?;
        assert!(status.success(), "{status}");
        Ok(())
    }
}

impl Drop for CommandedGuest {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = (self.child.kill(), self.child.wait());
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn a_profile_boots_with_a_folder_a_port_and_a_state_of_its_own() -> Story {
    let folder = artifacts::scratch("vm-command")?;
    let shared = folder.path().join("work");
    fs::create_dir(&shared).map_err(Failure::at(&shared))?;
    fs::write(shared.join("from-host"), "from the host\n").map_err(Failure::at(&shared))?;
    let (work, looked_at) = (text(&shared), text(folder.path()) + ":ro");
    let (state, port) = (text(&folder.path().join("state")), outside::free_port(8090)?);
    let forward = format!("{port}:80");
    let arguments =
        ["web", "--share", &work, "--share", &looked_at, "--state", &state, "--forward", &forward];
    let more = ["--memory", "600M", "--processors", "1", "--append", "nohz=off two=\"a b\""];
    let mut guest = CommandedGuest::start("vm-command", &[&arguments[..], &more].concat())?;
    guest.expect_shell("web:~# ")?;
    let line = guest.run("cat /proc/cmdline")?;
    assert!(line.contains("lamina.profile=web@sha256:") && line.contains("two=\"a b\""), "{line}");
    assert!(guest.run("cat /run/host/work/from-host")?.contains("from the host"));
    guest.run("echo from the guest > /run/host/work/from-guest")?;
    let mounts = guest.run("grep /run/host/ /proc/mounts")?;
    assert_eq!(mounts.matches("nosuid,nodev").count(), 2, "{mounts}");
    assert!(mounts.contains(" ro,"), "{mounts}");
    assert_eq!(guest.run("nproc")?.trim(), "1");
    let page = outside::fetch_page(port, "/")?;
    assert!(page.contains("<html"), "{page}");
    guest.run("echo kept > /var/kept && sync")?;
    guest.power_off()?;
    assert_eq!(fs::read_to_string(shared.join("from-guest")).ok().as_deref(), Some("from the guest\n"));

    let mut again = CommandedGuest::start("vm-command-again", &["web", "--state", &state, "--no-network"])?;
    again.expect_shell("web:~# ")?;
    assert!(again.run("cat /var/kept")?.contains("kept"));
    assert!(!again.run("ls /sys/class/net")?.contains("eth"));
    again.power_off()
}

#[test]
fn a_made_disk_starts_by_its_firmware_and_forgets_what_it_was_told() -> Story {
    let folder = artifacts::scratch("vm-disk")?;
    let disk = text(&folder.path().join("disk.qcow2"));
    let kernel = artifacts::kernel("6.1")?;
    let made = lamina(&artifacts::store())
        .args(["disk", "create", &disk, "--format", "qcow2", "--profile", "console", "--state", "64M"])
        .args(["--option", "console=ttyS0", "--timeout", "1", "--kernel"])
        .arg(&kernel.package)
        .output()
        .map_err(Failure::about("lamina"))?;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let before = fs::read(&disk).map_err(Failure::at(Path::new(&disk)))?;
    let mut guest =
        CommandedGuest::start("vm-disk", &["--disk", &disk, "--firmware", "bios", "--memory", "512M"])?;
    guest.expect_shell("console:~# ")?;
    guest.run("echo forgotten > /var/x && sync")?;
    guest.power_off()?;
    assert!(fs::read(&disk).is_ok_and(|after| after == before), "the disk was written to");
    Ok(())
}

#[test]
fn what_would_be_started_can_be_typed_by_a_person() -> Story {
    let said = |arguments: &[&str]| -> Result<String, Failure> {
        let output = Command::new(artifacts::lamina()?)
            .env("LAMINA_STORE", artifacts::store())
            .arg("vm")
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(Failure::about("lamina"))?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let line = said(&["console", "--dry-run"])?;
    // A shell takes it for what --json says.
    let words = Command::new("sh").args(["-c", &format!("printf '%s\\n' {line}")]).output();
    let words = words.map_err(Failure::about("sh"))?.stdout;
    let json = said(&["console", "--dry-run", "--json"])?;
    let json: serde_json::Value = serde_json::from_str(&json).map_err(Failure::about("JSON"))?;
    let command: Vec<&str> =
        json["command"].as_array().into_iter().flatten().filter_map(|it| it.as_str()).collect();
    assert_eq!(String::from_utf8_lossy(&words).lines().collect::<Vec<_>>(), command);
    for option in ["-kernel", "-initrd"] {
        let file = command.iter().skip_while(|word| **word != option).nth(1);
        assert!(file.is_some_and(|file| Path::new(file).is_file()), "{option} {file:?}");
    }
    Ok(())
}
