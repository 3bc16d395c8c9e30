//! Archives that are strange and legal come out whole, and in no more time than others.

#[allow(dead_code, reason = "the other tests use the rest")]
mod archives;

use std::fs;

use archives::{Tar, Workplace, compress, listing, run};
use source_archive::unpack;
use tar::EntryType;

/// One file below 1,000 folders took 30 s, and below 2,000 more than anybody waited for.
#[test]
fn the_depth_of_a_tree_costs_no_more_than_its_length() {
    let place = Workplace::new();
    let mut tar = tar::Builder::new(Vec::new());
    let deep = format!("top/{}", "d/".repeat(1_900));
    for name in 0..20 {
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("{deep}{name}"), &b"x"[..]).unwrap();
    }
    place.write("deep.tar", &tar.into_inner().unwrap());
    let began = std::time::Instant::now();
    unpack(&place.path("deep.tar"), &place.path("src")).unwrap();
    let took = began.elapsed();
    assert!(took < std::time::Duration::from_secs(10), "{took:?}");
    assert_eq!(run("find", &[place.text("src"), "-type", "f"]).lines().count(), 20);

    let mut zip = vec![format!("top/{}a", "d/".repeat(1_900))];
    zip.push(format!("top/{}a", "d/".repeat(30_000)));
    place.write("deep.zip", &archives::zip(&[&zip[0]]));
    unpack(&place.path("deep.zip"), &place.path("zip")).unwrap();
    place.write("deeper.zip", &archives::zip(&[&zip[1]]));
    let message = unpack(&place.path("deeper.zip"), &place.path("none")).unwrap_err().to_string();
    assert!(message.contains("too long for the file system") && message.len() < 1_000, "{message}");
}

/// Links that stay inside lead to where files go, as with tar(1).
#[test]
fn links_between_folders_of_an_archive_are_followed() {
    let place = Workplace::new();
    let mut tar = Tar::new();
    tar.add(EntryType::Regular, "top/lib64/a", "", b"a");
    tar.add(EntryType::Symlink, "top/lib", "lib64", b"");
    tar.add(EntryType::Regular, "top/lib/new/b", "", b"b");
    tar.add(EntryType::Link, "top/c", "top/lib/new/../a", b"");
    tar.add(EntryType::Regular, "top/lib64/a", "", b"again");
    place.write("a.tar", &tar.finish());
    unpack(&place.path("a.tar"), &place.path("src")).unwrap();
    assert_eq!(listing(&place.path("src")), ["c", "lib", "lib64/", "lib64/a", "lib64/new/", "lib64/new/b"]);
    assert_eq!(fs::read(place.path("src/lib64/a")).unwrap(), b"again");
    assert_eq!(fs::read(place.path("src/c")).unwrap(), b"a");
}

#[test]
fn labels_of_volumes_and_the_zeros_of_tapes_lose_nothing() {
    let place = Workplace::new();
    fs::create_dir(place.path("top")).unwrap();
    fs::write(place.path("top/a"), "a").unwrap();
    for format in ["gnu", "posix"] {
        let (format, name) = (format!("--format={format}"), format!("{format}.tar"));
        run(
            "tar",
            &["-C", place.text("."), "-V", "name of a tape", &format, "-cf", place.text(&name), "top"],
        );
        let packed = compress("gzip", &fs::read(place.path(&name)).unwrap());
        place.write("source", &[&packed[..], &[0; 9_000]].concat());
        unpack(&place.path("source"), &place.path(&format)).unwrap();
        assert_eq!(listing(&place.path(&format)), ["a"], "{format}");
    }
}
