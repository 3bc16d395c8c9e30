//! The commands as `argh` reads them: one declaration for the init binary and for the builder's `lamina`.

use std::io::IsTerminal;
use std::path::PathBuf;

use argh::{ArgsInfo, FromArgs};
use serde_json::Value;

use crate::bless::{self, Blessing};
use crate::chart::{self, Style};
use crate::damage;
use crate::error::{failure, refusal};
use crate::loader_entry;
use crate::report;
use crate::why;
use crate::{Result, System};

/// What a command has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// For standard output, without the last newline.
    pub text: String,
    /// Whether the answer is yes: the exit status is 0, else 1.
    pub yes: bool,
}

impl Said {
    fn yes(text: impl Into<String>) -> Self {
        Said { text: text.into(), yes: true }
    }
}

/// Note on the boot medium that this boot went well.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "bless",
    example = "lamina bless",
    note = "After three tries without a blessing, init takes the generation that was blessed last. init/units of the sources has what runs this.",
    error_code(0, "The generation is noted as good."),
    error_code(1, "It could not be noted.")
)]
pub struct Bless {
    /// do nothing where boots are not counted, and call that a success
    #[argh(switch)]
    pub if_counted: bool,
}

/// Draw the boot: what took how long, and how each layer was verified.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "report",
    example = "lamina report\nlamina report --svg > boot.svg\nlamina report --json | jq .steps",
    note = "Without a file it is the boot of the running system. NO_COLOR is honoured."
)]
pub struct Report {
    /// write a chart as SVG
    #[argh(switch)]
    pub svg: bool,
    /// write the report as it is
    #[argh(switch)]
    pub json: bool,
    /// draw with ASCII only, as is done where the locale is not UTF-8
    #[argh(switch)]
    pub ascii: bool,
    /// the report of another boot
    #[argh(positional)]
    pub file: Option<PathBuf>,
}

/// Say which layer gave a file, and what it shadows.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "why",
    example = "lamina why /etc/motd\nlamina why --json /usr/bin",
    note = "Links to folders on the way are followed; of one at the end, the answer says where it leads. Ask as root: others cannot look into the writable top.",
    error_code(0, "Every path is there."),
    error_code(1, "A path is not there, or there are no layers.")
)]
pub struct Why {
    /// write the answers as JSON
    #[argh(switch)]
    pub json: bool,
    /// what to ask about
    #[argh(positional)]
    pub path: Vec<PathBuf>,
}

impl Bless {
    /// Blesses the boot.
    ///
    /// # Errors
    /// As [`bless::bless`].
    pub fn run(&self, system: &System) -> Result<Said> {
        if self.if_counted
            && let Some(why) = bless::why_not_counted(system)?
        {
            return Ok(Said::yes(format!("the boots of this system are not counted: {why}")));
        }
        let (name, generation, news) = match bless::bless(system)? {
            Blessing::Noted(name, generation) => (name, generation, "is good from now on"),
            Blessing::Known(name, generation) => (name, generation, "is known to be good"),
        };
        let mut text = format!("{name}, generation {} {news}", generation.number);
        for entry in loader_entry::bless(system, &report::read(system)?)? {
            text.push_str(&format!("; the loader counts the tries of {entry} no more"));
        }
        Ok(Said::yes(text))
    }
}

impl Report {
    /// Draws the boot.
    ///
    /// # Errors
    /// There is no report; two options contradict each other.
    pub fn run(&self, system: &System) -> Result<Said> {
        self.check()?;
        if self.json {
            let text = report::text(system, self.file.as_deref())?;
            return Ok(Said::yes(String::from_utf8_lossy(&text).trim_end()));
        }
        let report = match &self.file {
            Some(file) => report::in_file(file)?,
            None => {
                let mut report = report::read(system)?;
                damage::add_to(&mut report, system);
                report
            }
        };
        let drawn = match self.svg {
            true => chart::svg(&report),
            false => chart::terminal(&report, &self.style()),
        };
        Ok(Said::yes(drawn.trim_end()))
    }

    fn check(&self) -> Result<()> {
        let pair = match (self.svg, self.json, self.ascii) {
            (true, true, _) => ("--svg", "--json"),
            (true, _, true) => ("--svg", "--ascii"),
            (_, true, true) => ("--json", "--ascii"),
            _ => return Ok(()),
        };
        Err(refusal(pair.0, format!("and {} exclude each other", pair.1)).remedy("give one of them"))
    }

    fn style(&self) -> Style {
        let output = std::io::stdout();
        let columns = rustix::termios::tcgetwinsize(&output).map_or(0, |size| usize::from(size.ws_col));
        let set = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty());
        Style {
            width: if columns == 0 { 80 } else { columns },
            ascii: self.ascii || !locale_is_utf8(|name| std::env::var(name).ok()),
            colour: output.is_terminal() && !set("NO_COLOR"),
        }
    }
}

impl Why {
    /// Looks the paths up.
    ///
    /// # Errors
    /// No path is given; there are no layers.
    pub fn run(&self, system: &System) -> Result<Said> {
        if self.path.is_empty() {
            return Err(
                refusal("why", "no path is given").remedy("`lamina why /etc/motd` asks about that file")
            );
        }
        let folder = std::env::current_dir().map_err(|error| failure("the current folder", error))?;
        let answers = why::why(system, &folder, &self.path)?;
        let text = match self.json {
            true => format!("{:#}", Value::from_iter(answers.iter().map(why::Answer::json))),
            false => answers.iter().map(why::Answer::text).collect::<Vec<_>>().join("\n"),
        };
        Ok(Said { text, yes: answers.iter().all(why::Answer::is_there) })
    }
}

/// The locale of characters: the first of three variables that is set and not empty (locale(7)).
fn locale_is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &&str| variable(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set).unwrap_or_default().to_lowercase();
    locale.ends_with("utf-8") || locale.ends_with("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_one_form() {
        let refused = |svg, json, ascii| Report { svg, json, ascii, file: None }.check().is_err();
        assert!(refused(true, true, false) && refused(true, false, true) && refused(false, true, true));
        assert!(
            !refused(true, false, false) && !refused(false, false, true) && !refused(false, false, false)
        );
        let error = Report { svg: true, json: true, ascii: false, file: None }.check().unwrap_err();
        assert_eq!(error.to_string(), "--svg: and --json exclude each other\nhelp: give one of them");
    }

    #[test]
    fn the_locale_decides_about_unicode() {
        let locale = |all: &'static str, lang: &'static str| {
            locale_is_utf8(|name| match name {
                "LC_ALL" => Some(all.to_owned()),
                "LANG" => Some(lang.to_owned()),
                _ => None,
            })
        };
        assert!(locale("", "de_DE.UTF-8") && locale("C.utf8", "C"));
        assert!(!locale("C", "de_DE.UTF-8") && !locale("", "") && !locale("", "C"));
    }
}
