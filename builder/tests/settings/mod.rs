//! Stacks as settings meet them: images made in the test, in a store, with their records.

// Each test program uses some of it.
#![allow(dead_code)]

#[path = "../record/mod.rs"]
mod record;

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use builder::image::format::{ImageFormat, SOURCE_DATE_EPOCH};
use builder::image::output;
use builder::profile::folder::ProfileFolder;
use builder::profile::lock::{self, Builds, Locked};
use builder::settings::{self, Target};
use builder::stacking::joined::Joined;
use builder::store::{BuildRecord, Store};
use profiles::written::Composition;
use squashfs::{Entry, Kind, Metadata, Tree};

/// A public key that is one.
pub const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC1xFkK3JrBEAWJ8qfusMvXIUw+xkDzE2wIlhxeSGkiB";

/// One entry of an image.
pub enum What {
    /// A folder of this mode.
    Folder(u32),
    /// A file of this mode, owner and text.
    File(u32, (u32, u32), &'static str),
    /// A link.
    Link(&'static str),
}

use What::{File, Folder, Link};

/// A password hash of the form of sha512crypt, or of yescrypt.
pub fn hash(method: &str) -> String {
    match method {
        "6" => format!("$6$salt${}", "a".repeat(86)),
        _ => format!("$y$j9T$salt${}", "a".repeat(43)),
    }
}

const ROOT: (u32, u32) = (0, 0);

fn program(text: &'static str) -> What {
    File(0o755, ROOT, text)
}

fn text(text: &'static str) -> What {
    File(0o644, ROOT, text)
}

/// The base of this tree: busybox's init, its scripts, dropbear.
pub fn busybox() -> Vec<(&'static str, What)> {
    vec![
        ("bin", Link("usr/bin")),
        ("sbin", Link("usr/sbin")),
        ("dev", Folder(0o755)),
        ("etc", Folder(0o755)),
        ("etc/dropbear", Folder(0o755)),
        ("etc/dropbear/authorized_keys.d", Folder(0o755)),
        ("etc/group", text("root:x:0:\nwww:x:80:\n")),
        ("etc/init.d", Folder(0o755)),
        ("etc/init.d/S20network", program("#!/bin/sh\n[ -e /etc/network/interfaces ] && ifup -a\n")),
        ("etc/init.d/S40ssh", program("#!/bin/sh\nexec dropbear\n")),
        ("etc/init.d/S60off", text("#!/bin/sh\nexec off\n")),
        ("etc/init.d/bless", program("#!/bin/sh\n")),
        ("etc/init.d/rcS", program("#!/bin/sh\nhostname -F /etc/hostname\n")),
        ("etc/inittab", text("::sysinit:/etc/init.d/rcS\n")),
        ("etc/motd", text("below\n")),
        (
            "etc/passwd",
            text("root:x:0:0:root:/root:/bin/sh\nwww:x:80:80:web server:/srv/www:/sbin/nologin\n"),
        ),
        ("etc/resolv.conf", Link("../run/resolv.conf")),
        ("etc/shadow", File(0o600, ROOT, "root:*:1::::::\nwww:!:1::::::\n")),
        ("etc/shells", text("/bin/sh\n")),
        ("home", Folder(0o755)),
        ("root", Folder(0o700)),
        ("run", Folder(0o755)),
        ("usr", Folder(0o755)),
        ("usr/bin", Folder(0o755)),
        ("usr/bin/busybox", program("busybox")),
        ("usr/bin/sh", Link("busybox")),
        ("usr/bin/text", text("no program")),
        ("usr/sbin", Folder(0o755)),
        ("usr/sbin/dropbear", program("dropbear")),
        ("usr/sbin/ifup", Link("../bin/busybox")),
        ("usr/sbin/init", Link("../bin/busybox")),
        ("usr/sbin/udhcpc", Link("../bin/busybox")),
    ]
}

/// What Debian 12 has: systemd, OpenSSH, tzdata, links of /bin and its like into /usr.
pub fn debian() -> Vec<(&'static str, What)> {
    let networkd = "[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\nAlso=systemd-networkd.socket\n\
                    Alias=dbus-org.freedesktop.network1.service\n";
    vec![
        ("bin", Link("usr/bin")),
        ("etc", Folder(0o755)),
        ("etc/group", text("root:x:0:\nshadow:x:42:\nstaff:x:1001:\n")),
        ("etc/gshadow", File(0o640, (0, 42), "root:*::\nshadow:*::\n")),
        ("etc/hostname", text("debian\n")),
        ("etc/localtime", Link("/usr/share/zoneinfo/Etc/UTC")),
        (
            "etc/passwd",
            text("root:x:0:0:root:/root:/bin/bash\ndaemon:x:1000:1:daemon:/usr/sbin:/usr/sbin/nologin\n"),
        ),
        ("etc/resolv.conf", text("nameserver 10.0.2.3\n")),
        ("etc/shadow", File(0o640, (0, 42), "root:*:19700:0:99999:7:::\ndaemon:*:19700:0:99999:7:::\n")),
        ("etc/shells", text("/bin/sh\n")),
        ("etc/systemd", Folder(0o755)),
        ("etc/systemd/system", Folder(0o755)),
        ("etc/systemd/system/masked.service", Link("/dev/null")),
        ("etc/systemd/system/multi-user.target.wants", Folder(0o755)),
        ("etc/systemd/system/multi-user.target.wants/ssh.service", Link("/lib/systemd/system/ssh.service")),
        ("etc/systemd/system/sshd.service", Link("/lib/systemd/system/ssh.service")),
        ("etc/timezone", text("Etc/UTC\n")),
        ("home", Folder(0o755)),
        ("lib", Link("usr/lib")),
        ("root", Folder(0o700)),
        ("sbin", Link("usr/sbin")),
        ("usr", Folder(0o755)),
        ("usr/bin", Folder(0o755)),
        ("usr/bin/bash", program("bash")),
        ("usr/bin/sh", Link("bash")),
        ("usr/lib", Folder(0o755)),
        ("usr/lib/systemd", Folder(0o755)),
        ("usr/lib/systemd/system", Folder(0o755)),
        ("usr/lib/systemd/system/getty@.service", text("[Install]\nWantedBy=getty.target\n")),
        ("usr/lib/systemd/system/masked.service", text("[Service]\n")),
        ("usr/lib/systemd/system/nginx.service", text("[Install]\nWantedBy=multi-user.target\n")),
        (
            "usr/lib/systemd/system/ssh.service",
            text("[Install]\nWantedBy=multi-user.target\nAlias=sshd.service\n"),
        ),
        ("usr/lib/systemd/system/static.service", text("[Service]\n")),
        ("usr/lib/systemd/system/systemd-networkd.service", text(networkd)),
        ("usr/lib/systemd/system/systemd-networkd.socket", text("[Install]\nWantedBy=sockets.target\n")),
        ("usr/lib/systemd/systemd", program("systemd")),
        ("usr/sbin", Folder(0o755)),
        ("usr/sbin/init", Link("/lib/systemd/systemd")),
        ("usr/sbin/sshd", program("sshd")),
        ("usr/share", Folder(0o755)),
        ("usr/share/zoneinfo", Folder(0o755)),
        ("usr/share/zoneinfo/Europe", Folder(0o755)),
        ("usr/share/zoneinfo/Europe/Berlin", text("TZif2")),
        ("usr/share/zoneinfo/tzdata.zi", text("# version")),
    ]
}

fn tree(entries: &[(&str, What)]) -> Tree {
    let mut tree = Tree::new();
    for (path, what) in entries {
        let (mode, (uid, gid), kind) = match what {
            Folder(mode) => (*mode, ROOT, Kind::Directory),
            File(mode, owner, text) => (*mode, *owner, Kind::File(text.as_bytes().to_vec().into())),
            Link(target) => (0o777, ROOT, Kind::Symlink(target.as_bytes().to_vec())),
        };
        let metadata = Metadata { uid, gid, mtime: i64::from(SOURCE_DATE_EPOCH), ..Metadata::mode(mode) };
        tree.insert(path.as_bytes(), Entry::new(metadata, kind)).unwrap();
    }
    tree
}

/// The image of these entries, in the store, with its record.
pub fn layer(store: &Store, name: &str, entries: &[(&str, What)]) -> BuildRecord {
    let scratch = store.scratch("test").unwrap();
    let path = scratch.path().join("image");
    let options = ImageFormat::BOOTSTRAP.write_options(NonZero::<usize>::MIN);
    let written = output::write(&tree(entries), &options, &path).unwrap();
    store.publish(&path, &store.image_path(&written.digest)).unwrap();
    record::of(name, &written)
}

/// A store with one layer, and a folder of profiles.
pub struct Stage {
    folder: tempfile::TempDir,
    pub store: Store,
    base: BuildRecord,
}

impl Stage {
    pub fn new(entries: &[(&str, What)]) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let base = layer(&store, "base", entries);
        fs::create_dir(folder.path().join("profiles")).unwrap();
        Stage { folder, store, base }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("profiles").join(name)
    }

    /// The profile `web` with these lines in its block.
    pub fn profile(&self, lines: &str, besides: &str) -> Composition {
        let text = format!("profile \"web\" {{\n{besides}\nsystem {{\n{lines}\n}}\n}}\n");
        fs::write(self.path("web.kdl"), text).unwrap();
        ProfileFolder::new(self.folder.path().join("profiles")).compose_file(&self.path("web.kdl")).unwrap()
    }

    /// What is planned, as text.
    pub fn plan(&self, lines: &str) -> builder::Result<String> {
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
    pub fn refused(&self, lines: &str) -> String {
        let message = self.plan(lines).expect_err(lines).to_string();
        message.replace(&format!("{}/", self.folder.path().join("profiles").display()), "")
    }

    pub fn lock(&self, lines: &str, optional: &[&BuildRecord], jobs: usize) -> builder::Result<Locked> {
        self.lock_below(&[], lines, optional, jobs)
    }

    /// With these layers above the base.
    pub fn lock_below(
        &self,
        more: &[&BuildRecord],
        lines: &str,
        optional: &[&BuildRecord],
        jobs: usize,
    ) -> builder::Result<Locked> {
        let composition = self.profile(lines, "verify \"verity\"");
        let stack = std::iter::once(&self.base).chain(more.iter().copied()).collect();
        let builds = Builds { stack, optional: optional.to_vec() };
        lock::lock(&composition, &builds, &self.store, NonZero::new(jobs).unwrap())
    }
}

/// Compares with `builder/tests/settings/NAME.plan`; `LAMINA_BLESS=1` writes it anew.
pub fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/settings").join(name);
    if std::env::var_os("LAMINA_BLESS").is_some() {
        fs::write(&path, found).unwrap();
    }
    assert_eq!(found, fs::read_to_string(&path).unwrap_or_default(), "{name}");
}

/// Every kind of line.
pub fn all_lines() -> String {
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

pub fn with_files(stage: Stage) -> Stage {
    fs::create_dir(stage.path("web")).unwrap();
    fs::write(stage.path("web/motd"), "above\n").unwrap();
    fs::write(stage.path("x"), "#!/bin/sh\n").unwrap();
    stage
}

/// The stack without one of its files.
pub fn without(mut entries: Vec<(&'static str, What)>, gone: &[&str]) -> Stage {
    entries.retain(|(path, _)| !gone.contains(path));
    Stage::new(&entries)
}
