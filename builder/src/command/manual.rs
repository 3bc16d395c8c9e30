//! `lamina man`: manual pages, made from the same texts as `--help`. The format: man(7).

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use argh::{ArgsInfo, CommandInfoWithArgs, FlagInfo, FlagInfoKind, FromArgs, Optionality};
use unnamed_file::UnnamedFile;

use super::Lamina;
use crate::error::{Error, Result};

/// Write manual pages: lamina.1, lamina-build.1 and so on.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "man", example = "lamina man ~/.local/share/man/man1 && man lamina-build")]
pub struct Man {
    /// the folder to write to; made when missing
    #[argh(positional)]
    dir: PathBuf,
}

impl Man {
    pub(super) fn run(self) -> Result<ExitCode> {
        fs::create_dir_all(&self.dir).map_err(Error::on(self.dir.display()))?;
        write_pages(&self.dir, &["lamina"], &Lamina::get_args_info())?;
        Ok(ExitCode::SUCCESS)
    }
}

fn write_pages(folder: &Path, path: &[&str], command: &CommandInfoWithArgs) -> Result<()> {
    let file = folder.join(format!("{}.1", path.join("-")));
    let page_file = UnnamedFile::beside(&file)?;
    page_file.handle()?.write_all(page(path, command).as_bytes()).map_err(Error::on(file.display()))?;
    page_file.publish()?;
    for below in &command.commands {
        write_pages(folder, &[path, &[below.name]].concat(), &below.command)?;
    }
    Ok(())
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
    match flag.kind {
        FlagInfoKind::Switch => format!("\\fB{}\\fR", escape(flag.long)),
        FlagInfoKind::Option { arg_name } => {
            format!("\\fB{}\\fR \\fI{}\\fR", escape(flag.long), escape(arg_name))
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

    /// Every command, with its path.
    fn all(path: String, command: &CommandInfoWithArgs, found: &mut Vec<(String, CommandInfoWithArgs)>) {
        for below in &command.commands {
            all(format!("{path} {}", below.name), &below.command, found);
        }
        found.push((path, command.clone()));
    }

    #[test]
    fn every_command_has_an_example_and_a_description() {
        let lamina = Lamina::get_args_info();
        let mut commands = Vec::new();
        all("lamina".to_owned(), &lamina, &mut commands);
        assert!(commands.len() > 8);
        for (path, command) in commands {
            assert!(!command.examples.is_empty(), "{path} has no example");
            assert!(
                command.examples.iter().all(|example| example.contains(&path)),
                "{path}: {:?}",
                command.examples
            );
            assert!(!command.description.is_empty(), "{path} has no description");
        }
    }

    #[test]
    fn roff_is_escaped() {
        assert_eq!(escape("--a\\b\n.TH"), "\\-\\-a\\eb\n\\&.TH");
    }

    #[test]
    fn a_page_has_name_options_and_examples() {
        let page = page(&["lamina"], &Lamina::get_args_info());
        for part in
            [".TH LAMINA 1", "\\fB\\-\\-store\\fR \\fIdir\\fR", ".BR lamina\\-build (1)", ".SH EXIT STATUS"]
        {
            assert!(page.contains(part), "{part} in\n{page}");
        }
    }
}
