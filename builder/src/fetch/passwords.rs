//! Addresses without the secrets in them.

/// The text with `***` in the place of the user and the password of every address in it (RFC 3986, section 3.2.1): some servers take a
/// key for the user. For all that people and logs see.
pub fn without_passwords(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, behind) = rest.split_at(at + 3);
        shown.push_str(before);
        let ends = |letter: char| matches!(letter, '/' | '?' | '#') || letter.is_whitespace();
        let authority = &behind[..behind.find(ends).unwrap_or(behind.len())];
        rest = behind;
        if let Some(end) = authority.rfind('@') {
            shown.push_str("***");
            rest = &behind[end..];
        }
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_passwords_are_not_shown() {
        for (text, shown) in [
            ("http://user:s3cret@a.test/x@y", "http://***@a.test/x@y"),
            ("https://key@a.test:80?q=a@b", "https://***@a.test:80?q=a@b"),
            ("x (http://u:p@q@a.test) http://b.test/", "x (http://***@a.test) http://b.test/"),
            ("debian:pool/a@b", "debian:pool/a@b"),
            ("http://\u{e9}:\u{e9}@a", "http://***@a"),
            ("://", "://"),
        ] {
            assert_eq!(without_passwords(text), shown);
        }
    }
}
