//! What was meant by what came from a console: a key, or nothing.

/// The key that these bytes are, in lower case: one printable character, perhaps with Enter after it, or Enter alone
/// (`\n`). A person presses one key at a time; more at once are an arrow key, a paste, or noise on a serial line, which must
/// not power the machine off when it contains a `p`.
pub fn key(bytes: &[u8]) -> Option<u8> {
    match bytes {
        [b'\r' | b'\n'] | [b'\r', b'\n'] => Some(b'\n'),
        [key, rest @ ..] if rest.is_empty() || matches!(rest, [b'\r' | b'\n'] | [b'\r', b'\n']) => {
            (key.is_ascii_graphic() || *key == b' ').then(|| key.to_ascii_lowercase())
        }
        _ => None,
    }
}

/// A number that is being typed.
#[derive(Debug, Default)]
pub struct Number {
    digits: String,
}

/// What has become of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Entered {
    /// More may come; these digits belong on the screen.
    More,
    /// It is complete.
    Number(usize),
    /// Something else was typed.
    Left,
}

impl Number {
    /// Takes what was typed. With at most `most` to choose from, one digit is enough when ten would be too many.
    pub fn take(&mut self, bytes: &[u8], most: usize) -> Entered {
        for byte in bytes {
            match byte {
                b'0'..=b'9' if self.digits.len() < 6 => self.digits.push(char::from(*byte)),
                b'\r' | b'\n' => return self.digits.parse().map_or(Entered::Left, Entered::Number),
                0x08 | 0x7f if self.digits.pop().is_some() => {}
                _ => return Entered::Left,
            }
        }
        match self.digits.parse::<usize>() {
            Ok(number) if number > 0 && number * 10 > most => Entered::Number(number),
            _ => Entered::More,
        }
    }

    /// The digits so far.
    pub fn digits(&self) -> &str {
        &self.digits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_counts_and_more_are_noise() {
        for (bytes, expected) in [
            (&b"s"[..], Some(b's')),
            (b"S\r", Some(b's')),
            (b"p\r\n", Some(b'p')),
            (b"\n", Some(b'\n')),
            (b"\r\n", Some(b'\n')),
            (b" ", Some(b' ')),
            (b"", None),
            (b"\0", None),
            (b"\xff", None),
            (b"\x1b", None),
            (b"\x1b[A", None),
            (b"pp", None),
            (b"p\xff\xffb", None),
        ] {
            assert_eq!(key(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn numbers_need_enter_only_where_more_digits_could_follow() {
        assert_eq!(Number::default().take(b"2", 3), Entered::Number(2));
        assert_eq!(Number::default().take(b"12\r", 30), Entered::Number(12));
        let mut number = Number::default();
        assert_eq!(number.take(b"1", 12), Entered::More);
        assert_eq!(number.take(b"\x7f", 12), Entered::More);
        assert_eq!(number.take(b"2", 12), Entered::Number(2));
        assert_eq!(Number::default().take(b"1\n", 12), Entered::Number(1));
        for left in [&b"x"[..], b"\n", b"\x1b[A", b"9999999", b"\x7f"] {
            assert_eq!(Number::default().take(left, 12), Entered::Left, "{left:?}");
        }
        assert_eq!(Number::default().take(b"0", 12), Entered::More);
    }
}
