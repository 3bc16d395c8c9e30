//! Random texts that look like versions, from a seed: a run can be repeated.

// Each test program uses some of it.
#![allow(dead_code)]

use package_version::{Scheme, Version};

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    /// Up to `most` of these words in a row.
    pub fn row(&mut self, words: &[&str], most: usize) -> String {
        (0..self.below(most + 1)).map(|_| self.one_of(words)).collect()
    }

    /// A text that often is a version of this scheme, and seldom far from one.
    pub fn text(&mut self, scheme: Scheme) -> String {
        let number = ["0", "1", "2", "9", "10", "00", "01", "123456789012345678901234567890"];
        match scheme {
            Scheme::Debian => {
                let epoch = self.one_of(&["", "", "", "0:", "1:", "2147483647:"]);
                let words = ["0", "1", "2", "10", "09", ".", ".", "~", "+", "a", "b", "Z", "rc", "-", ":"];
                let revision = self.one_of(&["", "", "-0", "-1", "-1~a", "-1+b1", "-~", "-a", "-"]);
                format!("{epoch}{}{}{revision}", self.one_of(&number), self.row(&words, 5))
            }
            Scheme::Semver => {
                let number = ["0", "1", "1", "2", "10", "18446744073709551615"];
                let numbers: Vec<&str> = (0..3).map(|_| self.one_of(&number)).collect();
                let word = ["0", "1", "2", "10", "rc", "alpha", "a", "-", "B", "1a", "0a", "01"];
                let mut list = |sign: &str, most| match self.below(3) {
                    0 => String::new(),
                    _ => {
                        let words: Vec<&str> = (0..=self.below(most)).map(|_| self.one_of(&word)).collect();
                        format!("{sign}{}", words.join("."))
                    }
                };
                let (pre, build) = (list("-", 3), list("+", 2));
                format!("{}{pre}{build}", numbers.join("."))
            }
            Scheme::Loose => {
                let words = [
                    "0", "0", "1", "2", "10", "01", ".", ".", "-", "_", "+", "~", "a", "b", "c", "k", "p",
                    "rc", "RC", "dev", "beta", "alpha", "pre", "post", "m", "v", "git",
                ];
                self.row(&words, 7)
            }
            Scheme::Date => {
                let words = ["-", ".", "1", "2", "02", "12", "28", "29", "30", "31", "r", "13"];
                format!(
                    "{}{}",
                    self.one_of(&["2023", "2024", "1900", "20240229", "20231231", "0001"]),
                    self.row(&words, 6)
                )
            }
            Scheme::Plain => self.row(&["a", "b", "B", "0", "1", "-", "é", "~", "/"], 5),
        }
    }

    /// Another version of the scheme, by one sign: such pairs are equal more often, or differ late.
    pub fn near(&mut self, version: &Version) -> Version {
        for _ in 0..20 {
            let mut text: Vec<char> = version.as_str().chars().collect();
            let at = self.below(text.len() + 1);
            let sign = ['0', '1', '.', '-', '~', '+', 'a', '_'][self.below(8)];
            match self.below(2) {
                0 if at < text.len() => _ = text.remove(at),
                _ => text.insert(at, sign),
            }
            if let Ok(near) = Version::parse(&text.iter().collect::<String>(), version.scheme()) {
                return near;
            }
        }
        // A year alone has none.
        self.version(version.scheme())
    }

    /// Two versions of this scheme, every second time near ones.
    pub fn pair(&mut self, scheme: Scheme) -> (Version, Version) {
        let one = self.version(scheme);
        let other = if self.below(2) == 0 { self.near(&one) } else { self.version(scheme) };
        (one, other)
    }

    /// A version of this scheme.
    pub fn version(&mut self, scheme: Scheme) -> Version {
        loop {
            if let Ok(version) = Version::parse(&self.text(scheme), scheme) {
                return version;
            }
        }
    }
}
