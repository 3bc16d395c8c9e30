//! JSON laid out for people, byte for byte as `serde_json::to_string_pretty` does it.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// A comma, a line break, and more indentation than the report ever needs.
const BREAK: &[u8] = b",\n                                ";

/// `PrettyFormatter` of `serde_json` writes each step of an indentation by itself: thousands of calls for the report of a hundred layers.
#[derive(Default)]
struct Indented {
    depth: usize,
    has_value: bool,
}

impl Indented {
    fn open(&mut self, bracket: &[u8], writer: &mut (impl Write + ?Sized)) -> io::Result<()> {
        (self.depth, self.has_value) = (self.depth + 1, false);
        writer.write_all(bracket)
    }

    fn close(&mut self, bracket: &[u8], writer: &mut (impl Write + ?Sized)) -> io::Result<()> {
        self.depth = self.depth.saturating_sub(1);
        if self.has_value {
            self.next(true, writer)?;
        }
        self.has_value = true;
        writer.write_all(bracket)
    }

    fn next(&self, first: bool, writer: &mut (impl Write + ?Sized)) -> io::Result<()> {
        let end = (2 + 2 * self.depth).min(BREAK.len());
        writer.write_all(&BREAK[usize::from(first)..end])
    }
}

impl Formatter for Indented {
    fn begin_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open(b"[", writer)
    }

    fn end_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(b"]", writer)
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.next(first, writer)
    }

    fn end_array_value<W: Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }

    fn begin_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open(b"{", writer)
    }

    fn end_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(b"}", writer)
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.next(first, writer)
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn end_object_value<W: Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }
}

/// Writes the value, in pieces of some kilobytes.
///
/// # Errors
/// Those of `out`; a value that holds texts and numbers only always serialises.
pub(crate) fn write(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    let mut pieces = Pieces { gathered: Vec::with_capacity(2 * PIECE), out };
    value.serialize(&mut Serializer::with_formatter(&mut pieces, Indented::default()))?;
    pieces.flush()
}

/// Bytes that are written at once: the whole report of 500 layers is half a megabyte, which would be memory touched for a moment.
const PIECE: usize = 16 * 1024;

/// JSON comes in pieces of a few bytes, a hundred thousand for five hundred layers, and the memcpy of musl (`rep movsq`) takes for
/// each as long as for half a kilobyte: short ones are appended byte by byte.
struct Pieces<'a> {
    gathered: Vec<u8>,
    out: &'a mut dyn Write,
}

impl Write for Pieces<'_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.write_all(piece).map(|()| piece.len())
    }

    fn write_all(&mut self, piece: &[u8]) -> io::Result<()> {
        const SHORT: usize = 24;
        if piece.len() > SHORT {
            self.gathered.extend_from_slice(piece);
        } else {
            for byte in piece {
                self.gathered.push(*byte);
            }
        }
        if self.gathered.len() < PIECE { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.gathered)?;
        self.gathered.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_what_serde_json_writes() {
        let value = serde_json::json!({
            "empty": [{}, []], "plain": [1, "two\n", null], "deep": [{ "a": { "b": [[true]] }, "c": {} }]
        });
        let mut text = Vec::new();
        super::write(&mut text, &value).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), serde_json::to_string_pretty(&value).unwrap());
    }
}
