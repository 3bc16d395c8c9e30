//! What a feature may be called, and which variable tells a step what was chosen.

use profiles::linkage::{LIBC, LINKAGE};
use profiles::{Choice, Name};

/// What helps against a bad name of a feature or a variant.
pub const HELP: &str =
    "a name here is 1 to 64 lower-case letters, digits and + - . _, and starts with a letter or digit";

/// The feature that a recipe's `variant` is, which has words of its own in ids and records.
pub const VARIANT: &str = "variant";

/// The value that stands for "off" where a feature has values.
pub(super) const NONE: &str = "none";

/// Whether a feature is off: a switch, or one of values that has the value for it.
pub fn is_off(choice: &Choice) -> bool {
    match choice {
        Choice::Off => true,
        Choice::On => false,
        Choice::Of(value) => value.as_str() == NONE,
    }
}

/// Accepts the names of profiles (see [`Name`]) in lower case: variables are in upper case, and two features that differ in
/// case alone would have one.
pub fn parse(text: &str) -> Result<String, String> {
    let lower = !text.contains(|c: char| c.is_ascii_uppercase());
    match Name::parse(text) {
        Ok(name) if lower => Ok(name.as_str().to_owned()),
        Ok(_) => Err(format!("'{text}' is not a plain name: it has capital letters")),
        Err(error) => Err(format!("'{text}' is not a plain name: {error}")),
    }
}

/// The variable of a feature: `tls` has `FEATURE_TLS`, `a-b`, `a_b` and `a.b` have `FEATURE_A_B`, and `c++` has
/// `FEATURE_CPLUSPLUS`. `linkage` and `libc`, which no feature may be called, have `LINKAGE` and `LIBC`. A recipe with two features of
/// one variable is refused.
pub fn variable(name: &str) -> String {
    let letter = |c: char| match c {
        '-' | '_' | '.' => "_".to_owned(),
        '+' => "PLUS".to_owned(),
        _ => c.to_ascii_uppercase().to_string(),
    };
    let prefix = if [LINKAGE, LIBC].contains(&name) { "" } else { "FEATURE_" };
    prefix.to_owned() + &name.chars().map(letter).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_makes_a_variable_of_the_shell() {
        for (name, expected) in [
            ("tls", "FEATURE_TLS"),
            ("c++", "FEATURE_CPLUSPLUS"),
            ("a_b", "FEATURE_A_B"),
            ("a-b", "FEATURE_A_B"),
            ("http1.1", "FEATURE_HTTP1_1"),
            ("9p", "FEATURE_9P"),
            ("linkage", "LINKAGE"),
            ("libc", "LIBC"),
        ] {
            assert_eq!(parse(name).as_deref(), Ok(name));
            assert_eq!(variable(name), expected);
            assert!(expected.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
        }
        for name in ["", "+x", "-x", "_x", "TLS", "a b", "a=b", "a/b", "a..b", "\u{e9}", &"a".repeat(65)] {
            assert!(parse(name).is_err(), "{name}");
        }
    }
}
