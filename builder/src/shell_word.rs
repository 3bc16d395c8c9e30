//! Texts of others as one word of a shell's command line.

/// The word between single quotes, in which nothing has a meaning but the quote itself (POSIX Shell Command Language, 2.2.2).
pub fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The word as a person would write it: between quotes where it needs them.
pub fn plain(word: &str) -> String {
    let means_nothing = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:,=@%+".contains(&byte);
    if !word.is_empty() && word.bytes().all(means_nothing) { word.to_owned() } else { quote(word) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_words_that_need_quotes_get_them() {
        assert_eq!(super::plain("file=/a-b_c,if=virtio"), "file=/a-b_c,if=virtio");
        assert_eq!(["", "a b", "~", "$x"].map(super::plain), ["''", "'a b'", "'~'", "'$x'"]);
    }

    #[test]
    fn a_quote_ends_the_word_and_begins_it_again() {
        assert_eq!(super::quote("a'b; $(c)"), "'a'\\''b; $(c)'");
    }
}
