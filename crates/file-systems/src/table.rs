//! The rows. What they say is from the kernel's documentation and from the manual pages of the programs, as named beside it.

use crate::Packed::{Always, WhenAskedFor};
use crate::{Checker, FileSystem, KernelPart, Maker, Top};

/// No exit status.
const NONE: std::ops::Range<i32> = 0..0;

/// The table, in the order in which people are told of them.
pub static FILE_SYSTEMS: [FileSystem; 6] = [EXT4, VFAT, ISO9660, XFS, BTRFS, F2FS];

const fn part(symbol: &'static str, module: &'static str, why: &'static str) -> KernelPart {
    KernelPart { symbol, module: Some(module), why }
}

const EXT4: FileSystem = FileSystem {
    driver: "ext4",
    title: "ext4",
    kinds: &["ext4", "ext3", "ext2"],
    kernel: &[part("EXT4_FS", "ext4", "the store can lie on ext4, and what was changed can be kept on it")],
    packed: Always,
    loads: &[],
    medium_options: &[],
    // `Documentation/admin-guide/ext4.rst`
    without_replay: &["noload"],
    package: "e2fsprogs",
    top: Some(Top {
        // It alone can be told; the others stop writing by themselves when they meet an error.
        mount_options: &[("errors", "remount-ro")],
        // `filetype` of ext4(5)
        types_by_format: true,
        attributes_by: None,
        maker: Maker {
            // mke2fs makes smaller ones, which have no room for anything.
            smallest: 16,
            longest_label: 16,
            label_option: "-L",
            // mke2fs(8). -F: also a whole disk, and as -f of the others.
            arguments: &[
                "-q",
                "-F",
                "-t",
                "ext4",
                "-L",
                "{label}",
                "-U",
                "{uuid}",
                "-E",
                "nodiscard",
                "{device}",
                "{kib}k",
            ],
            recipe: Some("e2fsprogs"),
        },
        checker: Checker {
            program: "fsck.ext4",
            // e2fsck(8): -f also when it is marked clean, -p repairs what loses nothing, and ends at the rest.
            arguments: &["-f", "-p"],
            after_mount: false,
            // Bits: 1 and 2 for what was repaired, 4 for what was not, 8 and more for what kept it from looking.
            repaired: 1..4,
            damaged: 4..8,
        },
        repair: "e2fsck -f -y",
    }),
};

const VFAT: FileSystem = FileSystem {
    driver: "vfat",
    title: "vfat",
    kinds: &["vfat"],
    kernel: &[
        part("VFAT_FS", "vfat", "the store can lie on FAT, as on sticks and EFI system partitions"),
        part("NLS_CODEPAGE_437", "nls_cp437", "FAT needs it for short names, by default"),
        part(
            "NLS_ISO8859_1",
            "nls_iso8859_1",
            "FAT needs it for long names, where the kernel's default is iso8859-1",
        ),
        part(
            "NLS_ASCII",
            "nls_ascii",
            "FAT needs it for long names, where the kernel's default is ascii as in Debian",
        ),
        part("NLS_UTF8", "nls_utf8", "names on FAT and ISO 9660 can be UTF-8"),
    ],
    packed: Always,
    // Character sets, which the kernel asks for by name.
    loads: &["nls_*"],
    // A short name that is stored in capitals, as old tools do, is shown in small letters: names in a store have no others.
    medium_options: &["shortname=lower"],
    without_replay: &[],
    package: "dosfstools",
    top: None,
};

const ISO9660: FileSystem = FileSystem {
    driver: "iso9660",
    title: "ISO 9660",
    kinds: &["iso9660"],
    kernel: &[
        part("ISO9660_FS", "isofs", "the store can lie on a disc or in an ISO image"),
        KernelPart { symbol: "JOLIET", module: None, why: "long names on discs that have no Rock Ridge" },
    ],
    packed: Always,
    // For Joliet.
    loads: &["nls_*"],
    medium_options: &[],
    without_replay: &[],
    package: "xorriso",
    top: None,
};

const XFS: FileSystem = FileSystem {
    driver: "xfs",
    title: "XFS",
    kinds: &["xfs"],
    kernel: &[part("XFS_FS", "xfs", "what was changed, and the store, can be kept on XFS")],
    packed: WhenAskedFor,
    loads: &[],
    medium_options: &[],
    // `Documentation/admin-guide/xfs.rst`. A copy of a disk that was pulled has the UUID of the disk.
    without_replay: &["norecovery", "nouuid"],
    package: "xfsprogs",
    top: Some(Top {
        mount_options: &[],
        // `ftype` of mkfs.xfs(8)
        types_by_format: true,
        attributes_by: None,
        maker: Maker {
            // Since xfsprogs 5.19, which says so.
            smallest: 301,
            longest_label: 12,
            label_option: "-L",
            // mkfs.xfs(8)
            arguments: &[
                "-q",
                "-f",
                "-K",
                "-L",
                "{label}",
                "-m",
                "uuid={uuid}",
                "-d",
                "size={bytes}",
                "{device}",
            ],
            recipe: None,
        },
        checker: Checker {
            // Debian's fsck.xfs looks at nothing.
            program: "xfs_repair",
            // xfs_repair(8): -n writes nothing, and takes what its log holds for damage.
            arguments: &["-n"],
            after_mount: true,
            repaired: NONE,
            damaged: 1..2,
        },
        repair: "xfs_repair",
    }),
};

const BTRFS: FileSystem = FileSystem {
    driver: "btrfs",
    title: "btrfs",
    kinds: &["btrfs"],
    kernel: &[part("BTRFS_FS", "btrfs", "what was changed, and the store, can be kept on Btrfs")],
    packed: WhenAskedFor,
    loads: &[],
    medium_options: &[],
    // btrfs(5), since Linux 5.9
    without_replay: &["rescue=nologreplay"],
    package: "btrfs-progs",
    top: Some(Top {
        mount_options: &[],
        types_by_format: false,
        attributes_by: None,
        maker: Maker {
            // mkfs.btrfs says so.
            smallest: 110,
            longest_label: 255,
            label_option: "-L",
            // mkfs.btrfs(8)
            arguments: &["-q", "-f", "-K", "-L", "{label}", "-U", "{uuid}", "-b", "{bytes}", "{device}"],
            recipe: None,
        },
        checker: Checker {
            // Debian's fsck.btrfs looks at nothing.
            program: "btrfs",
            // btrfs-check(8)
            arguments: &["check", "--readonly"],
            after_mount: false,
            repaired: NONE,
            damaged: 1..2,
        },
        repair: "btrfs check",
    }),
};

const F2FS: FileSystem = FileSystem {
    driver: "f2fs",
    title: "F2FS",
    kinds: &["f2fs"],
    kernel: &[part("F2FS_FS", "f2fs", "what was changed, and the store, can be kept on F2FS")],
    packed: WhenAskedFor,
    loads: &[],
    medium_options: &[],
    // `Documentation/filesystems/f2fs.rst`
    without_replay: &["norecovery"],
    package: "f2fs-tools",
    top: Some(Top {
        mount_options: &[],
        types_by_format: false,
        attributes_by: Some("F2FS_FS_XATTR"),
        maker: Maker {
            // It ends by a signal on less.
            smallest: 64,
            longest_label: 255,
            // mkfs.f2fs(8) is alone with its small letter.
            label_option: "-l",
            arguments: &["-q", "-f", "-t", "0", "-l", "{label}", "-U", "{uuid}", "{device}", "{sectors}"],
            recipe: None,
        },
        checker: Checker {
            program: "fsck.f2fs",
            // fsck.f2fs(8)
            arguments: &["-f", "--dry-run"],
            after_mount: true,
            repaired: NONE,
            // 255, for all that is wrong.
            damaged: 1..256,
        },
        repair: "fsck.f2fs",
    }),
};
