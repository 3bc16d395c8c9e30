//! What `argh` lacks: `--name=value`, options of the whole command anywhere, and a nearest name for an unknown command.

use argh::{ArgsInfo, CommandInfoWithArgs};
use profiles::suggest;

use super::Lamina;

/// Options of the whole command that have a value, and those that have none.
const WITH_VALUE: [&str; 2] = ["--store", "--tree"];
const SWITCHES: [&str; 1] = ["--verbose"];

/// The command line in the form that `argh` reads. The error is a message for the user.
pub fn prepare(arguments: Vec<String>) -> Result<Vec<String>, String> {
    let arguments = options_first(split_values(arguments));
    check_commands(&arguments, &Lamina::get_args_info())?;
    Ok(arguments)
}

/// `--name=value` as two words; what comes after `--` stays as it is.
fn split_values(arguments: Vec<String>) -> Vec<String> {
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

/// Moves the options of the whole command before the first subcommand.
fn options_first(arguments: Vec<String>) -> Vec<String> {
    let (mut first, mut others) = (Vec::new(), Vec::new());
    let mut rest = arguments.into_iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            others.push(word);
            others.extend(rest);
            break;
        } else if WITH_VALUE.contains(&word.as_str()) {
            match rest.next() {
                Some(value) => first.extend([word, value]),
                // argh says that the value is missing.
                None => others.push(word),
            }
        } else if SWITCHES.contains(&word.as_str()) {
            first.push(word);
        } else {
            others.push(word);
        }
    }
    first.extend(others);
    first
}

/// Follows the subcommands; at the first unknown one, names the nearest.
fn check_commands(arguments: &[String], lamina: &CommandInfoWithArgs) -> Result<(), String> {
    let mut path = "lamina".to_owned();
    let mut known = &lamina.commands;
    for word in &arguments[leading_options(arguments)..] {
        if known.is_empty() || word.starts_with('-') || word == "help" {
            return Ok(());
        }
        let Some(command) = known.iter().find(|command| command.name == word) else {
            let names: Vec<&str> = known.iter().map(|command| command.name).collect();
            return Err(format!(
                "{path}: there is no command '{word}'\nhelp: {}",
                suggest::remedy(word, &names)
            ));
        };
        path = format!("{path} {word}");
        known = &command.command.commands;
    }
    Ok(())
}

/// How many words the options of the whole command take at the start.
fn leading_options(arguments: &[String]) -> usize {
    let mut count = 0;
    while let Some(word) = arguments.get(count) {
        count += match word.as_str() {
            word if WITH_VALUE.contains(&word) => 2,
            word if SWITCHES.contains(&word) => 1,
            _ => break,
        };
    }
    count.min(arguments.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(line: &str) -> Result<String, String> {
        prepare(line.split(' ').map(str::to_owned).collect()).map(|words| words.join(" "))
    }

    #[test]
    fn values_may_follow_an_equals_sign() {
        assert_eq!(prepared("build --jobs=4 x").unwrap(), "build --jobs 4 x");
        assert_eq!(prepared("build x -- --a=b").unwrap(), "build x -- --a=b");
    }

    #[test]
    fn options_of_the_whole_command_may_stand_anywhere() {
        assert_eq!(prepared("build x --store=/s --verbose").unwrap(), "--store /s --verbose build x");
        assert_eq!(prepared("--tree t store list").unwrap(), "--tree t store list");
        assert_eq!(prepared("build x --store").unwrap(), "build x --store");
    }

    #[test]
    fn an_unknown_command_gets_the_nearest_name() {
        let message = prepared("--store s stroe list").unwrap_err();
        assert_eq!(message, "lamina: there is no command 'stroe'\nhelp: did you mean 'store'?");
        let message = prepared("store lsit").unwrap_err();
        assert_eq!(message, "lamina store: there is no command 'lsit'\nhelp: did you mean 'list'?");
        assert!(prepared("frobnicate").unwrap_err().contains("known here: "));
    }
}
