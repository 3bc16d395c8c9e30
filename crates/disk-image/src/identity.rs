//! What tells disks apart, taken from what they hold: the same contents give the same disk, and two different sticks can be plugged in
//! together.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Gives each part of a disk its UUID or serial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity([u8; 32]);

impl Identity {
    /// From lines that name everything a disk holds. A change of any of them changes every UUID.
    pub fn of<'a>(lines: impl IntoIterator<Item = &'a str>) -> Identity {
        let mut hash = Sha256::new();
        for line in lines {
            hash.update(line.len().to_le_bytes());
            hash.update(line);
        }
        Identity(hash.finalize().into())
    }

    /// The UUID of the part that is called so: version 8, which is for values of one's own making (RFC 9562, 5.8).
    pub fn uuid(&self, part: &str) -> Uuid {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.hash(part)[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }

    /// The serial of a FAT that is called so. 0 would be none.
    pub fn serial(&self, part: &str) -> u32 {
        let hash = self.hash(part);
        u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]).max(1)
    }

    fn hash(&self, part: &str) -> [u8; 32] {
        Sha256::new().chain_update(self.0).chain_update(part).finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_and_parts_have_uuids_of_their_own() {
        let identity = Identity::of(["a", "b"]);
        assert_eq!(identity.uuid("store"), Identity::of(["a", "b"]).uuid("store"));
        assert_ne!(identity.uuid("store"), identity.uuid("disk"));
        assert_ne!(identity.uuid("store"), Identity::of(["ab"]).uuid("store"));
        assert_eq!(identity.uuid("store").get_version_num(), 8);
        assert_ne!(identity.serial("esp"), Identity::of(["c"]).serial("esp"));
    }
}
