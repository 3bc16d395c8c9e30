//! Packages that are damaged or made to harm: an error that names the package, never a panic, never a wrong file.

mod packages;

use std::path::Path;

use packages::{Compressor, Entry, control, package, scratch, write};

#[test]
fn errors_name_the_file_and_the_cause() {
    let folder = tempfile::tempdir().unwrap();
    let good =
        package(Compressor::Xz, &control("Package: a\nVersion: 1\n"), &[Entry::file("./usr/x", b"hello")]);
    // The members `debian-binary` (72 bytes to its end) and `control.tar`, and behind them those for the files.
    let data = good.windows(11).position(|window| window == b"data.tar.xz").unwrap();
    let control_twice = [&good[..data], &good[72..data], &good[data..]].concat();
    let cases: [(&str, Vec<u8>, &str); 8] = [
        ("two-data.deb", [&good[..], &good[data..]].concat(), "it has two members `data.tar`"),
        ("two-control.deb", control_twice, "it has two members `control.tar`"),
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
    for compressor in [
        Compressor::None,
        Compressor::Gzip,
        Compressor::Bzip2,
        Compressor::Xz,
        Compressor::Lzma,
        Compressor::Zstd,
    ] {
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

/// A pax header for a sparse file was passed over, and the file had the map of its holes in front of its bytes.
#[test]
fn tar_archives_that_dpkg_would_not_unpack_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let sparse = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n26 GNU.sparse.name=usr/x\n29 GNU.sparse.realsize=10000\n";
    let cases = [
        (
            "a sparse file",
            vec![Entry::other(b'x', "h", sparse.as_bytes()), Entry::file("GNUSparseFile.0/x", b"1\n0\n1\nx")],
            "a pax header",
        ),
        (
            "another path",
            vec![Entry::other(b'x', "h", b"14 path=usr/y\n"), Entry::file("usr/x", b"x")],
            "a pax header",
        ),
        (
            "another size",
            vec![Entry::other(b'x', "h", b"9 size=0\n"), Entry::file("usr/x", b"x")],
            "a pax header",
        ),
        (
            "another link",
            vec![Entry::other(b'x', "h", b"17 linkpath=../y\n"), Entry::symlink("usr/x", "y")],
            "a pax header",
        ),
        (
            "for all",
            vec![Entry::other(b'g', "h", b"14 path=usr/y\n"), Entry::file("usr/x", b"x")],
            "a pax header",
        ),
        ("sparse, of GNU", vec![Entry::other(b'S', "usr/x", b"")], ""),
        ("a volume", vec![Entry::other(b'V', "label", b"")], "is a tar entry of type"),
        ("a folder with bytes", vec![Entry::other(b'5', "usr/", b"x")], "has 1 bytes"),
        ("an old folder with bytes", vec![Entry::file("usr/", b"x")], "has 1 bytes"),
        ("a link with bytes", vec![Entry::other(b'1', "usr/x", b"x")], "has 1 bytes"),
    ];
    for (name, entries, expected) in cases {
        let bytes = package(Compressor::None, &control("Package: a\nVersion: 1\n"), &entries);
        let package = deb::Package::open(&write(folder.path(), "strange.deb", &bytes)).unwrap();
        let error = package.contents(scratch()).expect_err(name).to_string();
        assert!(error.contains("strange.deb") && error.contains(expected), "{name}: {error}");
        assert!(!expected.contains("pax") || !error.contains("fetch the package again"), "{error}");
    }
    let renamed =
        [Entry::other(b'x', "h", b"16 path=control\n"), Entry::file("other", b"Package: b\nVersion: 1\n")];
    let bytes = package(Compressor::None, &renamed, &[]);
    let error = deb::Package::open(&write(folder.path(), "strange.deb", &bytes)).unwrap_err().to_string();
    assert!(error.contains("a pax header"), "{error}");
}

/// deb(5): both were allowed once, and there are packages with them.
#[test]
fn old_compressions_are_read_and_unknown_ones_get_the_right_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let control = control("Package: a\nVersion: 1\n");
    for compressor in [Compressor::Bzip2, Compressor::Lzma] {
        let bytes = package(compressor, &control, &[Entry::file("./usr/x", b"hello")]);
        let package = deb::Package::open(&write(folder.path(), "old.deb", &bytes)).unwrap();
        let contents = package.contents(scratch()).unwrap();
        let member = contents.find(b"usr/x").unwrap();
        assert_eq!(contents.read(member).unwrap(), b"hello", "{compressor:?}");
    }
    let bytes = package(Compressor::Gzip, &control, &[]);
    let path = write(folder.path(), "new.deb", &replaced(&bytes, b"data.tar.gz ", b"data.tar.br "));
    let error = deb::Package::open(&path).unwrap_err().to_string();
    assert!(error.contains("`data.tar.br` has an unknown compression") && error.contains(".lzma"), "{error}");
    assert!(!error.contains("fetch the package again"), "{error}");
}

/// What dpkg takes for a folder is one (dpkg's tar.c: "Compatibility with pre-ANSI ustar").
#[test]
fn a_file_whose_name_ends_with_a_slash_is_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let bytes =
        package(Compressor::None, &control("Package: a\nVersion: 1\n"), &[Entry::file("./usr/", b"")]);
    let package = deb::Package::open(&write(folder.path(), "old.deb", &bytes)).unwrap();
    let contents = package.contents(scratch()).unwrap();
    assert_eq!(contents.members()[0].kind, deb::Kind::Directory);
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
