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
    let has = |block: &usize| characters.iter().any(|it| it[..2] == pair(*block, 0)[..2]);
    let lacks: Vec<usize> = BLOCKS.into_iter().filter(|block| !has(block)).collect();
    let spare = spare(header, characters);
    if spare.len() < lacks.len() {
        return;
    }
    for (block, glyph) in lacks.into_iter().zip(spare) {
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

/// The glyphs that no character has, then those of the shades. Glyph 0 stands for what a font does not have, and with the one of
/// the blank the kernel clears the screen.
fn spare(header: &Header, characters: &[[u8; 4]]) -> Vec<usize> {
    let is_used = |glyph: &usize| characters.iter().any(|it| it[2..] == pair(0, *glyph)[2..]);
    let unused = (1..header.count).filter(|glyph| *glyph != usize::from(b' ') && !is_used(glyph));
    let of = |shade: &[u8; 2]| characters.iter().find(|pair| pair[..2] == *shade);
    let shades = GIVEN_UP.iter().filter_map(of).map(|pair| u16::from_le_bytes([pair[2], pair[3]]).into());
    unused.chain(shades).collect()
}
