//! The files of accounts: passwd(5), shadow(5), group(5) and gshadow(5). Pure: lines with fields between colons.
//!
//! What is there stays, byte for byte, comments and lines that no program understands too.

use std::collections::BTreeSet;

/// Longer than any of these files that is read.
pub(super) const LARGEST: u64 = 4 << 20;

/// The lines of such a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct AccountFile {
    lines: Vec<Vec<u8>>,
    changed: bool,
}

impl AccountFile {
    /// Takes the bytes of a file apart.
    pub fn parse(bytes: &[u8]) -> AccountFile {
        let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let lines = match text {
            b"" => Vec::new(),
            _ => text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect(),
        };
        AccountFile { lines, changed: false }
    }

    /// The bytes of the file, when something was changed.
    pub fn changed(self) -> Option<Vec<u8>> {
        let bytes = || self.lines.iter().flat_map(|line| [line.as_slice(), b"\n"].concat()).collect();
        self.changed.then(bytes)
    }

    /// A field of the first line of this name, which is the one that counts; fields are counted from 0, the name.
    pub fn field(&self, name: &str, field: usize) -> Option<String> {
        let line = self.lines.iter().find(|line| is_of(line, name))?;
        line.split(|byte| *byte == b':').nth(field).map(|found| String::from_utf8_lossy(found).into_owned())
    }

    /// Whether there is a line of this name.
    pub fn has(&self, name: &str) -> bool {
        self.lines.iter().any(|line| is_of(line, name))
    }

    /// The numbers in a field of all lines.
    pub fn numbers(&self, field: usize) -> BTreeSet<u32> {
        self.lines.iter().filter_map(|line| number(line, field)).collect()
    }

    /// Whose line has this number in a field.
    pub fn name_of(&self, field: usize, wanted: u32) -> Option<String> {
        let line = self.lines.iter().find(|line| number(line, field) == Some(wanted))?;
        line.split(|byte| *byte == b':').next().map(|name| String::from_utf8_lossy(name).into_owned())
    }

    /// Changes a field of the line of this name; one that is missing there is made.
    pub fn set(&mut self, name: &str, field: usize, value: &str) {
        let Some(line) = self.lines.iter_mut().find(|line| is_of(line, name)) else { return };
        let mut fields: Vec<Vec<u8>> = line.split(|byte| *byte == b':').map(<[u8]>::to_vec).collect();
        while fields.len() <= field {
            fields.push(Vec::new());
        }
        if fields[field] != value.as_bytes() {
            fields[field] = value.into();
            *line = fields.join(&b':');
            self.changed = true;
        }
    }

    /// Adds a line, before those that stand for a directory service (`+`, nsswitch.conf(5)), because nothing behind them counts.
    pub fn add(&mut self, fields: &[&str]) {
        let place = self.lines.iter().position(|line| line.starts_with(b"+")).unwrap_or(self.lines.len());
        self.lines.insert(place, fields.join(":").into_bytes());
        self.changed = true;
    }
}

fn is_of(line: &[u8], name: &str) -> bool {
    line.split(|byte| *byte == b':').next() == Some(name.as_bytes())
}

fn number(line: &[u8], field: usize) -> Option<u32> {
    std::str::from_utf8(line.split(|byte| *byte == b':').nth(field)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays_byte_for_byte() {
        let bytes = b"root:x:0:0:root:/root:/bin/sh\n# Gr\xf6\xdfe\n\nbroken\nwww:x:80:80::/:\n+::::::\n";
        let file = AccountFile::parse(bytes);
        assert_eq!(file.clone().changed(), None);
        let mut changed = file;
        changed.add(&["me", "x", "1000", "1000", "", "/home/me", "/bin/sh"]);
        changed.set("www", 6, "/bin/sh");
        changed.set("broken", 2, "7");
        changed.set("nobody", 2, "7");
        assert_eq!(
            changed.clone().changed().unwrap().escape_ascii().to_string(),
            b"root:x:0:0:root:/root:/bin/sh\n# Gr\xf6\xdfe\n\nbroken::7\nwww:x:80:80::/:/bin/sh\n\
              me:x:1000:1000::/home/me:/bin/sh\n+::::::\n"
                .escape_ascii()
                .to_string()
        );
        assert_eq!(changed.numbers(2), [0, 7, 80, 1000].into());
        assert_eq!(changed.name_of(2, 80).as_deref(), Some("www"));
        assert_eq!((changed.field("me", 5).as_deref(), changed.has("m")), (Some("/home/me"), false));
    }

    #[test]
    fn a_file_without_a_last_newline_gets_one() {
        for bytes in [&b"a:x:1"[..], b"a:x:1\n"] {
            let mut file = AccountFile::parse(bytes);
            file.add(&["b", "x", "2"]);
            assert_eq!(file.changed().unwrap(), b"a:x:1\nb:x:2\n");
        }
        let mut empty = AccountFile::parse(b"");
        empty.add(&["b"]);
        assert_eq!(empty.changed().unwrap(), b"b\n");
    }
}
