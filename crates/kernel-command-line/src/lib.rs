//! The kernel command line, by the kernel's own quoting rules.
//!
//! `Documentation/admin-guide/kernel-parameters.rst` and `next_arg` in the kernel's `lib/cmdline.c`: blanks separate
//! parameters, double quotes protect blanks anywhere, quotes around a whole parameter or a whole value vanish, and
//! what follows a lone `--` belongs to the real init. What the parameters of Lamina are called is in [`names`].

pub mod names;

/// One parameter, `name` or `name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Before the first `=`.
    pub name: String,
    /// After the first `=`, without its quotes.
    pub value: Option<String>,
}

/// All parameters, in order: also the words behind a lone `--`, and that one itself.
pub fn all(line: &str) -> Vec<Parameter> {
    words(line).into_iter().filter_map(parameter).collect()
}

/// The parameters of the kernel, in order, without those behind `--`.
pub fn parse(line: &str) -> Vec<Parameter> {
    words(line).into_iter().take_while(|word| *word != "--").filter_map(parameter).collect()
}

/// Whether the kernel was given this parameter, without a value.
pub fn has_word(line: &str, name: &str) -> bool {
    parse(line).iter().any(|parameter| parameter.name == name && parameter.value.is_none())
}

/// The words behind a lone `--`, which are the real init's.
pub fn for_init(line: &str) -> Vec<String> {
    words(line).into_iter().skip_while(|word| *word != "--").skip(1).map(str::to_owned).collect()
}

/// The options that the command line gives to a module, `NAME.OPTION=VALUE` with `-` and `_` alike, in the form that
/// finit_module(2) wants.
pub fn module_options(parameters: &[Parameter], module: &str) -> String {
    let same = |name: &str| name.replace('-', "_");
    let options = parameters.iter().filter_map(|parameter| {
        let (owner, option) = parameter.name.split_once('.')?;
        let ours = same(owner) == same(module) && !option.is_empty();
        ours.then(|| match &parameter.value {
            Some(value) if value.contains(char::is_whitespace) => format!("{option}=\"{value}\""),
            Some(value) => format!("{option}={value}"),
            None => option.to_owned(),
        })
    });
    options.collect::<Vec<_>>().join(" ")
}

/// `NAME` or `NAME=VALUE`, which has no double quotes, as it is written on a command line: `lamina.store="LABEL=my disk"`.
pub fn quoted(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, value)) if value.contains(' ') => format!("{name}=\"{value}\""),
        _ => parameter.to_owned(),
    }
}

/// Splits at blanks outside double quotes. An unclosed quote lasts to the end of the line.
fn words(line: &str) -> Vec<&str> {
    let mut quoted = false;
    line.split(|character: char| {
        quoted ^= character == '"';
        // isspace() of the kernel: its command line may end with a newline.
        !quoted && character.is_ascii_whitespace()
    })
    .filter(|word| !word.is_empty())
    .collect()
}

fn parameter(word: &str) -> Option<Parameter> {
    let word = match word.strip_prefix('"') {
        Some(inner) => inner.strip_suffix('"').unwrap_or(inner),
        None => word,
    };
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(unquoted(value))),
        None => (word, None),
    };
    (!name.is_empty()).then(|| Parameter { name: name.to_owned(), value: value.map(str::to_owned) })
}

fn unquoted(value: &str) -> &str {
    match value.strip_prefix('"') {
        Some(inner) => inner.strip_suffix('"').unwrap_or(inner),
        None => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(line: &str) -> Vec<(String, Option<String>)> {
        parse(line).into_iter().map(|parameter| (parameter.name, parameter.value)).collect()
    }

    fn pair(name: &str, value: Option<&str>) -> (String, Option<String>) {
        (name.to_owned(), value.map(str::to_owned))
    }

    #[test]
    fn blanks_separate_and_the_first_equals_sign_splits() {
        assert_eq!(
            pairs("quiet  a=b=c\tlamina.store=LABEL=data \n"),
            [pair("quiet", None), pair("a", Some("b=c")), pair("lamina.store", Some("LABEL=data"))]
        );
    }

    #[test]
    fn quotes_around_a_value_or_a_whole_parameter_vanish() {
        let expected = [pair("lamina.store", Some("LABEL=my disk"))];
        assert_eq!(pairs(r#"lamina.store="LABEL=my disk""#), expected);
        assert_eq!(pairs(r#""lamina.store=LABEL=my disk""#), expected);
    }

    #[test]
    fn quotes_inside_protect_blanks_and_stay() {
        assert_eq!(
            pairs(r#"dyndbg=file" a".c +p"#),
            [pair("dyndbg", Some(r#"file" a".c"#)), pair("+p", None)]
        );
    }

    #[test]
    fn a_word_inside_a_value_or_behind_two_dashes_is_no_parameter() {
        assert!(has_word("ro quiet\n", "quiet") && has_word(r#""quiet""#, "quiet"));
        for line in [r#"x="a quiet b""#, "quiet=1", "quieter", "ro -- quiet", ""] {
            assert!(!has_word(line, "quiet"), "{line}");
        }
    }

    #[test]
    fn an_unclosed_quote_lasts_to_the_end() {
        assert_eq!(pairs(r#"a="b c -- d"#), [pair("a", Some("b c -- d"))]);
    }

    #[test]
    fn what_follows_two_dashes_is_not_ours() {
        assert_eq!(pairs("quiet -- lamina.rescue"), [pair("quiet", None)]);
    }

    #[test]
    fn what_is_quoted_is_read_back() {
        for text in ["quiet", "lamina.store=LABEL=my disk", "a=", "a=b=c d"] {
            let read: Vec<_> = all(&format!("ro {} -- x", quoted(text)));
            let (name, value) =
                text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
            assert_eq!((read[1].name.as_str(), read[1].value.as_deref()), (name, value), "{text}");
            assert_eq!(
                read[2..].iter().map(|parameter| parameter.name.as_str()).collect::<Vec<_>>(),
                ["--", "x"]
            );
        }
    }

    #[test]
    fn a_parameter_without_a_name_is_nothing() {
        assert_eq!(pairs(r#"=x "" "=y""#), []);
    }

    #[test]
    fn modules_get_their_options() {
        let line =
            parse(r#"virtio-blk.num_request_queues=2 virtio_blk.flag loop.max_loop=8 virtio_blk.s="a b""#);
        assert_eq!(module_options(&line, "virtio_blk"), r#"num_request_queues=2 flag s="a b""#);
        assert_eq!(module_options(&line, "overlay"), "");
    }

    #[test]
    fn any_line_is_parsed_and_no_value_is_longer_than_the_line() {
        let mut random = 0x5eed_u64;
        for _ in 0..2000 {
            let line: String = (0..60)
                .map(|_| {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    char::from(br#" "=-.lamina_x"#[(random >> 33) as usize % 13])
                })
                .collect();
            for parameter in parse(&line) {
                assert!(line.contains(&parameter.name) && !parameter.name.is_empty());
                assert!(line.contains(parameter.value.as_deref().unwrap_or_default()));
            }
        }
    }
}
