//! Keymap and font of the initramfs, for a person in front of the screen. A machine without virtual terminals needs neither.

use std::fs::{self, File};

use initramfs_format::font::{self, FONT};
use initramfs_format::keymap::KEYMAP;
use nix::errno::Errno;
use stack::vt;

/// Sets both, where the initramfs has them. The font holds for the terminal that is seen, and is refused until a driver draws on the
/// screen: this is called again whenever somebody may look.
pub fn set_up() {
    let Ok(terminal) = File::options().read(true).write(true).open("/dev/tty0") else { return };
    for (path, set) in [(KEYMAP, set_keymap as fn(&File, &[u8]) -> nix::Result<i32>), (FONT, set_font)] {
        let Ok(bytes) = fs::read(path) else { continue };
        if let Err(error) = set(&terminal, &bytes) {
            super::to_kernel_log(6, &format!("{path}: {error}"));
        }
    }
}

/// A key that this kernel does not take keeps none of the others from being set.
fn set_keymap(terminal: &File, bytes: &[u8]) -> nix::Result<i32> {
    bytes.as_chunks().0.iter().map(|key| vt::set_key(terminal, key)).fold(Ok(0), Result::and)
}

fn set_font(terminal: &File, bytes: &[u8]) -> nix::Result<i32> {
    let font = font::read(bytes).ok_or(Errno::EINVAL)?;
    vt::set_font(terminal, (font.width, font.height), font.count, font.glyphs)?;
    vt::set_characters(terminal, font.characters)
}
