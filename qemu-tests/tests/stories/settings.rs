//! A machine's own settings, locked over the shipped profile `web` and seen by the system that boots.

use std::fs;
use std::path::Path;
use std::process::Command;

use qemu_tests::fixture::Fixture;
use qemu_tests::guest::Guest;
use qemu_tests::outside::ssh_banner;
use qemu_tests::programs::said;
use qemu_tests::{Failure, Story, artifacts};

#[test]
fn a_profile_names_its_machine_its_user_and_a_file() -> Story {
    let fixture = Fixture::new("settings")?;
    let (tree, store) = (fixture.scratch().join("tree"), fixture.scratch().join("store"));
    copy(&artifacts::repository().join("packages"), &tree.join("packages"))?;
    copy(&artifacts::repository().join("profiles"), &tree.join("profiles"))?;
    // A store of its own: the profile is nobody else's.
    for folder in ["images", "builds"] {
        copy(&artifacts::store().join(folder), &store.join(folder))?;
    }
    let key = fixture.scratch().join("key");
    said(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key))?;
    let public = fs::read_to_string(key.with_extension("pub")).map_err(Failure::at(&key))?;
    let settings = format!(
        "profile \"mine\" {{\n    include \"web\"\n    system {{\n        hostname \"web1\"\n        \
         user \"me\" key=\"{}\"\n        network \"eth0\" address=\"10.0.2.15/24\" gateway=\"10.0.2.2\" dns=\"10.0.2.3\"\n        \
         file \"/etc/motd\" from=\"mine.motd\"\n        service \"web\" on=#false\n    }}\n}}\n",
        public.trim()
    );
    write(&tree.join("profiles/mine.kdl"), &settings)?;
    write(&tree.join("profiles/mine.motd"), "This is web1.\n")?;
    let lamina = |words: &[&str]| -> Result<String, Failure> {
        let mut command = Command::new(artifacts::lamina()?);
        said(command.arg("--store").arg(&store).arg("--tree").arg(&tree).args(words))
    };
    lamina(&["profile", "lock", "mine"])?;
    let medium = fixture.medium_folder().join("lamina");
    fs::remove_dir_all(&medium).map_err(Failure::at(&medium))?;
    lamina(&["medium", "create", &medium.display().to_string(), "--profile", "mine"])?;

    let (machine, port) = fixture.machine_with_ssh("lamina.store=LABEL=LAMINA lamina.profile=mine")?;
    let mut guest = Guest::boot(&machine)?;
    guest.expect("This is web1.")?;
    guest.expect("web1:~# ")?;
    assert_eq!(guest.run("hostname")?, "web1\n");
    assert_eq!(guest.run("id me")?, "uid=1000(me) gid=1000(me) groups=1000(me)\n");
    assert!(guest.run("ip -o address show dev eth0")?.contains("10.0.2.15/24"));
    assert_eq!(guest.run("cat /etc/resolv.conf")?, "nameserver 10.0.2.3\n");
    assert!(!guest.run("ps")?.contains("mini_httpd"));
    assert!(
        guest.run("layers")?.trim_end().lines().last().is_some_and(|line| line.starts_with("system-mine "))
    );
    ssh_banner(port)?;
    let options =
        ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=60"];
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "none", "-p", &port.to_string(), "-i"]).arg(&key);
    options.iter().for_each(|option| _ = ssh.args(["-o", option]));
    assert_eq!(
        said(ssh.args(["me@127.0.0.1", "whoami; pwd; cat /etc/shadow 2>&1 || true"]))?,
        "me\n/home/me\ncat: can't open '/etc/shadow': Permission denied\n"
    );
    guest.type_line("poweroff")?;
    guest.expect_off()
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(Failure::at(path))
}

/// Copies the files of a folder; links are not followed.
fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir_all(to).map_err(Failure::at(to))?;
    for entry in fs::read_dir(from).map_err(Failure::at(from))? {
        let entry = entry.map_err(Failure::at(from))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(Failure::at(&path))?;
        if kind.is_dir() {
            copy(&path, &target)?;
        } else if kind.is_file() {
            fs::copy(&path, &target).map_err(Failure::at(&path))?;
        }
    }
    Ok(())
}
