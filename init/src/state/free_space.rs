//! What it means that nothing can be added to the state file system.

use std::io;

use super::decide::FOLDER;
use crate::error::Failure;
use crate::size::Size;

/// Bytes, and inodes, that are certainly enough for what a boot itself makes.
const LITTLE: u64 = 64 << 10;
const FEW: u64 = 8;

/// What is left on it: statvfs(3).
#[derive(Debug, Clone, Copy, Default)]
pub struct FreeSpace {
    /// Bytes that root may still write.
    pub bytes: u64,
    /// Files and folders that may still be made.
    pub inodes: u64,
    /// All that it was made for; 0 where there is no such number (btrfs).
    pub all_inodes: u64,
}

impl FreeSpace {
    /// From what the kernel says; nothing when it says nothing.
    pub fn of(found: Result<rustix::fs::StatVfs, rustix::io::Errno>) -> Self {
        found.map_or_else(
            |_| Self::default(),
            |found| Self {
                bytes: found.f_bfree.saturating_mul(found.f_frsize),
                inodes: found.f_ffree,
                all_inodes: found.f_files,
            },
        )
    }

    /// Whether overlayfs may have no room for the few folders and files that it makes in its scratch folder when it is mounted.
    pub fn is_used_up(&self) -> bool {
        self.bytes < LITTLE || self.all_inodes > 0 && self.inodes < FEW
    }

    /// ENOSPC although something is free: file systems hold blocks back for their own tables, and btrfs hands space out in pieces of many MiB.
    fn too_little(&self) -> String {
        let free = Size(self.bytes);
        match self.bytes {
            ..LITTLE => format!("it is full: {free} are free, and a new folder needs up to {}", Size(LITTLE)),
            _ => format!(
                "it is full: its {free} that are free are held back by the file system itself, and no file can have them"
            ),
        }
    }

    /// `what` was refused with `error`, which is ENOSPC or EDQUOT. The error is the same for space and for inodes, and what helps is
    /// not: a few large files, or many small ones.
    pub fn failure(&self, what: &str, error: io::Error) -> Failure {
        let Self { bytes, inodes, all_inodes } = self;
        let (why, remove) = if error.raw_os_error() == Some(nix::libc::EDQUOT) {
            ("its quota is used up".to_owned(), "remove files, or raise the quota")
        } else if *inodes == 0 && *all_inodes > 0 {
            (
                format!("it is full: all {all_inodes} inodes are used, {} are free", Size(*bytes)),
                "remove many small files",
            )
        } else {
            (self.too_little(), "remove large files")
        };
        Failure::new(format!("cannot {what}: {why} ({error})"))
            .try_this(format!(
                "{remove}, or what was set aside ({FOLDER}/NAME.aside-N on it), then boot again"
            ))
            .try_this("mount it for that from another system, or from the rescue shell (lamina.rescue)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(room: FreeSpace, errno: i32) -> (String, String) {
        let failure = room.failure("make lamina/web.new", io::Error::from_raw_os_error(errno));
        (failure.why, failure.remedies[0].clone())
    }

    #[test]
    fn what_is_nearly_full_is_used_up() {
        let much = FreeSpace { bytes: 1 << 30, inodes: 1000, all_inodes: 1000 };
        let cases = [
            (much, false),
            (FreeSpace { bytes: LITTLE - 1, ..much }, true),
            (FreeSpace { inodes: FEW - 1, ..much }, true),
            (FreeSpace { inodes: 0, all_inodes: 0, ..much }, false),
        ];
        for (room, used_up) in cases {
            assert_eq!(room.is_used_up(), used_up, "{room:?}");
        }
    }

    #[test]
    fn no_space_no_inodes_and_no_quota_are_told_apart() {
        let full = FreeSpace { bytes: 3 << 10, inodes: 900, all_inodes: 1000 };
        let no_inodes = FreeSpace { bytes: 40 << 20, inodes: 0, ..full };
        for (room, errno, cause, remedy) in [
            (
                full,
                nix::libc::ENOSPC,
                "it is full: 3 KiB are free, and a new folder needs up to 64 KiB",
                "remove large files",
            ),
            (
                FreeSpace { bytes: 1 << 20, ..full },
                nix::libc::ENOSPC,
                "its 1 MiB that are free are held back",
                "remove large files",
            ),
            (no_inodes, nix::libc::ENOSPC, "all 1000 inodes are used, 40 MiB are free", "remove many small"),
            (
                FreeSpace { inodes: 0, all_inodes: 0, ..full },
                nix::libc::ENOSPC,
                "3 KiB are free",
                "large files",
            ),
            (full, nix::libc::EDQUOT, "its quota is used up", "raise the quota"),
        ] {
            let (why, first) = why(room, errno);
            assert!(why.starts_with("cannot make lamina/web.new: ") && why.contains(cause), "{why}");
            assert!(first.contains(remedy) && first.contains("lamina/NAME.aside-N"), "{first}");
        }
    }
}
