//! Texts of others, made safe for a terminal: the one place that decides what may reach it.

use profiles::is_misleading;

/// The text without anything that a terminal would obey, or that makes it show something else than is there: such characters
/// ([`is_misleading`]) are written as escapes.
pub fn clean(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut clean, c| {
        match is_misleading(c) {
            true => clean.extend(c.escape_default()),
            false => clean.push(c),
        }
        clean
    })
}

/// The same for a text of several lines, which are its own. A tab becomes a space.
pub fn clean_lines(text: &str) -> String {
    text.split('\n').map(|line| clean(&line.replace('\t', " "))).collect::<Vec<_>>().join("\n")
}

/// One line of a program's output as a terminal would have left it there: after the last return that something follows, without
/// sequences for colours, links and the cursor (ECMA-48), tabs as spaces; what else a terminal would obey is escaped.
pub fn as_shown(line: &str) -> String {
    let line = line.trim_end_matches(['\r', '\n']);
    let shown = line.rsplit('\r').next().unwrap_or_default();
    clean(&without_sequences(shown).replace('\t', " "))
}

fn without_sequences(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('\x1b') {
        plain.push_str(&rest[..start]);
        let sequence = &rest[start..];
        match length_of(sequence) {
            Some(length) => rest = &sequence[length..],
            // It is none, or cut: the escape stays, to be written as one.
            None => {
                plain.push('\x1b');
                rest = &sequence[1..];
            }
        }
    }
    plain + rest
}

/// The bytes of the escape sequence that `text` begins with: CSI (ECMA-48, 5.4) or OSC, which ends with BEL or ST.
fn length_of(text: &str) -> Option<usize> {
    let body = text.get(2..)?;
    let end = match text.as_bytes()[1] {
        b'[' => {
            let end = body.find(|c: char| !matches!(c, ' '..='?'))?;
            matches!(body.as_bytes()[end], b'@'..=b'~').then_some(end + 1)?
        }
        b']' => {
            let end = body.find(|c: char| c.is_control())?;
            let ends = [("\x07", 1), ("\x1b\\", 2)];
            ends.iter().find(|(mark, _)| body[end..].starts_with(mark)).map(|(_, length)| end + length)?
        }
        _ => return None,
    };
    Some(2 + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_of_it() {
        assert_eq!(clean("a\x1b[31mb\n\u{9b}c é"), "a\\u{1b}[31mb\\n\\u{9b}c é");
        assert_eq!(clean("a\u{202e}b\u{2066}c\u{2028}d\u{200d}"), "a\\u{202e}b\\u{2066}c\\u{2028}d\u{200d}");
        assert_eq!(clean_lines("a\x1b\n\tb\r"), "a\\u{1b}\n b\\r");
    }

    #[test]
    fn a_line_is_what_was_left_of_it() {
        for (line, shown) in [
            ("\x1b[1;31merror:\x1b[0m no\r\n", "error: no"),
            (" 10 %\r 20 %\r", " 20 %"),
            ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b", "ab"),
            ("a\tb\x08\x07", "a b\\u{8}\\u{7}"),
            ("\x1b", "\\u{1b}"),
            ("\x1b[", "\\u{1b}["),
            ("\x1b[31\x1b[0mx", "\\u{1b}[31x"),
            ("\x1b]52;c;secret", "\\u{1b}]52;c;secret"),
            ("\x1bcx\x1b[2é", "\\u{1b}cx\\u{1b}[2é"),
            ("", ""),
        ] {
            assert_eq!(as_shown(line), shown, "{line:?}");
        }
    }

    #[test]
    fn nothing_that_is_obeyed_comes_through_whatever_surrounds_it() {
        let pieces =
            ["\x1b", "[", "]", "31", "m", "\x07", "\\", "é", "\u{9b}", ";", "\r", "\u{202e}", " ", "\n"];
        for number in 0..pieces.len().pow(4) {
            let text: String =
                (0..4).map(|at| pieces[number / pieces.len().pow(at) % pieces.len()]).collect();
            let shown = as_shown(&text);
            assert!(!shown.contains(is_misleading), "{text:?} {shown:?}");
        }
    }
}
