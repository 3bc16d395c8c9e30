//! `lamina tool version`: versions compared, tested and sorted, by the schemes of the crate `package-version`.

use std::cmp::Ordering;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use cli::numbers::human_size;
use package_version::{Constraint, ParseError, Scheme, Version};
use profiles::suggest;
use serde_json::json;

use crate::command::{at_most_one, print, print_json};
use crate::error::{Error, Result};
use crate::line_sorting;
use crate::regular_file;

/// What is sorted is held in memory: some two million versions.
const MOST_SORTED: u64 = 16 << 20;

/// What `test` ends with where it can say neither yes nor no, as dpkg and grep do.
const NO_ANSWER: u8 = 2;

/// Compare, test and sort versions by a scheme: debian, semver, loose, date or plain.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "version",
    example = "lamina tool version compare 1.10 1.9\nlamina tool version test 1.10 '>=1.2, <2'\nlamina tool version sort versions.txt"
)]
pub(super) struct VersionCommand {
    #[argh(subcommand)]
    action: Action,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum Action {
    Compare(Compare),
    Sort(Sort),
    Test(Test),
}

/// Print <, = or >: whether A is older than B, equal to it, or newer.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "compare",
    example = "lamina tool version compare 1.2-rc1 1.2\nlamina tool version compare 1:1.0-1 2.0-1 --scheme debian",
    note = "Quote what a shell would take for its own. A condition of a script is `lamina tool version test`."
)]
struct Compare {
    /// a version
    #[argh(positional)]
    a: String,
    /// the version beside it
    #[argh(positional)]
    b: String,
    /// how they are read: debian, semver, loose, date or plain (default: loose)
    #[argh(option, arg_name = "scheme", default = "default_scheme()")]
    scheme: String,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

/// Say by the exit status whether a version meets a constraint.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "test",
    example = "lamina tool version test \"$(uname -r)\" '>=5.10' && echo new enough\nlamina tool version test 1.9.0 '^1.2' --scheme semver",
    note = "A constraint is a list of versions with =, !=, <, <=, >, >=, ~ or ^ before each; all must hold. ~1.2 is >=1.2, <1.3, and ^1.2 is >=1.2, <2. \
< leaves out the pre-releases of its version too: 2.0-rc1 does not meet <2.0.",
    error_code(1, "The version does not meet the constraint."),
    error_code(2, "One of them could not be read; standard error says what, why, and what to do.")
)]
struct Test {
    /// the version
    #[argh(positional)]
    version: String,
    /// what it must meet
    #[argh(positional)]
    constraint: String,
    /// how they are read: debian, semver, loose, date or plain (default: loose)
    #[argh(option, arg_name = "scheme", default = "default_scheme()")]
    scheme: String,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

/// Sort lines that are versions, the oldest first; equal ones stay in their order.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "sort",
    example = "git tag | lamina tool version sort --reverse | head -n 1\nlamina tool version sort versions.txt --by 'sort -V'",
    note = "Nothing is printed when a line is no version. --by gives the lines to a command of the shell, and takes what comes back when it is the same lines."
)]
struct Sort {
    /// the file with the lines (default: standard input)
    #[argh(positional)]
    file: Option<PathBuf>,
    /// how they are read: debian, semver, loose, date or plain (default: loose)
    #[argh(option, arg_name = "scheme")]
    scheme: Option<String>,
    /// let this command sort them
    #[argh(option, arg_name = "command")]
    by: Option<String>,
    /// the newest first
    #[argh(switch)]
    reverse: bool,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

impl VersionCommand {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self.action {
            Action::Compare(compare) => compare.run(),
            Action::Sort(sort) => sort.run(),
            Action::Test(test) => test.run(),
        }
    }
}

impl Compare {
    fn run(self) -> Result<ExitCode> {
        let scheme = scheme(&self.scheme)?;
        let version = |text: &str| Version::parse(text, scheme).map_err(refused);
        let order = version(&self.a)?.compare(&version(&self.b)?).map_err(Error::on(""))?;
        let sign = match order {
            Ordering::Less => "<",
            Ordering::Equal => "=",
            Ordering::Greater => ">",
        };
        if self.json {
            print_json(&json!({ "a": self.a, "b": self.b, "scheme": scheme.name(), "order": sign }))?;
        } else {
            print(sign)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Test {
    fn run(self) -> Result<ExitCode> {
        match self.answer() {
            Ok(true) => Ok(ExitCode::SUCCESS),
            Ok(false) => Ok(ExitCode::FAILURE),
            Err(error) => {
                cli::progress::line(format_args!("lamina: {error}"));
                Ok(ExitCode::from(NO_ANSWER))
            }
        }
    }

    fn answer(&self) -> Result<bool> {
        let scheme = scheme(&self.scheme)?;
        let version = Version::parse(&self.version, scheme).map_err(refused)?;
        let constraint = Constraint::parse(&self.constraint, scheme).map_err(refused)?;
        let meets = constraint.admits(&version).map_err(Error::on(""))?;
        if self.json {
            print_json(&json!({
                "version": self.version, "constraint": self.constraint, "range": constraint.range().to_string(),
                "scheme": scheme.name(), "meets": meets,
            }))?;
        }
        Ok(meets)
    }
}

impl Sort {
    fn run(self) -> Result<ExitCode> {
        at_most_one(&[("--by", self.by.is_some()), ("--scheme", self.scheme.is_some())])?;
        let scheme = self.scheme.as_deref().map_or(Ok(Scheme::default()), scheme)?;
        let (name, text) = match &self.file {
            Some(path) => (path.display().to_string(), read(regular_file::open(path)?, path)?),
            None => ("standard input".to_owned(), read(io::stdin().lock(), Path::new("standard input"))?),
        };
        let lines: Vec<&str> = text.lines().collect();
        let sorted = match &self.by {
            Some(command) => line_sorting::by_command(&lines, command, self.reverse)?,
            None => {
                line_sorting::by_scheme(&lines, scheme, self.reverse).map_err(|error| error.about(name))?
            }
        };
        if self.json {
            print_json(&sorted)?;
        } else if !sorted.is_empty() {
            print(sorted.join("\n"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn read(from: impl Read, path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    from.take(MOST_SORTED + 1).read_to_end(&mut bytes).map_err(Error::on(path.display()))?;
    if bytes.len() as u64 > MOST_SORTED {
        let cause = format!("has more than {}, which are the most that are sorted", human_size(MOST_SORTED));
        return Err(Error::new(path.display(), cause).remedy("are these versions, one a line?"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        Error::new(path.display(), format!("line {line} is no UTF-8")).remedy("versions are text, one a line")
    })
}

fn default_scheme() -> String {
    Scheme::default().to_string()
}

fn scheme(word: &str) -> Result<Scheme> {
    word.parse().map_err(|error| {
        Error::caused("--scheme", error).remedy(suggest::remedy(word, &Scheme::ALL.map(Scheme::name)))
    })
}

/// The error names the text itself.
fn refused(error: ParseError) -> Error {
    let remedy = error.remedy().to_owned();
    Error::caused("", error).remedy(remedy)
}
