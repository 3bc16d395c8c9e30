//! Keymap and font of the kernel's virtual terminals (ioctl_console(2)).

use std::os::fd::{AsFd, AsRawFd};

use nix::Result;

/// struct kbentry of the kernel's `include/uapi/linux/kd.h`: table, code and value of a key.
pub type KeyEntry = [u8; 4];

/// struct console_font_op.
#[repr(C)]
pub struct FontOperation {
    operation: u32,
    flags: u32,
    width: u32,
    height: u32,
    count: u32,
    glyphs: *const u8,
}

/// struct unimapdesc.
#[repr(C)]
pub struct UnicodeMap {
    count: u16,
    pairs: *const u8,
}

/// struct unimapinit: advice of how to hash, of which the kernel takes none any more.
type Advice = [u16; 3];

mod ioctl {
    use super::{Advice, FontOperation, KeyEntry, UnicodeMap};

    nix::ioctl_write_ptr_bad!(kdskbent, 0x4b47, KeyEntry);
    nix::ioctl_write_ptr_bad!(kdfontop, 0x4b72, FontOperation);
    nix::ioctl_write_ptr_bad!(pio_unimapclr, 0x4b68, Advice);
    nix::ioctl_write_ptr_bad!(pio_unimap, 0x4b67, UnicodeMap);
}

/// KDSKBENT: what a key does in the table of some modifiers, on all virtual terminals.
///
/// # Errors
/// ENOTTY on what is no virtual terminal, EPERM without CAP_SYS_TTY_CONFIG, EINVAL for a value that the kernel does not know.
pub fn set_key(vt: &impl AsFd, entry: &KeyEntry) -> Result<i32> {
    #[expect(unsafe_code, reason = "KDSKBENT: see SAFETY")]
    // SAFETY: the descriptor is open and the structure outlives the call, which only reads it, with copy_from_user.
    unsafe {
        ioctl::kdskbent(vt.as_fd().as_raw_fd(), entry)
    }
}

/// Of `include/uapi/linux/kd.h`: set a font, in glyphs of 32 rows.
const KD_FONT_OP_SET: u32 = 0;

/// KD_FONT_OP_SET of KDFONTOP: the glyphs of this virtual terminal, `count` of 32 rows each whatever their height; a row has whole bytes.
///
/// # Errors
/// EINVAL when the glyphs are fewer bytes than that, or of a size that the driver of the screen does not take; ENOSYS where no driver draws
/// yet; ENOTTY on what is no virtual terminal.
pub fn set_font(vt: &impl AsFd, (width, height): (u8, u8), count: u16, glyphs: &[u8]) -> Result<i32> {
    if glyphs.len() < usize::from(count) * 32 * usize::from(width).div_ceil(8) {
        return Err(nix::Error::EINVAL);
    }
    let operation = FontOperation {
        operation: KD_FONT_OP_SET,
        flags: 0,
        width: width.into(),
        height: height.into(),
        count: count.into(),
        glyphs: glyphs.as_ptr(),
    };
    #[expect(unsafe_code, reason = "KDFONTOP: see SAFETY")]
    // SAFETY: the descriptor is open; the structure and the glyphs, of which there are as many as it says, outlive the call, which only
    // reads them.
    unsafe {
        ioctl::kdfontop(vt.as_fd().as_raw_fd(), &raw const operation)
    }
}

/// PIO_UNIMAPCLR and PIO_UNIMAP: which glyph this virtual terminal shows for which character. `pairs` are those of character and glyph,
/// each 16 bits, least significant byte first; what is beyond 65,535 pairs is left out.
///
/// # Errors
/// As [`set_font`].
pub fn set_characters(vt: &impl AsFd, pairs: &[u8]) -> Result<i32> {
    let map = UnicodeMap { count: u16::try_from(pairs.len() / 4).unwrap_or(u16::MAX), pairs: pairs.as_ptr() };
    let vt = vt.as_fd().as_raw_fd();
    let advice: Advice = [0; 3];
    #[expect(unsafe_code, reason = "PIO_UNIMAPCLR: see SAFETY")]
    // SAFETY: the descriptor is open and the structure outlives the call, which only reads it.
    unsafe { ioctl::pio_unimapclr(vt, &raw const advice) }?;
    #[expect(unsafe_code, reason = "PIO_UNIMAP: see SAFETY")]
    // SAFETY: the descriptor is open; the structure and the pairs, of which there are as many as it says, outlive the call. The kernel
    // copies them with copy_from_user, which asks for no alignment.
    unsafe {
        ioctl::pio_unimap(vt, &raw const map)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn what_is_no_virtual_terminal_is_refused() {
        let file = File::open("/dev/null").expect("/dev/null");
        assert_eq!(set_key(&file, &[0, 30, 0x61, 0x0b]), Err(nix::Error::ENOTTY));
        assert_eq!(set_font(&file, (8, 16), 1, &[0; 32]), Err(nix::Error::ENOTTY));
        assert_eq!(set_characters(&file, &[65, 0, 0, 0]), Err(nix::Error::ENOTTY));
    }

    #[test]
    fn the_kernel_reads_no_further_than_the_glyphs() {
        let file = File::open("/dev/null").expect("/dev/null");
        assert_eq!(set_font(&file, (9, 16), 1, &[0; 63]), Err(nix::Error::EINVAL));
    }
}
