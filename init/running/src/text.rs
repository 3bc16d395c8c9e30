//! Texts for people.

/// The text without anything that a terminal would obey, or that makes it show something else than is there: control characters (those of 8
/// bits too), line separators and marks that turn the direction of writing (Unicode's UAX #9) are written as escapes.
pub fn clean(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut clean, c| {
        match is_obeyed(c) {
            true => clean.extend(c.escape_default()),
            false => clean.push(c),
        }
        clean
    })
}

/// The same for a text of several lines, which are its own.
pub fn clean_lines(text: &str) -> String {
    text.split('\n').map(clean).collect::<Vec<_>>().join("\n")
}

fn is_obeyed(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// At most `width` characters; a cut text ends in `~`.
pub(crate) fn clip(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        None => text.to_owned(),
        Some(_) => text.chars().take(width.saturating_sub(1)).chain(['~']).collect(),
    }
}

/// `0.03 ms`, `12.3 ms`, of microseconds: three digits that say something, where there are as many.
pub(crate) fn milliseconds(micros: u64) -> String {
    let digits = if micros < 9995 { 2 } else { 1 };
    format!("{:.digits$} ms", micros as f64 / 1000.0)
}

/// `716 B`, `41.5 KiB`, `1.2 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// `1 layer`, `2 layers`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_of_it() {
        assert_eq!(clean("a\x1b[31mb\n\u{9b}c é"), "a\\u{1b}[31mb\\n\\u{9b}c é");
        assert_eq!(clean("a\u{202e}b\u{2066}c\u{2028}d\u{200d}"), "a\\u{202e}b\\u{2066}c\\u{2028}d\u{200d}");
        assert_eq!(clean_lines("a\x1b\nb\r"), "a\\u{1b}\nb\\r");
    }

    #[test]
    fn long_texts_are_cut_and_say_so() {
        assert_eq!(["abc", "abcd", "äöüß!"].map(|text| clip(text, 3)), ["abc", "ab~", "äö~"]);
        assert_eq!(clip("abc", 0), "~");
    }

    #[test]
    fn numbers_have_units() {
        assert_eq!([0, 1023, 42_496, 3 << 20].map(size), ["0 B", "1023 B", "41.5 KiB", "3.0 MiB"]);
        let times = [0, 31, 9994, 9995, 12_345].map(milliseconds);
        assert_eq!(times, ["0.00 ms", "0.03 ms", "9.99 ms", "10.0 ms", "12.3 ms"]);
        assert_eq!((count(1, "layer"), count(2, "layer")), ("1 layer".into(), "2 layers".into()));
    }
}
