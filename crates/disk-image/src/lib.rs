//! Disk images that boot on PCs, as an ordinary user: no mount, no loop device, no device node.
//!
//! [`DiskPlan`] says what will lie where and prints as one line a step; [`write()`] carries it out in an open file, whose name is the
//! caller's business; [`read`] looks at such a disk. The same plan gives the same bytes: UUIDs and serials come from the contents
//! ([`Identity`]), times are [`TIME`].
//!
//! | module | subject |
//! |---|---|
//! | [`identity`] | UUIDs and serials out of what a disk holds |
//! | [`layout`] | where the partitions lie |
//! | [`plan`] | what will be written |
//! | `section` | a partition as a file of its own |
//! | [`partition_table`] | the GPT |
//! | `raw_table`, [`addition`] | its bytes; one partition more on a disk of others |
//! | [`fat`] | the EFI system partition |
//! | [`fat_volume`] | files of a FAT that come, change and go one at a time, on a disk that is in use |
//! | `fat_geometry`, `fat_table`, `fat_folder`, `fat_names` | its boot sector, its chains of clusters, its folders, their entries |
//! | `fat_shared` | files of a FAT whose chains of clusters meet |
//! | [`area`] | a part of a disk that is changed in place |
//! | `fat_make` | a new FAT without other programs |
//! | [`ext4`] | the partitions with ext4, by mke2fs and debugfs |
//! | `ext4_blocks` | what is in their large files, copied to its blocks |
//! | `ext4_journal` | read with what its journal has |
//! | [`bios`] | GRUB's boot code for a BIOS, put in place |
//! | [`programs`] | mkfs.vfat, mtools and e2fsprogs, found and run |
//! | [`write`](mod@write) | the executor |
//! | [`format`](mod@format) | formats of virtual machines, by qemu-img |
//! | [`other_files`] | files that an image in such a format names |
//! | [`extents`], [`device`] | onto a device: what is left out, what must be zero; read back and compared |
//! | [`read`] | a disk read back |

pub mod addition;
pub mod area;
pub mod bios;
pub mod device;
pub mod ext4;
mod ext4_blocks;
mod ext4_journal;
pub mod extents;
pub mod fat;
mod fat_folder;
mod fat_geometry;
mod fat_make;
mod fat_names;
mod fat_shared;
mod fat_table;
pub mod fat_volume;
pub mod format;
pub mod identity;
pub mod layout;
pub mod other_files;
pub mod partition_table;
pub mod plan;
pub mod programs;
mod raw_table;
pub mod read;
mod section;
pub mod write;

pub use area::Storage;
pub use fat_shared::SharedClusters;
pub use fat_volume::FatVolume;
pub use fault::{Error, Result};
pub use format::DiskFormat;
pub use identity::Identity;
pub use layout::{Layout, Partition, PartitionKind};
pub use plan::{Content, DiskFile, DiskPlan, FatBy};
pub use write::write;

/// The time of every file and file system, in seconds since 1970: 1980-01-01, before which FAT has none.
pub const TIME: u32 = 315_532_800;

/// Bytes of a sector; the disks of this crate have no other ones.
pub const SECTOR: u64 = 512;

/// What partitions are aligned to.
pub const MIB: u64 = 1 << 20;
