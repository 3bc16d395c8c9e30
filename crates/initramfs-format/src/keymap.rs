//! A keymap of the console: a `struct kbentry` of the kernel's `include/uapi/linux/kd.h` for each key and each combination of modifiers of
//! which the keymap says something, as KDSKBENT takes it (ioctl_console(2)).

/// Where it lies in the initramfs.
pub const KEYMAP: &str = "/etc/lamina/keymap";

/// What one key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The modifiers that are held: 1 shift, 2 AltGr, 4 control, 8 alt, ...
    pub table: u8,
    /// The key's code, as the kernel numbers them.
    pub code: u8,
    /// What it does then: kind and value.
    pub value: u16,
}

impl Key {
    /// The structure's bytes.
    pub fn to_bytes(self) -> [u8; 4] {
        let [low, high] = self.value.to_le_bytes();
        [self.table, self.code, low, high]
    }
}
