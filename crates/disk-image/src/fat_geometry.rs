//! What the boot sector of a FAT32 says of where everything lies: Microsoft's FAT specification (fatgen103), "Boot Sector and BPB".

use crate::SECTOR;
use fault::{Error, Result};

pub(crate) const ESP: &str = "EFI system partition";
/// With fewer clusters it is a FAT16 to all that go by the specification, and a FAT32 to Linux.
const LEAST_CLUSTERS: u64 = 65_525;
/// More clusters than FAT32 can number.
const MOST_CLUSTERS: u64 = 0x0fff_fef0;
/// BPB_ExtFlags: one copy of the table alone is kept up to date.
const NOT_MIRRORED: u64 = 0x80;

/// Places are bytes from the beginning of the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Bytes of a cluster.
    pub(crate) cluster: u64,
    /// Where cluster 2 lies.
    pub(crate) data: u64,
    /// The first cluster of the root folder.
    pub(crate) root: u32,
    /// Where each copy of the table begins; there is one at least.
    pub(crate) tables: Vec<u64>,
    /// One behind the last cluster.
    pub(crate) clusters: u32,
    /// Where the sector lies that has the number of free clusters.
    pub(crate) info: Option<u64>,
}

impl Geometry {
    /// Reads the boot sector of a partition of `length` bytes.
    ///
    /// # Errors
    /// It is no FAT32 with sectors of 512 bytes and copies of the table that are alike.
    pub(crate) fn read(boot: &[u8; SECTOR as usize], length: u64) -> Result<Geometry> {
        let (counted, is_fat32) = Counted::of(boot, length);
        let Counted { per_cluster, reserved, copies, per_table, .. } = counted;
        let data = reserved + copies * per_table;
        let refused = |cause: &str| {
            Error::new(ESP, cause.to_owned()).remedy("mount it, and give its folder with `--esp DIR`")
        };
        if !is_fat32 {
            return Err(refused("is no FAT32 with sectors of 512 bytes, which alone is changed here"));
        }
        if let Some(error) = too_few_clusters(boot, length) {
            return Err(error);
        }
        if half(boot, 40) & NOT_MIRRORED != 0 {
            return Err(refused("keeps one copy of its table alone up to date, and here all are changed"));
        }
        let clusters = (counted.clusters() + 2).min(per_table * (SECTOR / 4));
        if clusters > MOST_CLUSTERS {
            return Err(refused("has more clusters than a FAT32 can have"));
        }
        let info = Some(half(boot, 48)).filter(|sector| (1..reserved).contains(sector));
        Ok(Geometry {
            cluster: per_cluster * SECTOR,
            data: data * SECTOR,
            root: word(boot, 44),
            tables: (0..copies).map(|copy| (reserved + copy * per_table) * SECTOR).collect(),
            clusters: clusters as u32,
            info: info.map(|sector| sector * SECTOR),
        })
    }
}

/// Why a partition with this boot sector, which looks like a FAT32 otherwise, is none.
pub(crate) fn too_few_clusters(boot: &[u8; SECTOR as usize], length: u64) -> Option<Error> {
    let (counted, is_fat32) = Counted::of(boot, length);
    if !is_fat32 || counted.clusters() >= LEAST_CLUSTERS {
        return None;
    }
    let cause = format!(
        "has {} clusters, and a FAT32 has at least {LEAST_CLUSTERS}: some take it for another FAT",
        counted.clusters()
    );
    Some(Error::new(ESP, cause).remedy(
        "save its files, make it anew with smaller clusters (`mkfs.vfat -F 32 -s 1`), and put them back",
    ))
}

/// In sectors, or numbers of what it says.
#[derive(Clone, Copy)]
struct Counted {
    per_cluster: u64,
    reserved: u64,
    copies: u64,
    sectors: u64,
    per_table: u64,
}

impl Counted {
    /// What it says, and whether that is a FAT32 as far as these numbers go.
    fn of(boot: &[u8; SECTOR as usize], length: u64) -> (Counted, bool) {
        let (per_cluster, reserved, copies) = (u64::from(boot[13]), half(boot, 14), u64::from(boot[16]));
        let (sectors, per_table) = (u64::from(word(boot, 32)), u64::from(word(boot, 36)));
        let is_fat32 = boot[510..] == [0x55, 0xaa]
            && half(boot, 11) == SECTOR
            && per_cluster.is_power_of_two()
            && reserved > 0
            && (1..=4).contains(&copies)
            && half(boot, 17) == 0
            && half(boot, 22) == 0
            && reserved + copies * per_table < sectors
            && sectors * SECTOR <= length;
        (Counted { per_cluster, reserved, copies, sectors, per_table }, is_fat32)
    }

    fn clusters(self) -> u64 {
        (self.sectors - self.reserved - self.copies * self.per_table) / self.per_cluster
    }
}

fn half(boot: &[u8; SECTOR as usize], at: usize) -> u64 {
    u64::from(u16::from_le_bytes([boot[at], boot[at + 1]]))
}

fn word(boot: &[u8; SECTOR as usize], at: usize) -> u32 {
    u32::from_le_bytes([boot[at], boot[at + 1], boot[at + 2], boot[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(sectors: u32, per_cluster: u8) -> [u8; SECTOR as usize] {
        let mut boot = [0; SECTOR as usize];
        let mut put = |at: usize, bytes: &[u8]| boot[at..at + bytes.len()].copy_from_slice(bytes);
        put(11, &512_u16.to_le_bytes());
        put(13, &[per_cluster]);
        put(14, &32_u16.to_le_bytes());
        put(16, &[2]);
        put(32, &sectors.to_le_bytes());
        put(36, &600_u32.to_le_bytes());
        put(44, &2_u32.to_le_bytes());
        put(48, &1_u16.to_le_bytes());
        put(510, &[0x55, 0xaa]);
        boot
    }

    #[test]
    fn what_a_boot_sector_says_is_believed_within_its_partition() {
        let read = |boot: &[u8; 512]| Geometry::read(boot, 40 << 20);
        let sound = read(&boot(80_000, 1)).unwrap();
        assert_eq!((sound.cluster, sound.data, sound.root), (512, 1232 * 512, 2));
        assert_eq!((sound.tables, sound.info), (vec![32 * 512, 632 * 512], Some(512)));
        // The table has room for fewer than there are.
        assert_eq!(sound.clusters, 600 * 128);
        let refused = |boot: [u8; 512], words: &str| {
            let error = read(&boot).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("\nhelp: "), "{error}");
        };
        refused(boot(82_000, 1), "is no FAT32");
        refused(boot(80_000, 3), "is no FAT32");
        refused(boot(80_000, 2), "has 39384 clusters, and a FAT32 has at least 65525");
        // Without reserved sectors its table would lie over the boot sector itself.
        let with = |at: usize, bytes: [u8; 2]| {
            let mut boot = boot(80_000, 1);
            boot[at..at + 2].copy_from_slice(&bytes);
            boot
        };
        refused(with(14, [0, 0]), "is no FAT32");
        refused(with(40, [0x81, 0]), "one copy of its table alone");
        assert_eq!(read(&with(48, [32, 0])).unwrap().info, None);
    }
}
