//! Colours, where somebody looks at a terminal and has not asked for none (<https://no-color.org>).

use std::io::IsTerminal;

/// The programs of this project, as their errors begin.
const PROGRAMS: [&str; 2] = ["lamina", "mkinitramfs"];

const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const CYAN: &str = "\x1b[36m";
const PLAIN: &str = "\x1b[0m";

/// Whether this stream is to have colours: it is a terminal, which `TERM` does not call dumb, and `NO_COLOR` is not set or empty.
pub fn wanted(stream: &impl IsTerminal) -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    stream.is_terminal() && set("NO_COLOR").is_none() && set("TERM").is_none_or(|kind| kind != "dumb")
}

/// A line that commands write to standard error, which may be an error, a warning or neither: who says it stands out, and what
/// helps. It has been made safe before.
pub fn line(text: &str) -> String {
    match text.split_once(':') {
        Some(("warning", rest)) => format!("{YELLOW}warning:{PLAIN}{}", advice(rest)),
        Some((who, rest)) if is_program(who) => format!("{RED}{who}:{PLAIN}{}", advice(rest)),
        _ => advice(text),
    }
}

/// `lamina`, or `lamina image create`: how errors begin.
fn is_program(who: &str) -> bool {
    let first = who.split(' ').next().unwrap_or_default();
    PROGRAMS.contains(&first) && who.chars().all(|c| c.is_ascii_lowercase() || c == ' ')
}

fn advice(text: &str) -> String {
    text.replace("\nhelp:", &format!("\n{CYAN}help:{PLAIN}"))
}

/// A text of `--help`: headings and the words of the first column stand out.
pub fn help(text: &str) -> String {
    let mut table = false;
    let line = |line: &str| {
        if line.ends_with(':') && !line.starts_with(' ') {
            table = ["Options:", "Commands:", "Positional Arguments:"].contains(&line);
            return format!("{BOLD}{line}{PLAIN}");
        }
        let own = line.strip_prefix("  ").filter(|rest| table && !rest.starts_with(' '));
        match own {
            Some(rest) => {
                let end = rest.find("  ").unwrap_or(rest.len());
                format!("  {CYAN}{}{PLAIN}{}", &rest[..end], &rest[end..])
            }
            None => match line.strip_prefix("Usage:") {
                Some(rest) => format!("{BOLD}Usage:{PLAIN}{rest}"),
                None => line.to_owned(),
            },
        }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_its_speaker_and_its_remedy_in_colour() {
        let painted = line("lamina image: there is no command 'x'\nhelp: known here: cat");
        assert_eq!(
            painted,
            "\x1b[1;31mlamina image:\x1b[0m there is no command 'x'\n\x1b[36mhelp:\x1b[0m known here: cat"
        );
        assert_eq!(line("lamina-report.json: 4 KiB"), "lamina-report.json: 4 KiB");
        assert_eq!(line("writing site.sqfs: 4 KiB"), "writing site.sqfs: 4 KiB");
        assert!(line("warning: x: y\nhelp: z").starts_with("\x1b[1;33mwarning:\x1b[0m x: y\n\x1b[36mhelp:"));
    }

    #[test]
    fn help_has_headings_and_a_first_column() {
        let text = "Usage: x [-n]\n\nDoes it.\n\nOptions:\n  -n, --dry-run     only say\n                    so\n\nNotes:\n  a  b";
        let expected = "\x1b[1mUsage:\x1b[0m x [-n]\n\nDoes it.\n\n\x1b[1mOptions:\x1b[0m\n  \x1b[36m-n, --dry-run\x1b[0m     only \
                        say\n                    so\n\n\x1b[1mNotes:\x1b[0m\n  a  b";
        assert_eq!(help(text), expected);
    }
}
