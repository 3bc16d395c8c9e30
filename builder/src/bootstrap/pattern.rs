//! Paths with wildcards: `usr/share/doc`, `usr/bin/*lto-dump*`.

use std::fmt;

/// Matches a path and all below it. In each name `*` stands for any letters, `?` for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    text: String,
}

impl Pattern {
    /// `None` when it is not a relative path of plain names.
    pub fn parse(text: &str) -> Option<Pattern> {
        let plain = |name: &str| !matches!(name, "" | "." | "..") && !name.chars().any(char::is_control);
        text.split('/').all(plain).then(|| Pattern { text: text.to_owned() })
    }

    pub fn matches(&self, path: &[u8]) -> bool {
        let mut names = path.split(|&byte| byte == b'/');
        self.text
            .split('/')
            .all(|wanted| names.next().is_some_and(|name| name_matches(wanted.as_bytes(), name)))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Takes the shortest match of the last `*` first and lengthens it when the rest does not match: no recursion, and time at
/// most proportional to the product of both lengths.
fn name_matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while from < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(&letter) if letter == b'?' || letter == name[from] => (at, from) = (at + 1, from + 1),
            _ => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                (at, from) = (star_at + 1, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|&letter| letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_a_path_and_what_lies_below() {
        for (pattern, path, expected) in [
            ("usr/share/doc", "usr/share/doc", true),
            ("usr/share/doc", "usr/share/doc/gcc/README", true),
            ("usr/share/doc", "usr/share/doc-base", false),
            ("usr/share/doc", "usr/share", false),
            ("usr/bin/*lto-dump*", "usr/bin/x86_64-linux-gnu-lto-dump-12", true),
            ("usr/bin/*lto-dump*", "usr/bin/lto-dump", true),
            ("usr/bin/*lto-dump*", "usr/bin/lto-wrapper", false),
            ("a/*b*b", "a/abab", true),
            ("a/*b*b", "a/ab", false),
            ("lib?san*", "libasan.so.8", true),
            ("lib?san*", "libsanitizer.spec", false),
        ] {
            assert_eq!(
                Pattern::parse(pattern).unwrap().matches(path.as_bytes()),
                expected,
                "{pattern} {path}"
            );
        }
    }

    #[test]
    fn only_relative_plain_paths_are_patterns() {
        for text in ["", "/usr", "usr/", "usr//bin", "../x", "a/./b", "a\nb"] {
            assert_eq!(Pattern::parse(text), None, "{text:?}");
        }
    }
}
