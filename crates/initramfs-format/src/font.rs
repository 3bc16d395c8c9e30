//! A font of the console, in the form that the kernel takes.
//!
//! `width` and `height` of a glyph in pixels, one byte each; the number of glyphs, 16 bits; the glyphs, each of 32 rows of whole bytes
//! whatever the height (KD_FONT_OP_SET of the kernel's `include/uapi/linux/kd.h`); then pairs of a character and the number of its glyph,
//! 16 bits each (PIO_UNIMAP of ioctl_console(2)). Numbers have their least significant byte first.

/// Where it lies in the initramfs.
pub const FONT: &str = "/etc/lamina/font";

/// Rows that the kernel keeps for a glyph, and the most that are wide or high here.
pub const ROWS: usize = 32;
/// What the kernel takes at most.
pub const MOST_GLYPHS: usize = 512;

/// A font.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Font<'a> {
    /// Pixels of a glyph, from left to right.
    pub width: u8,
    /// Pixels of a glyph, from top to bottom.
    pub height: u8,
    /// How many glyphs there are.
    pub count: u16,
    /// The glyphs, each of [`ROWS`] rows.
    pub glyphs: &'a [u8],
    /// A character and the number of its glyph, again and again.
    pub characters: &'a [u8],
}

impl Font<'_> {
    /// The bytes of a glyph's row.
    pub fn pitch(width: u8) -> usize {
        usize::from(width).div_ceil(8)
    }

    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let head = [&[self.width, self.height][..], &self.count.to_le_bytes()].concat();
        [&head, self.glyphs, self.characters].concat()
    }
}

/// Reads one; nothing when `bytes` are cut off. Whether its sizes can be, the kernel judges.
pub fn read(bytes: &[u8]) -> Option<Font<'_>> {
    let (&[width, height, low, high], rest) = bytes.split_first_chunk()?;
    let count = u16::from_le_bytes([low, high]);
    let (glyphs, characters) = rest.split_at_checked(usize::from(count) * ROWS * Font::pitch(width))?;
    Some(Font { width, height, count, glyphs, characters })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let font = Font {
            width: 9,
            height: 20,
            count: 2,
            glyphs: &[7; 2 * ROWS * 2],
            characters: &[65, 0, 0, 0, 66, 0, 1, 0],
        };
        let bytes = font.to_bytes();
        assert_eq!(read(&bytes), Some(font));
        assert_eq!(read(&bytes[..100]), None, "half the glyphs");
        assert_eq!(read(&bytes[..3]), None);
    }
}
