//! An EFI system partition of whatever disk is given: it is read, and files come, change and go. Whatever it says, nothing outside of it is
//! written, and what came is what is read.

#![no_main]

use std::collections::HashMap;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex};

use disk_image::layout::{Layout, Room};
use disk_image::{DiskFile, DiskPlan, FatBy, FatVolume, Identity, MIB, Storage};

const SECTOR: u64 = 512;
/// Where the partition begins, and how long it is: longer than the file system, so that it can say that it is larger.
const START: u64 = MIB;
const LENGTH: u64 = 256 * MIB;
/// Where things lie in the file system that is changed: boot sector, hint, both copies of the table, and clusters.
const FAT: u64 = 32 * SECTOR;

type Sectors = HashMap<u64, [u8; SECTOR as usize]>;

/// A disk of which the sectors that are not zero are kept.
#[derive(Debug, Clone)]
struct Memory(Arc<Mutex<Sectors>>);

impl Storage for Memory {
    fn fill(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        assert!(at >= START && at + buffer.len() as u64 <= START + LENGTH, "a read outside of the partition");
        let sectors = self.0.lock().unwrap();
        each_sector(at, buffer.len(), |inside, sector, range| match sectors.get(&sector) {
            Some(bytes) => buffer[inside].copy_from_slice(&bytes[range]),
            None => buffer[inside].fill(0),
        });
        Ok(())
    }

    fn put(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        assert!(at >= START && at + bytes.len() as u64 <= START + LENGTH, "a write outside of the partition");
        let mut sectors = self.0.lock().unwrap();
        each_sector(at, bytes.len(), |inside, sector, range| {
            sectors.entry(sector).or_insert([0; 512])[range].copy_from_slice(&bytes[inside]);
        });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// The pieces of `length` bytes from `at` on: where in the bytes, which sector, and where in that.
fn each_sector(at: u64, length: usize, mut piece: impl FnMut(Range<usize>, u64, Range<usize>)) {
    let mut inside = 0;
    while inside < length {
        let place = at + inside as u64;
        let begin = (place % SECTOR) as usize;
        let end = (begin + length - inside).min(SECTOR as usize);
        piece(inside..inside + end - begin, place / SECTOR, begin..end);
        inside += end - begin;
    }
}

const NAMES: [&str; 7] = [
    "loader/loader.conf",
    "loader/entries/lamina-web-2_-1a2b3c4d+3-0.conf",
    "EFI/BOOT/BOOTX64.EFI",
    "a",
    "new/folder/with a long name of many letters and more.conf",
    "loader",
    "EFI/../x",
];

/// A sound file system with some files, and its copies of the table that begin here.
static BASE: LazyLock<(Sectors, [u64; 2], u64)> = LazyLock::new(|| {
    let identity = Identity::of(["fuzz"]);
    let room = Room { bios: false, esp: 40 * MIB, store: 10 * MIB, state: None };
    let mut layout = Layout::make(&room, None, &identity).unwrap();
    layout.partitions.truncate(1);
    assert_eq!(layout.partitions[0].start, START);
    let esp = NAMES[..3].iter().map(|name| DiskFile::bytes(*name, vec![b'x'; 1300])).collect();
    let disk = tempfile::tempfile().unwrap();
    let plan = DiskPlan { layout, identity, boot_code: None, fat: FatBy::Itself, esp, store: Vec::new() };
    disk_image::write(&plan, &disk, |_| {}).unwrap();
    let mut bytes = vec![0; (40 * MIB) as usize];
    std::os::unix::fs::FileExt::read_exact_at(&disk, &mut bytes, START).unwrap();
    let sectors = bytes.chunks_exact(SECTOR as usize).enumerate().filter(|it| it.1.iter().any(|it| *it != 0));
    let sectors = sectors.map(|(at, it)| (START / SECTOR + at as u64, it.try_into().unwrap())).collect();
    let per_table = u64::from(u32::from_le_bytes(bytes[36..40].try_into().unwrap()));
    let tables = [FAT, FAT + per_table * SECTOR];
    (sectors, tables, FAT + 2 * per_table * SECTOR)
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let [count, input @ ..] = input else { return };
    let (operations, patches) = input.split_at(input.len().min(usize::from(count % 8) * 2));
    let disk = Memory(Arc::new(Mutex::new(BASE.0.clone())));
    let mut is_sound = true;
    for patch in patches.chunks_exact(4) {
        let begin = match patch[0] % 8 {
            0 => 0,
            1 => SECTOR,
            2 => BASE.1[0],
            3 => BASE.1[1],
            // The folders are among the first clusters.
            part => BASE.2 + u64::from(part - 4) * 2 * SECTOR,
        };
        let place = begin + u64::from(u16::from_le_bytes([patch[1], patch[2]]) % 1024);
        disk.put(&patch[3..], START + place).unwrap();
        is_sound = false;
    }
    let Ok(volume) = FatVolume::on(Box::new(disk), START, LENGTH) else { return };
    for operation in operations.chunks_exact(2) {
        carry_out(&volume, operation[0], operation[1], is_sound);
    }
    let _ = volume.room();
    for name in NAMES {
        let _ = (read(&volume, name), volume.length(name));
    }
});

fn carry_out(volume: &FatVolume, kind: u8, argument: u8, is_sound: bool) {
    let name = NAMES[usize::from(argument) % NAMES.len()];
    let bytes = vec![argument; usize::from(argument) * 23];
    let done = match kind % 4 {
        0 => volume.write_new(name, &mut bytes.as_slice(), bytes.len() as u64),
        1 => volume.replace(name, &mut bytes.as_slice(), bytes.len() as u64),
        2 => volume.write_in_place(name, &bytes),
        _ => volume.remove(name),
    };
    if done.is_err() {
        return;
    }
    // Clusters that are another file's or folder's too can be lost by damage alone.
    match read(volume, name) {
        Ok(found) if kind % 4 < 3 => assert!(found == bytes, "{name} is not what was written"),
        Ok(_) => assert!(!is_sound, "{name} was removed"),
        Err(error) => assert!(!is_sound || kind % 4 == 3, "{name}: {error}"),
    }
}

fn read(volume: &FatVolume, name: &str) -> io::Result<Vec<u8>> {
    let mut found = Vec::new();
    volume.open_file(name)?.take(MIB).read_to_end(&mut found)?;
    Ok(found)
}
