//! The half blocks with which the recovery screen draws its code. Two of three fonts of Debian's console-setup lack them.

use initramfs_format::font::ROWS;

use super::{Header, pair};

/// Upper half, lower half, and both.
const BLOCKS: [usize; 3] = [0x2580, 0x2584, 0x2588];
/// The shades, which are missed the least; only they give way, when no glyph is without a character.
const GIVEN_UP: [[u8; 2]; 3] = [[0x92, 0x25], [0x91, 0x25], [0x93, 0x25]];

/// Draws those that a font lacks, `glyphs` being of [`ROWS`] rows each. Where no glyph can be spared they stay away, and a person presses
/// `q` for a code without them.
pub(super) fn complete(header: &Header, glyphs: &mut [u8], characters: &mut Vec<[u8; 4]>) {
    for block in BLOCKS {
        let [low, high, ..] = pair(block, 0);
        if characters.iter().any(|pair| pair[..2] == [low, high]) {
            continue;
        }
        let Some(glyph) = spare(header, characters) else { return };
        characters.retain(|pair| pair[2..] != self::pair(0, glyph)[2..]);
        characters.push(pair(block, glyph));
        let pitch = header.width.div_ceil(8);
        let rows = glyphs[glyph * ROWS * pitch..].chunks_exact_mut(pitch).take(header.height);
        for (row, bytes) in rows.enumerate() {
            let is_upper = row < header.height / 2;
            let is_lit = if is_upper { block != BLOCKS[1] } else { block != BLOCKS[0] };
            bytes.fill(if is_lit { 0xff } else { 0 });
        }
    }
}

fn spare(header: &Header, characters: &[[u8; 4]]) -> Option<usize> {
    let is_used = |glyph: &usize| characters.iter().any(|it| it[2..] == pair(0, *glyph)[2..]);
    let of = |shade: &[u8; 2]| characters.iter().find(|pair| pair[..2] == *shade);
    // Glyph 0 stands for what a font does not have.
    (1..header.count)
        .find(|glyph| !is_used(glyph))
        .or_else(|| GIVEN_UP.iter().find_map(of).map(|pair| u16::from_le_bytes([pair[2], pair[3]]).into()))
}
