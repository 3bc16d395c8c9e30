//! What `argh` lacks on a command line: `--name=value`, and a nearest name for an unknown command or option.

use argh::{CommandInfoWithArgs, FlagInfo, FlagInfoKind};
use profiles::suggest;

/// `--name=value` as two words; what comes after `--` stays as it is.
pub fn split_values(arguments: Vec<String>) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = arguments.into_iter();
    for word in rest.by_ref() {
        if word == "--" {
            words.push(word);
            break;
        }
        match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => {
                words.extend([name.to_owned(), value.to_owned()])
            }
            _ => words.push(word),
        }
    }
    words.extend(rest);
    words
}

/// Follows the commands and options of the command `name`; at the first unknown one, names the nearest.
///
/// # Errors
/// The message for the user. What else may be wrong is left to `argh`.
pub fn check(arguments: &[String], name: &str, command: &CommandInfoWithArgs) -> Result<(), String> {
    let (mut path, mut command) = (name.to_owned(), command);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if word == "--" || word == "help" && !command.commands.is_empty() {
            return Ok(());
        }
        if word.starts_with("--") {
            match command.flags.iter().find(|flag| flag.long == word) {
                Some(flag) if has_value(flag) => drop(words.next()),
                Some(_) => {}
                None => return Err(unknown_option(&path, word, command)),
            }
        } else if word.starts_with('-') {
            let short =
                command.flags.iter().find(|flag| flag.short.is_some_and(|c| *word == format!("-{c}")));
            if short.is_some_and(has_value) {
                words.next();
            }
        } else if !command.commands.is_empty() {
            let Some(below) = command.commands.iter().find(|below| below.name == word) else {
                let names: Vec<&str> = command.commands.iter().map(|below| below.name).collect();
                let remedy = suggest::remedy(word, &names);
                return Err(format!("{path}: there is no command '{word}'\nhelp: {remedy}"));
            };
            path = format!("{path} {word}");
            command = &below.command;
        }
    }
    Ok(())
}

fn has_value(flag: &FlagInfo) -> bool {
    matches!(flag.kind, FlagInfoKind::Option { .. })
}

fn unknown_option(path: &str, word: &str, command: &CommandInfoWithArgs) -> String {
    let names: Vec<&str> = command.flags.iter().map(|flag| flag.long).collect();
    format!("{path}: there is no option '{word}'\nhelp: {}", suggest::remedy(word, &names))
}
