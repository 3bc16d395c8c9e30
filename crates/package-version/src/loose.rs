//! What upstream projects write: numbers, words and separators.
//!
//! A version is a list of numbers and words; `.`, `-`, `_` and `+` separate them and are all the same, and need not stand between a number and
//! a word. A `v` before the first digit does not count, nor does the case of letters. Two lists are compared element by element, and at the
//! first place where they differ, what stands higher in this table is older:
//!
//! | what stands there | examples |
//! |---|---|
//! | `~` with anything but a word of the next five rows behind it, as in Debian | `1.2~git5` |
//! | `dev`, `devel`, `snapshot`, `nightly` | `1.2.dev3`, `1.2-SNAPSHOT` |
//! | `alpha`, and `a` with a digit right behind it | `1.2-alpha`, `1.2a1` |
//! | `beta`, and `b` with a digit | `1.2beta2`, `1.2b2` |
//! | `milestone`, and `m` with a digit; `pre`, `preview`, `test` | `1.2-M3`, `1.2pre1` |
//! | `rc`, `cr`, `candidate`, and `c` with a digit | `1.2-rc.1`, `1.2rc1`, `1.2c1` |
//! | nothing: the list has ended | `1.2` |
//! | any other word, in the order of the alphabet | `1.0.2k`, `9.8p1`, `1.2-post1`, `1.2+git5` |
//! | a number, by its value | `1.2.1` |
//!
//! Zeros at the end of a row of numbers do not count: `1`, `1.0` and `1.0.0` are equal, and so are `1.0rc1`, `1-rc-1` and `1.0~rc1`.

use crate::debian::push_number;
use crate::parse_error::{Fault, shown};

/// The first bytes of elements in a key, in ascending order. Words that come before a release have those between `TILDE` and `END`.
const TILDE: u8 = 0x08;
const END: u8 = 0x30;
const WORD: u8 = 0x40;
const NUMBER: u8 = 0x50;

/// Words before a release, each row with its letter, which counts when a digit stands right behind it.
const BEFORE: [(u8, Option<&str>, &[&str]); 6] = [
    (0x10, None, &["dev", "devel", "snapshot", "nightly"]),
    (0x14, Some("a"), &["alpha"]),
    (0x18, Some("b"), &["beta"]),
    (0x1c, Some("m"), &["milestone"]),
    (0x20, None, &["pre", "preview", "test"]),
    (0x24, Some("c"), &["rc", "cr", "candidate"]),
];

/// A piece of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element<'a> {
    Tilde,
    /// A word before a release, as the first byte in the key.
    Before(u8),
    Word(&'a str),
    Number(&'a str),
}

/// The elements as bytes, so that comparing these is comparing the lists.
pub(crate) fn key(text: &str) -> Result<Vec<u8>, Fault> {
    let mut key = prefix(&elements(text)?);
    key.push(END);
    Ok(key)
}

/// What the keys of all versions begin with that this one is a release of.
pub(crate) fn prefix_of_prereleases(text: &str) -> Vec<u8> {
    prefix(&elements(text).unwrap_or_default())
}

pub(crate) fn is_prerelease(text: &str) -> bool {
    let before = |element: &Element<'_>| matches!(element, Element::Before(_) | Element::Tilde);
    elements(text).is_ok_and(|elements| elements.iter().any(before))
}

/// The row of numbers that it begins with.
pub(crate) fn numbers(text: &str) -> Vec<&str> {
    let elements = elements(text).unwrap_or_default();
    let numbers = elements.into_iter().map_while(|element| match element {
        Element::Number(digits) => Some(digits),
        _ => None,
    });
    numbers.collect()
}

fn prefix(elements: &[Element<'_>]) -> Vec<u8> {
    let mut key = Vec::new();
    // Where the last number ends that is not zero: the zeros behind it count only when another follows.
    let mut counted = 0;
    for element in elements {
        match element {
            Element::Number(digits) => {
                key.push(NUMBER);
                push_number(&mut key, digits);
                if digits.trim_start_matches('0').is_empty() {
                    continue;
                }
            }
            other => {
                key.truncate(counted);
                push_other(&mut key, *other);
            }
        }
        counted = key.len();
    }
    key.truncate(counted);
    key
}

fn push_other(key: &mut Vec<u8>, element: Element<'_>) {
    match element {
        Element::Tilde => key.push(TILDE),
        Element::Before(byte) => key.push(byte),
        Element::Word(word) => {
            key.push(WORD);
            key.extend(word.bytes().map(|byte| byte.to_ascii_lowercase()));
            // Below every letter, so that a word comes before a longer one.
            key.push(0);
        }
        Element::Number(_) => {}
    }
}

fn elements(text: &str) -> Result<Vec<Element<'_>>, Fault> {
    let mut elements = Vec::new();
    let mut at = without_v(text);
    // Whether a separator may stand here.
    let mut may_separate = false;
    while let Some(c) = text[at..].chars().next() {
        if ".-_+".contains(c) {
            if !may_separate {
                return Err(Fault::new(
                    at,
                    format!("nothing stands before this {}", shown(c)),
                    "leave it out",
                ));
            }
            (may_separate, at) = (false, at + 1);
            if at == text.len() {
                return Err(Fault::new(
                    at,
                    format!("nothing stands behind the last {}", shown(c)),
                    "leave it out",
                ));
            }
            continue;
        }
        let (element, length) = element(&text[at..]).ok_or_else(|| {
            let cause = format!("{} belongs to no version", shown(c));
            Fault::new(at, cause, "letters, digits and . - _ + ~ do; `plain` is a scheme for any name")
        })?;
        // `1.0~rc1` is what `1.0rc1` is.
        if matches!(element, Element::Before(_))
            && elements.last() == Some(&Element::Tilde)
            && text[..at].ends_with('~')
        {
            elements.pop();
        }
        elements.push(element);
        (may_separate, at) = (element != Element::Tilde, at + length);
    }
    Ok(elements)
}

/// The first element, and its length in bytes.
fn element(text: &str) -> Option<(Element<'_>, usize)> {
    let run = |belongs: fn(&u8) -> bool| text.bytes().take_while(belongs).count();
    let first = text.bytes().next()?;
    if first == b'~' {
        return Some((Element::Tilde, 1));
    }
    if first.is_ascii_digit() {
        let length = run(u8::is_ascii_digit);
        return Some((Element::Number(&text[..length]), length));
    }
    let length = run(u8::is_ascii_alphabetic);
    let word = text.get(..length).filter(|word| !word.is_empty())?;
    let digit_follows = text[length..].starts_with(|c: char| c.is_ascii_digit());
    let means = |words: &[&str]| words.iter().any(|known| word.eq_ignore_ascii_case(known));
    let row = BEFORE.iter().find(|(_, letter, words)| {
        means(words) || digit_follows && letter.is_some_and(|letter| means(&[letter]))
    });
    Some((row.map_or(Element::Word(word), |(byte, _, _)| Element::Before(*byte)), length))
}

/// The length of a `v` that a digit follows.
fn without_v(text: &str) -> usize {
    let mut bytes = text.bytes();
    let has_v =
        matches!(bytes.next(), Some(b'v' | b'V')) && bytes.next().is_some_and(|byte| byte.is_ascii_digit());
    usize::from(has_v)
}
