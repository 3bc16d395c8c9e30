//! The shipped profiles, as `make profiles` resolved them, on both kernels.

use std::process::Command;

use qemu_tests::fixture::Fixture;
use qemu_tests::guest::Guest;
use qemu_tests::outside::{fetch_page, free_port, ssh_banner};
use qemu_tests::report::BootReport;
use qemu_tests::store::{Layer, ProfileText};
use qemu_tests::{Failure, Story};
use vm::machine::ForwardedPort;

const PROMPT: &str = ":~# ";

#[test]
fn console_boots_to_a_shell_and_reports_its_layers() -> Story {
    let fixture = Fixture::new("console")?;
    let images = fixture.take_profile("console")?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=console")?;
    guest.expect(PROMPT)?;

    assert!(guest.run("grep ' / ' /proc/mounts")?.contains(" / overlay "), "the root is no overlay");
    for image in &images {
        let layer = guest.run(&format!("grep ' /run/lamina/layers/{} ' /proc/mounts", image.name))?;
        assert!(layer.contains(" squashfs ro"), "{layer}");
    }
    let report = BootReport::parse(&guest.run("cat /run/lamina/report.json")?)?;
    assert_eq!(report.profile.name, "console");
    assert!(report.layers.iter().all(|layer| layer.verified != "none"), "every image is checked: {report:?}");
    let booted: Vec<&str> = report.layers.iter().map(|layer| layer.name.as_str()).collect();
    let wanted: Vec<&str> = images.iter().map(|image| image.name.as_str()).collect();
    assert_eq!(booted, wanted);

    assert!(guest.run("nano --version")?.contains("GNU nano"));
    assert_eq!(guest.run("lua -e 'print(6 * 7)'")?, "42\n");
    assert!(guest.run("strace -c true 2>&1")?.contains("execve"));
    guest.run("echo written > /etc/new && grep -q written /etc/new")?;
    guest.type_line("poweroff")?;
    guest.expect_off()
}

/// Every program of it is linked with the one C library, and the editor with the one ncurses, each a layer of its own.
#[test]
fn the_dynamic_console_shares_its_libraries() -> Story {
    let fixture = Fixture::new("console-dynamic")?;
    let images = fixture.take_profile("console-dynamic")?;
    for library in ["musl", "ncurses"] {
        assert!(images.iter().any(|image| image.name == library), "{library} is no layer");
    }
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=console-dynamic")?;
    guest.expect(PROMPT)?;
    let loader = "/lib/ld-musl-x86_64.so.1";
    for program in ["busybox", "nano", "lua", "strace"] {
        let listed = guest.run(&format!("{loader} --list /usr/bin/{program}"))?;
        assert!(listed.contains(loader), "{program}: {listed}");
        let shares_ncurses = listed.contains("libncurses.so.6 => /usr/x86_64-linux-musl/lib/libncurses.so.6");
        assert_eq!(shares_ncurses, program == "nano", "{program}: {listed}");
    }
    assert!(guest.run("nano --version")?.contains("GNU nano"));
    assert_eq!(guest.run("lua -e 'print(6 * 7)'")?, "42\n");
    guest.type_line("poweroff")?;
    guest.expect_off()
}

#[test]
fn console_boots_on_the_newer_kernel() -> Story {
    let fixture = Fixture::on_kernel("console-6.12", "6.12")?;
    fixture.take_profile("console")?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=console")?;
    guest.expect(PROMPT)?;
    assert!(guest.run("uname -r")?.starts_with("6.12."));
    guest.type_line("poweroff")?;
    guest.expect_off()
}

#[test]
fn web_serves_its_page_to_the_outside() -> Story {
    let fixture = Fixture::new("web")?;
    fixture.take_profile("web")?;
    let (web, ssh) = (free_port(0)?, free_port(0)?);
    let ports = [ForwardedPort { host: web, guest: 80 }, ForwardedPort { host: ssh, guest: 22 }];
    let machine = fixture
        .machine("lamina.store=LABEL=LAMINA lamina.profile=web")?
        .disk(&fixture.disk()?)
        .network(&ports);
    let mut guest = Guest::boot(&machine)?;
    guest.expect(PROMPT)?;

    let page = fetch_page(web, "/")?;
    assert!(page.starts_with("HTTP/1.") && page.contains(" 200 "), "{page}");
    assert!(page.contains("Served by a stack of images"), "{page}");
    let banner = ssh_banner(ssh)?;
    assert!(banner.starts_with("SSH-2.0-dropbear"), "{banner}");
    Ok(())
}

#[test]
fn an_image_with_a_key_lets_its_owner_log_in_over_ssh() -> Story {
    let fixture = Fixture::new("ssh")?;
    let mut images = fixture.take_profile("web")?;
    let key = fixture.scratch().join("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    assert!(made.map_err(Failure::about("ssh-keygen: run `make deps-test`"))?.success());
    let public = std::fs::read_to_string(key.with_extension("pub")).map_err(Failure::at(&key))?;
    let keys = Layer::new("my-keys").folder("/etc/dropbear/authorized_keys.d")?;
    images.push(fixture.store().add(&keys.file("/etc/dropbear/authorized_keys.d/me.pub", &public)?)?);
    fixture.store().profile(&ProfileText::new("mine", &images))?;

    let (machine, port) = fixture.machine_with_ssh("lamina.store=LABEL=LAMINA lamina.profile=mine")?;
    let mut guest = Guest::boot(&machine)?;
    guest.expect(PROMPT)?;
    ssh_banner(port)?;
    let output = Command::new("ssh")
        .args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ])
        .args(["-o", "ConnectTimeout=60", "-p", &port.to_string(), "-i"])
        .arg(&key)
        .args(["root@127.0.0.1", "layers"])
        .output()
        .map_err(Failure::about("ssh: run `make deps-test`"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("my-keys"), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn three_profiles_boot_from_one_disk_by_the_command_line_alone() -> Story {
    let fixture = Fixture::new("three-profiles")?;
    let profiles = ["console", "web", "rescue"];
    for profile in profiles {
        fixture.take_profile(profile)?;
    }
    let disk = fixture.disk()?;
    for profile in profiles {
        let mut guest = fixture.boot(&disk, &format!("lamina.profile={profile}"))?;
        guest.expect(&format!("{profile}{PROMPT}"))?;
        let booted = guest.run("cat /run/lamina/profile.kdl")?;
        assert!(
            booted.contains(&format!("profile \"{profile}\""))
                || booted.contains(&format!("profile {profile} "))
        );
        guest.type_line("poweroff")?;
        guest.expect_off()?;
    }
    Ok(())
}

#[test]
fn rescue_never_writes_to_its_root() -> Story {
    let fixture = Fixture::new("rescue")?;
    fixture.take_profile("rescue")?;
    let mut guest = fixture.boot(&fixture.disk()?, "lamina.profile=rescue")?;
    guest.expect(PROMPT)?;
    let refused = guest.run("(echo text > /etc/new) 2>&1 || true")?;
    assert!(refused.contains("Read-only file system"), "{refused}");
    guest.run("echo text > /tmp/new")?;
    guest.type_line("poweroff")?;
    guest.expect_off()
}
