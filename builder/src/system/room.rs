//! How much fits into a file system, and what files take of it.

use std::path::Path;

use nix::sys::statvfs::statvfs;

use crate::error::{Error, Result};

/// Free space of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeRoom {
    /// In bytes.
    pub free: u64,
    /// What a file is rounded up to, in bytes.
    pub cluster: u64,
}

impl FreeRoom {
    /// Of the file system of a folder.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn of(folder: &Path) -> Result<FreeRoom> {
        let found = statvfs(folder).map_err(Error::on(folder.display()))?;
        let cluster = found.fragment_size().max(1);
        Ok(FreeRoom { free: found.blocks_available() * cluster, cluster })
    }

    /// What a file of this length takes.
    pub fn taken_by(self, length: u64) -> u64 {
        length.div_ceil(self.cluster).saturating_mul(self.cluster)
    }

    /// The most that is taken at one moment, in bytes: files are replaced one after the other, each written beside the old one (lengths of the
    /// new and of the old), and then those of the lengths `coming` come.
    pub fn most_taken(self, replaced: &[(u64, u64)], coming: impl IntoIterator<Item = u64>) -> u64 {
        let taken = |length| i128::from(self.taken_by(length));
        let (mut now, mut most) = (0, 0);
        for (new, old) in replaced {
            now += taken(*new);
            most = most.max(now);
            now -= taken(*old);
        }
        now += coming.into_iter().map(taken).sum::<i128>();
        u64::try_from(most.max(now)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_replaced_needs_its_room_beside_the_old_one() {
        let room = FreeRoom { free: 0, cluster: 512 };
        assert_eq!(room.most_taken(&[], [1, 513]), 512 + 1024);
        assert_eq!(room.most_taken(&[(1000, 1000), (400, 400)], []), 1024, "one after the other");
        assert_eq!(room.most_taken(&[(1000, 4)], [100]), 1024);
        assert_eq!(room.most_taken(&[(1000, 4)], [1000]), 512 + 1024);
        assert_eq!(room.most_taken(&[(512, 5120)], [1024]), 512, "a longer one makes room");
    }
}
