//! A machine's own settings: what each line becomes on two systems, what is refused, and the image that comes of it.

use std::fs;
use std::num::NonZero;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use builder::profile::folder::ProfileFolder;
use builder::profile::lock::{self, Builds, Locked};
use builder::settings::{self, Target};
use builder::stacking::joined::Joined;
use builder::store::{BuildRecord, Store, generations};
use profiles::written::Composition;

#[path = "settings/mod.rs"]
mod stacks;
mod tree;

use stacks::{KEY, What, busybox, debian, hash, layer};

/// A store with one layer, and a folder of profiles.
struct Stage {
    folder: tempfile::TempDir,
    store: Store,
    base: BuildRecord,
}

impl Stage {
    fn new(entries: &[(&str, What)]) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let base = layer(&store, "base", entries);
        fs::create_dir(folder.path().join("profiles")).unwrap();
        Stage { folder, store, base }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("profiles").join(name)
    }

    /// The profile `web` with these lines in its block.
    fn profile(&self, lines: &str, besides: &str) -> Composition {
        let text = format!("profile \"web\" {{\n{besides}\nsystem {{\n{lines}\n}}\n}}\n");
        fs::write(self.path("web.kdl"), text).unwrap();
        ProfileFolder::new(self.folder.path().join("profiles")).compose_file(&self.path("web.kdl")).unwrap()
    }

    /// What is planned, as text.
    fn plan(&self, lines: &str) -> builder::Result<String> {
        let composition = self.profile(lines, "");
        let image = self.store.open_image(&self.base.digest, self.base.verity.as_ref())?;
        let target = Target {
            joined: Joined::new(&[image.image()]),
            init: composition.init.as_str(),
            image: "system-web",
        };
        settings::plan(&composition.settings, &target).map(|plan| plan.to_string())
    }

    /// What is refused, without the path of the test's folder.
    fn refused(&self, lines: &str) -> String {
        let message = self.plan(lines).expect_err(lines).to_string();
        message.replace(&format!("{}/", self.folder.path().join("profiles").display()), "")
    }

    fn lock(&self, lines: &str, optional: &[&BuildRecord], jobs: usize) -> builder::Result<Locked> {
        let composition = self.profile(lines, "verify \"verity\"");
        let builds = Builds { stack: vec![&self.base], optional: optional.to_vec() };
        lock::lock(&composition, &builds, &self.store, NonZero::new(jobs).unwrap())
    }
}

/// Compares with `builder/tests/settings/NAME.plan`; `LAMINA_BLESS=1` writes it anew.
fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/settings").join(name);
    if std::env::var_os("LAMINA_BLESS").is_some() {
        fs::write(&path, found).unwrap();
    }
    assert_eq!(found, fs::read_to_string(&path).unwrap_or_default(), "{name}");
}

/// Every kind of line.
fn all_lines() -> String {
    let hash = hash("6");
    format!(
        "hostname \"web1\"\n\
         user \"me\" key=\"{KEY} me@desk\" password-hash=\"{hash}\" shell=\"/bin/sh\"\n\
         user \"you\" uid=1003\n\
         root key=\"{KEY}\"\n\
         network \"eth0\" dhcp=#true\n\
         network \"eth1\" address=\"192.0.2.5/24\" gateway=\"192.0.2.1\" dns=\"192.0.2.53\"\n\
         network \"eth2\" address=\"2001:db8::5/64\"\n\
         file \"/etc/motd\" from=\"web/motd\"\n\
         file \"/usr/local/bin/x\" from=\"x\" mode=\"0755\"\n\
         service \"ssh\" on=#false\n"
    )
}

fn with_files(stage: Stage) -> Stage {
    fs::create_dir(stage.path("web")).unwrap();
    fs::write(stage.path("web/motd"), "above\n").unwrap();
    fs::write(stage.path("x"), "#!/bin/sh\n").unwrap();
    stage
}

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

/// The stack without one of its files.
fn without(mut entries: Vec<(&'static str, What)>, gone: &[&str]) -> Stage {
    entries.retain(|(path, _)| !gone.contains(path));
    Stage::new(&entries)
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
            "no script of /etc/init.d in the stack reads /etc/hostname",
        ),
        (without(busybox(), &[busy]), dhcp, "in the stack reads /etc/network/interfaces"),
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
        let found = stage.refused(line);
        assert!(found.contains(message) && found.contains("\nhelp: "), "{line}: {found}");
    }
}

/// What unsquashfs says of the image: mode, owner and path of each entry, and the bytes of its files.
fn listing(image: &Path) -> String {
    let run = Command::new("unsquashfs").args(["-lln", "-d", ""]).arg(image).output().expect("unsquashfs");
    assert!(run.status.success(), "{run:?}");
    let text = String::from_utf8(run.stdout).unwrap();
    let lines = text.lines().filter(|line| line.starts_with(['-', 'd', 'l']));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect()
}

#[test]
fn the_image_says_the_same_to_unsquashfs_and_has_the_same_bytes_with_any_number_of_jobs() {
    let lines = all_lines();
    let made: Vec<(Stage, Locked)> = [1, 4]
        .into_iter()
        .map(|jobs| {
            let stage = with_files(Stage::new(&debian()));
            let locked = stage.lock(&lines, &[], jobs).unwrap();
            (stage, locked)
        })
        .collect();
    let [(stage, locked), (other, again)] = &made[..] else { panic!("two") };
    assert_eq!(locked.profile.to_kdl(), again.profile.to_kdl());
    let system = locked.system.as_ref().unwrap();
    assert_eq!(locked.profile.images.last().unwrap().name.as_str(), "system-web");
    // Nothing is in the store before it is published, so that --dry-run changes nothing.
    assert!(!stage.store.image_path(&system.record.digest).exists());
    for (stage, locked) in &made {
        locked.publish_images(&stage.store).unwrap();
        assert_eq!(generations::publish(&stage.store, &locked.profile).unwrap(), (1, true));
    }
    let image = stage.store.image_path(&system.record.digest);
    let bytes = |stage: &Stage| fs::read(stage.store.image_path(&system.record.digest)).unwrap();
    assert_eq!(bytes(stage), bytes(other));
    golden("debian.listing", &listing(&image));
    let cat = |path: &str| {
        let run = Command::new("unsquashfs").arg("-cat").arg(&image).arg(path).output().expect("unsquashfs");
        String::from_utf8(run.stdout).unwrap()
    };
    assert_eq!((cat("etc/hostname"), cat("etc/motd")), ("web1\n".to_owned(), "above\n".to_owned()));
    assert!(cat("etc/shadow").starts_with("root:*:19700:0:99999:7:::\n"));
    assert!(cat("etc/shadow").contains(&format!("\nme:{}:3652:", hash("6"))));
    assert_eq!(cat("usr/share/lamina/system-web.kdl"), system.record.to_kdl_inside());
    assert_eq!(stage.store.record(&system.record.id).unwrap().as_ref(), Some(&system.record));
    assert_eq!(
        stage.store.verify(NonZero::<usize>::MIN, cli::progress::Progress::Silent).unwrap().findings,
        []
    );
    // Locked once more, it is the same, and nothing is made.
    let unchanged = stage.lock(&lines, &[], 2).unwrap();
    assert_eq!(unchanged.profile.to_kdl(), locked.profile.to_kdl());
    let before = fs::metadata(&image).unwrap().ino();
    unchanged.publish_images(&stage.store).unwrap();
    assert_eq!(
        (fs::metadata(&image).unwrap().ino(), fs::metadata(&image).unwrap().permissions().mode() & 0o777),
        (before, 0o644)
    );
}

#[test]
fn a_damaged_image_is_mended_or_named_with_what_makes_it_again() {
    let stage = Stage::new(&busybox());
    let lock = || stage.lock("hostname \"web1\"", &[], 1);
    let locked = lock().unwrap();
    locked.publish_images(&stage.store).unwrap();
    let image = stage.store.image_path(&locked.system.unwrap().record.digest);
    let sound = fs::read(&image).unwrap();
    let damaged = |change: fn(&mut Vec<u8>)| {
        let mut bytes = sound.clone();
        change(&mut bytes);
        fs::write(&image, bytes).unwrap();
        lock().map(|locked| locked.mended.len()).map_err(|error| error.to_string())
    };
    assert_eq!(damaged(|_| ()), Ok(0));
    assert_eq!(damaged(|bytes| bytes[1000] ^= 1), Ok(1));
    let noise = |bytes: &mut Vec<u8>| {
        let mut last = 1_u32;
        bytes.iter_mut().for_each(|byte| {
            last = last.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (last >> 24) as u8;
        });
    };
    let message = damaged(noise).unwrap_err();
    assert!(message.ends_with("help: remove it, then `lamina build web` makes it again"), "{message}");
    fs::remove_file(&image).unwrap();
    let report = stage.store.verify(NonZero::<usize>::MIN, cli::progress::Progress::Silent).unwrap();
    assert_eq!(report.findings[0].known_remedy(), Some("`lamina build web` makes it again"));
    lock().unwrap().publish_images(&stage.store).unwrap();
    assert_eq!(fs::read(&image).unwrap(), sound);
}

#[test]
fn what_is_set_is_told_and_needs_no_override() {
    let stage = with_files(Stage::new(&busybox()));
    let locked = stage.lock(&all_lines(), &[], 1).unwrap();
    let system = locked.system.as_ref().unwrap();
    let told: Vec<String> = system.lines.iter().map(ToString::to_string).collect();
    assert!(told.contains(&"/etc/motd: file, in the place of that of base".to_owned()), "{told:#?}");
    assert!(told.contains(&"/etc/hostname: hostname".to_owned()), "{told:#?}");
    assert!(locked.shadowed.is_empty());
    let warning = system.warning().unwrap();
    assert!(
        warning.contains("system-web holds the password hash of me: whoever has the image can read it"),
        "{warning}"
    );
    assert!(stage.lock("hostname \"a\"", &[], 1).unwrap().system.unwrap().warning().is_none());
    // Without settings there is no image.
    assert_eq!(stage.lock("", &[], 1).unwrap().profile.images.len(), 1);
}

#[test]
fn a_package_that_is_added_at_a_boot_may_not_hide_a_setting() {
    let stage = Stage::new(&busybox());
    let above =
        layer(&stage.store, "above", &[("etc", What::Folder(0o755)), ("etc/hostname", What::Link("x"))]);
    let message = stage.lock("hostname \"web\"", &[&above], 1).unwrap_err().to_string();
    assert!(message.contains("/etc/hostname: above hides that of system-web"), "{message}");
}

#[test]
fn a_package_may_not_be_called_as_the_image() {
    let stage = Stage::new(&busybox());
    let twin = layer(&stage.store, "system-web", &[("x", What::Folder(0o755))]);
    let message = stage.lock("hostname \"web\"", &[&twin], 1).unwrap_err().to_string();
    assert!(
        message.contains("the image of its settings is called system-web, and so is a package"),
        "{message}"
    );
}

/// Locking and building say what is set, warn of hashes, and come to the same image; a dry run writes nothing.
#[test]
fn the_commands_say_what_is_set_and_come_to_one_image() {
    let tree = tree::Tree::new();
    tree.recipe("base", "version \"1\"\nstep \"install\" \"true\"");
    let (graph, roots) = tree.resolve(&["base"]).unwrap();
    let folder = tree.path().parent().unwrap().to_owned();
    let store = Store::open(&folder.join("store")).unwrap();
    let record = BuildRecord { id: graph.packages()[roots[0]].id, ..layer(&store, "base", &busybox()) };
    store.write(&store.record_path(&record.id), record.to_kdl().as_bytes()).unwrap();
    fs::create_dir(folder.join("profiles")).unwrap();
    let hash = hash("6");
    let text = format!(
        "profile \"web\" {{\npackages {{ base; }}\nsystem {{\nuser \"me\" password-hash=\"{hash}\"\n\
         file \"/etc/motd\" from=\"motd\"\n}}\n}}\n"
    );
    fs::write(folder.join("profiles/web.kdl"), text).unwrap();
    let lamina = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lamina"));
        let done =
            command.arg("--store").arg(store.root()).arg("--tree").arg(&folder).args(words).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (done.status.success(), text(done.stdout), text(done.stderr))
    };
    let (checked, _, said) = lamina(&["profile", "check", "web"]);
    assert!(!checked && said.contains("web.kdl:5:1: error: cannot read"), "{said}");
    fs::write(folder.join("profiles/motd"), "above\n").unwrap();
    assert!(lamina(&["profile", "check", "web"]).0);
    let (_, resolved, said) = lamina(&["profile", "lock", "web", "--dry-run"]);
    assert!(resolved.contains("    image \"system-web\" version=\"1\" id="), "{resolved}");
    assert!(said.contains("profile web sets /etc/motd: file, in the place of that of base\n"), "{said}");
    assert!(
        said.contains("warning: profile web: the image system-web holds the password hash of me"),
        "{said}"
    );
    let images = || fs::read_dir(store.root().join("images")).unwrap().count();
    assert_eq!((images(), store.profiles().exists()), (1, false));
    let (built, _, said) = lamina(&["build", "web", "--jobs", "1"]);
    assert!(built && said.contains("warning: profile web: the image system-web holds"), "{said}");
    let locked = fs::read_to_string(store.profiles().join("web/1.kdl")).unwrap();
    assert_eq!((resolved, images()), (locked, 2));
    let (_, told, _) = lamina(&["profile", "lock", "web", "--json"]);
    assert!(
        told.contains("\"new\": false") && told.contains("\"password_hashes\": [\n      \"me\""),
        "{told}"
    );
}
