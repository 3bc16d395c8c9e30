//! What the declaration of a command says.

use argh::{CommandInfoWithArgs, FlagInfo, FlagInfoKind, Optionality, PositionalInfo};

/// Longer words are cut short in messages.
const MOST_SHOWN: usize = 200;

pub(crate) fn has_value(flag: &FlagInfo<'_>) -> bool {
    matches!(flag.kind, FlagInfoKind::Option { .. })
}

/// As usage shows it: `--jobs N`.
pub(crate) fn with_value(flag: &FlagInfo<'_>) -> String {
    match flag.kind {
        FlagInfoKind::Option { arg_name } => format!("{} {}", flag.long, arg_name.to_uppercase()),
        FlagInfoKind::Switch => flag.long.to_owned(),
    }
}

/// Whether it takes any number of words.
pub(crate) fn repeats(positional: &PositionalInfo) -> bool {
    matches!(positional.optionality, Optionality::Repeating | Optionality::Greedy)
}

/// The names of the commands below one.
pub(crate) fn known_commands<'a>(declared: &CommandInfoWithArgs) -> Vec<&'a str> {
    declared.commands.iter().map(|below| below.name).collect()
}

/// The command with these words.
pub(crate) fn command_at<'a>(
    declared: &'a CommandInfoWithArgs,
    path: &[String],
) -> Option<&'a CommandInfoWithArgs> {
    path.iter().try_fold(declared, |declared, word| {
        declared.commands.iter().find(|below| below.name == word).map(|below| &below.command)
    })
}

/// A word of the user's in a message: it forges no line, moves no cursor, and has an end.
pub(crate) fn shown(word: &str) -> String {
    let mut text = crate::safe_text::clean(&word.chars().take(MOST_SHOWN).collect::<String>());
    if word.chars().nth(MOST_SHOWN).is_some() {
        text.push('…');
    }
    text
}
