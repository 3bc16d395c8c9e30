//! Partition tables that sfdisk(8) writes are read as it lists them: each partition has a name where it lies, and nowhere else.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use block_probe::partition_table::{Disk, Partition, read};

/// A disk with that table, and what sfdisk says of it: number, start and size in bytes of each partition.
fn written(folder: &Path, script: &str) -> (File, Vec<(u32, u64, u64)>) {
    let path = folder.join("disk");
    File::create(&path).unwrap().set_len(256 << 20).unwrap();
    let mut child =
        Command::new("/usr/sbin/sfdisk").arg("--quiet").arg(&path).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let dump = Command::new("/usr/sbin/sfdisk").arg("--dump").arg(&path).output().unwrap();
    let dump = String::from_utf8(dump.stdout).unwrap();
    let lines = dump.lines().filter_map(|line| line.strip_prefix(path.to_str().unwrap())?.split_once(" : "));
    let found = lines.map(|(number, rest)| {
        let value = |name: &str| {
            let field = rest.split(',').find_map(|field| field.trim().strip_prefix(name)).unwrap();
            field.trim_start_matches('=').trim().parse::<u64>().unwrap() * 512
        };
        (number.trim().parse().unwrap(), value("start"), value("size"))
    });
    (File::open(&path).unwrap(), found.collect())
}

#[test]
fn logical_partitions_and_those_of_a_gpt_have_the_names_that_sfdisk_gave_them() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk { size: 256 << 20, sector: 512, force_gpt: false };
    let dos = "label: dos\nlabel-id: 0xdeadbeef\nsize=20M\n,100M,E\n,10M\n,20M\n,30M\nsize=10M\n";
    let (file, found) = written(folder.path(), dos);
    let table = read(&file, &disk).unwrap();
    let mut logical = 0;
    for (number, start, size) in found {
        let names = table.partition(number, start, size);
        let uuid = format!("deadbeef-{number:02x}");
        // The extended one is not for use, and the kernel gives it no name.
        assert_eq!(names, (number != 2).then_some(Partition { number, uuid, label: None }), "{number}");
        assert_eq!(table.partition(number, start + 512, size), None);
        logical += u32::from(number >= 5);
    }
    assert_eq!(logical, 2);
    let (file, found) = written(folder.path(), "label: gpt\nsize=20M, name=first\nname=second\n");
    let table = read(&file, &disk).unwrap();
    let label = |(number, start, size)| table.partition(number, start, size).and_then(|names| names.label);
    assert_eq!(
        found.into_iter().map(label).collect::<Vec<_>>(),
        [Some("first".into()), Some("second".into())]
    );
}
