//! dpkg makes packages in every compression it knows; what this crate reads from them is what dpkg reads.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use deb::{Kind, Member};

#[test]
fn reads_what_dpkg_deb_reads() {
    let folder = tempfile::tempdir().unwrap();
    let tree = make_tree(folder.path());
    for compressor in ["none", "gzip", "xz", "zstd"] {
        let path = folder.path().join(format!("{compressor}.deb"));
        dpkg_deb(&[
            "--root-owner-group".into(),
            format!("-Z{compressor}"),
            "--build".into(),
            tree.display().to_string(),
            path.display().to_string(),
        ]);
        let package = deb::Package::open(&path).unwrap();
        assert_eq!((package.control().package(), package.control().version()), ("sample", "1:2.0-1"));
        assert_eq!(package.control().depends().collect::<Vec<_>>(), ["libc6 (>= 2.36)"]);

        let contents = package.contents(tempfile::tempfile().unwrap()).unwrap();
        let expected: Vec<String> = dpkg_deb(&["--contents".into(), path.display().to_string()])
            .lines()
            .map(without_date)
            .filter(|line| !line.ends_with(" ./"))
            .collect();
        let ours: Vec<String> = contents.members().iter().map(listing_line).collect();
        assert_eq!(ours, expected, "{compressor}");

        let long = contents.find(long_name().as_bytes()).expect("the file with the long name");
        assert_eq!(contents.read(long).unwrap(), b"long\n");
    }
}

fn long_name() -> String {
    format!("usr/share/{}/file", "long-name/".repeat(20).trim_end_matches('/'))
}

/// A tree with all that an ordinary user can make: folders, files, setuid, links of both kinds, names over 100 bytes.
fn make_tree(folder: &Path) -> PathBuf {
    let tree = folder.join("tree");
    let write = |path: &str, mode: u32, bytes: &[u8]| {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    };
    write(
        "DEBIAN/control",
        0o644,
        b"Package: sample\nVersion: 1:2.0-1\nArchitecture: all\nMaintainer: A <a@example.org>\n\
          Depends: libc6 (>= 2.36)\nDescription: a sample\n",
    );
    write("usr/bin/program", 0o4755, &[1; 70_000]);
    write("etc/empty", 0o600, b"");
    write(&long_name(), 0o644, b"long\n");
    fs::hard_link(tree.join("usr/bin/program"), tree.join("usr/bin/same-program")).unwrap();
    symlink("../bin/program", tree.join("usr/share/link")).unwrap();
    tree
}

/// A member as `tar --list --verbose` shows it, without the date.
fn listing_line(member: &Member) -> String {
    let path = String::from_utf8_lossy(&member.path);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (letter, size, rest) = match &member.kind {
        Kind::Directory => ('d', 0, format!("{path}/")),
        Kind::File { length, .. } => ('-', *length, path.into_owned()),
        Kind::Symlink(target) => ('l', 0, format!("{path} -> {}", text(target))),
        Kind::HardLink(target) => ('h', 0, format!("{path} link to ./{}", text(target))),
        other => panic!("the sample has no {other:?}"),
    };
    format!("{letter}{} {size} ./{rest}", permissions(member.mode))
}

fn permissions(mode: u32) -> String {
    let triple = |shift: u32, special: bool| {
        let bits = mode >> shift & 7;
        let execute = match (special, bits & 1) {
            (true, 1) => 's',
            (true, _) => 'S',
            (false, 1) => 'x',
            (false, _) => '-',
        };
        format!("{}{}{execute}", if bits & 4 == 0 { '-' } else { 'r' }, if bits & 2 == 0 { '-' } else { 'w' })
    };
    triple(6, mode & 0o4000 != 0) + &triple(3, mode & 0o2000 != 0) + &triple(0, false)
}

/// `-rwxr-xr-x root/root 5 2026-01-01 00:00 ./x` without the owner (always root here) and the date.
fn without_date(line: &str) -> String {
    let fields: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(fields[1], "root/root", "{line}");
    let name = line.split_once(" ./").expect("a path").1;
    format!("{} {} ./{name}", fields[0], fields[2])
}

fn dpkg_deb(arguments: &[String]) -> String {
    let output =
        Command::new("dpkg-deb").args(arguments).env("LC_ALL", "C").output().unwrap_or_else(|error| {
            panic!("dpkg-deb: {error}; this test needs it, and every Debian has it: apt-get install dpkg")
        });
    assert!(output.status.success(), "dpkg-deb {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
