//! A parameter of the kernel command line, which can be read back as it is meant: `kernel_command_line` reads and quotes, for init too, and
//! nothing stands for a double quote itself.

use std::fmt;

use kernel_command_line::names;

/// The longest command line that x86 takes, in bytes: `COMMAND_LINE_SIZE` of `arch/x86/include/asm/setup.h`, less the final NUL.
pub const LONGEST_LINE: usize = 2047;

/// `NAME` or `NAME=VALUE`, as it is meant: without quotes. Every loader quotes in its own way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter(String);

/// Why a text is no parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterError {
    /// There is no name before the `=`.
    Unnamed,
    /// A blank in the name; the kernel protects blanks of values alone.
    BlankInName,
    /// A double quote.
    Quote,
    /// A line break or another control character.
    Control,
    /// Each entry has it for itself: what it boots, from which store.
    OfTheEntry,
}

/// What entries say of themselves; a second one would win, and the entry would boot something else than it shows.
const OF_THE_ENTRY: [&str; 3] = [names::PROFILE, names::FALLBACK, names::STORE];

impl fmt::Display for ParameterError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            ParameterError::Unnamed => "has no name\nhelp: write NAME or NAME=VALUE",
            ParameterError::BlankInName => "has a blank in its name\nhelp: give each parameter by itself",
            ParameterError::Quote => {
                "has a double quote, and the kernel has no way to write one\nhelp: leave quotes out: they are added where a value \
                 has blanks; a device whose label has a quote is found by UUID="
            }
            ParameterError::Control => "has a control character\nhelp: leave it out",
            ParameterError::OfTheEntry => {
                "stands in each entry already, for what it boots\nhelp: leave it out; `--profile`, `--rescue` and `--generations` decide what the menu has"
            }
        })
    }
}

impl std::error::Error for ParameterError {}

impl Parameter {
    /// Takes a parameter without its quotes: `lamina.store=LABEL=my disk`.
    ///
    /// # Errors
    /// What the kernel could not read back as it is meant.
    pub fn new(text: impl Into<String>) -> Result<Parameter, ParameterError> {
        let text = text.into();
        let name = text.split_once('=').map_or(text.as_str(), |(name, _)| name);
        if name.is_empty() {
            return Err(ParameterError::Unnamed);
        }
        if text.contains(char::is_control) {
            return Err(ParameterError::Control);
        }
        if text.contains('"') {
            return Err(ParameterError::Quote);
        }
        if name.contains(char::is_whitespace) {
            return Err(ParameterError::BlankInName);
        }
        Ok(Parameter(text))
    }

    /// [`Parameter::new`] of what a person wants in every entry.
    ///
    /// # Errors
    /// The same, and a parameter that entries have for themselves.
    pub fn for_all_entries(text: &str) -> Result<Parameter, ParameterError> {
        let parameter = Parameter::new(text)?;
        if OF_THE_ENTRY.contains(&parameter.name()) { Err(ParameterError::OfTheEntry) } else { Ok(parameter) }
    }

    /// One that is known to need no check: a fixed name, and a value of names and digests.
    pub(crate) fn plain(text: String) -> Parameter {
        Parameter(text)
    }

    /// The whole text, without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands behind the first `=`.
    pub fn value(&self) -> Option<&str> {
        self.0.split_once('=').map(|(_, value)| value)
    }

    /// What stands before the first `=`.
    pub fn name(&self) -> &str {
        self.0.split_once('=').map_or(&self.0, |(name, _)| name)
    }

    /// As it stands on a kernel command line: `lamina.store="LABEL=my disk"`. It never begins with a quote, because systemd-boot
    /// strips the quotes of a line that begins and ends with one (`line_get_key_value` of its `boot.c`).
    pub fn quoted(&self) -> String {
        kernel_command_line::quoted(&self.0)
    }

    /// Reads a kernel command line. What no parameter can be, as a word with a lone quote in it, is left out.
    pub(crate) fn read_line(line: &str) -> Vec<Parameter> {
        let parameters = kernel_command_line::all(line).into_iter();
        let unquoted = parameters.map(|parameter| match parameter.value {
            Some(value) => format!("{}={value}", parameter.name),
            None => parameter.name,
        });
        unquoted.filter_map(|text| Parameter::new(text).ok()).collect()
    }

    /// All of them as one kernel command line.
    pub fn line(parameters: &[Parameter]) -> String {
        parameters.iter().map(Parameter::quoted).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_are_quoted_and_read_back() {
        let texts = ["quiet", "lamina.store=LABEL=my disk", "lamina.store=LABEL=Größe", r"a=\$x'", "b="];
        let parameters: Vec<Parameter> = texts.iter().map(|text| Parameter::new(*text).unwrap()).collect();
        let line = Parameter::line(&parameters);
        assert_eq!(line, r#"quiet lamina.store="LABEL=my disk" lamina.store=LABEL=Größe a=\$x' b="#);
        assert_eq!(Parameter::read_line(&line), parameters);
        assert_eq!(Parameter::read_line(r#""lamina.store=LABEL=my disk""#), parameters[1..2]);
        assert_eq!((parameters[1].name(), parameters[1].value()), ("lamina.store", Some("LABEL=my disk")));
    }

    #[test]
    fn what_the_kernel_cannot_read_back_is_refused() {
        let refused = |text: &str| Parameter::new(text).unwrap_err();
        assert_eq!(refused(r#"lamina.store=LABEL=19" rack"#), ParameterError::Quote);
        assert_eq!(refused("a=b\nc"), ParameterError::Control);
        assert_eq!(refused("a b=c"), ParameterError::BlankInName);
        assert_eq!(refused("=x"), ParameterError::Unnamed);
        assert_eq!(refused(""), ParameterError::Unnamed);
        for error in [ParameterError::Quote, ParameterError::Control, ParameterError::BlankInName] {
            assert!(error.to_string().contains("\nhelp: "));
        }
    }
}
