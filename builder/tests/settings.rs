//! A machine's own settings: what each line becomes on two systems, and what is refused.

use std::fs;

#[path = "settings/mod.rs"]
mod stacks;

use stacks::{KEY, Stage, What, all_lines, busybox, debian, golden, hash, with_files, without};

#[test]
fn what_the_base_of_this_tree_gets() {
    let stage = with_files(Stage::new(&busybox()));
    let more = "user \"www\" shell=\"/bin/busybox\"\nservice \"off\" on=#true\nservice \"network\" on=#true";
    golden("busybox.plan", &stage.plan(&(all_lines() + more)).unwrap());
}

#[test]
fn what_debian_gets() {
    let stage = with_files(Stage::new(&debian()));
    let yescrypt = hash("y");
    let more = format!(
        "timezone \"Europe/Berlin\"\nuser \"daemon\" password-hash=\"{yescrypt}\" shell=\"/bin/bash\"\n\
         service \"nginx\" on=#true\nservice \"masked\" on=#true\nservice \"getty@tty2\" on=#true\n"
    );
    golden("debian.plan", &stage.plan(&(all_lines() + &more)).unwrap());
}

#[test]
fn what_is_as_the_profile_wants_it_needs_no_file() {
    let debian = Stage::new(&debian());
    assert_eq!(debian.plan("service \"ssh\" on=#true\nservice \"masked\" on=#false").unwrap(), "");
    let busybox = Stage::new(&busybox());
    assert_eq!(busybox.plan("service \"ssh\" on=#true\nservice \"off\" on=#false").unwrap(), "");
}

#[test]
fn what_the_base_of_this_tree_cannot_honour_is_refused_with_its_place() {
    let stage = Stage::new(&busybox());
    for (lines, message) in [
        (
            "timezone \"Europe/Berlin\"",
            "web.kdl:4:1: error: the stack has no time zone /usr/share/zoneinfo/Europe/Berlin\n    \
             timezone \"Europe/Berlin\"\n    ^^^^^^^^\n\
             help: add the package that has /usr/share/zoneinfo (Debian: tzdata), or remove the line: the clock shows UTC",
        ),
        (
            "hostname \"web\"\nservice \"shs\" on=#false",
            "web.kdl:5:1: error: the stack has no service 'shs', a script /etc/init.d/SNNshs\n    \
             service \"shs\" on=#false\n    ^^^^^^^\nhelp: did you mean 'ssh'?",
        ),
    ] {
        assert_eq!(stage.refused(lines), message);
    }
    let yescrypt = hash("y");
    for (line, message) in [
        ("service \"bless\" on=#false", "has no service 'bless'"),
        ("user \"me\" shell=\"/bin/bash\"", "the shell /bin/bash is not in the stack"),
        ("user \"me\" shell=\"/bin/text\"", "the shell /bin/text is not in the stack"),
        ("user \"me\" uid=80", "the user id 80 is that of 'www'"),
        ("user \"www\" uid=81", "has the user 'www' already, with the id 80 and not 81"),
        (&format!("user \"www\" key=\"{KEY}\""), "its home '/srv/www' is no folder of its own"),
        (&format!("user \"me\" password-hash=\"{yescrypt}\""), "busybox knows no password hash of this kind"),
        ("file \"/etc\" from=\"x\"", "/etc is a folder of the stack"),
        ("file \"/run/x\" from=\"x\"", "something else is mounted over /run"),
        ("file \"/tmp/x\" from=\"x\"", "something else is mounted over /tmp"),
        ("file \"/etc/motd/x\" from=\"x\"", "/etc/motd/x leads through /etc/motd, which is no folder"),
        ("file \"/etc/x\" from=\"none\"", "none: No such file"),
        ("file \"/a/b\" from=\"x\"\nfile \"/a\" from=\"x\"", "/a is made by another line already"),
        ("file \"/a\" from=\"x\"\nfile \"/a/b\" from=\"x\"", "/a/b is made by another line already"),
        (
            "hostname \"a\"\nfile \"/etc/./hostname\" from=\"x\"",
            "/etc/./hostname is made by another line already",
        ),
    ] {
        fs::write(stage.path("x"), "x").unwrap();
        let found = stage.refused(line);
        assert!(found.contains(message) && found.starts_with("web.kdl:"), "{line}: {found}");
        assert!(found.contains("\nhelp: "), "{line}: {found}");
    }
}

#[test]
fn what_debian_cannot_honour_is_refused_with_its_place() {
    let stage = Stage::new(&debian());
    for (line, message, help) in [
        ("timezone \"Europe/Berlim\"", "has no time zone", "did you mean 'Europe/Berlin'?"),
        ("timezone \"tzdata\"", "has no time zone", "write the name of a file below /usr/share/zoneinfo"),
        ("service \"sshd\" on=#false", "'sshd.service' is another name of 'ssh.service'", "write \"ssh\""),
        ("service \"ngnix\" on=#true", "has no service 'ngnix'", "did you mean 'nginx'?"),
        ("user \"shadow\"", "has a group 'shadow', and no user of that name", "choose another name"),
        ("service \"static\" on=#true", "static.service cannot be switched on", "remove the line"),
    ] {
        let found = stage.refused(line);
        assert!(found.starts_with("web.kdl:4:1: error: ") && found.contains(message), "{line}: {found}");
        assert!(found.ends_with(&format!("help: {help}")), "{line}: {found}");
    }
}

#[test]
fn a_link_does_not_lead_below_what_each_boot_covers() {
    let mut entries = busybox();
    entries.push(("through", What::Link("run")));
    let stage = Stage::new(&entries);
    fs::write(stage.path("x"), "x").unwrap();
    let found = stage.refused("file \"/through/x\" from=\"x\"");
    assert!(found.contains("/through/x is not seen: something else is mounted over /run"), "{found}");
}

#[test]
fn files_of_accounts_that_cannot_be_read_whole_are_not_replaced() {
    let long: &'static str = Box::leak("x\n".repeat(3 << 20).into_boxed_str());
    for (path, what) in [
        ("etc/group", What::File(0o644, (0, 0), long)),
        ("etc/shadow", What::Link("/var/lib/nowhere/shadow")),
        ("etc/shadow", What::Folder(0o755)),
    ] {
        let mut entries = busybox();
        entries.retain(|(there, _)| *there != path);
        entries.push((path, what));
        let found = Stage::new(&entries).refused("user \"me\"");
        let message = format!("/{path} of the stack is no file of at most 4 MiB");
        assert!(found.contains(&message) && found.contains("\nhelp: "), "{found}");
    }
}

#[test]
fn what_an_account_of_before_has_left_opens_nothing() {
    let mut entries = busybox();
    entries.retain(|(path, _)| *path != "etc/shadow");
    entries.push(("etc/shadow", What::File(0o600, (0, 0), "root:*:1::::::\nghost::19000:0:90:7:::\n")));
    let plan = Stage::new(&entries).plan("user \"ghost\"").unwrap();
    assert!(plan.contains("ghost:*:19000:0:90:7:::"), "{plan}");
    // A new password begins to count anew, or it would have expired before anybody knew it.
    let line = format!("root password-hash=\"{}\"", hash("6"));
    let plan = Stage::new(&entries).plan(&line).unwrap();
    assert!(plan.contains(&format!("root:{}:3652::99999:::", hash("6"))), "{plan}");
}

#[test]
fn a_home_that_leads_elsewhere_and_a_shell_that_breaks_a_line_are_refused() {
    let mut entries = busybox();
    entries.push(("home", What::Folder(0o755)));
    entries.push(("home/ruth", What::Link("../root")));
    entries.push(("usr/bin/a:b", What::File(0o755, (0, 0), "#!/bin/sh\n")));
    let stage = Stage::new(&entries);
    let found = stage.refused("user \"ruth\"");
    assert!(found.contains("/home/ruth is a link to '../root' in the stack"), "{found}");
    let found = stage.refused("user \"me\" shell=\"/usr/bin/a:b\"");
    assert!(found.contains("a shell has no colon"), "{found}");
}

#[test]
fn all_scripts_of_a_service_are_switched() {
    let mut entries = busybox();
    for script in ["etc/init.d/S30twice", "etc/init.d/S80twice"] {
        entries.push((script, What::File(0o755, (0, 0), "#!/bin/sh\n")));
    }
    let plan = Stage::new(&entries).plan("service \"twice\" on=#false").unwrap();
    assert!(plan.contains("/etc/init.d/S30twice (") && plan.contains("/etc/init.d/S80twice ("), "{plan}");
}

#[test]
fn a_script_behind_many_others_is_read_too() {
    let mut entries = busybox();
    for number in 0..600 {
        let path: &'static str = format!("etc/init.d/A{number}").leak();
        entries.push((path, What::File(0o755, (0, 0), "#!/bin/sh\n")));
    }
    let plan = Stage::new(&entries).plan("hostname \"a\"");
    assert!(plan.is_ok(), "{}", plan.unwrap_err());
}

#[test]
fn two_lines_that_make_the_same_link_are_no_conflict() {
    let stage = Stage::new(&debian());
    let plan = stage.plan("network \"eth0\" dhcp=#true\nservice \"systemd-networkd\" on=#true");
    assert!(plan.is_ok(), "{}", plan.unwrap_err());
    let mut entries = debian();
    entries.push(("etc/systemd/system/systemd-networkd.service", What::Link("/dev/null")));
    let found = Stage::new(&entries).refused("network \"eth0\" dhcp=#true");
    assert!(found.contains("systemd-networkd is masked") && found.contains("on=#true"), "{found}");
}

#[test]
fn a_line_that_nothing_of_the_stack_reads_is_refused() {
    let key = format!("root key=\"{KEY}\"");
    let dhcp = "network \"eth0\" dhcp=#true";
    let busy = "etc/init.d/S20network";
    for (stage, line, message) in [
        (
            without(busybox(), &["usr/sbin/dropbear"]),
            key.as_str(),
            "no SSH server of the stack takes the key of 'root'",
        ),
        (without(debian(), &["usr/sbin/sshd"]), &key, "no SSH server of the stack takes the key of 'root'"),
        (
            without(busybox(), &["etc/init.d/rcS"]),
            "hostname a",
            "no script of /etc/init.d that is on reads /etc/hostname",
        ),
        (without(busybox(), &[busy]), dhcp, "that is on reads /etc/network/interfaces"),
        (
            without(busybox(), &[]),
            "network \"eth0\" dhcp=#true\nservice \"network\" on=#false",
            "that is on reads /etc/network/interfaces",
        ),
        (
            without(busybox(), &[]),
            "network \"eth0\" dhcp=#true\nfile \"/etc/init.d/S20network\" from=\"x\"",
            "that is on reads /etc/network/interfaces",
        ),
        (
            without(debian(), &[]),
            "network \"eth0\" dhcp=#true\nservice \"systemd-networkd\" on=#false",
            "needs systemd-networkd",
        ),
        (without(busybox(), &["usr/sbin/udhcpc"]), dhcp, "the stack has no udhcpc"),
        (without(busybox(), &["usr/sbin/ifup"]), dhcp, "the stack has no ifup"),
        (without(busybox(), &["etc/passwd"]), "user \"me\"", "the stack has no /etc/passwd"),
        (
            without(debian(), &["usr/lib/systemd/system/systemd-networkd.service"]),
            dhcp,
            "has no systemd-networkd",
        ),
        (
            without(busybox(), &["etc/inittab"]),
            "hostname a",
            "is neither busybox's init nor systemd: its host name",
        ),
        (without(busybox(), &["etc/inittab"]), "service ssh on=#false", "its service is not known"),
    ] {
        fs::write(stage.path("x"), "x").unwrap();
        let found = stage.refused(line);
        assert!(found.contains(message) && found.contains("\nhelp: "), "{line}: {found}");
    }
}

#[test]
fn hashes_are_readable_by_root_alone_whatever_the_stack_says() {
    let mut entries = busybox();
    entries.retain(|(path, _)| *path != "etc/shadow");
    let shadow = |entries: Vec<(&'static str, What)>| {
        let plan = Stage::new(&entries).plan("user \"me\"").unwrap();
        plan.lines().find(|line| line.starts_with("/etc/shadow ")).map(str::to_owned)
    };
    let place = entries.iter().position(|(path, _)| *path == "etc/shells").unwrap();
    entries.insert(place, ("etc/shadow", What::File(0o644, (0, 42), "root:*:1::::::\n")));
    let told = "/etc/shadow (accounts, in the place of another): file 0640 0:42";
    assert_eq!(shadow(entries).as_deref(), Some(told));
    let mut none = busybox();
    none.retain(|(path, _)| *path != "etc/shadow");
    assert_eq!(shadow(none).as_deref(), Some("/etc/shadow (accounts): file 0600 0:0"));
}
