//! Packages that are damaged or made to harm: an error that names the package, never a panic, never a wrong file.

mod packages;

use std::path::Path;

use packages::{Compressor, Entry, control, package, scratch, write};

#[test]
fn errors_name_the_file_and_the_cause() {
    let folder = tempfile::tempdir().unwrap();
    let good =
        package(Compressor::Xz, &control("Package: a\nVersion: 1\n"), &[Entry::file("./usr/x", b"hello")]);
    let cases: [(&str, Vec<u8>, &str); 6] = [
        ("empty.deb", Vec::new(), "does not begin with the ar magic"),
        ("text.deb", b"<html>404 not found</html>".to_vec(), "does not begin with the ar magic"),
        ("cut.deb", good[..good.len() - 10].to_vec(), "it is cut short: member `data.tar.xz` ends at byte"),
        ("cut-header.deb", good[..40].to_vec(), "it is cut short in the ar header at byte 8"),
        ("only-format.deb", good[..72].to_vec(), "it has no member `control.tar`"),
        ("other-format.deb", replaced(&good, b"2.0\n", b"9.0\n"), "its format is `9.0`"),
    ];
    for (name, bytes, expected) in cases {
        let error = deb::Package::open(&write(folder.path(), name, &bytes)).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(expected), "{error}");
    }
    let missing = deb::Package::open(Path::new("no-such.deb")).unwrap_err().to_string();
    assert!(
        missing.starts_with("no-such.deb: opening: ") && missing.ends_with("check the path"),
        "{missing}"
    );
    assert!(deb::Package::open(folder.path()).unwrap_err().to_string().contains("not a regular file"));
}

#[test]
fn members_that_leave_the_package_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        (Entry::file("../etc/passwd", b"x"), "the path `../etc/passwd` leaves the package"),
        (Entry::hard_link("usr/a", "../../etc/shadow"), "the path `../../etc/shadow` leaves the package"),
        (Entry::symlink("usr/a", ""), "the link `usr/a` has no target"),
    ];
    for (entry, expected) in cases {
        let bytes = package(Compressor::None, &control("Package: a\nVersion: 1\n"), &[entry]);
        let package = deb::Package::open(&write(folder.path(), "evil.deb", &bytes)).unwrap();
        let error = package.contents(scratch()).unwrap_err().to_string();
        assert!(error.contains("evil.deb") && error.contains(expected), "{error}");
    }
}

#[test]
fn any_single_damaged_byte_and_any_cut_end_without_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let entries = [Entry::file("./usr/bin/x", &[7; 700]), Entry::symlink("./usr/bin/y", "x")];
    for compressor in [Compressor::None, Compressor::Gzip, Compressor::Xz, Compressor::Zstd] {
        let good = package(compressor, &control("Package: a\nVersion: 1\nDepends: b\n"), &entries);
        let step = good.len() / 400 + 1;
        for position in (0..good.len()).step_by(step) {
            let mut flipped = good.clone();
            flipped[position] ^= 0xa5;
            read_all(&write(folder.path(), "flipped.deb", &flipped));
            read_all(&write(folder.path(), "cut.deb", &good[..position]));
        }
    }
}

/// Reads everything there is; what matters is that it returns, and that all it returns was really in the package.
fn read_all(path: &Path) {
    let Ok(package) = deb::Package::open(path) else { return };
    let Ok(contents) = package.contents(scratch()) else { return };
    for member in contents.members() {
        assert!(!member.path.is_empty());
        contents.read(member).unwrap();
    }
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let position = bytes.windows(from.len()).position(|window| window == from).unwrap();
    let mut changed = bytes.to_vec();
    changed[position..position + to.len()].copy_from_slice(to);
    changed
}
