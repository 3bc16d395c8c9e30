//! Writing KDL strings.

use std::fmt::{self, Write as _};

use crate::misleading::is_misleading;

/// Shows a text as a quoted KDL 2.0 string, with every character escaped that a string may not hold.
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                // KDL forbids some of them and the byte order mark, and a terminal may act on the others.
                _ if is_misleading(c) || c == '\u{feff}' => {
                    write!(f, "\\u{{{:x}}}", u32::from(c))?;
                }
                _ => f.write_char(c)?,
            }
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let text: String = (0..0x300u32)
            .chain([0x61c, 0x2028, 0x202e, 0xfeff, 0x1f600])
            .filter_map(char::from_u32)
            .collect();
        let written = format!("text {}", Quoted(&text));
        let read =
            crate::decode::read("x", written.as_bytes(), |top| top.one("text")?.argument::<String>("a text"));
        assert_eq!(read.expect("reads back"), text);
    }
}
