//! What `argh` says when it cannot read a command line, in the words and the form of the other messages.

use argh::CommandInfoWithArgs;

use super::Program;
use super::declared::{command_at, known_commands, shown};

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
                cause => format!("{command}: {option} {}: {cause}\nhelp: {help}", shown(value)),
            };
        }
    }
    let cause = said.trim_end().lines().map(str::trim).collect::<Vec<_>>().join(" ");
    format!("{command}: {cause}\nhelp: {help}")
}
