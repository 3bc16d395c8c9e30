//! Texts of others as one word of a shell's command line.

/// The word between single quotes, in which nothing has a meaning but the quote itself (POSIX Shell Command Language, 2.2.2).
pub fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_quote_ends_the_word_and_begins_it_again() {
        assert_eq!(super::quote("a'b; $(c)"), "'a'\\''b; $(c)'");
    }
}
