//! The report as a QR code: a telephone reads from a screen what nobody wants to type.

use std::time::Duration;

use nix::sys::utsname::uname;
use qrcodegen::{QrCode, QrCodeEcc, QrSegment, Version};

use super::context::Context;
use super::pages;
use super::screen::ScreenSize;
use crate::error::BootError;

/// Empty modules around the code. The standard (ISO/IEC 18004) wants four; readers do with three, and a text screen has
/// no row too many.
const QUIET: i32 = 3;
/// The largest version, 57 modules wide: beyond it a telephone in front of a monitor has trouble, and nobody reads the text.
const LARGEST: u8 = 10;
/// The row below the code.
const PROMPT: usize = 1;
/// Bright white on black, whatever the colours of the terminal are: a light module is a lit one.
const COLOURS: &str = "\x1b[1;37;40m";
const LIT: &str = "\x1b[37;47m";
const DARK: &str = "\x1b[30;40m";
const PLAIN: &str = "\x1b[0m";

/// How modules are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawing {
    /// Two modules above each other in one character, U+2580 and its neighbours: Linux consoles have them in their built-in font
    /// and in their default character set, and so have terminals that speak UTF-8.
    HalfBlocks,
    /// Two `#` for a light module, as block of its own colour where the terminal has colours.
    Characters,
}

impl Drawing {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::HalfBlocks => Self::Characters,
            Self::Characters => Self::HalfBlocks,
        }
    }

    /// How many modules a terminal has, in its smaller direction. Characters may scroll: most of the terminals that need them
    /// can be made higher.
    fn room(self, size: ScreenSize) -> usize {
        match self {
            Self::HalfBlocks => size.columns.min(size.rows.saturating_sub(PROMPT) * 2),
            Self::Characters => size.columns / 2,
        }
    }
}

/// What the code says: who, what failed, on what, which layers may be at fault, and why, in the characters that a QR code packs
/// two into 11 bits (0 to 9, A to Z, blank and `$%*+-./:`).
pub fn text(error: &BootError, context: &Context, took: Duration) -> String {
    let kernel = uname().map(|names| names.release().to_string_lossy().into_owned()).unwrap_or_default();
    let profile = pages::profile(&context.report).unwrap_or_else(|| "-".to_owned());
    let object = error.object.split(" (").next().unwrap_or_default();
    let suspects = match error.suspects.as_slice() {
        [] => String::new(),
        several => format!(" suspect {}", several[..several.len().min(2)].join(" ")),
    };
    let version = env!("CARGO_PKG_VERSION");
    let milliseconds = took.as_millis();
    let text = format!(
        "lamina {version} linux {kernel} profile {profile} {milliseconds} ms failed {}: {object}{suspects}: {}",
        error.step, error.failure.why
    );
    packable(&shortened(&text))
}

/// Digests by their first eight digits.
fn shortened(text: &str) -> String {
    let mut short = String::new();
    let mut digits = 0;
    for character in text.chars() {
        digits = if character.is_ascii_hexdigit() { digits + 1 } else { 0 };
        short.push(character);
        if digits == 32 {
            short.truncate(short.len() - 24);
        } else if digits > 32 {
            short.pop();
        }
    }
    short
}

fn packable(text: &str) -> String {
    let mut packed = String::new();
    for character in text.chars() {
        let character = match character.to_ascii_uppercase() {
            '@' => '/',
            '_' => '-',
            ',' | ';' => '.',
            '=' => ':',
            '`' | '"' | '\'' => continue,
            character if character.is_ascii_alphanumeric() || "$%*+-./:".contains(character) => character,
            _ => ' ',
        };
        if character != ' ' || !packed.ends_with(' ') {
            packed.push(character);
        }
    }
    packed
}

/// The code, with as much of the text as a terminal of this size has room for; nothing when it has room for none.
pub fn draw(text: &str, drawing: Drawing, size: ScreenSize) -> Option<String> {
    let modules = drawing.room(size).saturating_sub(2 * QUIET.unsigned_abs() as usize);
    // Version 1 has 21 modules, each further one four more.
    let version = modules.checked_sub(17)? / 4;
    let version = u8::try_from(version).unwrap_or(LARGEST).min(LARGEST);
    if version == 0 {
        return None;
    }
    let mut text = text.to_owned();
    let code = loop {
        let segments = QrSegment::make_segments(&text);
        let (smallest, largest) = (Version::new(1), Version::new(version));
        match QrCode::encode_segments_advanced(&segments, QrCodeEcc::Low, smallest, largest, None, true) {
            Ok(code) => break code,
            // The end says least.
            Err(_) => drop(text.pop()?),
        }
    };
    Some(match drawing {
        Drawing::HalfBlocks => half_blocks(&code),
        Drawing::Characters => in_characters(&code),
    })
}

/// Rows and columns of modules, the quiet ones included.
fn span(code: &QrCode) -> std::ops::Range<i32> {
    -QUIET..code.size() + QUIET
}

fn is_light(code: &QrCode, column: i32, row: i32) -> bool {
    // Beyond its edges the code is light; the last row of half blocks may have no lower half.
    !code.get_module(column, row) && row < code.size() + QUIET
}

fn half_blocks(code: &QrCode) -> String {
    let mut text = String::new();
    for row in span(code).step_by(2) {
        text += COLOURS;
        text.extend(span(code).map(|column| {
            match (is_light(code, column, row), is_light(code, column, row + 1)) {
                (true, true) => '\u{2588}',
                (true, false) => '\u{2580}',
                (false, true) => '\u{2584}',
                (false, false) => ' ',
            }
        }));
        text += PLAIN;
        text.push('\n');
    }
    text
}

fn in_characters(code: &QrCode) -> String {
    let mut text = String::new();
    for row in span(code) {
        let mut was = None;
        for column in span(code) {
            let light = is_light(code, column, row);
            if was != Some(light) {
                text += if light { LIT } else { DARK };
            }
            text += if light { "##" } else { "  " };
            was = Some(light);
        }
        text += PLAIN;
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Failure;
    use crate::step_name::StepName;

    fn report() -> String {
        let mut error = Failure::new(format!(
            "the digest does not match: expected sha256:{}",
            "0123456789abcdef".repeat(4)
        ))
        .at(StepName::CheckImage, "busy_box 1.35.0 (/run/lamina/medium/x.sqfs)");
        error.suspects = ["busybox", "base-files", "third"].map(str::to_owned).to_vec();
        let report =
            "{\n  \"profile\": {\n    \"name\": \"web\",\n    \"generation\": 12\n  }\n}\n".to_owned();
        text(&error, &Context { report, ..Context::default() }, Duration::from_millis(1234))
    }

    #[test]
    fn the_text_is_compact_and_in_order_of_importance() {
        let text = report();
        let (head, tail) = text.split_once(" PROFILE ").unwrap();
        assert!(head.starts_with(&format!("LAMINA {} LINUX ", env!("CARGO_PKG_VERSION"))), "{text}");
        assert_eq!(
            tail,
            "WEB/12 1234 MS FAILED CHECK IMAGE: BUSY-BOX 1.35.0 SUSPECT BUSYBOX BASE-FILES: \
             THE DIGEST DOES NOT MATCH: EXPECTED SHA256:01234567"
        );
    }

    #[test]
    fn a_code_fits_on_the_screen_that_it_is_drawn_on() {
        for (rows, columns) in [(25, 80), (24, 80), (48, 128), (200, 60), (16, 30)] {
            let code = draw(&report(), Drawing::HalfBlocks, ScreenSize { rows, columns }).unwrap();
            assert!(code.lines().count() < rows, "{rows} {columns}");
            for line in code.lines() {
                let line = line.strip_prefix(COLOURS).and_then(|line| line.strip_suffix(PLAIN)).unwrap();
                assert!(line.chars().count() <= columns, "{rows} {columns}");
            }
            let code = draw(
                &report(),
                Drawing::Characters,
                ScreenSize { rows, columns }.smaller(ScreenSize::ASSUMED),
            );
            let plain = |line: &str| line.replace(LIT, "").replace(DARK, "").replace(PLAIN, "").len();
            assert!(code.is_none_or(|code| code.lines().all(|line| plain(line) <= columns)));
        }
    }

    #[test]
    fn no_room_is_no_code_and_no_text_is_still_one() {
        assert_eq!(draw("A", Drawing::HalfBlocks, ScreenSize { rows: 3, columns: 10 }), None);
        assert_eq!(draw("A", Drawing::HalfBlocks, ScreenSize { rows: 0, columns: 0 }), None);
        assert!(draw("", Drawing::HalfBlocks, ScreenSize::ASSUMED).is_some());
        assert!(
            draw(&"Ü".repeat(5000), Drawing::Characters, ScreenSize { rows: 9999, columns: 9999 }).is_some()
        );
    }
}
