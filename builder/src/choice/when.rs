//! Conditions on choices: `when="http2 tls!=none"`.

use std::fmt;

use profiles::decode::{KdlValue, Problem, Value, text};
use profiles::{Choice, Name};

use super::name::{self, is_off};
use super::selection::Selection;

/// Most words of a condition.
const MOST_WORDS: usize = 32;

/// How a condition is written.
const HELP: &str = "write \"http2\" (on), \"-ldap\" (off), \"tls=openssl|libressl\" or \"tls!=none\"; of several words, all must hold";

/// A condition on what is chosen: all of its words hold. Without words it always holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct When(Vec<Word>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    feature: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    On,
    Off,
    OneOf(Vec<Name>),
    NoneOf(Vec<Name>),
}

impl When {
    /// Reads a condition; see [`HELP`] for how one is written.
    ///
    /// # Errors
    /// Says which word is none.
    pub fn parse(text: &str) -> Result<When, String> {
        let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
        match words.len() {
            0 => Err("is an empty condition".to_owned()),
            many if many > MOST_WORDS => Err(format!("has {many} words, and {MOST_WORDS} are the most")),
            _ => words.into_iter().map(Word::parse).collect::<Result<_, _>>().map(When),
        }
    }

    /// Whether it holds for what was chosen.
    pub fn holds(&self, selection: &Selection) -> bool {
        self.0.iter().all(|word| word.holds(selection.get(&word.feature)))
    }

    /// Whether it always holds.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The features that it looks at.
    pub fn features(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|word| word.feature.as_str())
    }

    /// Each value that it names, with its feature.
    pub fn values(&self) -> impl Iterator<Item = (&str, &Name)> {
        self.0.iter().flat_map(|word| {
            let names = match &word.test {
                Test::OneOf(names) | Test::NoneOf(names) => names.as_slice(),
                Test::On | Test::Off => &[],
            };
            names.iter().map(|name| (word.feature.as_str(), name))
        })
    }
}

impl Word {
    fn parse(word: &str) -> Result<Word, String> {
        let names = |list: &str| -> Result<Vec<Name>, String> {
            let name = |it: &str| Name::parse(it).map_err(|error| format!("'{word}': {error}"));
            list.split('|').map(name).collect()
        };
        let (feature, test) = match (word.split_once('='), word.strip_prefix('-')) {
            (Some((head, list)), _) => match head.strip_suffix('!') {
                Some(feature) => (feature, Test::NoneOf(names(list)?)),
                None => (head, Test::OneOf(names(list)?)),
            },
            (None, Some(feature)) => (feature, Test::Off),
            (None, None) => (word, Test::On),
        };
        let feature = name::parse(feature)?;
        Ok(Word { feature, test })
    }

    fn holds(&self, chosen: &Choice) -> bool {
        match (&self.test, chosen) {
            (Test::On, chosen) => !is_off(chosen),
            (Test::Off, chosen) => is_off(chosen),
            (Test::OneOf(names), Choice::Of(chosen)) => names.contains(chosen),
            (Test::NoneOf(names), Choice::Of(chosen)) => !names.contains(chosen),
            (Test::OneOf(_), _) => false,
            (Test::NoneOf(_), _) => true,
        }
    }
}

impl Value for When {
    fn decode(value: &KdlValue) -> Result<When, Problem> {
        When::parse(text(value)?).map_err(|message| Problem::new(message, HELP))
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&words.join(" "))
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &[Name]| names.iter().map(Name::as_str).collect::<Vec<_>>().join("|");
        match &self.test {
            Test::On => f.write_str(&self.feature),
            Test::Off => write!(f, "-{}", self.feature),
            Test::OneOf(names) => write!(f, "{}={}", self.feature, list(names)),
            Test::NoneOf(names) => write!(f, "{}!={}", self.feature, list(names)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection() -> Selection {
        let choice = |text: &str| Choice::Of(Name::parse(text).unwrap());
        [("tls", choice("libressl")), ("http2", Choice::On), ("c++", Choice::Off)]
            .map(|(name, choice)| (name.to_owned(), choice))
            .into_iter()
            .collect()
    }

    #[test]
    fn all_words_must_hold() {
        for (text, holds) in [
            ("http2", true),
            ("tls", true),
            ("-c++", true),
            ("c++", false),
            ("-http2", false),
            ("unknown", false),
            ("tls=libressl", true),
            ("tls=openssl|libressl", true),
            ("tls!=none", true),
            ("tls!=none|libressl", false),
            ("http2=on", false),
            ("http2 tls=openssl", false),
            ("http2 -c++ tls!=none", true),
        ] {
            let when = When::parse(text).unwrap();
            assert_eq!(when.holds(&selection()), holds, "{text}");
            assert_eq!(when.to_string(), text);
        }
        assert!(When::default().holds(&selection()));
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for text in
            ["", " ", "TLS", "-", "=x", "!=x", "tls=", "tls=a||b", "tls=a b=", "a/b", &"a ".repeat(33)]
        {
            assert!(When::parse(text).is_err(), "{text}");
        }
    }
}
