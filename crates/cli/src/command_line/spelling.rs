//! From words as people write them to words as `argh` reads them.

use std::collections::VecDeque;

use argh::{CommandInfoWithArgs, FlagInfo, FlagInfoKind, Optionality};
use profiles::suggest;

use super::Program;
use super::declared::{has_value, known_commands, repeats, shown, with_value};

/// What the words ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spelt {
    /// The help of the command with these words.
    Help(Vec<String>),
    /// The version of the program.
    Version,
    /// A command.
    Command {
        /// The words that lead to it, without the name of the program.
        path: Vec<String>,
        /// All words, as `argh` reads them.
        words: Vec<String>,
    },
}

/// A command on the way to the one that is meant.
struct Level<'a> {
    declared: &'a CommandInfoWithArgs,
    options: Vec<String>,
    positionals: Vec<String>,
}

struct Walk<'a> {
    program: &'a Program<'a>,
    /// The program itself first; never empty.
    levels: Vec<Level<'a>>,
    path: Vec<String>,
    rest: VecDeque<String>,
    /// Help or version, whichever was asked for first.
    asked: Option<Asked>,
}

#[derive(Clone, Copy)]
enum Asked {
    Help,
    Version,
}

/// Brings the words into the form that `argh` reads.
///
/// # Errors
/// The message for the user, with what to do.
pub fn spell(
    program: &Program<'_>,
    declared: &CommandInfoWithArgs,
    words: Vec<String>,
) -> Result<Spelt, String> {
    let mut walk = Walk::begin(program, declared, words);
    walk.all()?;
    match walk.asked {
        Some(Asked::Help) => Ok(Spelt::Help(walk.path)),
        Some(Asked::Version) => Ok(Spelt::Version),
        None => {
            walk.check_complete()?;
            let (path, words) = walk.end();
            Ok(Spelt::Command { path, words })
        }
    }
}

impl<'a> Walk<'a> {
    fn begin(program: &'a Program<'a>, declared: &'a CommandInfoWithArgs, words: Vec<String>) -> Self {
        let first = Level { declared, options: Vec::new(), positionals: Vec::new() };
        Walk { program, levels: vec![first], path: Vec::new(), rest: words.into(), asked: None }
    }

    fn all(&mut self) -> Result<(), String> {
        while let Some(word) = self.rest.pop_front() {
            if word == "--" {
                let rest = std::mem::take(&mut self.rest);
                return rest.into_iter().try_for_each(|word| self.positional(word));
            }
            match word.strip_prefix('-') {
                Some(letters) if self.is_choice(letters) => self.positional(word)?,
                Some(letters) if !letters.is_empty() => match letters.starts_with('-') {
                    true => self.long(&word)?,
                    false => self.short(letters)?,
                },
                _ => self.plain(word)?,
            }
        }
        Ok(())
    }

    /// Whether `-LETTERS` behind a package switches a feature of it off: it is no row of switches, and no `-j4`.
    fn is_choice(&self, letters: &str) -> bool {
        let chooses = self.path.last().is_some_and(|name| self.program.choosing.contains(&name.as_str()));
        if !chooses || self.last().positionals.is_empty() || letters.starts_with('-') {
            return false;
        }
        let flag = |letter: char| self.flag(&format!("-{letter}")).map(|(_, flag)| flag);
        let is_switch =
            |letter: char| "hV".contains(letter) || flag(letter).is_some_and(|flag| !has_value(flag));
        let mut rest = letters.trim_start_matches(is_switch).chars();
        let has_number = rest.next().is_none_or(|letter| flag(letter).is_some())
            && rest.as_str().trim_start_matches('=').bytes().all(|byte| byte.is_ascii_digit());
        !has_number
    }

    /// `--name`, `--name value`, `--name=value`.
    fn long(&mut self, word: &str) -> Result<(), String> {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word, None),
        };
        let alias = self.program.aliases.iter().find(|(old, _)| *old == name && self.flag(old).is_none());
        let name = match alias {
            Some((_, command)) if !command.starts_with('-') => {
                value.into_iter().for_each(|value| self.rest.push_front(value));
                return self.plain((*command).to_owned());
            }
            Some((_, new)) => new,
            None => name,
        };
        match (name, self.flag(name)) {
            ("--help", _) => self.ask(Asked::Help),
            ("--version", None) => self.ask(Asked::Version),
            (_, Some((level, flag))) => return self.option(level, flag, name, value),
            (_, None) => return Err(self.unknown_option(name)),
        }
        match value {
            Some(_) => Err(self.no_value_taken(name)),
            None => Ok(()),
        }
    }

    /// `-n`, `-nv`, `-j4`, `-j 4`.
    fn short(&mut self, letters: &str) -> Result<(), String> {
        for (at, letter) in letters.char_indices() {
            let name = format!("-{letter}");
            let rest = &letters[at + letter.len_utf8()..];
            match (letter, self.flag(&name)) {
                (_, Some((level, flag))) if has_value(flag) => {
                    let value = rest.strip_prefix('=').unwrap_or(rest);
                    let value = (!rest.is_empty()).then(|| value.to_owned());
                    return self.option(level, flag, &name, value);
                }
                (_, Some((level, flag))) => self.option(level, flag, &name, None)?,
                ('h', None) => self.ask(Asked::Help),
                ('V', None) => self.ask(Asked::Version),
                (_, None) => return Err(self.unknown_option(&name)),
            }
        }
        Ok(())
    }

    fn ask(&mut self, what: Asked) {
        self.asked.get_or_insert(what);
    }

    fn option(
        &mut self,
        level: usize,
        flag: &'a FlagInfo<'a>,
        name: &str,
        value: Option<String>,
    ) -> Result<(), String> {
        let FlagInfoKind::Option { arg_name } = flag.kind else {
            if value.is_some() {
                return Err(self.no_value_taken(name));
            }
            self.levels[level].options.push(flag.long.to_owned());
            return Ok(());
        };
        let value = match value {
            Some(value) => value,
            None => {
                // `--output --json` is a value left out, and no file called --json.
                let next = self.rest.pop_front().filter(|next| !self.is_option(next));
                next.ok_or_else(|| {
                    format!(
                        "{}: {name} has no value\nhelp: give {} after it",
                        self.command(),
                        arg_name.to_uppercase()
                    )
                })?
            }
        };
        self.levels[level].options.extend([flag.long.to_owned(), value]);
        Ok(())
    }

    fn is_option(&self, word: &str) -> bool {
        word.starts_with("--") && (word == "--" || self.flag(word).is_some())
    }

    /// A word without a dash: a command, or an argument.
    fn plain(&mut self, word: String) -> Result<(), String> {
        let declared = self.last().declared;
        if declared.commands.is_empty() {
            return self.positional(word);
        }
        if word == "help" {
            self.ask(Asked::Help);
            return Ok(());
        }
        let Some(below) = declared.commands.iter().find(|below| below.name == word) else {
            let names: Vec<&str> = known_commands(declared);
            let remedy = suggest::remedy(&word, &names);
            return Err(format!(
                "{}: there is no command '{}'\nhelp: {remedy}",
                self.command(),
                shown(&word)
            ));
        };
        self.levels.push(Level { declared: &below.command, options: Vec::new(), positionals: Vec::new() });
        self.path.push(word);
        Ok(())
    }

    fn positional(&mut self, word: String) -> Result<(), String> {
        let (command, level) = (self.command(), self.last_mut());
        let declared = level.declared.positionals;
        if level.positionals.len() >= declared.len() && !declared.last().is_some_and(|it| repeats(it)) {
            let names = declared.iter().map(|it| it.name.to_uppercase()).collect::<Vec<_>>().join(" ");
            let takes =
                if names.is_empty() { "takes options only".to_owned() } else { format!("takes {names}") };
            return Err(format!(
                "{command}: '{}' is one word too many\nhelp: `{command}` {takes}",
                shown(&word)
            ));
        }
        level.positionals.push(word);
        Ok(())
    }

    /// What must be there is there. A missing command is found by `argh`, which knows whether one must be given.
    fn check_complete(&self) -> Result<(), String> {
        for level in &self.levels {
            let declared = level.declared;
            let required = declared.positionals.iter().filter(|it| it.optionality == Optionality::Required);
            let missing = required.skip(level.positionals.len()).map(|it| it.name.to_uppercase());
            let options = declared.flags.iter().filter(|flag| flag.optionality == Optionality::Required);
            let absent = options.filter(|flag| !level.options.iter().any(|given| given == flag.long));
            let missing: Vec<String> = missing.chain(absent.map(with_value)).collect();
            if !missing.is_empty() {
                let verb = if missing.len() == 1 { "is" } else { "are" };
                let example = declared.examples.first().and_then(|text| text.lines().next());
                let help = match example {
                    Some(example) => format!("for example: {example}"),
                    None => format!("`{} --help` says what is expected", self.command()),
                };
                return Err(format!(
                    "{}: {} {verb} missing\nhelp: {help}",
                    self.command(),
                    missing.join(" and ")
                ));
            }
        }
        Ok(())
    }

    /// The flag with this long or short name, of the command or of one above it, and the number of its level.
    fn flag(&self, name: &str) -> Option<(usize, &'a FlagInfo<'a>)> {
        let letter =
            name.strip_prefix('-').filter(|rest| !rest.starts_with('-')).and_then(|rest| rest.chars().next());
        let named = |flag: &&FlagInfo<'_>| {
            flag.long != "--help" && if letter.is_some() { flag.short == letter } else { flag.long == name }
        };
        let levels = self.levels.iter().enumerate().rev();
        levels.filter_map(|(number, level)| Some((number, level.declared.flags.iter().find(named)?))).next()
    }

    fn unknown_option(&self, name: &str) -> String {
        let flags =
            self.levels.iter().rev().flat_map(|level| level.declared.flags).filter(|flag| !flag.hidden);
        let mut names: Vec<&str> = flags.map(|flag| flag.long).collect();
        names.push("--version");
        names.sort_unstable();
        names.dedup();
        let command = self.command();
        // An old name that was meant is told as the new one.
        let old = self.program.aliases.iter().map(|(old, _)| *old);
        let near =
            suggest::nearest(name, names.iter().copied().chain(old)).filter(|_| name.starts_with("--"));
        let near = near.map(|near| {
            self.program.aliases.iter().find(|(old, _)| *old == near).map_or(near, |(_, new)| new)
        });
        let help = match near {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("known here: {}; `{command} --help` explains them", names.join(", ")),
        };
        format!("{command}: there is no option '{}'\nhelp: {help}", shown(name))
    }

    fn no_value_taken(&self, name: &str) -> String {
        format!("{}: {name} takes no value\nhelp: leave out what follows the =", self.command())
    }

    /// `lamina image create`.
    fn command(&self) -> String {
        [self.program.name]
            .into_iter()
            .chain(self.path.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn last(&self) -> &Level<'a> {
        self.levels.last().unwrap_or(&self.levels[0])
    }

    fn last_mut(&mut self) -> &mut Level<'a> {
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }

    /// Options of each command behind its word, and the arguments at the end.
    fn end(self) -> (Vec<String>, Vec<String>) {
        let mut words = Vec::new();
        for (level, name) in self.levels.iter().zip([None].into_iter().chain(self.path.iter().map(Some))) {
            words.extend(name.cloned());
            words.extend(level.options.iter().cloned());
            // `argh` takes `help` for a question wherever it stands.
            if level.positionals.iter().any(|word| word.starts_with('-') || word == "help") {
                words.push("--".to_owned());
            }
            words.extend(level.positionals.iter().cloned());
        }
        (self.path, words)
    }
}
