//! What `argh` lacks: `--name=value`, options of the whole command anywhere, and a nearest name for an unknown command.

use argh::ArgsInfo;
use command_help::split_values;

use super::Lamina;

/// Options of the whole command that have a value, and those that have none.
const WITH_VALUE: [&str; 2] = ["--store", "--tree"];
const SWITCHES: [&str; 1] = ["--verbose"];

/// The command line in the form that `argh` reads. The error is a message for the user.
pub fn prepare(arguments: Vec<String>) -> Result<Vec<String>, String> {
    let arguments = options_first(split_values(arguments))?;
    command_help::check(&arguments, "lamina", &Lamina::get_args_info())?;
    Ok(arguments)
}

/// Moves the options of the whole command before the first subcommand.
fn options_first(arguments: Vec<String>) -> Result<Vec<String>, String> {
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
                None => return Err(format!("lamina: {word} has no value\nhelp: give a folder after it")),
            }
        } else if SWITCHES.contains(&word.as_str()) {
            first.push(word);
        } else {
            others.push(word);
        }
    }
    first.extend(others);
    Ok(first)
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
        assert!(prepared("build x --store").unwrap_err().contains("--store has no value"));
    }

    #[test]
    fn an_unknown_command_gets_the_nearest_name() {
        let message = prepared("--store s stroe list").unwrap_err();
        assert_eq!(message, "lamina: there is no command 'stroe'\nhelp: did you mean 'store'?");
        let message = prepared("store lsit").unwrap_err();
        assert_eq!(message, "lamina store: there is no command 'lsit'\nhelp: did you mean 'list'?");
        assert!(prepared("frobnicate").unwrap_err().contains("known here: "));
    }

    #[test]
    fn an_unknown_option_gets_the_nearest_name() {
        let message = prepared("store verify --josn").unwrap_err();
        assert_eq!(message, "lamina store verify: there is no option '--josn'\nhelp: did you mean '--json'?");
        let message = prepared("--verbsoe store list").unwrap_err();
        assert_eq!(message, "lamina: there is no option '--verbsoe'\nhelp: did you mean '--verbose'?");
        // The value of an option, and what comes after --, is not looked at.
        for line in
            ["build x --with --odd", "image create x -o --odd", "why -- --odd", "build --help", "help"]
        {
            prepared(line).unwrap();
        }
    }
}
