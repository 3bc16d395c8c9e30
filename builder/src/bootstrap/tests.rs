//! Layers from small packages made with dpkg-deb.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use profiles::Digest;
use squashfs::{Content, Kind};

use super::*;

const DESCRIPTION: &str = r#"
debian suite="bookworm" {
    want "tool" "shell"
    exclude "usr/share/doc"
    link "usr/bin/awk" to="tool"
    folder "tmp" mode="1777"
    file "etc/hosts" "127.0.0.1 localhost\n"
}
"#;

#[test]
fn packages_become_one_tree_with_one_usr() {
    let place = Downloads::new(DESCRIPTION);
    place.package("tool", &[("usr/bin/tool", "a tool"), ("usr/share/doc/tool/README", "read me")]);
    place.package("shell", &[("bin/dash", "a shell"), ("lib/x86/libc.so", "a library")]);
    let tree = place.tree().unwrap();
    let paths: Vec<String> = tree
        .entries()
        .map(|(path, _)| String::from_utf8(path).unwrap())
        .filter(|path| !path.is_empty())
        .collect();
    assert_eq!(
        paths,
        [
            "bin",
            "etc",
            "etc/hosts",
            "lib",
            "lib64",
            "sbin",
            "tmp",
            "usr",
            "usr/bin",
            "usr/bin/awk",
            "usr/bin/dash",
            "usr/bin/same",
            "usr/bin/sh",
            "usr/bin/tool",
            "usr/lib",
            "usr/lib/x86",
            "usr/lib/x86/libc.so",
            "usr/lib64",
            "usr/sbin",
            "usr/share",
        ]
    );
    let entry = |path: &str| tree.get(path.as_bytes()).unwrap().unwrap();
    assert_eq!(entry("bin").kind, Kind::Symlink(b"usr/bin".to_vec()));
    assert_eq!(entry("usr/bin/sh").kind, Kind::Symlink(b"dash".to_vec()));
    assert_eq!((entry("tmp").metadata.mode, entry("usr/bin/tool").metadata.mode), (0o1777, 0o755));
    assert!(matches!(entry("usr/bin/same").kind, Kind::File(Content::Range { len: 6, .. })), "a hard link");
    assert!(
        tree.entries()
            .all(|(_, entry)| entry.metadata.mtime == i64::from(crate::image::format::SOURCE_DATE_EPOCH))
    );
}

#[test]
fn two_packages_with_one_file_are_both_named() {
    let place = Downloads::new(DESCRIPTION);
    place.package("tool", &[("usr/bin/tool", "a tool"), ("usr/share/doc/x", "")]);
    place.package("shell", &[("bin/tool", "another")]);
    let error = place.tree().unwrap_err().to_string();
    assert_eq!(
        error,
        "tool: has /usr/bin/tool, which shell has too\n\
         help: exclude the path in debian.kdl, or leave one of the two packages out"
    );
}

#[test]
fn what_the_description_says_in_vain_is_an_error() {
    for (from, to, expected) in [
        ("usr/share/doc", "usr/share/dog", "exclude matches no file of any package: usr/share/dog"),
        ("to=\"tool\"", "to=\"mawk\"", "the link usr/bin/awk leads to usr/bin/mawk, which is not there"),
        (
            "folder \"tmp\" mode=\"1777\"",
            "folder \"usr/bin\" mode=\"0700\"",
            "the folder /usr/bin (mode 0700) is not as the layer has it (mode 0755)",
        ),
        ("to=\"tool\"", "to=\"awk\"", "the link usr/bin/awk leads in a circle"),
    ] {
        let place = Downloads::new(&DESCRIPTION.replace(from, to));
        place.package("tool", &[("usr/bin/tool", "a tool"), ("usr/share/doc/x", "")]);
        place.package("shell", &[("bin/dash", "a shell")]);
        let error = place.tree().unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}\nnot in: {error}");
    }
}

#[test]
fn a_whiteout_of_a_package_is_refused_until_it_is_excluded() {
    let tree = |exclude: &str| {
        let place =
            Downloads::new(&format!("debian suite=\"bookworm\" {{\n    want \"tool\"\n    {exclude}\n}}\n"));
        place.package("shell", &[("etc/hiding", "")]);
        place.package("tool", &[]);
        place.tree().map(drop).map_err(|error| error.to_string())
    };
    let message = tree("").unwrap_err();
    assert!(
        message.contains("shell: /etc/gone is a character device 0:0, overlayfs's whiteout"),
        "{message}"
    );
    assert!(message.contains("\nhelp: `exclude \"etc/gone\"` in debian.kdl leaves it out"), "{message}");
    assert_eq!(tree("exclude \"etc/gone\""), Ok(()));
}

#[test]
fn pins_of_another_description_are_refused() {
    let description = Description::parse("debian.kdl", DESCRIPTION.as_bytes()).unwrap();
    let package = |name: &str| PinnedPackage {
        name: name.to_owned(),
        version: "1".to_owned(),
        sha256: Digest::from_bytes([7; 32]),
        size: 1,
        path: format!("pool/main/{name}.deb"),
    };
    let pins = |names: &[&str]| Pins {
        suite: "bookworm".to_owned(),
        packages: names.iter().map(|name| package(name)).collect(),
    };
    assert_eq!(pins(&["shell", "tool"]).check_against(&description), Ok(()));
    for (pins, expected) in [
        (pins(&["tool"]), "it lacks shell, which debian.kdl wants"),
        (pins(&["shell", "tool", "tool"]), "it has a package twice"),
        (Pins { suite: "trixie".to_owned(), ..pins(&[]) }, "it is of trixie, debian.kdl wants bookworm"),
    ] {
        assert_eq!(pins.check_against(&description), Err(expected.to_owned()));
    }
    let text = pins(&["shell", "tool"]).to_kdl();
    assert_eq!(Pins::parse("lock.kdl", text.as_bytes()).unwrap(), pins(&["shell", "tool"]));
    let newer =
        Pins::parse("lock.kdl", text.replace("format=1", "format=2").as_bytes()).unwrap_err().to_string();
    assert!(newer.contains("this lock has format 2, this program reads 1"), "{newer}");
}

#[test]
fn a_description_is_refused_with_every_error_and_its_place() {
    let text = "debian suite=\"../x\" {\n}\n";
    let error = Description::parse("debian.kdl", text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("debian.kdl:1:8: error: '../x' is no suite"), "{error}");
    let text = "debian suite=\"bookworm\" {\n    want \"--allow\"\n    exclude \"/usr\"\n    folder \"x\" mode=\"99\"\n    wnat \"a\"\n}\n";
    let error = Description::parse("debian.kdl", text.as_bytes()).unwrap_err().to_string();
    for expected in [
        "2:5: error: '--allow' cannot stand here",
        "3:5: error: '/usr' cannot",
        "'99' is no mode",
        "did you mean 'want'?",
    ] {
        assert!(error.contains(expected), "{expected}\nnot in: {error}");
    }
}

#[test]
fn the_shipped_description_and_its_pins_belong_together() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packages/bootstrap");
    let bootstrap = Bootstrap::load(&folder).unwrap();
    assert!(bootstrap.sources().iter().any(|source| source.file.starts_with("gcc-12_")));
    let text = fs::read_to_string(folder.join(PINS_FILE)).unwrap();
    assert_eq!(bootstrap.pins.to_kdl(), text, "the file is as the program writes it");
}

/// A description, and the packages made for it, in a folder of the test's own.
struct Downloads {
    folder: tempfile::TempDir,
    description: Description,
}

impl Downloads {
    fn new(description: &str) -> Downloads {
        let description = Description::parse("debian.kdl", description.as_bytes()).unwrap();
        Downloads { folder: tempfile::tempdir().unwrap(), description }
    }

    /// Makes `NAME.deb`. Beside `bin/dash` lies the link `bin/sh`, beside `usr/bin/tool` its second name `usr/bin/same`, beside `etc/hiding` the
    /// whiteout `etc/gone`.
    fn package(&self, name: &str, files: &[(&str, &str)]) {
        let tree = self.folder.path().join(name);
        let control = format!(
            "Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: x\n"
        );
        for (path, text) in files.iter().copied().chain([("DEBIAN/control", control.as_str())]) {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            // Whatever the umask of whoever tests.
            set_mode(&path, 0o644);
            let parents = path.ancestors().skip(1).take_while(|folder| folder.starts_with(&tree));
            parents.for_each(|folder| set_mode(folder, 0o755));
            if path.ends_with("usr/bin/tool") {
                set_mode(&path, 0o755);
                fs::hard_link(&path, path.with_file_name("same")).unwrap();
            }
            if path.ends_with("etc/hiding") {
                let kind = rustix::fs::FileType::CharacterDevice;
                let path = path.with_file_name("gone");
                rustix::fs::mknodat(rustix::fs::CWD, path, kind, 0o644.into(), 0).unwrap();
            }
            if path.ends_with("bin/dash") {
                symlink("dash", path.with_file_name("sh")).unwrap();
            }
        }
        let status = Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Znone", "--build"])
            .args([&tree, &self.deb(name)])
            .stdout(Stdio::null())
            .status()
            .expect("dpkg-deb makes the packages of this test: apt-get install dpkg");
        assert!(status.success());
    }

    fn deb(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.deb"))
    }

    fn tree(&self) -> Result<Tree> {
        let packages = ["shell", "tool"].map(|name| PinnedPackage {
            name: name.to_owned(),
            version: "1".to_owned(),
            sha256: Digest::from_bytes([0; 32]),
            size: 0,
            path: format!("pool/main/{name}.deb"),
        });
        let pins = Pins { suite: "bookworm".to_owned(), packages: packages.into() };
        let bootstrap = Bootstrap { description: self.description.clone(), pins };
        bootstrap.tree(&["shell", "tool"].map(|name| self.deb(name)), self.folder.path())
    }
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}
