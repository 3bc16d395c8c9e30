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

/// Values of an array that an object has at its end, made before the object itself.
#[derive(Debug, Default)]
pub struct Rendered(Text);

impl Rendered {
    /// Adds a value. One that holds texts and numbers only always serialises.
    pub fn push(&mut self, value: &impl Serialize) {
        let array = Indented { depth: 2, has_value: false };
        let _ = array.next(false, &mut self.0);
        self.0.append(array, value);
    }
}

/// Writes an object, with arrays at its end that come in parts.
///
/// # Errors
/// Those of `out`.
pub(crate) fn write(
    out: &mut dyn Write,
    object: &impl Serialize,
    arrays: &[(&str, &[&Rendered])],
) -> io::Result<()> {
    const END: &[u8] = b"\n}";
    let mut text = Text::default();
    text.append(Indented::default(), object);
    out.write_all(text.0.strip_suffix(END).unwrap_or(&text.0))?;
    for (key, parts) in arrays {
        write!(out, ",\n  \"{key}\": [")?;
        // A comma before each value but the first.
        let mut between = 1;
        for Rendered(Text(part)) in parts.iter().filter(|part| !part.0.0.is_empty()) {
            out.write_all(&part[between..])?;
            between = 0;
        }
        out.write_all(if between == 0 { b"\n  ]" } else { b"]" })?;
    }
    out.write_all(END)
}

/// JSON comes in pieces of a few bytes, a hundred thousand for five hundred layers, and the memcpy of musl (`rep movsq`) takes for
/// each as long as for half a kilobyte: short ones are appended byte by byte.
#[derive(Debug, Default)]
struct Text(Vec<u8>);

impl Text {
    fn append(&mut self, format: Indented, value: &impl Serialize) {
        let _ = value.serialize(&mut Serializer::with_formatter(self, format));
    }
}

impl Write for Text {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.write_all(piece).map(|()| piece.len())
    }

    fn write_all(&mut self, piece: &[u8]) -> io::Result<()> {
        const SHORT: usize = 24;
        if piece.len() > SHORT {
            self.0.extend_from_slice(piece);
        } else {
            for byte in piece {
                self.0.push(*byte);
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Rendered, write};
    use serde_json::{json, to_string_pretty};

    #[test]
    fn it_is_what_serde_json_writes() {
        let value = json!({
            "a": { "empty": [{}, []], "plain": [1, "two\n", null], "deep": [{ "a": { "b": [[true]] }, "c": {} }] }
        });
        let values = [json!({ "a": [1], "b": {} }), json!("two"), json!([{ "c": null }])];
        let parts = values.each_ref().map(|value| {
            let mut part = Rendered::default();
            part.push(value);
            part
        });
        let nothing = Rendered::default();
        let written = |first: &[&Rendered], second: &[&Rendered]| {
            let mut text = Vec::new();
            write(&mut text, &value, &[("b", first), ("c", second)]).unwrap();
            String::from_utf8(text).unwrap()
        };
        let expected = |first: &[_], second: &[_]| {
            let mut whole = value.clone();
            (whole["b"], whole["c"]) = (first.into(), second.into());
            to_string_pretty(&whole).unwrap()
        };
        let [one, two, three] = &parts;
        assert_eq!(written(&[], &[&nothing]), expected(&[], &[]));
        assert_eq!(written(&[&nothing, one], &[one, &nothing, two, three]), expected(&values[..1], &values));
    }
}
