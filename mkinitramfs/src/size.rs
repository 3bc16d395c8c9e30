//! Sizes for people.

use std::fmt;

/// A number of bytes; its Display has three digits or so and a decimal unit: `4.2 MB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            0..1_000 => write!(f, "{} B", self.0),
            1_000..999_500 => write!(f, "{:.0} kB", bytes / 1e3),
            999_500..99_950_000 => write!(f, "{:.1} MB", bytes / 1e6),
            _ => write!(f, "{:.0} MB", bytes / 1e6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn units_follow_the_size() {
        let shown =
            [0, 999, 1_000, 999_499, 999_500, 1_234_567, 123_456_789].map(|bytes| Size(bytes).to_string());
        assert_eq!(shown, ["0 B", "999 B", "1 kB", "999 kB", "1.0 MB", "1.2 MB", "123 MB"]);
    }
}
