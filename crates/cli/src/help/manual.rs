//! Manual pages. The format: man(7).

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use argh::{CommandInfoWithArgs, FlagInfo, FlagInfoKind, Optionality};
use atomic_file::{Form, Output};
use fault::Error;

/// Writes the pages of the command `name` to `folder`, which is made when it is missing. Each appears whole.
///
/// # Errors
/// The folder cannot be made or written to.
pub fn write_pages(folder: &Path, name: &str, command: &CommandInfoWithArgs) -> Result<(), Error> {
    let failed = |path: &Path, cause: io::Error, remedy| Error::caused(path.display(), cause).remedy(remedy);
    // To the system an empty path is none, and here it would stand for the current folder.
    if folder.as_os_str().is_empty() {
        return Err(Error::new("the folder of the manual pages", "is an empty path")
            .remedy("give the name of a folder; `.` is the current one"));
    }
    fs::create_dir_all(folder)
        .map_err(|error| failed(folder, error, "give a folder that can be made and that you may write to"))?;
    for (page, text) in pages(name, command) {
        let path = folder.join(page);
        let file = Output::create(&path, Form::Text)?;
        file.handle()?
            .write_all(text.as_bytes())
            .map_err(|error| failed(&path, error, "make room on its file system"))?;
        file.publish()?;
    }
    Ok(())
}

/// The pages of the command `name` and of all commands below it: `lamina-build.1` and its text.
pub fn pages(name: &str, command: &CommandInfoWithArgs) -> Vec<(String, String)> {
    let mut all = Vec::new();
    add_pages(&[name], command, &mut all);
    all
}

fn add_pages(path: &[&str], command: &CommandInfoWithArgs, all: &mut Vec<(String, String)>) {
    all.push((format!("{}.1", path.join("-")), page(path, command)));
    for below in &command.commands {
        add_pages(&[path, &[below.name]].concat(), &below.command, all);
    }
}

fn page(path: &[&str], command: &CommandInfoWithArgs) -> String {
    let (dashed, spaced) = (path.join("-"), path.join(" "));
    let mut text = format!(
        ".TH {} 1\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n.B {}\n",
        dashed.to_uppercase(),
        escape(&dashed),
        escape(command.description),
        escape(&spaced),
    );
    let shown = || command.flags.iter().filter(|flag| !flag.hidden);
    for flag in shown() {
        let (open, close) = if flag.optionality == Optionality::Required { ("", "") } else { ("[", "]") };
        let _ = writeln!(text, "{open}{}{close}", flag_name(flag));
    }
    for positional in command.positionals {
        let _ = writeln!(text, "\\fI{}\\fR", escape(positional.name));
    }
    if !command.commands.is_empty() {
        text.push_str("\\fIcommand\\fR ...\n.SH COMMANDS\n");
        for below in &command.commands {
            let _ = writeln!(
                text,
                ".TP\n.BR {}\\-{} (1)\n{}",
                escape(&dashed),
                escape(below.name),
                escape(below.command.description)
            );
        }
    }
    if shown().next().is_some() || !command.positionals.is_empty() {
        text.push_str(".SH OPTIONS\n");
    }
    for flag in shown() {
        let _ = writeln!(text, ".TP\n{}\n{}", flag_name(flag), escape(flag.description));
        if flag.long == "--help" {
            text.push_str(".TP\n\\fB\\-V\\fR, \\fB\\-\\-version\\fR\nshow the version\n");
        }
    }
    for positional in command.positionals {
        let _ =
            writeln!(text, ".TP\n\\fI{}\\fR\n{}", escape(positional.name), escape(positional.description));
    }
    add_lists(&mut text, command);
    text
}

/// Examples, notes and exit statuses.
fn add_lists(text: &mut String, command: &CommandInfoWithArgs) {
    if !command.examples.is_empty() {
        let examples = command.examples.iter().map(|example| escape(example)).collect::<Vec<_>>().join("\n");
        let _ = writeln!(text, ".SH EXAMPLES\n.nf\n{examples}\n.fi");
    }
    if !command.notes.is_empty() {
        let notes = command.notes.iter().map(|note| escape(note)).collect::<Vec<_>>().join("\n.PP\n");
        let _ = writeln!(text, ".SH NOTES\n{notes}");
    }
    if !command.error_codes.is_empty() {
        text.push_str(".SH EXIT STATUS\n");
        for code in command.error_codes {
            let _ = writeln!(text, ".TP\n{}\n{}", code.code, escape(code.description));
        }
    }
}

fn flag_name(flag: &FlagInfo) -> String {
    // The crate `command-line` understands -h, which the declaration does not say.
    let short = flag.short.or_else(|| (flag.long == "--help").then_some('h'));
    let short = short.map_or(String::new(), |letter| format!("\\fB\\-{letter}\\fR, "));
    match flag.kind {
        FlagInfoKind::Switch => format!("{short}\\fB{}\\fR", escape(flag.long)),
        FlagInfoKind::Option { arg_name } => {
            format!("{short}\\fB{}\\fR \\fI{}\\fR", escape(flag.long), escape(arg_name))
        }
    }
}

/// Backslashes and dashes are special in roff, and so are a dot and an apostrophe at the start of a line.
fn escape(text: &str) -> String {
    let line = |line: &str| {
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roff_is_escaped() {
        assert_eq!(escape("--a\\b\n.TH"), "\\-\\-a\\eb\n\\&.TH");
    }
}
