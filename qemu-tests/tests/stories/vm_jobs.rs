//! `lamina vm --run` and `--test`: guests that nobody sits at, as in somebody's continuous integration.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use qemu_tests::debian_root::{self, SYSTEMD};
use qemu_tests::programs::lamina;
use qemu_tests::store::{Layer, ProfileText, TestStore};
use qemu_tests::{Failure, Story, artifacts, outside, vm_slots};

/// The command, run to its end.
fn vm(store: &Path, folder: &Path, arguments: &[&str]) -> Result<Output, Failure> {
    let _slot = vm_slots::take()?;
    let mut command = lamina(store);
    command.current_dir(folder).arg("vm").args(arguments);
    command.output().map_err(Failure::about("lamina vm"))
}

fn streams(output: &Output) -> (String, String, Option<i32>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

#[test]
fn a_command_in_a_guest_is_as_one_that_runs_here() -> Story {
    let folder = artifacts::scratch("vm-run")?;
    let command =
        "echo \"$HOME $(id -u) $(tty)\"; cat /proc/1/comm; echo told >&2; echo kept > /var/kept; exit 7";
    let store = artifacts::store();
    let first =
        vm(&store, folder.path(), &["web", "--state", "state", "--run", command, "--report", "report.json"])?;
    let expected = ("/root 0 not a tty\ninit\n".to_owned(), "told\n".to_owned(), Some(7));
    assert_eq!(streams(&first), expected);
    let report = fs::read(folder.path().join("report.json")).map_err(Failure::about("report.json"))?;
    let report: serde_json::Value = serde_json::from_slice(&report).map_err(Failure::about("report.json"))?;
    assert_eq!((&report["outcome"]["state"], &report["profile"]["name"]), (&"started".into(), &"web".into()));

    // The guest was ended as a person would end it: what it wrote is there, and the web server answers as soon as a command runs.
    let words = "cat /var/kept; wget -qO- http://127.0.0.1/ | grep -c '<html'; kill -TERM $$";
    let again =
        vm(&store, folder.path(), &["web", "--state", "state", "--run", words, "--log", "console.log"])?;
    let (output, errors, status) = streams(&again);
    assert_eq!((output.as_str(), status), ("kept\n1\n", Some(128 + 15)), "{errors}");
    assert!(errors.contains("was killed by signal 15"), "{errors}");
    let console = fs::read(folder.path().join("console.log")).map_err(Failure::about("console.log"))?;
    assert!(String::from_utf8_lossy(&console).contains("starting /sbin/init"));
    Ok(())
}

#[test]
fn tests_in_a_guest_are_told_one_by_one() -> Story {
    let folder = artifacts::scratch("vm-test")?;
    let script = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).map_err(Failure::about("a script"))
    };
    script("passes", "#!/bin/sh\necho \"$0\"\nsleep 1000 &\n")?;
    script("fails", "#!/bin/sh\necho why it failed >&2\nexit 3\n")?;
    script("hangs", "#!/bin/sh\nsleep 1000\n")?;
    script("no-program", "echo one\n")?;
    // More than a serial port holds, and every byte of it counts.
    let padding = "#".repeat(1 << 17);
    let long = |length: usize| format!("#!/bin/sh\n{padding}\ntest \"$(wc -c < $0)\" -eq {length}\n");
    script("long", &long(long(1 << 17).len()))?;
    let names = ["passes", "fails", "hangs", "no-program", "long"];
    let arguments: Vec<&str> = names.iter().flat_map(|name| ["--test", name]).collect();
    let all = [&["console", "--timeout", "40", "--junit", "junit.xml"], &arguments[..]].concat();
    let (output, errors, status) = streams(&vm(&artifacts::store(), folder.path(), &all)?);
    let beginnings = [
        "ok     passes: passed in ",
        "FAILED fails: failed with exit status 3\n       standard error:\n         why it failed\n",
        "FAILED hangs: did not end within 40 s, and was killed\n",
        "FAILED no-program: could not be started: it is no program, and has no #! in its first line\n",
        "ok     long: passed in ",
        "2 passed, 3 failed\n",
    ];
    let mut rest = output.as_str();
    for beginning in beginnings {
        let place = rest.find(beginning);
        assert!(place.is_some(), "{beginning:?} is not where it belongs in {output}{errors}");
        rest = &rest[place.unwrap_or(0)..];
    }
    assert_eq!(status, Some(1), "{output}{errors}");
    let xml = fs::read_to_string(folder.path().join("junit.xml")).map_err(Failure::about("junit.xml"))?;
    assert!(xml.contains(r#"tests="5" skipped="0" failures="2" errors="1""#), "{xml}");
    Ok(())
}

#[test]
fn a_guest_that_does_not_come_up_says_why() -> Story {
    let folder = artifacts::scratch("vm-lost")?;
    // An older run passed, and continuous integration would read that.
    fs::write(folder.path().join("junit.xml"), "passed").map_err(Failure::about("junit.xml"))?;
    let arguments = ["console", "--append", "lamina.profile=nobody", "--run", "true", "--junit", "junit.xml"];
    let (output, errors, status) = streams(&vm(&artifacts::store(), folder.path(), &arguments)?);
    assert_eq!((output.as_str(), status), ("", Some(125)), "{errors}");
    for wanted in
        ["ended before its system was up", "the store has no profile `nobody`", "help: try it without --run"]
    {
        assert!(errors.contains(wanted), "{wanted} is not in {errors}");
    }
    let xml = fs::read_to_string(folder.path().join("junit.xml")).map_err(Failure::about("junit.xml"))?;
    assert!(
        xml.contains(r#"<testcase name="true""#) && xml.contains("ended before its system was up"),
        "{xml}"
    );
    // One that is lost later.
    let arguments = ["console", "--test", "off", "--test", "never", "--junit", "junit.xml"];
    for (name, text) in [("off", "#!/bin/sh\npoweroff -f\nsleep 1000\n"), ("never", "#!/bin/sh\n")] {
        fs::write(folder.path().join(name), text).map_err(Failure::about("a script"))?;
    }
    let (_, errors, status) = streams(&vm(&artifacts::store(), folder.path(), &arguments)?);
    assert_eq!(status, Some(125), "{errors}");
    assert!(errors.contains("the guest console: was lost while it ran off: it has ended"), "{errors}");
    let xml = fs::read_to_string(folder.path().join("junit.xml")).map_err(Failure::about("junit.xml"))?;
    assert!(
        xml.contains(r#"<testcase name="off" classname="console""#) && xml.matches("was lost").count() == 2,
        "{xml}"
    );
    Ok(())
}

#[test]
fn a_guest_comes_back_as_it_was_when_its_system_was_up() -> Story {
    let folder = artifacts::scratch("vm-snapshot")?;
    let cache = folder.path().join("cache");
    // The time at which the guest was switched on, by its own clock: it moves where that is set.
    let run = "cat /proc/sys/kernel/random/uuid /tmp/mark; sed -n 's/btime //p' /proc/stat; echo here > /tmp/mark; wget -qO- http://127.0.0.1/ | grep -c '<html'";
    let call = || -> Result<(Vec<String>, String), Failure> {
        let _slot = vm_slots::take()?;
        let mut command = lamina(&artifacts::store());
        command.env("LAMINA_CACHE", &cache).args(["vm", "web", "--snapshot", "--run", run, "--verbose"]);
        let (output, errors, status) = streams(&command.output().map_err(Failure::about("lamina vm"))?);
        assert_eq!(status, Some(0), "{output}{errors}");
        Ok((output.lines().map(str::to_owned).collect(), errors))
    };
    let kept = || -> Result<Vec<PathBuf>, Failure> {
        let snapshots = cache.join("vm-snapshots");
        let entries = fs::read_dir(&snapshots).map_err(Failure::at(&snapshots))?;
        Ok(entries.flatten().map(|entry| entry.path()).collect())
    };
    let (first, errors) = call()?;
    // Only the number, the time and the page: nobody has left a mark.
    let [number, begin, page] = &first[..] else { panic!("{first:?} {errors}") };
    assert_eq!(page, "1");
    let [snapshot] = &kept()?[..] else { panic!("{:?}", kept()) };
    let made = fs::metadata(snapshot).and_then(|it| it.created()).map_err(Failure::at(snapshot))?;
    assert_eq!(fs::metadata(snapshot).map_or(0, |it| it.permissions().mode() & 0o777), 0o600);

    std::thread::sleep(Duration::from_secs(4));
    let (second, errors) = call()?;
    let [other_number, time, page] = &second[..] else { panic!("{second:?} {errors}") };
    assert_ne!(number, other_number, "two guests have the same random numbers");
    assert_eq!(page, "1");
    let seconds = |text: &str| text.parse::<u64>().map_err(Failure::about("the guest's time"));
    let (begin, time) = (seconds(begin)?, seconds(time)?);
    assert!((begin + 3..begin + 600).contains(&time), "its clock was not set: {begin}, {time}");
    assert!(fs::metadata(snapshot).and_then(|it| it.created()).is_ok_and(|it| it == made), "it booted again");

    // What is damaged is made again.
    let length = fs::metadata(snapshot).map_or(0, |it| it.len());
    fs::File::options()
        .write(true)
        .open(snapshot)
        .and_then(|it| it.set_len(length / 2))
        .map_err(Failure::at(snapshot))?;
    let (third, errors) = call()?;
    assert_eq!(third.len(), 3, "{errors}");
    assert!(errors.contains("does not go on"), "{errors}");
    assert_eq!(kept()?.as_slice(), std::slice::from_ref(snapshot));
    assert!(fs::metadata(snapshot).is_ok_and(|it| it.len() > length / 2));
    Ok(())
}

#[test]
fn a_guest_has_a_tpm_a_screen_and_neighbours() -> Story {
    let folder = artifacts::scratch("vm-neighbours")?;
    let store = artifacts::store();
    let network = format!("story-{}", std::process::id());
    let server = "ifconfig eth1 10.9.0.1 up && echo from the neighbour | nc -l -p 7 -w 120";
    let client =
        "ifconfig eth1 10.9.0.2 up; for n in $(seq 60); do nc 10.9.0.1 7 < /dev/null && break; sleep 1; done
        ls /sys/firmware/acpi/tables/TPM2; echo SEEN > /dev/tty1";
    // Both are one guest for the slots: each waits for the other.
    let _slot = vm_slots::take()?;
    let start = |arguments: &[&str]| {
        let mut command = lamina(&store);
        command.current_dir(folder.path()).args(["vm", "console", "--network", &network]).args(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(Failure::about("lamina vm"))
    };
    let neighbour = start(&["--run", server, "--timeout", "100"])?;
    let guest = start(&["--tpm", "--screenshot", "screen.ppm", "--run", client])?;
    let end = |child: Child| child.wait_with_output().map_err(Failure::about("lamina vm"));
    let (output, errors, status) = streams(&end(guest)?);
    let (_, of_neighbour, _) = streams(&end(neighbour)?);
    assert_eq!(output, "from the neighbour\n/sys/firmware/acpi/tables/TPM2\n", "{errors}{of_neighbour}");
    assert_eq!(status, Some(0), "{errors}");
    let picture = fs::read(folder.path().join("screen.ppm")).map_err(Failure::about("screen.ppm"))?;
    let (head, pixels) = picture.split_at(15);
    assert_eq!(head, b"P6\n720 400\n255\n");
    assert!(pixels.iter().any(|byte| *byte != 0), "the screen is black");
    Ok(())
}

#[test]
fn a_state_that_cannot_be_used_ends_the_command_before_it_begins() -> Story {
    let folder = artifacts::scratch("vm-bad-state")?;
    let (store, state) = (artifacts::store(), folder.path().join("state"));
    let make = ["console", "--state", "state", "--state-size", "64M", "--dry-run"];
    assert_eq!(vm(&store, folder.path(), &make)?.status.code(), Some(0));
    // As a copy that has ended half way.
    fs::File::options()
        .write(true)
        .open(&state)
        .and_then(|it| it.set_len(20 << 20))
        .map_err(Failure::at(&state))?;
    let arguments = ["console", "--state", "state", "--run", "echo kept > /var/kept; echo begun"];
    let (output, errors, status) = streams(&vm(&store, folder.path(), &arguments)?);
    assert_eq!((output.as_str(), status), ("", Some(125)), "{errors}");
    for wanted in ["--state state: the guest cannot use it: cannot mount", "e2fsck -f FILE"] {
        assert!(errors.contains(wanted), "{wanted} is not in {errors}");
    }
    Ok(())
}

#[test]
fn a_folder_that_cannot_be_mounted_ends_the_command_before_it_begins() -> Story {
    let folder = artifacts::scratch("vm-no-9p")?;
    let shared = folder.path().join("shared");
    fs::create_dir(&shared).map_err(Failure::at(&shared))?;
    // Debian's kernel for clouds has no 9p.
    let arguments = ["console", "--share", "shared", "--kernel", "6.1", "--run", "echo begun"];
    let (output, errors, status) = streams(&vm(&artifacts::store(), folder.path(), &arguments)?);
    assert_eq!((output.as_str(), status), ("", Some(125)), "{errors}");
    for wanted in ["shared: the guest cannot mount it: ", "`--kernel 6.1-all`"] {
        assert!(errors.contains(wanted), "{wanted} is not in {errors}");
    }
    Ok(())
}

#[test]
fn a_guest_whose_agent_was_killed_is_not_waited_for() -> Story {
    let folder = artifacts::scratch("vm-no-agent")?;
    let begin = Instant::now();
    let run = "echo begun; sleep 1; kill -9 $PPID; sleep 1000";
    let (output, errors, status) =
        streams(&vm(&artifacts::store(), folder.path(), &["console", "--run", run])?);
    assert_eq!((output.as_str(), status), ("begun\n", Some(125)), "{errors}");
    assert!(errors.contains("its agent was killed"), "{errors}");
    assert!(begin.elapsed() < Duration::from_secs(200), "it was waited for: {:?}", begin.elapsed());
    Ok(())
}

#[test]
fn a_reader_that_goes_away_ends_the_guest_and_is_told_in_the_xml() -> Story {
    let folder = artifacts::scratch("vm-no-reader")?;
    let _slot = vm_slots::take()?;
    let mut command = lamina(&artifacts::store());
    command.current_dir(folder.path()).args(["vm", "console", "--junit", "junit.xml", "--run"]);
    let mut child = command
        .arg("while echo line; do sleep 1; done")
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Failure::about("lamina vm"))?;
    let mut line = String::new();
    let mut output =
        BufReader::new(child.stdout.take().ok_or_else(|| Failure::new("lamina vm has no pipe"))?);
    output.read_line(&mut line).map_err(Failure::about("lamina vm"))?;
    drop(output);
    let status = child.wait().map_err(Failure::about("lamina vm"))?;
    assert_eq!((line.as_str(), status.code()), ("line\n", Some(128 + 13)));
    let xml = fs::read_to_string(folder.path().join("junit.xml")).map_err(Failure::about("junit.xml"))?;
    assert!(xml.contains("Broken pipe"), "{xml}");
    Ok(())
}

#[test]
fn a_guest_whose_disk_has_no_room_here_is_not_waited_for() -> Story {
    let folder = artifacts::scratch("vm-full")?;
    let small = folder.path().join("small");
    fs::create_dir(&small).map_err(Failure::at(&small))?;
    let _slot = vm_slots::take()?;
    // A mount of its own, for which nobody needs rights.
    let words = "mount -t tmpfs -o size=2M tmpfs \"$0\" && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", words]).arg(&small);
    let of_lamina = lamina(&artifacts::store());
    command.arg(of_lamina.get_program());
    command.envs(of_lamina.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let run = "echo begun; dd if=/dev/zero of=/var/large bs=1M count=20 2> /dev/null; sync; sleep 1000";
    command.args(["vm", "console", "--state", "small/state", "--state-size", "64M", "--run", run]);
    let ended = command.current_dir(folder.path()).output().map_err(Failure::about("unshare"))?;
    let (output, errors, status) = streams(&ended);
    assert_eq!((output.as_str(), status), ("begun\n", Some(125)), "{errors}");
    for wanted in ["QEMU has stopped it, for a disk of it cannot be written to", "help: make room where"] {
        assert!(errors.contains(wanted), "{wanted} is not in {errors}");
    }
    Ok(())
}

#[test]
fn folders_and_files_of_any_name_get_into_a_guest_and_nothing_gets_into_its_errors() -> Story {
    let folder = artifacts::scratch("vm-names")?;
    let temporary = folder.path().join("t, \u{fc}");
    for name in ["2024", "_build", ".git", "-o", "t, \u{fc}"] {
        let path = folder.path().join(name);
        fs::create_dir(&path).map_err(Failure::at(&path))?;
    }
    let _slot = vm_slots::take()?;
    let mut command = lamina(&artifacts::store());
    command.current_dir(folder.path()).env("TMPDIR", &temporary).args(["vm", "console", "--tpm"]);
    command.args(["--share", "2024", "--share", "_build", "--share", ".git:ro", "--share", "./-o"]);
    command.args(["--state", "st:ate", "--state-size", "64M", "--screenshot", "screen.png"]);
    command.args(["--run", "ls -A /run/host && ls /dev/tpm0"]);
    let (output, errors, status) = streams(&command.output().map_err(Failure::about("lamina vm"))?);
    assert_eq!(output, "2024\n_build\n_git\n_o\n/dev/tpm0\n", "{errors}");
    assert_eq!((errors.as_str(), status), ("", Some(0)));
    Ok(())
}

#[test]
fn a_port_in_use_costs_no_guest_that_is_kept() -> Story {
    let folder = artifacts::scratch("vm-port-in-use")?;
    let cache = folder.path().join("cache");
    let port = outside::free_port(8190)?;
    let forward = format!("{port}:80");
    let _slot = vm_slots::take()?;
    let call = || -> Result<Output, Failure> {
        let mut command = lamina(&artifacts::store());
        command.env("LAMINA_CACHE", &cache).args(["vm", "console", "--snapshot", "--forward", &forward]);
        command.args(["--run", "true"]).output().map_err(Failure::about("lamina vm"))
    };
    let kept = || fs::read_dir(cache.join("vm-snapshots")).map_or(0, Iterator::count);
    let (_, errors, status) = streams(&call()?);
    assert_eq!((status, kept()), (Some(0), 1), "{errors}");
    let other = TcpListener::bind(("127.0.0.1", port)).map_err(Failure::about("a port"))?;
    let (_, errors, status) = streams(&call()?);
    assert_eq!((status, kept()), (Some(125), 1), "{errors}");
    assert!(errors.contains(&format!("port {port} of this machine is in use")), "{errors}");
    drop(other);
    // One that cannot be kept is used all the same.
    let snapshots = cache.join("vm-snapshots");
    fs::remove_dir_all(&snapshots)
        .and_then(|()| fs::write(&snapshots, ""))
        .map_err(Failure::at(&snapshots))?;
    let (_, errors, status) = streams(&call()?);
    assert_eq!(status, Some(0), "{errors}");
    assert!(errors.contains("warning: the guest is not kept, and boots each time"), "{errors}");
    Ok(())
}

#[test]
fn systemd_says_itself_when_it_is_up() -> Story {
    let folder = artifacts::scratch("vm-systemd")?;
    let store = TestStore::create(&folder.path().join("store"))?;
    let (kept, mut images) = debian_root::images(&SYSTEMD)?;
    images.iter().try_for_each(|image| store.take(image, &kept))?;
    let layer = Layer::new("story").file("/etc/machine-id", "6c616d696e61400080000000000000aa\n")?;
    images.push(store.add(&layer)?);
    store.profile(&ProfileText::new("debian", &images).verify("none"))?;
    let run = "systemctl is-system-running; readlink /proc/1/exe";
    let arguments = ["debian", "--memory", "1G", "--run", run];
    let (output, errors, status) = streams(&vm(&folder.path().join("store"), folder.path(), &arguments)?);
    let lines: Vec<&str> = output.lines().collect();
    let [state, init] = lines[..] else { panic!("{output}{errors}") };
    assert!(["running", "degraded"].contains(&state), "{output}{errors}");
    assert!(init.ends_with("/systemd"), "{output}{errors}");
    assert_eq!(status, Some(0), "{errors}");
    Ok(())
}
