//! Texts for people.

pub use cli::progress::{clean, clean_lines};

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

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
