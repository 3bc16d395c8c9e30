//! The font of the console: a PC screen font, version 1 or 2, as kbd and console-setup ship them
//! (<https://www.win.tue.nl/~aeb/linux/kbd/font-formats-1.html>).

mod half_blocks;

use std::path::{Path, PathBuf};

use initramfs_format::font::{Font, MOST_GLYPHS, ROWS};

use crate::host_file;
use fault::Error;

/// Where distributions have their fonts.
const FOLDERS: [&str; 3] =
    ["/usr/share/consolefonts", "/usr/share/kbd/consolefonts", "/usr/lib/kbd/consolefonts"];
const ENDINGS: [&str; 5] = ["", ".psf.gz", ".psfu.gz", ".psf", ".psfu"];
/// The largest that the kernel takes has 512 glyphs of 128 bytes, and a table of characters.
const MOST_BYTES: u64 = 1 << 20;
const REMEDY: &str = "give a PC screen font (.psf, .psfu, also compressed), by its file or by the name that it has in /usr/share/consolefonts \
(Debian: kbd, console-setup)";

/// The font with this name, or in this file, as init reads it.
///
/// # Errors
/// It is not there, is none, or is larger than the kernel takes.
pub(crate) fn read(named: &str) -> Result<Vec<u8>, Error> {
    let bytes = find(named).and_then(|path| {
        let bytes = host_file::read_unpacked(&path, MOST_BYTES).map_err(Error::on(path.display()))?;
        convert(&bytes).map_err(|cause| Error::new(path.display(), cause).remedy(REMEDY))
    });
    bytes.map_err(|error| error.about(format!("--font {named}")))
}

fn find(named: &str) -> Result<PathBuf, Error> {
    if named.contains('/') || Path::new(named).is_file() {
        return Ok(named.into());
    }
    let folders = FOLDERS.iter().map(Path::new);
    let mut paths = folders.flat_map(|folder| ENDINGS.map(|ending| folder.join(format!("{named}{ending}"))));
    paths
        .find(|path| path.is_file())
        .ok_or_else(|| Error::new(named, format!("is in none of {}", FOLDERS.join(", "))).remedy(REMEDY))
}

/// What the header of a font says.
struct Header {
    width: usize,
    height: usize,
    count: usize,
    /// Where the glyphs begin.
    glyphs: usize,
    /// Of one glyph.
    bytes: usize,
    characters: Characters,
}

/// How the table of characters behind the glyphs is written.
enum Characters {
    /// There is none: each glyph is for the character with its number.
    None,
    /// 16 bits each, 0xfffe before sequences, 0xffff behind those of a glyph.
    Ucs2,
    /// UTF-8, 0xfe before sequences, 0xff behind those of a glyph.
    Utf8,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Header> {
        match bytes {
            [0x36, 0x04, mode, height, ..] => Some(Header {
                width: 8,
                height: usize::from(*height),
                count: if mode & 1 == 0 { 256 } else { 512 },
                glyphs: 4,
                bytes: usize::from(*height),
                characters: if mode & 6 == 0 { Characters::None } else { Characters::Ucs2 },
            }),
            // The magic, and the one version of it that there is.
            [0x72, 0xb5, 0x4a, 0x86, 0, 0, 0, 0, ..] => {
                let rest = &bytes[4..];
                let number = |index: usize| {
                    let bytes = rest.get(index * 4..)?.first_chunk()?;
                    usize::try_from(u32::from_le_bytes(*bytes)).ok()
                };
                let has_table = number(2)? & 1 != 0;
                Some(Header {
                    glyphs: number(1)?,
                    count: number(3)?,
                    bytes: number(4)?,
                    height: number(5)?,
                    width: number(6)?,
                    characters: if has_table { Characters::Utf8 } else { Characters::None },
                })
            }
            _ => None,
        }
    }

    fn check(&self) -> Result<(), String> {
        let Header { width, height, count, bytes, .. } = *self;
        if !(1..=ROWS).contains(&width) || !(1..=ROWS).contains(&height) {
            return Err(format!("has glyphs of {width}x{height}; all kernels take {ROWS}x{ROWS} at most"));
        }
        if !(1..=MOST_GLYPHS).contains(&count) {
            return Err(format!("has {count} glyphs; the kernel takes {MOST_GLYPHS} at most"));
        }
        match bytes == height * width.div_ceil(8) {
            true => Ok(()),
            false => Err(format!("says that a glyph of {width}x{height} has {bytes} bytes")),
        }
    }
}

/// The form in which init reads it.
fn convert(psf: &[u8]) -> Result<Vec<u8>, String> {
    let mut header = Header::read(psf).ok_or("is no PC screen font")?;
    header.check()?;
    let end = header.glyphs.saturating_add(header.count * header.bytes);
    let (Some(glyphs), Some(table)) = (psf.get(header.glyphs..end), psf.get(end..)) else {
        return Err("is cut off".to_owned());
    };
    let mut rows = Vec::new();
    for glyph in glyphs.chunks_exact(header.bytes) {
        let full = rows.len() + ROWS * header.width.div_ceil(8);
        rows.extend_from_slice(glyph);
        rows.resize(full, 0);
    }
    let is_cut = || "has a table of characters that is cut off".to_owned();
    let mut characters = match header.characters {
        Characters::None => (0..header.count).map(|glyph| pair(glyph, glyph)).collect(),
        Characters::Ucs2 => ucs2(table, header.count).ok_or_else(is_cut)?,
        Characters::Utf8 => utf8(table, header.count).ok_or_else(is_cut)?,
    };
    // No kernel takes another number (fbcon_set_font() of drivers/video/fbdev/core/fbcon.c).
    header.count = if header.count <= MOST_GLYPHS / 2 { MOST_GLYPHS / 2 } else { MOST_GLYPHS };
    rows.resize(header.count * ROWS * header.width.div_ceil(8), 0);
    half_blocks::complete(&header, &mut rows, &mut characters);
    let small = |number: usize| u8::try_from(number).map_err(|error| error.to_string());
    let font = Font {
        width: small(header.width)?,
        height: small(header.height)?,
        count: u16::try_from(header.count).map_err(|error| error.to_string())?,
        glyphs: &rows,
        characters: &characters.concat(),
    };
    Ok(font.to_bytes())
}

/// A character and its glyph. The kernel knows those of the basic plane alone, in 16 bits, as the numbers of glyphs.
fn pair(character: usize, glyph: usize) -> [u8; 4] {
    let number = |number: usize| u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes();
    let ([a, b], [c, d]) = (number(character), number(glyph));
    [a, b, c, d]
}

/// Single characters; a sequence of several is nothing that the kernel could show. Nothing when the table has too few glyphs.
fn ucs2(table: &[u8], count: usize) -> Option<Vec<[u8; 4]>> {
    const SEQUENCE: u16 = 0xfffe;
    let numbers: Vec<u16> =
        table.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let of_glyphs = numbers.split(|number| *number == u16::MAX).take(count).enumerate();
    let pairs = of_glyphs.flat_map(|(glyph, numbers)| {
        let single = numbers.iter().take_while(|number| **number != SEQUENCE);
        single.map(move |number| pair(usize::from(*number), glyph))
    });
    (numbers.iter().filter(|number| **number == u16::MAX).count() >= count).then(|| pairs.collect())
}

fn utf8(table: &[u8], count: usize) -> Option<Vec<[u8; 4]>> {
    let of_glyphs = table.split(|byte| *byte == 0xff).take(count).enumerate();
    let pairs = of_glyphs.flat_map(|(glyph, bytes)| {
        let single = bytes.split(|byte| *byte == 0xfe).next().unwrap_or_default();
        let letters = single.utf8_chunks().flat_map(|chunk| chunk.valid().chars());
        let numbers = letters.filter_map(|letter| u16::try_from(u32::from(letter)).ok());
        numbers.map(move |number| pair(number.into(), glyph))
    });
    (table.iter().filter(|byte| **byte == 0xff).count() >= count).then(|| pairs.collect())
}

#[cfg(test)]
mod tests {
    use initramfs_format::font;

    use super::*;

    fn psf2(numbers: [u32; 7], rest: &[u8]) -> Vec<u8> {
        let numbers = numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>();
        [&[0x72, 0xb5, 0x4a, 0x86][..], &numbers, rest].concat()
    }

    #[test]
    fn the_second_version_has_its_own_width_and_utf8() {
        let table = "A\u{c4}\u{fe}".as_bytes();
        let rest = [&[1, 2, 3, 4, 5, 6, 7, 8][..], table, b"\xfeB\xcc\x88\xff", b"b\xff"].concat();
        let bytes = convert(&psf2([0, 32, 1, 2, 4, 2, 12], &rest)).expect("a font");
        let font = font::read(&bytes).expect("a font for init");
        assert_eq!((font.width, font.height, font.count), (12, 2, 256));
        assert_eq!(&font.glyphs[..5], [1, 2, 3, 4, 0]);
        assert_eq!(&font.glyphs[64..69], [5, 6, 7, 8, 0]);
        assert_eq!(font.characters[..16], [65, 0, 0, 0, 0xc4, 0, 0, 0, 0xfe, 0, 0, 0, 98, 0, 1, 0]);
        // The half blocks are among the glyphs that fill it up.
        assert_eq!((font.glyphs.len(), font.characters.len()), (256 * ROWS * 2, 16 + 12));
        let upper = &font.glyphs[2 * ROWS * 2..][..4];
        assert_eq!(upper, [0xff, 0xff, 0, 0]);
    }

    #[test]
    fn the_first_version_has_256_or_512_glyphs_of_eight_pixels() {
        let plain = [&[0x36, 4, 0, 2][..], &[9; 512]].concat();
        let font_of = |bytes: &[u8]| convert(bytes).map(|bytes| font::read(&bytes).expect("a font").count);
        assert_eq!(font_of(&plain), Ok(256));
        let table =
            [[0x41, 0, 0xfe, 0xff, 0x42, 0, 0xff, 0xff].to_vec(), [0x43, 0].to_vec(), vec![0xff; 511 * 2]]
                .concat();
        let with_table = [&[0x36, 4, 3, 2][..], &[9; 1024], &table].concat();
        let bytes = convert(&with_table).expect("a font");
        let characters = font::read(&bytes).expect("a font").characters;
        assert_eq!(characters[..8], [0x41, 0, 0, 0, 0x43, 0, 1, 0]);
    }

    #[test]
    fn what_the_kernel_would_not_take_is_refused() {
        for (bytes, words) in [
            (psf2([0, 32, 0, 1, 33, 33, 8], &[0; 33]), "8x33; all kernels take 32x32"),
            (psf2([0, 32, 0, 513, 1, 1, 8], &[0; 513]), "513 glyphs"),
            (psf2([0, 32, 0, 0, 1, 1, 8], &[]), "0 glyphs"),
            (psf2([0, 32, 0, 1, 7, 2, 8], &[0; 9]), "has 7 bytes"),
            (psf2([0, 32, 0, 2, 2, 2, 8], &[0; 3]), "cut off"),
            (psf2([0, u32::MAX, 0, 2, 2, 2, 8], &[0; 3]), "cut off"),
            (psf2([1, 32, 0, 1, 2, 2, 8], &[0; 2]), "is no PC screen font"),
            (psf2([0, 32, 1, 2, 2, 2, 8], b"\0\0\0\0a\xff"), "table of characters that is cut off"),
            (
                [&[0x36, 4, 2, 1][..], &[9; 256], &[65, 0, 0xff, 0xff]].concat(),
                "table of characters that is cut off",
            ),
            (b"\x36\x04\x00".to_vec(), "is no PC screen font"),
            (b"\x72\xb5\x4a\x86\x00".to_vec(), "is no PC screen font"),
            (Vec::new(), "is no PC screen font"),
        ] {
            let cause = convert(&bytes).expect_err(words);
            assert!(cause.contains(words), "{cause}");
        }
    }

    /// The glyph of a character: its rows.
    fn glyph<'a>(font: &Font<'a>, character: u16) -> Option<&'a [u8]> {
        let pairs = font.characters.chunks_exact(4);
        let found = pairs.rev().find(|pair| pair[..2] == character.to_le_bytes())?;
        let bytes = ROWS * Font::pitch(font.width);
        font.glyphs.chunks_exact(bytes).nth(u16::from_le_bytes([found[2], found[3]]).into())
    }

    #[test]
    fn a_font_of_the_distribution_is_found_by_its_name() {
        let bytes = read("Lat15-Terminus32x16").expect("a font of console-setup");
        let font = font::read(&bytes).expect("a font");
        assert_eq!((font.width, font.height), (16, 32));
        assert!(glyph(&font, 0xe4).is_some(), "it has an ä");
        let error = read("no-such-font").expect_err("none").to_string();
        assert!(error.starts_with("--font no-such-font: "), "{error}");
    }

    /// By most of them alone the code of the recovery screen could not be drawn. What else lies in that folder may have more glyphs than
    /// the kernel takes.
    #[test]
    fn every_font_of_the_distribution_can_draw_the_code() {
        let mut seen = 0;
        let listed =
            std::process::Command::new("dpkg-query").args(["--listfiles", "console-setup-linux"]).output();
        let listed = listed.expect("dpkg-query runs: the fonts are those of Debian's console-setup");
        for path in String::from_utf8(listed.stdout).expect("UTF-8").lines() {
            let within = path.strip_prefix(FOLDERS[0]).and_then(|name| name.strip_prefix('/'));
            let Some(name) = within.and_then(|name| name.strip_suffix(".psf.gz")) else { continue };
            let bytes = read(name).expect(name);
            let font = font::read(&bytes).expect(name);
            let rows = |character| glyph(&font, character).unwrap_or_else(|| panic!("{name}: {character:x}"));
            let lit = |rows: &[u8]| rows.iter().filter(|byte| **byte != 0).count();
            let (upper, lower, both) = (lit(rows(0x2580)), lit(rows(0x2584)), lit(rows(0x2588)));
            assert!(upper > 0 && lower > 0 && both > upper.max(lower), "{name}: {upper} {lower} {both}");
            assert!(glyph(&font, u16::from(b'q')).is_some(), "{name}");
            seen += 1;
        }
        assert!(seen > 100, "{seen} fonts");
    }
}
