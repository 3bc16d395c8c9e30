//! How wide a text is drawn at most, so that a label is put only where all of it fits.

/// Height of a text in the chart, in pixels.
const EM: f64 = 11.0;

/// The width in pixels of a text of 11 pixels in the widest of the fonts that the chart names, DejaVu Sans: its advance
/// widths, rounded up by classes (2.37, table `hmtx`). Whoever draws it in another font needs less.
pub(super) fn width_of(text: &str) -> f64 {
    text.chars().map(advance).sum::<f64>() * EM
}

/// In parts of the height.
fn advance(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | '\'' => 0.28,
        ' ' | ',' | '.' => 0.32,
        '/' | ':' | ';' | '\\' | '|' | '-' | 'I' => 0.37,
        '(' | ')' | '[' | ']' | '!' | 'f' | 'r' | 't' => 0.42,
        'm' | 'M' | 'W' | '%' => 0.99,
        'w' | '#' | '+' | '<' | '=' | '>' | '^' | '~' | '&' | 'A'..='Z' => 0.84,
        '@' => 1.0,
        ' '..='~' => 0.64,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Measured with DejaVu Sans 2.37 at 11 pixels. An average for each character called the last but one 49 pixels wide.
    #[test]
    fn no_text_is_wider_than_it_is_said_to_be() {
        for (text, pixels) in [
            ("images/memory-map.sqfs", 143.9),
            ("/dev/disk/by-label/WWWMMM", 162.4),
            ("kernel modules", 84.9),
            ("mmmmmmmm", 85.7),
            ("1234567890", 70.0),
        ] {
            let said = width_of(text);
            assert!(said >= pixels && said < pixels * 1.15, "{text}: {said}");
        }
    }
}
