//! Characters that make a text show something else than is there.

/// Whether a terminal or a menu would obey the character instead of showing it: control characters (those of 8 bits too), line
/// separators and marks that turn the direction of writing (Unicode's UAX #9).
pub fn is_misleading(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turns_breaks_or_controls_a_line_misleads_and_nothing_else() {
        // Bidi_Control of Unicode's PropList.txt, whole.
        let turning = ['\u{61c}', '\u{200e}', '\u{200f}'].into_iter();
        let turning = turning.chain('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}');
        assert!(turning.chain("\0\n\x1b\x7f\u{9b}\u{2028}\u{2029}".chars()).all(is_misleading));
        assert!(!" aé\u{a0}\u{200d}\u{202f}\u{2065}\u{206a}\u{feff}😀".contains(is_misleading));
    }
}
