//! What `argh` says when it cannot read a command line, in the words and the form of the other messages.

use argh::CommandInfoWithArgs;

use super::Program;
use super::declared::{command_at, known_commands, shown};

/// What the standard library says of text that is no number of the wanted type (`ParseIntError`), for people.
fn of_number(cause: &str) -> &str {
    match cause {
        "number would be zero for non-zero type" => "must be 1 or more",
        "invalid digit found in string" => "is no whole number",
        "cannot parse integer from empty string" => "is empty, and a number belongs there",
        "number too large to fit in target type" => "is too large",
        "number too small to fit in target type" => "is too small",
        other => other,
    }
}

/// The message. `words` are those that `argh` was given.
pub(crate) fn message(
    program: &Program<'_>,
    declared: &CommandInfoWithArgs,
    path: &[String],
    words: &[String],
    said: &str,
) -> String {
    let command =
        [program.name].into_iter().chain(path.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    let help = format!("`{command} --help` says what is expected");
    if said.starts_with("One of the following subcommands must be present") {
        let known = command_at(declared, path).map(known_commands).unwrap_or_default();
        return format!(
            "{command}: a command is missing\nhelp: known here: {}; `{command} --help` explains them",
            known.join(", ")
        );
    }
    for pair in words.windows(2) {
        let [option, value] = pair else { continue };
        let begin = format!("Error parsing option '{option}' with value '{value}': ");
        if let Some(cause) = said.strip_prefix(&begin) {
            return match cause.trim_end() {
                "duplicate values provided" => {
                    format!("{command}: {option} is given more than once\nhelp: give it once")
                }
                cause => format!("{command}: {option} {}: {}\nhelp: {help}", shown(value), of_number(cause)),
            };
        }
    }
    let cause = said.trim_end().lines().map(str::trim).collect::<Vec<_>>().join(" ");
    format!("{command}: {cause}\nhelp: {help}")
}
