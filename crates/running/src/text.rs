//! Texts for people.

pub use cli::safe_text::{clean, clean_lines};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_and_say_so() {
        assert_eq!(["abc", "abcd", "äöüß!"].map(|text| clip(text, 3)), ["abc", "ab~", "äö~"]);
        assert_eq!(clip("abc", 0), "~");
    }

    #[test]
    fn times_have_units() {
        let times = [0, 31, 9994, 9995, 12_345].map(milliseconds);
        assert_eq!(times, ["0.00 ms", "0.03 ms", "9.99 ms", "10.0 ms", "12.3 ms"]);
    }
}
