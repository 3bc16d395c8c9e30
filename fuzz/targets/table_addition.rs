//! One partition more on whatever disk is given: both copies of its table, with checksums that are made right, so that what they say is read.
//! A table that is taken is a sound one afterwards, with all that was in it.

#![no_main]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;

use disk_image::addition::Addition;
use disk_image::layout::{Layout, Room};
use disk_image::{Identity, MIB, partition_table};

const SECTOR: u64 = 512;
const SIZE: u64 = 100 * MIB;
/// Where both headers lie, and how long entries are that everybody writes.
const HEADERS: [u64; 2] = [SECTOR, SIZE - SECTOR];
const ENTRIES: usize = 128 * 128;

/// The beginning and the end of a disk with three partitions.
static BASE: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let room = Room { bios: true, esp: 40 * MIB, store: 10 * MIB, state: None };
    let layout = Layout::make(&room, Some(60 * MIB), &Identity::of(["fuzz"])).unwrap();
    let layout = Layout { length: SIZE, ..layout };
    let disk = memory();
    partition_table::write(&layout, &disk).unwrap();
    // Few entries: a checksum of 16 KiB is most of the time otherwise.
    for header in HEADERS {
        disk.write_all_at(&16_u32.to_le_bytes(), header + 80).unwrap();
        seal(&disk, header);
    }
    [0, SIZE - MIB].map(|at| {
        let mut bytes = vec![0; MIB as usize];
        disk.read_exact_at(&mut bytes, at).unwrap();
        bytes
    })
});

fn memory() -> File {
    let file = File::from(rustix::fs::memfd_create("disk", rustix::fs::MemfdFlags::CLOEXEC).unwrap());
    file.set_len(SIZE).unwrap();
    file
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let [mode, size, patches @ ..] = input else { return };
    let disk = memory();
    for (bytes, at) in BASE.iter().zip([0, SIZE - MIB]) {
        let used =
            if at == 0 { 0..SECTOR as usize * 34 } else { MIB as usize - SECTOR as usize * 33..MIB as usize };
        disk.write_all_at(&bytes[used.clone()], at + used.start as u64).unwrap();
    }
    for patch in patches.chunks_exact(4) {
        let place = u64::from(u16::from_le_bytes([patch[1], patch[2]]));
        // In both copies, or in one: the places of header and entries, whichever they are.
        for (copy, header) in HEADERS.into_iter().enumerate() {
            if patch[0] & (1 << copy) == 0 {
                continue;
            }
            let entries = if copy == 0 { 2 * SECTOR } else { SIZE - 33 * SECTOR };
            let at = if patch[0] & 4 == 0 { header + place % 92 } else { entries + place % (4 * 128) };
            disk.write_all_at(&patch[3..], at).unwrap();
        }
    }
    if mode & 1 != 0 {
        HEADERS.iter().for_each(|header| seal(&disk, *header));
    }
    let Ok(before) = partition_table::read(&disk) else { return };
    let size = (size % 8 != 0).then(|| u64::from(*size) * MIB);
    let Ok(addition) = Addition::find(&disk, uuid::Uuid::from_bytes([7; 16]), 4 * MIB, size) else { return };
    let new = &addition.partition;
    assert!(new.start >= MIB && new.start + new.length <= SIZE);
    for it in &before.partitions {
        assert!(new.start + new.length <= it.start || it.start + it.length <= new.start, "over {it:?}");
    }
    addition.write(&disk, |_| Ok(())).unwrap();
    let after = partition_table::read(&disk).unwrap();
    assert_eq!(after.damage, []);
    assert_eq!(after.partitions.len(), before.partitions.len() + 1);
    assert!(before.partitions.iter().all(|it| after.partitions.contains(it)));
});

/// Both checksums of a copy, where its entries lie within the disk.
fn seal(disk: &File, at: u64) {
    let mut header = vec![0; SECTOR as usize];
    disk.read_exact_at(&mut header, at).unwrap();
    let long = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap());
    let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
    let mut entries = vec![0; (word(80) as usize).saturating_mul(128).min(8 * ENTRIES)];
    let place = long(72).saturating_mul(SECTOR);
    let length = (word(12) as usize).min(SECTOR as usize);
    if disk.read_exact_at(&mut entries, place).is_ok() {
        header[88..92].copy_from_slice(&block_probe::partition_table::crc32(&entries).to_le_bytes());
    }
    header[16..20].fill(0);
    let checksum = block_probe::partition_table::crc32(&header[..length]);
    header[16..20].copy_from_slice(&checksum.to_le_bytes());
    disk.write_all_at(&header, at).unwrap();
}
