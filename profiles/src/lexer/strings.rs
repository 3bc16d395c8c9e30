//! Quoted, raw and multi-line strings.

use super::{Fault, fault, is_newline, is_space, refuse_forbidden};

/// Checks the string whose first quote stands at `quote`, behind `hashes` hash signs (0: not raw), and returns where it
/// ends.
pub(super) fn string(text: &str, quote: usize, hashes: usize) -> Result<usize, Fault> {
    let start = quote - hashes;
    let after = &text[quote..];
    let multiline = after.starts_with("\"\"\"") && after[3..].starts_with(is_newline);
    if after.starts_with("\"\"\"") && !multiline {
        let help = "a text of several lines starts on the line below its '\"\"\"'";
        return fault(start, quote + 3, "text on the line of the opening '\"\"\"'", help);
    }
    let quotes = if multiline { "\"\"\"" } else { "\"" };
    let body = Body { text, start, from: quote + quotes.len(), multiline, raw: hashes > 0 };
    let end = body.end(&format!("{quotes}{}", "#".repeat(hashes)))?;
    refuse_forbidden(text, body.from, end)?;
    if multiline {
        body.check_indent(end)?;
    }
    Ok(end + quotes.len() + hashes)
}

/// The inside of a string.
struct Body<'a> {
    text: &'a str,
    /// Where the string starts, with its hash signs.
    start: usize,
    /// Where the inside starts.
    from: usize,
    multiline: bool,
    raw: bool,
}

impl Body<'_> {
    /// Finds `closing` and checks escapes and newlines on the way.
    fn end(&self, closing: &str) -> Result<usize, Fault> {
        let mut at = self.from;
        while let Some(c) = self.text[at..].chars().next() {
            if self.text[at..].starts_with(closing) {
                return Ok(at);
            }
            if is_newline(c) && !self.multiline {
                let help = "close the string, or start a text of several lines with '\"\"\"' and a new line";
                return fault(self.start, at, "this string is not closed on its line", help);
            }
            at += if c == '\\' && !self.raw { self.escape(at)? } else { c.len_utf8() };
        }
        fault(self.start, self.from, "this string is not closed", &format!("add the missing {closing}"))
    }

    /// The length of the escape at `at`.
    fn escape(&self, at: usize) -> Result<usize, Fault> {
        let after = &self.text[at + 1..];
        let blank = after.find(|c| !is_space(c) && !is_newline(c)).unwrap_or(after.len());
        if blank > 0 {
            return Ok(1 + blank);
        }
        if after.starts_with(['\\', '"', 'b', 'f', 'n', 'r', 't', 's']) {
            return Ok(2);
        }
        let code = after.strip_prefix("u{").and_then(|rest| rest.split_once('}')).map(|(code, _)| code);
        let is_code =
            |code: &&str| (1..=6).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_hexdigit());
        let value = code.filter(is_code).and_then(|code| u32::from_str_radix(code, 16).ok());
        match (code, value.and_then(char::from_u32)) {
            (Some(code), Some(_)) => Ok("\\u{}".len() + code.len()),
            _ => {
                let help = "the escapes are \\\\ \\\" \\b \\f \\n \\r \\t \\s and \\u{1F600}; a raw string, #\"...\"#, has none";
                fault(at, at + 2, "unknown escape", help)
            }
        }
    }

    /// Every line of a text must start with the spaces that stand before the closing quotes at `end`, or be blank.
    fn check_indent(&self, end: usize) -> Result<(), Fault> {
        let lines = self.lines(end);
        let Some(((last_start, last), lines)) = lines.split_last() else { return Ok(()) };
        let indent = &last[..last.find(|c| !is_space(c)).unwrap_or(last.len())];
        let tail = self.blank(last);
        if !last[tail..].is_empty() {
            let help = "put the closing '\"\"\"' on a line of its own";
            return fault(last_start + tail, end, "text before the closing '\"\"\"'", help);
        }
        for (start, line) in lines {
            let tail = self.blank(line);
            if !line.starts_with(indent) && tail < line.len() {
                let help = "start every line with the same spaces as the line of the closing '\"\"\"'";
                return fault(
                    *start,
                    start + tail.max(1),
                    "this line is indented less than its closing '\"\"\"'",
                    help,
                );
            }
        }
        Ok(())
    }

    /// The lines of the inside with their starts; an escaped newline does not end a line.
    fn lines(&self, end: usize) -> Vec<(usize, &str)> {
        let mut lines = Vec::new();
        let mut at = self.from + newline(&self.text[self.from..]);
        let mut start = at;
        while at < end {
            let rest = &self.text[at..end];
            match rest.chars().next() {
                Some('\\') if !self.raw => {
                    let blank = rest[1..].find(|c| !is_space(c) && !is_newline(c)).unwrap_or(rest.len() - 1);
                    // An escaped blank, or else an escape whose second character is one byte.
                    at += 1 + blank.max(1);
                }
                Some(c) if is_newline(c) => {
                    lines.push((start, &self.text[start..at]));
                    at += newline(rest);
                    start = at;
                }
                Some(c) => at += c.len_utf8(),
                None => break,
            }
        }
        lines.push((start, &self.text[start..end]));
        lines
    }

    /// How many bytes at the start of `line` are spaces and escaped blanks.
    fn blank(&self, line: &str) -> usize {
        let mut at = 0;
        loop {
            at += line[at..].find(|c| !is_space(c)).unwrap_or(line.len() - at);
            let escape = line[at..].strip_prefix('\\').filter(|_| !self.raw);
            match escape.map(|rest| rest.find(|c| !is_space(c) && !is_newline(c)).unwrap_or(rest.len())) {
                Some(length) if length > 0 => at += 1 + length,
                _ => return at,
            }
        }
    }
}

/// The bytes of the newline that `text` starts with; 0 when there is none.
fn newline(text: &str) -> usize {
    match text.chars().next() {
        _ if text.starts_with("\r\n") => 2,
        Some(c) if is_newline(c) => c.len_utf8(),
        _ => 0,
    }
}
