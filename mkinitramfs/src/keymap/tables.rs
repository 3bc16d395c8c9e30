//! Which tables of a keymap the kernel can come to.
//!
//! `kbd_keycode()` of the kernel's `drivers/tty/vt/keyboard.c` looks a key up in the one table `key_maps[(shift | slockstate) ^ lockstate]`, and
//! takes no other in its place where there is none. So each table is needed that some keys lead to, also one that is like another. A bit of that
//! number is set by nothing but a key of the kinds KT_SHIFT (`k_shift()`), KT_LOCK (`k_lock()`) and KT_SLOCK (`k_slock()`), and that key must be in
//! a table that was come to before.

use initramfs_format::keymap::Key;

/// Shift, AltGr, control and alt: the kernel's own keymap (`drivers/tty/vt/defkeymap.map`) has keys for them, which stay where a keymap says
/// nothing of them.
const OF_THE_KERNEL: u8 = 0b1111;
/// `include/uapi/linux/keyboard.h`: kinds of keys whose value is the number of a modifier.
const KT_SHIFT: u16 = 7;
const KT_LOCK: u16 = 10;
const KT_SLOCK: u16 = 12;

/// The keys without those of tables that no keys lead to.
pub(super) fn reached(mut keys: Vec<Key>) -> Vec<Key> {
    let (mut bits, mut before) = (OF_THE_KERNEL, 0);
    while bits != before {
        before = bits;
        let here = keys.iter().filter(|key| key.table & !before == 0);
        bits = here.fold(bits, |bits, key| bits | modifier(key.value));
    }
    keys.retain(|key| key.table & !bits == 0);
    keys
}

/// The bit of a table's number that a key sets. K_CAPSSHIFT has a number beyond them, and is shift.
fn modifier(value: u16) -> u8 {
    match (value >> 8, value & 0xff) {
        (KT_SHIFT | KT_LOCK | KT_SLOCK, number @ 0..8) => 1 << number,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tables that are left of all, when these keys are in these tables.
    fn tables(special: &[(u8, u16)]) -> Vec<u8> {
        let all = (0..=u8::MAX).map(|table| Key { table, code: 30, value: 0x0b61 });
        let special = special.iter().map(|(table, value)| Key { table: *table, code: 58, value: *value });
        let keys = reached(all.chain(special).collect());
        keys.into_iter().filter(|key| key.code == 30).map(|key| key.table).collect()
    }

    fn of_bits(bits: u8) -> Vec<u8> {
        (0..=u8::MAX).filter(|table| table & !bits == 0).collect()
    }

    #[test]
    fn the_modifiers_of_the_kernels_own_keymap_are_always_there() {
        assert_eq!(tables(&[]), of_bits(0b1111));
        // K_CAPSSHIFT, a letter, and a lock of the keyboard's lights.
        assert_eq!(tables(&[(0, 0x0708), (0, 0x0b04), (0, 0x0204)]), of_bits(0b1111));
    }

    #[test]
    fn a_table_is_kept_when_a_key_of_one_that_is_kept_leads_to_it() {
        for kind in [KT_SHIFT, KT_LOCK, KT_SLOCK] {
            assert_eq!(tables(&[(2, kind << 8 | 6)]), of_bits(0b100_1111), "{kind}");
        }
        assert_eq!(tables(&[(16, 0x0a05), (0, 0x0a04)]), of_bits(0b11_1111));
        assert_eq!(tables(&[(0, 0x0707), (128, 0x0c06), (192, 0x0a05), (224, 0x0a04)]), of_bits(0xff));
        // Nothing leads to the table that it is in.
        assert_eq!(tables(&[(16, 0x0a05), (32, 0x0a04)]), of_bits(0b1111));
    }
}
