//! Keymap and font of the initramfs, for a person in front of the screen. A machine without virtual terminals needs neither.

use std::fs::{self, File};
use std::sync::atomic::{AtomicBool, Ordering};

use initramfs_format::font::{self, FONT};
use initramfs_format::keymap::KEYMAP;
use nix::errno::Errno;
use stack::vt;

/// The keymap holds for all terminals, and for good.
static HAS_KEYMAP: AtomicBool = AtomicBool::new(false);

/// Sets both, where the initramfs has them. The font holds for the terminal that is seen, and is refused until a driver draws on the
/// screen: this is called again whenever somebody may look.
pub fn set_up() {
    let Ok(terminal) = File::open("/dev/tty0") else { return };
    if !HAS_KEYMAP.swap(true, Ordering::Relaxed)
        && let Ok(keymap) = fs::read(KEYMAP)
    {
        // A key that this kernel does not know keeps none of the others from being set.
        keymap.as_chunks().0.iter().for_each(|key| _ = vt::set_key(&terminal, key));
    }
    if let Ok(font) = fs::read(FONT)
        && let Err(error) = set_font(&terminal, &font)
    {
        super::to_kernel_log(6, &format!("{FONT}: {error}"));
    }
}

fn set_font(terminal: &File, bytes: &[u8]) -> nix::Result<i32> {
    let font = font::read(bytes).ok_or(Errno::EINVAL)?;
    vt::set_font(terminal, (font.width, font.height), font.count, font.glyphs)?;
    vt::set_characters(terminal, font.characters)
}
