//! The master boot record: the table of four partitions that ends the first sector, with the disk signature before it.

use super::Table;
use crate::bytes::{ByteSource, le32};

/// Reads an MBR that has at least one partition. Every boot indicator is 0x00 or 0x80, as the kernel demands in
/// `block/partitions/msdos.c`: the boot sector of a FAT volume has the same end mark and must not pass.
pub(super) fn read(source: &dyn ByteSource) -> Option<Table> {
    let sector = source.vec(0, 512)?;
    let mut entries = sector[446..510].chunks_exact(16);
    let plausible = sector[510..512] == [0x55, 0xaa]
        && entries.clone().all(|entry| entry[0] & 0x7f == 0)
        && entries.any(|entry| entry[4] != 0);
    plausible.then(|| Table::Mbr { signature: le32(&sector, 440) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Vec<u8> {
        let mut bytes = vec![0; 512];
        bytes[440..444].copy_from_slice(&[0xef, 0xbe, 0xad, 0xde]);
        bytes[446 + 4] = 0x83;
        bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
        bytes
    }

    #[test]
    fn the_signature_is_read() {
        assert_eq!(read(&image()), Some(Table::Mbr { signature: 0xdead_beef }));
    }

    #[test]
    fn a_table_without_partitions_or_with_odd_indicators_is_none() {
        let mut bytes = image();
        bytes[446 + 4] = 0;
        assert_eq!(read(&bytes), None);
        let mut bytes = image();
        bytes[446 + 16] = 7;
        assert_eq!(read(&bytes), None);
    }
}
