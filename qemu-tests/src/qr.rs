//! QR codes, read by a program that knows nothing of ours: `zbarimg`, from Debian's `zbar-tools`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::failure::Failure;

/// Pixels of a module's side in a picture of ours.
const SIDE: usize = 4;
/// What is around the code, in modules: the black of a terminal.
const BORDER: usize = 4;

/// What the codes in this picture say.
pub fn read(picture: &Path) -> Result<String, Failure> {
    let output = Command::new("zbarimg")
        .args(["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable"])
        .arg(picture)
        .output()
        .map_err(Failure::about("starting zbarimg"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(format!(
            "{}: zbarimg finds no QR code ({}) {said}",
            picture.display(),
            output.status
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// What the last code says that was drawn on a terminal, as the terminal's pixels would show it: in half
/// blocks or in `##`. The picture, a PGM (netpbm, pgm(5)), is kept in `file`.
pub fn read_drawn(printed: &[u8], file: &Path) -> Result<String, Failure> {
    let text = String::from_utf8_lossy(printed);
    let mut rows: Vec<Vec<bool>> = Vec::new();
    let mut ended = false;
    for line in text.lines().map(without_colours) {
        match half_blocks(&line).or_else(|| characters(&line)) {
            Some(drawn) if ended => rows = drawn,
            Some(drawn) => rows.extend(drawn),
            None => {}
        }
        ended = !(line.starts_with('\u{2588}') || line.starts_with('\u{2580}') || line.starts_with("##"));
    }
    let width = rows.first().map_or(0, Vec::len) + 2 * BORDER;
    let border = vec![vec![false; width]; BORDER];
    let framed = rows.into_iter().map(|row| [vec![false; BORDER], row, vec![false; BORDER]].concat());
    let rows: Vec<Vec<bool>> = border.clone().into_iter().chain(framed).chain(border).collect();
    let mut picture = format!("P5 {} {} 255\n", width * SIDE, rows.len() * SIDE).into_bytes();
    for row in &rows {
        let pixels: Vec<u8> = row.iter().flat_map(|light| [if *light { 255 } else { 0 }; SIDE]).collect();
        picture.extend(pixels.repeat(SIDE));
    }
    fs::write(file, picture).map_err(Failure::at(file))?;
    read(file)
}

/// The two rows of modules in a line of half blocks, true where it is light.
fn half_blocks(line: &str) -> Option<Vec<Vec<bool>>> {
    let half = |character| match character {
        '\u{2588}' => Some((true, true)),
        '\u{2580}' => Some((true, false)),
        '\u{2584}' => Some((false, true)),
        ' ' => Some((false, false)),
        _ => None,
    };
    let halves: Vec<(bool, bool)> = line.chars().map(half).collect::<Option<_>>()?;
    let (upper, lower): (Vec<bool>, Vec<bool>) = halves.into_iter().unzip();
    (upper.len() > 20).then(|| vec![upper, lower])
}

/// The row of modules in a line of `##` and blanks.
fn characters(line: &str) -> Option<Vec<Vec<bool>>> {
    let bytes = line.as_bytes();
    let module = |pair: &[u8]| match pair {
        b"##" => Some(true),
        b"  " => Some(false),
        _ => None,
    };
    let row: Vec<bool> = bytes.chunks(2).map(module).collect::<Option<_>>()?;
    (row.len() > 20).then(|| vec![row])
}

/// The line without `ESC [ ... m` and carriage returns.
fn without_colours(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain += part.split_once('m').map_or(part, |(_, text)| text);
    }
    plain.replace('\r', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_and_modules_stay() {
        assert_eq!(without_colours("\u{1b}[1;37;40m\u{2588} \u{1b}[0m\r"), "\u{2588} ");
        assert_eq!(half_blocks(&"\u{2580}".repeat(21)), Some(vec![vec![true; 21], vec![false; 21]]));
        assert_eq!(characters(&"##  ".repeat(11)), Some(vec![[true, false].repeat(11)]));
        assert_eq!(half_blocks("lamina: this system could not be started"), None);
        assert_eq!(characters("a line of text, and an odd one"), None);
    }
}
