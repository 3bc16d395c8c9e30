//! The step that a build is in, and the last line that it wrote.

use std::fmt;

use cli::safe_text::as_shown;

/// Of a longer line only so many bytes are kept: no terminal shows more.
const LONGEST: usize = 1024;
/// How the sandbox announces a step (`sandbox/inner.rs`).
const STEP: &[u8] = b"lamina: step ";

/// Made from output, piece by piece.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastLine {
    whole: Vec<u8>,
    part: Vec<u8>,
    step: String,
}

impl LastLine {
    /// More output.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        // A return begins a line too: a meter of percents is the last of its texts.
        for (index, piece) in bytes.split(|byte| matches!(byte, b'\n' | b'\r')).enumerate() {
            if index > 0 {
                self.finish();
            }
            let room = LONGEST.saturating_sub(self.part.len()).min(piece.len());
            self.part.extend_from_slice(&piece[..room]);
        }
    }

    fn finish(&mut self) {
        let line = std::mem::take(&mut self.part);
        if let Some(step) = line.strip_prefix(STEP) {
            self.step = as_shown(&String::from_utf8_lossy(step));
            self.whole.clear();
        } else if !line.trim_ascii().is_empty() {
            self.whole = line;
        }
    }

    /// The line that is being written, or the last whole one; safe for a terminal.
    fn text(&self) -> String {
        let part = as_shown(&String::from_utf8_lossy(&self.part));
        if part.trim().is_empty() { as_shown(&String::from_utf8_lossy(&self.whole)) } else { part }
    }
}

/// `make: CC a.c`: the step, which is empty before the first, and the line. A build can write what announces a step too, and fools
/// only its reader.
impl fmt::Display for LastLine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text();
        let between = if self.step.is_empty() || text.trim().is_empty() { "" } else { ": " };
        write!(out, "{}{between}{}", self.step, text.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_found_in_pieces() {
        let mut last = LastLine::default();
        let mut seen = Vec::new();
        for piece in [
            "lamina: st",
            "ep make\nCC a",
            ".c\n",
            "CC b.c\r\n\n",
            " 10 %\r 20 %",
            "\n\x1b[1mdone\x1b[0m\x07",
            "\nlamina: step install\n",
        ] {
            last.feed(piece.as_bytes());
            seen.push(last.to_string());
        }
        let shown = [
            "lamina: st",
            "make: CC a",
            "make: CC a.c",
            "make: CC b.c",
            "make: 20 %",
            "make: done\\u{7}",
            "install",
        ];
        assert_eq!(seen, shown);
    }

    #[test]
    fn a_line_without_an_end_takes_no_memory() {
        let mut last = LastLine::default();
        (0..1000).for_each(|_| last.feed(&[b'x'; 4096]));
        assert_eq!(last.text().len(), LONGEST);
    }
}
