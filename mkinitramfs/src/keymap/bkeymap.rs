//! `bkeymap`, the format that `loadkeys --bkeymap` of kbd writes and `loadkmap` of busybox reads: seven bytes of magic; 256 bytes, of which
//! each says whether there is a table for these modifiers; then for each table that is there 128 values of 16 bits, least significant
//! byte first.

use initramfs_format::keymap::Key;

const MAGIC: &[u8; 7] = b"bkeymap";
const TABLES: usize = 256;
const KEYS: u8 = 128;
/// K_HOLE of the kernel's `include/uapi/linux/keyboard.h`: the keymap says nothing of this key.
const HOLE: u16 = 0x0200;

/// The keys of which a keymap says something; nothing when `bytes` are none.
pub(super) fn keys(bytes: &[u8]) -> Option<impl Iterator<Item = Key>> {
    let (flags, values) = bytes.strip_prefix(MAGIC)?.split_at_checked(TABLES)?;
    let tables = (0..=u8::MAX).zip(flags).filter(|(_, there)| **there != 0).map(|(table, _)| table);
    if values.len() != tables.clone().count() * usize::from(KEYS) * 2 {
        return None;
    }
    let places = tables.flat_map(|table| (0..KEYS).map(move |code| (table, code)));
    let values = values.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let keys = places.zip(values).map(|((table, code), value)| Key { table, code, value });
    Some(keys.filter(|key| key.value != HOLE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keymap(tables: &[u8], values: &[u16]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend((0..=u8::MAX).map(|table| u8::from(tables.contains(&table))));
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        bytes
    }

    #[test]
    fn each_key_is_told_with_its_table() {
        let mut values = [HOLE; 256];
        values[30] = 0x0b62;
        values[128 + 44] = 0xf0dc;
        let keys: Vec<Key> = keys(&keymap(&[0, 3], &values)).expect("a keymap").collect();
        let expected = [Key { table: 0, code: 30, value: 0x0b62 }, Key { table: 3, code: 44, value: 0xf0dc }];
        assert_eq!(keys, expected);
    }

    #[test]
    fn what_is_cut_or_longer_is_none() {
        let whole = keymap(&[0], &[HOLE; 128]);
        assert!(keys(&whole).is_some());
        for bytes in [&whole[..whole.len() - 1], &whole[..200], b"", b"keymaps 0-2\n"] {
            assert!(keys(bytes).is_none(), "{} bytes", bytes.len());
        }
        assert!(keys(&[&whole[..], &[0]].concat()).is_none());
        assert!(keys(&keymap(&[0, 1], &[HOLE; 128])).is_none(), "a table without values");
    }
}
