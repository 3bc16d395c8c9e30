//! What the word under the cursor is an argument of, on a command line that is not finished.

use argh::{CommandInfoWithArgs, FlagInfo};

use crate::command_line::declared::{has_value, repeats};

/// The place of the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor<'a> {
    /// The names of the command and of those above it.
    pub command: Vec<&'a str>,
    /// The long name of an option, as `--with`, whose value is being typed, or the name of a positional argument.
    pub argument: &'a str,
    /// What is typed of it so far.
    pub typed: String,
    /// What stands before that in the same word: `--with=`, else nothing.
    pub before: String,
    /// The arguments that are given already: names as in `argument`, and values.
    pub given: Vec<(&'a str, String)>,
}

impl Cursor<'_> {
    /// The values that an argument has so far, in their order.
    pub fn values(&self, argument: &str) -> impl Iterator<Item = &str> {
        self.given.iter().filter(move |(name, _)| *name == argument).map(|(_, value)| value.as_str())
    }
}

struct Walk<'a> {
    levels: Vec<&'a CommandInfoWithArgs>,
    command: Vec<&'a str>,
    given: Vec<(&'a str, String)>,
    positionals: usize,
    /// The option whose value comes next.
    wants: Option<&'a str>,
    /// Behind `--`.
    plain: bool,
}

/// Finds it; `words` stand behind the program's name, and the last is the one under the cursor, up to it. `None` where a command or
/// an option is typed, and where nothing more is taken.
pub fn at_cursor<'a>(declared: &'a CommandInfoWithArgs, words: &[String]) -> Option<Cursor<'a>> {
    let (typed, complete) = words.split_last()?;
    let mut walk = Walk {
        levels: vec![declared],
        command: Vec::new(),
        given: Vec::new(),
        positionals: 0,
        wants: None,
        plain: false,
    };
    complete.iter().for_each(|word| walk.take(word));
    let (argument, before, typed) = walk.last(typed)?;
    Some(Cursor { command: walk.command, argument, typed, before, given: walk.given })
}

impl<'a> Walk<'a> {
    fn take(&mut self, word: &str) {
        if let Some(option) = self.wants.take() {
            self.given.push((option, word.to_owned()));
        } else if self.plain || !word.starts_with('-') || word == "-" {
            self.plain_word(word);
        } else if word == "--" {
            self.plain = true;
        } else if let Some((name, value)) = word.split_once('=').filter(|_| word.starts_with("--")) {
            let option = self.flag(|flag| flag.long == name).map(|flag| flag.long);
            self.given.extend(option.map(|option| (option, value.to_owned())));
        } else if word.starts_with("--") {
            self.wants = self.flag(|flag| flag.long == word && has_value(flag)).map(|flag| flag.long);
        } else {
            self.letters(&word[1..]);
        }
    }

    /// `-n`, `-nv`, `-j`, `-j4`: the first letter with a value takes the rest.
    fn letters(&mut self, letters: &str) {
        for (at, letter) in letters.char_indices() {
            let Some(flag) = self.flag(|flag| flag.short == Some(letter) && has_value(flag)) else {
                continue;
            };
            let rest = &letters[at + letter.len_utf8()..];
            match rest {
                "" => self.wants = Some(flag.long),
                _ => self.given.push((flag.long, rest.to_owned())),
            }
            return;
        }
    }

    fn plain_word(&mut self, word: &str) {
        let level = self.level();
        if let Some(below) = level.commands.iter().find(|below| below.name == word) {
            self.levels.push(&below.command);
            self.command.push(below.name);
        } else if let Some(name) = self.next_positional() {
            self.given.push((name, word.to_owned()));
            self.positionals += 1;
        }
    }

    /// Of the word under the cursor: the argument, what stands before its value, and the value so far.
    fn last(&self, word: &str) -> Option<(&'a str, String, String)> {
        let whole = |argument| Some((argument, String::new(), word.to_owned()));
        match (self.wants, word.split_once('=')) {
            (Some(option), _) => whole(option),
            (None, Some((name, value))) if word.starts_with("--") && !self.plain => {
                let flag = self.flag(|flag| flag.long == name && has_value(flag))?;
                Some((flag.long, format!("{name}="), value.to_owned()))
            }
            _ if word.starts_with('-') && !self.plain => None,
            _ if !self.level().commands.is_empty() => None,
            _ => whole(self.next_positional()?),
        }
    }

    fn next_positional(&self) -> Option<&'a str> {
        let declared = self.level().positionals;
        let last = declared.last().filter(|last| repeats(last));
        declared.get(self.positionals).or(last).map(|positional| positional.name)
    }

    /// An option of the command or of one above it.
    fn flag(&self, is: impl Fn(&FlagInfo<'_>) -> bool) -> Option<&'a FlagInfo<'a>> {
        self.levels.iter().rev().flat_map(|level| level.flags).find(|flag| is(flag))
    }

    fn level(&self) -> &'a CommandInfoWithArgs {
        self.levels[self.levels.len() - 1]
    }
}
