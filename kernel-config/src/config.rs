//! A kernel configuration: the file `.config`, also found as `/boot/config-RELEASE` and `/proc/config.gz`.

use std::collections::BTreeMap;
use std::path::Path;

use fault::Error;
use kernel_package::KernelPackage;

/// A configuration of Debian, the largest around, has 130 KB.
const MOST_BYTES: usize = 4 << 20;

/// How a symbol is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// `=y`
    BuiltIn,
    /// `=m`
    Module,
    /// `is not set`, or not mentioned at all
    Off,
    /// A number or text, as written
    Value(String),
}

/// The settings of a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    settings: BTreeMap<String, Setting>,
}

impl Config {
    /// The configuration that `kernel` was made with.
    ///
    /// # Errors
    /// It has none, or the text is not a kernel configuration.
    pub fn of_package(kernel: &KernelPackage) -> Result<Config, Error> {
        Config::parse(kernel.path(), &kernel.config_text()?)
    }

    /// Parses `text`; `path` stands in errors.
    ///
    /// # Errors
    /// A line is none of `CONFIG_X=value`, `# comment` and blank; or there is no setting at all.
    pub fn parse(path: &Path, text: &str) -> Result<Config, Error> {
        if text.len() > MOST_BYTES {
            let text =
                format!("it has {} bytes; a kernel configuration has at most {MOST_BYTES}", text.len());
            return Err(Error::new(path.display(), text));
        }
        let mut settings = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(symbol) = symbol_not_set(line) {
                settings.insert(symbol.to_owned(), Setting::Off);
                continue;
            }
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((symbol, value)) =
                line.strip_prefix("CONFIG_").and_then(|setting| setting.split_once('='))
            else {
                let shown: String = line.chars().take(60).collect();
                let why = format!(
                    "line {}: `{}` is not a setting like CONFIG_X=y",
                    index + 1,
                    shown.escape_debug()
                );
                return Err(Error::new(path.display(), why).remedy("give the configuration of a kernel"));
            };
            let setting = match value {
                "y" => Setting::BuiltIn,
                "m" => Setting::Module,
                "n" => Setting::Off,
                other => Setting::Value(other.to_owned()),
            };
            settings.insert(symbol.to_owned(), setting);
        }
        if settings.is_empty() {
            return Err(Error::new(path.display(), "it has no line like CONFIG_X=y")
                .remedy("give the configuration of a kernel"));
        }
        Ok(Config { settings })
    }

    /// How `symbol` (without `CONFIG_`) is set.
    pub fn get(&self, symbol: &str) -> &Setting {
        self.settings.get(symbol).unwrap_or(&Setting::Off)
    }
}

/// `# CONFIG_X is not set` is a comment to the shell and a setting to Kconfig.
fn symbol_not_set(line: &str) -> Option<&str> {
    line.strip_prefix("# CONFIG_")?.strip_suffix(" is not set")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_every_kind() {
        let text =
            "#\n# Linux\n#\nCONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D=8\nCONFIG_E=\"x=y\"\n";
        let config = Config::parse("x".as_ref(), text).unwrap();
        assert_eq!(config.get("A"), &Setting::BuiltIn);
        assert_eq!(config.get("B"), &Setting::Module);
        assert_eq!(config.get("C"), &Setting::Off);
        assert_eq!(config.get("D"), &Setting::Value("8".into()));
        assert_eq!(config.get("E"), &Setting::Value("\"x=y\"".into()));
        assert_eq!(config.get("F"), &Setting::Off);
    }

    #[test]
    fn other_text_is_refused_with_the_line() {
        let error = Config::parse("notes.txt".as_ref(), "# a\n\nhello\n").unwrap_err().to_string();
        assert_eq!(
            error,
            "notes.txt: line 3: `hello` is not a setting like CONFIG_X=y\nhelp: give the configuration of a kernel"
        );
        assert!(Config::parse("x".as_ref(), "# only comments\n").is_err());
    }
}
