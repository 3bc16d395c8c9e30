//! Archives of every shape and compression come out whole; what cannot is refused, and leaves no target.

mod archives;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use archives::{Tar, Workplace, compress, listing, run};
use source_archive::{Outcome, unpack};
use tar::EntryType;

#[test]
fn one_common_top_folder_is_taken_off_and_nothing_else() {
    let shapes: [(&str, &[&str], &[&str]); 8] = [
        ("one top", &["top/a", "top/b/c"], &["a", "b/", "b/c"]),
        ("written with ./", &["./top/a", "./top/b/c"], &["a", "b/", "b/c"]),
        ("flat", &["a", "b/c"], &["a", "b/", "b/c"]),
        ("flat with ./", &["./a", "./b/c"], &["a", "b/", "b/c"]),
        ("several tops", &["one/a", "two/a"], &["one/", "one/a", "two/", "two/a"]),
        ("a hidden file beside", &["top/a", ".hidden"], &[".hidden", "top/", "top/a"]),
        ("a single file", &["a"], &["a"]),
        ("tops in tops", &["top/inner/a", "top/inner/b"], &["inner/", "inner/a", "inner/b"]),
    ];
    for (shape, names, expected) in shapes {
        let place = Workplace::new();
        let mut tar = Tar::new();
        names.iter().for_each(|name| tar.add(EntryType::Regular, name, "", name.as_bytes()));
        place.write("source", &tar.finish());
        let outcome = unpack(&place.path("source"), &place.path("src")).unwrap();
        assert!(matches!(outcome, Outcome::Unpacked { .. }), "{shape}: {outcome:?}");
        assert_eq!(listing(&place.path("src")), expected, "{shape}");

        place.write("source.zip", &archives::zip(names));
        unpack(&place.path("source.zip"), &place.path("src-zip")).unwrap();
        assert_eq!(listing(&place.path("src-zip")), expected, "{shape}, zip");
        assert_eq!(place.leftovers(), [] as [String; 0], "{shape}");
    }
}

/// `.txz`, `.tbz2` and `.tzst` gave an empty folder without an error, and `my.target` was taken for a tar archive.
#[test]
fn bytes_decide_and_not_the_name() {
    let mut tar = Tar::new();
    tar.add(EntryType::Regular, "top/a", "", b"x");
    let tar = tar.finish();
    for compression in ["none", "gzip", "bzip2", "xz", "lzma", "zstd"] {
        for name in ["a.txz", "a.tbz2", "a.tzst", "archive", "a.zip.part", "my.target"] {
            let place = Workplace::new();
            place.write(name, &compress(compression, &tar));
            unpack(&place.path(name), &place.path("src")).unwrap();
            assert_eq!(listing(&place.path("src")), ["a"], "{compression} as {name}");
        }
    }
    for (name, bytes) in [
        ("my.target", b"[Unit]\n".to_vec()),
        ("a.tar.c", b"int main;\n".to_vec()),
        ("empty", Vec::new()),
        ("words.gz", compress("gzip", b"words")),
        ("brackets", b"]\0\0\x10\0 begins like lzma and is a text".to_vec()),
    ] {
        let place = Workplace::new();
        place.write(name, &bytes);
        assert_eq!(unpack(&place.path(name), &place.path("src")).unwrap(), Outcome::NoArchive, "{name}");
        assert!(!place.path("src").exists());
    }
}

/// A tree with all that sources have, made by GNU tar in each of its formats, comes out as GNU tar would unpack it.
#[test]
fn what_gnu_tar_packs_comes_out_the_same() {
    for format in ["v7", "ustar", "oldgnu", "gnu", "posix"] {
        let place = Workplace::new();
        let tree = place.path("tree/top");
        let long = if format == "v7" || format == "ustar" { "long".to_owned() } else { "long/".repeat(60) };
        fs::create_dir_all(tree.join(&long)).unwrap();
        fs::write(tree.join(&long).join("file"), "deep").unwrap();
        fs::write(tree.join("run"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(tree.join("run"), PermissionsExt::from_mode(0o755)).unwrap();
        fs::hard_link(tree.join("run"), tree.join("same")).unwrap();
        std::os::unix::fs::symlink("../top/run", tree.join("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", tree.join("dangling")).unwrap();
        fs::create_dir(tree.join("shut")).unwrap();
        fs::write(tree.join("shut/inside"), "x").unwrap();
        fs::set_permissions(tree.join("shut"), PermissionsExt::from_mode(0o555)).unwrap();
        let format = format!("--format={format}");
        run("tar", &["-C", place.text("tree"), &format, "-cf", place.text("a.tar"), "top"]);
        unpack(&place.path("a.tar"), &place.path("src")).unwrap();
        fs::create_dir(place.path("judge")).unwrap();
        let judge = ["-C", place.text("judge"), "--no-same-owner", "--strip-components=1", "-xf"];
        run("tar", &[&judge[..], &[place.text("a.tar")]].concat());
        assert_eq!(facts(&place.path("src")), facts(&place.path("judge")), "{format}");
        run("chmod", &["-R", "u+w", place.text(".")]);
    }
}

/// Path, mode, size, time in seconds, link target and number of names of everything below, as `find` prints them.
fn facts(folder: &Path) -> Vec<String> {
    let found =
        run("find", &[folder.to_str().unwrap(), "-mindepth", "1", "-printf", "%P %M %s %Ts %l %n %y\\n"]);
    // The size of a folder is its file system's business, and its time is when it was filled.
    let fact = |line: &str| match line.strip_suffix(" d") {
        Some(folder) => folder.split(' ').take(2).collect::<Vec<_>>().join(" "),
        None => line.to_owned(),
    };
    let mut lines: Vec<String> = found.lines().map(fact).collect();
    lines.sort();
    lines
}

#[test]
fn sparse_files_of_gnu_come_out_and_those_of_pax_are_refused() {
    let place = Workplace::new();
    fs::create_dir(place.path("top")).unwrap();
    let mut file = fs::File::create(place.path("top/sparse")).unwrap();
    file.set_len(1 << 20).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(1 << 19)).unwrap();
    file.write_all(b"in the middle").unwrap();
    drop(file);
    let pack = |format: &[&str], name: &str| {
        run("tar", &[&["-C", place.text("."), "-S"], format, &["-cf", place.text(name), "top"]].concat());
    };
    pack(&["--format=gnu"], "gnu.tar");
    unpack(&place.path("gnu.tar"), &place.path("src")).unwrap();
    assert_eq!(fs::read(place.path("src/sparse")).unwrap(), fs::read(place.path("top/sparse")).unwrap());
    for version in ["0.0", "0.1", "1.0"] {
        let name = format!("pax-{version}.tar");
        pack(&["--format=posix", &format!("--sparse-version={version}")], &name);
        let message = unpack(&place.path(&name), &place.path(version)).unwrap_err().to_string();
        assert!(
            message.contains("in the pax format") && message.contains("\nhelp: give the recipe"),
            "{message}"
        );
        assert!(!place.path(version).exists());
    }
}

#[test]
fn what_would_be_lost_is_refused() {
    let block = EntryType::Block;
    let one = |kind, path: &str, target: &str, bytes: &[u8]| {
        let mut tar = Tar::new();
        tar.add(EntryType::Regular, "top/before", "", b"before");
        tar.add(kind, path, target, bytes);
        tar.finish()
    };
    let two = [one(EntryType::Regular, "a", "", b"1"), one(EntryType::Regular, "b", "", b"2")].concat();
    let whole = one(EntryType::Regular, "top/a", "", &[7; 2000]);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("leading out", one(EntryType::Regular, "../a", "", b"x"), "leads out of it"),
        ("leading out below", one(EntryType::Regular, "top/../../a", "", b"x"), "leads out of it"),
        ("hard link out", one(EntryType::Link, "top/a", "../../etc/passwd", b""), "which leads out of it"),
        ("hard link to the root", one(EntryType::Link, "top/a", "/etc/passwd", b""), "which leads out of it"),
        ("hard link before its file", one(EntryType::Link, "top/a", "top/b", b""), "is not there before it"),
        ("a file below a file", one(EntryType::Regular, "top/before/a", "", b"x"), "below what is no folder"),
        ("a file in place of a folder", one(EntryType::Regular, "top", "", b"x"), "in the place of another"),
        ("a file without a name", one(EntryType::Regular, ".", "", b"x"), "has a file with the name"),
        (
            "through a link",
            {
                let mut tar = Tar::new();
                tar.add(EntryType::Symlink, "top/out", "/", b"");
                tar.add(EntryType::Regular, "top/out/tmp/planted", "", b"x");
                tar.finish()
            },
            "leads out of it through a link",
        ),
        ("device", one(block, "top/dev", "", b""), "has the device 'top/dev'"),
        ("fifo", one(EntryType::Fifo, "top/fifo", "", b""), "has the FIFO 'top/fifo'"),
        ("a label within", one(EntryType::new(b'V'), "label", "", b""), "of the type 'V'"),
        ("continued", one(EntryType::new(b'M'), "top/rest", "", b"x"), "of the type 'M'"),
        (
            "a file called like a folder",
            one(EntryType::Regular, "top/a/", "", b"x"),
            "whose name is a folder's",
        ),
        ("two archives", two, "more behind its end"),
        ("no end", whole[..whole.len() - 1024].to_vec(), "cut short"),
        ("cut in a file", whole[..1536].to_vec(), "unpacking it"),
        (
            "nothing inside",
            {
                let mut tar = Tar::new();
                tar.add(EntryType::XGlobalHeader, "g", "", b"13 comment=x\n");
                tar.finish()
            },
            "has no files",
        ),
    ];
    cases.into_iter().for_each(refused);
    assert!(!Path::new("/tmp/planted").exists());
}

#[test]
fn pax_headers_that_change_files_are_refused() {
    let pax = |kind, records: &str| {
        let mut tar = Tar::new();
        tar.add(kind, "header", "", records.as_bytes());
        tar.add(EntryType::Regular, "top/a", "", b"a");
        tar.finish()
    };
    let (local, global) = (EntryType::XHeader, EntryType::XGlobalHeader);
    let cases = [
        ("unknown keyword", pax(local, "16 SUN.acl=what\n"), "pax keyword 'SUN.acl'"),
        ("twice", pax(local, "12 path=x/a\n12 path=y/a\n"), "'path' twice"),
        ("newline in a record", pax(local, "16 path=x\n4 a=b\n"), "not understood"),
        ("one path for all", pax(global, "14 path=top/x\n"), "pax keyword 'path'"),
        ("real size", pax(local, "24 SCHILY.realsize=1000\n"), "in the pax format"),
    ];
    cases.into_iter().for_each(refused);
}

#[test]
fn archives_known_by_sight_and_damaged_ones_are_refused() {
    let cases = [
        ("7z.tar", b"7z\xbc\xaf\x27\x1c\0\x04 and so on".to_vec(), "is a 7z archive"),
        ("package", b"!<arch>\ndebian-binary   ".to_vec(), "is an ar archive"),
        ("a.tar.lz", b"LZIP\x01 and so on".to_vec(), "compressed by lzip"),
        ("cpio.gz", compress("gzip", b"070701000000"), "is a cpio archive"),
        ("a.tar.gz", compress("gzip", b"<html>404</html>"), "its bytes are none"),
        ("a.zip", b"<html>404</html>".to_vec(), "its bytes are none"),
        ("a.7z", b"<html>404</html>".to_vec(), "called a 7z archive"),
        ("a.LHA", b"<html>404</html>".to_vec(), "called a lha archive"),
        ("a.tar.br", b"any bytes".to_vec(), "called a tar archive"),
        ("a.br", b"any bytes".to_vec(), "called a br archive"),
        ("lha", b"\x22\x33-lh5-and so on".to_vec(), "is an LHA archive"),
        ("arj", b"\x60\xeaand so on".to_vec(), "is an ARJ archive"),
        ("lrzip", b"LRZI\0\x06".to_vec(), "compressed by lrzip"),
        ("packed", b"\x1f\x1e\0\0".to_vec(), "compressed by pack"),
        ("image", b"hsqs and so on".to_vec(), "is a squashfs image"),
        ("disc", [&[0; 32_769][..], b"CD001\x01"].concat(), "is an ISO 9660 image"),
        (
            "zip.exe",
            [b"MZ program", &archives::zip(&["top/a"])[..]].concat(),
            "zip archive with something else",
        ),
        ("7z.exe", b"MZ program 7z\xbc\xaf\x27\x1c\0\x04".to_vec(), "is a 7z archive that unpacks itself"),
        (
            "wrong sum",
            {
                let mut tar = Tar::new();
                tar.add(EntryType::Regular, "top/a", "", b"x");
                let mut tar = tar.finish();
                tar[100] ^= 1;
                compress("gzip", &tar)
            },
            "the sum of its first header is wrong",
        ),
        (
            "cut.tgz",
            {
                let mut tar = Tar::new();
                tar.add(EntryType::Regular, "top/a", "", &[7; 9000]);
                let all = compress("gzip", &tar.finish());
                all[..all.len() - 9].to_vec()
            },
            "reading what is behind its end",
        ),
    ];
    cases.into_iter().for_each(refused);
}

/// No target, and an error that names the archive, the cause and a remedy.
fn refused((name, bytes, expected): (&str, Vec<u8>, &str)) {
    let place = Workplace::new();
    place.write(name, &bytes);
    let error = unpack(&place.path(name), &place.path("src")).expect_err(name);
    let message = error.to_string();
    assert!(
        message.contains(name) && message.contains(expected) && message.contains("\nhelp: "),
        "{name}: {message}"
    );
    assert!(!message.contains(".unpacking-") && !message.contains("os error"), "{name}: {message}");
    assert!(!place.path("src").exists(), "{name}");
}

#[test]
fn zip_archives_that_would_lose_something_are_refused() {
    let names: &[&str] = &["top/a"];
    let plain = archives::zip(names);
    let cases = [
        ("leading out", archives::zip(&["top/a", "../b"]), "leads out of it"),
        ("for Windows", archives::zip(&["top\\a"]), "written for Windows"),
        (
            "two of one name",
            archives::renamed(&archives::zip(&["top/a", "top/b"]), b"top/b", b"top/a"),
            "two files of one name",
        ),
        ("a file as a folder", archives::zip(&["top", "top/a"]), "below what is no folder"),
        (
            "a folder with contents",
            archives::renamed(&archives::zip(&["top/b", "top/ab"]), b"top/ab", b"top/a/"),
            "has the folder 'top/a/' with",
        ),
        ("two archives", [plain.clone(), plain.clone()].concat(), "other data before"),
        ("cut short", plain[..plain.len() - 30].to_vec(), ""),
        ("damaged", archives::renamed(&plain, b"bytes of", b"bytes 0f"), "unpacking a file"),
        ("encrypted", archives::marked_encrypted(&plain), ""),
        ("through a link", archives::zip_with_link("top/out", "/tmp", "top/out/planted-by-zip"), ""),
    ];
    for (name, bytes, expected) in cases {
        let place = Workplace::new();
        place.write(name, &bytes);
        let message = unpack(&place.path(name), &place.path("src")).expect_err(name).to_string();
        assert!(message.contains(name) && message.contains(expected), "{name}: {message}");
        assert!(!place.path("src").exists(), "{name}");
    }
    assert!(!Path::new("/tmp/planted-by-zip").exists());
}

#[test]
fn zip_keeps_modes_links_times_and_names_that_are_no_text() {
    let place = Workplace::new();
    place.write("a.zip", &archives::zip_with_link("top/link", "run", "top/n\u{e9}"));
    unpack(&place.path("a.zip"), &place.path("src")).unwrap();
    assert_eq!(listing(&place.path("src")), ["link", "n\u{e9}"]);
    assert_eq!(fs::read_link(place.path("src/link")).unwrap(), Path::new("run"));
    let file = fs::metadata(place.path("src/n\u{e9}")).unwrap();
    assert_eq!((file.mode() & 0o7777, file.mtime()), (0o755, 951_825_600));
}

/// Whatever byte is damaged: an error, or all of the files. Never a panic, never a file less.
#[test]
fn damage_never_makes_a_file_less() {
    let mut tar = Tar::new();
    for name in ["top/a", "top/b/c", "top/d"] {
        tar.add(EntryType::Regular, name, "", name.as_bytes());
    }
    let tar = tar.finish();
    for (kind, good) in [
        ("gzip", compress("gzip", &tar)),
        ("xz", compress("xz", &tar)),
        ("zstd", compress("zstd", &tar)),
        ("bzip2", compress("bzip2", &tar)),
        ("zip", archives::zip(&["top/a", "top/b/c", "top/d"])),
    ] {
        for at in (6..good.len()).step_by(good.len() / 100 + 1) {
            let mut damaged = good.clone();
            damaged[at] ^= 0x41;
            for bytes in [damaged, good[..at].to_vec()] {
                let place = Workplace::new();
                place.write("source", &bytes);
                if let Ok(Outcome::Unpacked { .. }) = unpack(&place.path("source"), &place.path("src")) {
                    let files =
                        listing(&place.path("src")).iter().filter(|name| !name.ends_with('/')).count();
                    assert_eq!(files, 3, "{kind}, byte {at}");
                }
            }
        }
    }
}
