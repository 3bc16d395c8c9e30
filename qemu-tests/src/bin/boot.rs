//! Boots a profile of the store in QEMU: `make boot`.
//!
//! On a terminal it hands the guest's console over. Elsewhere it checks from inside and outside that the system is what the
//! profile says, prints the boot report, and powers off.

use std::fs;
use std::io::{IsTerminal, stdin};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use argh::FromArgs;
use qemu_tests::acceleration;
use qemu_tests::artifacts::{self, Kernel};
use qemu_tests::fixture::{DISK, extract_busybox, real_profile};
use qemu_tests::guest::Guest;
use qemu_tests::initramfs::Initramfs;
use qemu_tests::medium::{self, FileSystem};
use qemu_tests::outside;
use qemu_tests::report::{BootReport, Step};
use qemu_tests::store::{ImageLine, TestStore};
use qemu_tests::{Failure, Story};
use sha2::{Digest, Sha256};
use soak_guest::hex;
use vm::machine::{ForwardedPort, Machine};
use vm::qemu;

/// Boots a profile of the store in QEMU.
#[derive(FromArgs)]
struct Arguments {
    /// the profile, as `make profiles` resolved it
    #[argh(option, default = "String::from(\"console\")")]
    profile: String,
    /// the kernel series: 6.1 or 6.12
    #[argh(option, default = "String::from(\"6.1\")")]
    kernel: String,
}

/// How to see that a package really runs: a line for the guest's shell, and what it must print.
const PROGRAMS: [(&str, &str, &str); 6] = [
    ("busybox", "busybox uname -s", "Linux"),
    ("nano", "nano --version", "GNU nano"),
    ("lua", "lua -e 'print(6 * 7)'", "42"),
    ("strace", "strace -V", "strace"),
    ("dropbear", "dropbear -V 2>&1", "Dropbear"),
    ("mini-httpd", "wget -q -O - http://127.0.0.1/", "<html"),
];

fn main() -> ExitCode {
    match boot(&argh::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("boot: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn boot(arguments: &Arguments) -> Story {
    let (profile, images) = real_profile(&arguments.profile)?;
    let kernel = artifacts::kernel(&arguments.kernel)?;
    let disk = disk(&arguments.profile, &profile, &images)?;
    let initramfs = initramfs(&kernel, &images)?;
    let ports = ports(&images)?;
    let mut machine = Machine::new(&format!("boot-{}", arguments.profile), &kernel.vmlinuz, &initramfs)
        .parameter(&format!("lamina.store=LABEL={}", DISK.label))
        .parameter(&format!("lamina.profile={}", arguments.profile))
        .disk(&disk);
    if let Some((web, ssh)) = ports {
        machine = machine.network(&[web, ssh]);
        println!("boot: http://127.0.0.1:{} is the guest's port 80, port {} its SSH", web.host, ssh.host);
    }
    if stdin().is_terminal() {
        hand_over(&machine)
    } else {
        check(&machine, &images, ports.map(|(web, _)| web.host))
    }
}

/// The disk with this profile and its images; made once for each content.
fn disk(name: &str, profile: &Path, images: &[ImageLine]) -> Result<PathBuf, Failure> {
    let text = fs::read_to_string(profile).map_err(Failure::at(profile))?;
    let key = hex(&Sha256::digest(&text));
    let media = artifacts::cache().join("media");
    fs::create_dir_all(&media).map_err(Failure::at(&media))?;
    let disk = media.join(format!("{key}.ext4"));
    if disk.exists() {
        return Ok(disk);
    }
    let scratch = tempfile::tempdir_in(&media).map_err(Failure::at(&media))?;
    let store = TestStore::create(&scratch.path().join("medium/lamina"))?;
    for image in images {
        store.take(image, &artifacts::store())?;
    }
    store.profile_text(name, &text)?;
    let part = scratch.path().join("disk");
    medium::write(FileSystem::Ext4, DISK, &scratch.path().join("medium"), &part)?;
    fs::rename(&part, &disk).map_err(Failure::at(&disk))?;
    Ok(disk)
}

/// With the system's own shell for the case that the boot fails.
fn initramfs(kernel: &Kernel, images: &[ImageLine]) -> Result<PathBuf, Failure> {
    let initramfs = Initramfs::new(kernel);
    let Some(line) = images.iter().find(|image| image.name == "busybox") else {
        return initramfs.write();
    };
    let scratch = tempfile::tempdir().map_err(Failure::about("a temporary folder"))?;
    let image = artifacts::store().join("images").join(format!("{}.sqfs", line.digest));
    initramfs.rescue_shell(&extract_busybox(&image, &scratch.path().join("busybox"))?).write()
}

/// Ports 80 and 22 of a guest with a network.
fn ports(images: &[ImageLine]) -> Result<Option<(ForwardedPort, ForwardedPort)>, Failure> {
    if !images.iter().any(|image| image.name == "network") {
        return Ok(None);
    }
    let web = ForwardedPort { host: outside::free_port(8080)?, guest: 80 };
    let ssh = ForwardedPort { host: outside::free_port(2222)?, guest: 22 };
    Ok(Some((web, ssh)))
}

/// Becomes QEMU, with the terminal as the guest's console.
fn hand_over(machine: &Machine) -> Story {
    println!("boot: Ctrl-A X leaves, and so does `poweroff`");
    Err(qemu::hand_over(machine, acceleration::best()?).into())
}

fn check(machine: &Machine, images: &[ImageLine], web: Option<u16>) -> Story {
    let mut guest = Guest::boot(machine)?;
    guest.expect(":~# ")?;
    println!("{}", guest.text().trim_end());
    guest.run("grep -q '^[^ ]* / overlay ' /proc/mounts")?;
    println!("boot: / is an overlay");
    for image in images {
        guest.run(&format!("mountpoint -q /run/lamina/layers/{}", image.name))?;
    }
    println!("boot: all {} layers are mounted:\n{}", images.len(), guest.run("layers")?.trim_end());
    let report = BootReport::parse(&guest.run("cat /run/lamina/report.json")?)?;
    compare(&mut guest, &report, images)?;
    for (_, line, wanted) in
        PROGRAMS.iter().filter(|(name, ..)| images.iter().any(|image| image.name == *name))
    {
        let output = guest.run(line)?;
        if !output.contains(wanted) {
            return Err(guest.told(&format!("`{line}` did not print {wanted:?} but: {output}")));
        }
        println!("boot: `{line}` runs: {}", output.lines().next().unwrap_or_default());
    }
    if let Some(port) = web {
        let page = outside::fetch_page(port, "/")?;
        println!("boot: from outside, port {port} answers: {}", page.lines().next().unwrap_or_default());
    }
    print_report(&report);
    guest.type_line("poweroff")?;
    guest.expect_off()?;
    println!("boot: powered off");
    Ok(())
}

/// The report must name the images of the profile, in its order.
fn compare(guest: &mut Guest, report: &BootReport, images: &[ImageLine]) -> Story {
    let booted: Vec<&str> =
        report.layers.iter().map(|layer| layer.digest.trim_start_matches("sha256:")).collect();
    let wanted: Vec<&str> = images.iter().map(|image| image.digest.as_str()).collect();
    if booted == wanted {
        return Ok(());
    }
    Err(guest.told(&format!("report.json says that {booted:?} was booted, but the profile has {wanted:?}")))
}

fn print_report(report: &BootReport) {
    let BootReport { kernel, profile, steps, .. } = report;
    println!(
        "boot: report of init: profile {}, generation {}, kernel {kernel}",
        profile.name, profile.generation
    );
    for Step { step, object, start_us, length_us, .. } in steps {
        let (start, length) = (*start_us as f64 / 1000.0, *length_us as f64 / 1000.0);
        println!("  {start:9.1} ms {length:9.1} ms  {step} {object}");
    }
}
