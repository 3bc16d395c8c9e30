//! What is said of something that is not as the house wants it.

use std::fmt;

/// One thing to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The line of `not-yet` that lets it pass.
    pub key: String,
    /// `file:line`, or a file.
    pub place: String,
    /// What is wrong, and how to mend it; further lines are indented.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.message)
    }
}

/// Why nothing can be checked.
#[derive(Debug)]
pub struct Unreadable(String);

impl Unreadable {
    /// `object` could not be read because of `cause`.
    pub fn new(object: impl fmt::Display, cause: impl fmt::Display) -> Self {
        Self(format!("{object}: {cause}"))
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Lines of `not-yet` that let nothing pass: what they stood for was mended.
pub fn no_longer_needed(not_yet: &[String], known: &[Finding]) -> Vec<Finding> {
    let unused = not_yet.iter().filter(|line| !known.iter().any(|finding| finding.key == **line));
    unused
        .map(|line| Finding {
            key: String::new(),
            place: "crates/house-check/not-yet".to_owned(),
            message: format!("`{line}` is mended: take the line out"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_what_was_mended_is_a_finding() {
        let known =
            [Finding { key: "circles init".to_owned(), place: String::new(), message: String::new() }];
        let not_yet = ["circles init".to_owned(), "circles builder".to_owned()];
        let unused = no_longer_needed(&not_yet, &known);
        assert_eq!(unused.len(), 1);
        assert!(unused[0].message.contains("circles builder"), "{}", unused[0]);
    }
}
