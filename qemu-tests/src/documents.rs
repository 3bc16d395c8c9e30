//! The commands of a page of `docs/`, as it tells its readers to type them.

use std::fs;

use crate::artifacts;
use crate::failure::Failure;

/// Each line behind a prompt in a block of the kind `console`, without the prompt, in order.
///
/// # Errors
/// There is no such page, or no command in it.
pub fn commands(page: &str) -> Result<Vec<String>, Failure> {
    let path = artifacts::repository().join("docs").join(page);
    let found = commands_in(&fs::read_to_string(&path).map_err(Failure::at(&path))?);
    match found.is_empty() {
        true => Err(Failure::new(format!("{}: no block of it has a command", path.display()))),
        false => Ok(found),
    }
}

fn commands_in(text: &str) -> Vec<String> {
    let mut in_console = false;
    let mut commands = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(kind) = line.strip_prefix("```") {
            in_console = kind == "console";
        } else if in_console {
            let command = line.strip_prefix("$ ").or_else(|| line.strip_prefix("# "));
            commands.extend(command.map(str::to_owned));
        }
    }
    commands
}

/// The first block of the kind `sh`.
///
/// # Errors
/// There is no such page, or no such block.
pub fn script(page: &str) -> Result<String, Failure> {
    let path = artifacts::repository().join("docs").join(page);
    let text = fs::read_to_string(&path).map_err(Failure::at(&path))?;
    script_in(&text).ok_or_else(|| Failure::new(format!("{}: no block of it is a script", path.display())))
}

fn script_in(text: &str) -> Option<String> {
    let (_, behind) = text.split_once("\n```sh\n")?;
    behind.split_once("```\n").map(|(script, _)| script.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_what_stands_in_its_block() {
        let text = "```console\n$ one\n```\n\n```sh\n#!/bin/sh\ntwo\n```\nmore\n";
        assert_eq!(script_in(text).as_deref(), Some("#!/bin/sh\ntwo\n"));
    }

    #[test]
    fn only_what_stands_behind_a_prompt_in_a_console_is_a_command() {
        let text = "# Title\n\n    $ not this\n\n```console\n$ one | two\nwhat it says\n```\n\n   ```console\n   # three\n   ```\n```kdl\n# four\n```\n";
        assert_eq!(commands_in(text), ["one | two", "three"]);
    }
}
