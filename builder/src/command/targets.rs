//! Packages and profiles on a command line, each with the choices that stand behind it: `curl +http2 -ldap tls=libressl`.

use std::collections::BTreeMap;
use std::mem;

use profiles::version::Condition;
use profiles::{Choice, Name};

use crate::choice::name;
use crate::error::{Error, Result};

/// A package or a profile, and what is wished of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Its name, as it was given.
    pub(super) name: String,
    /// The versions that will do: `version=1.2`.
    pub(super) version: Condition,
    /// The choices behind it.
    pub(super) choices: BTreeMap<String, Choice>,
}

/// Reads the words of a command line.
///
/// # Errors
/// A choice that is none, that stands before the first package, or that contradicts another one.
pub(super) fn targets(words: &[String]) -> Result<Vec<Target>> {
    let mut targets: Vec<Target> = Vec::new();
    for word in words {
        let Some(chosen) = chosen(word)? else {
            let (version, choices) = (Condition::default(), BTreeMap::new());
            targets.push(Target { name: word.clone(), version, choices });
            continue;
        };
        let Some(target) = targets.last_mut() else {
            return Err(Error::new(format!("'{word}'"), "is a choice, and stands before every package")
                .remedy("write it behind the package that it is for: curl +http2"));
        };
        let (name, is_other) = match chosen {
            Chosen::Version(condition) => {
                let before = mem::replace(&mut target.version, condition.clone());
                ("version".to_owned(), !before.is_any() && before != condition)
            }
            Chosen::Feature(name, choice) => {
                let before = target.choices.insert(name.clone(), choice.clone());
                (name, before.is_some_and(|before| before != choice))
            }
        };
        if is_other {
            return Err(Error::new(
                format!("'{word}'"),
                format!("something else was chosen for {name} before"),
            )
            .remedy("give one of them"));
        }
    }
    Ok(targets)
}

/// One package, and what is wished of it.
#[derive(Debug, Clone)]
pub(super) struct OnePackage {
    /// Its name.
    pub(super) name: Name,
    /// The versions that will do.
    pub(super) version: Condition,
    /// The choices behind it.
    pub(super) choices: BTreeMap<String, Choice>,
}

/// Reads the words of a command line that name one package.
///
/// # Errors
/// As [`targets`]; or they name none, or several.
pub(super) fn one(words: &[String]) -> Result<OnePackage> {
    let mut targets = targets(words)?.into_iter();
    match (targets.next(), targets.next()) {
        (Some(only), None) => {
            let name = Name::parse(&only.name).map_err(Error::on(format!("'{}'", only.name)))?;
            Ok(OnePackage { name, version: only.version, choices: only.choices })
        }
        (None, _) => Err(Error::new("package", "is missing").remedy("name one")),
        (Some(_), Some(second)) => {
            Err(Error::new(format!("'{}'", second.name), "is a second package").remedy("name one"))
        }
    }
}

/// A word that chooses something.
enum Chosen {
    Version(Condition),
    Feature(String, Choice),
}

/// `+NAME`, `-NAME`, `NAME=VALUE` or `version=CONDITION`; `None` for the name of a package.
fn chosen(word: &str) -> Result<Option<Chosen>> {
    let refused = |cause: String, help: &str| Error::new(format!("'{word}'"), cause).remedy(help);
    if let Some(condition) = word.strip_prefix("version=") {
        let help = "write version=1.2.13, or 'version=>=1.2,<2' between quotes";
        return match Condition::parse(condition) {
            Ok(condition) => Ok(Some(Chosen::Version(condition))),
            Err(cause) => Err(refused(cause, help)),
        };
    }
    let (name, choice) = match (word.strip_prefix('+'), word.strip_prefix('-'), word.split_once('=')) {
        (Some(name), _, _) => (name, Choice::On),
        (None, Some(name), _) => (name, Choice::Off),
        (None, None, Some((name, value))) => {
            let help = format!("write {name}=VALUE; a switch is +{name} or -{name}");
            let value = Name::parse(value).map_err(|error| refused(error.to_string(), &help))?;
            (name, Choice::Of(value))
        }
        (None, None, None) => return Ok(None),
    };
    let name = name::parse(name).map_err(|cause| refused(cause, name::HELP))?;
    Ok(Some(Chosen::Feature(name, choice)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Result<Vec<Target>> {
        targets(&words.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn choices_belong_to_the_package_before_them() {
        let targets = read("zlib curl +http2 -ldap tls=libressl nano -utf8").unwrap();
        let shown: Vec<String> = targets
            .iter()
            .map(|it| {
                let words = it.choices.iter().map(|(name, choice)| crate::choice::shown(name, choice));
                format!("{}: {}", it.name, words.collect::<Vec<_>>().join(" "))
            })
            .collect();
        assert_eq!(shown, ["zlib: ", "curl: +http2 -ldap tls=libressl", "nano: -utf8"]);
    }

    #[test]
    fn what_is_no_choice_is_refused() {
        for (words, part) in [
            ("+http2 curl", "stands before every package"),
            ("curl tls=", "the name is empty"),
            ("curl TLS=openssl", "capital letters"),
            ("curl +", "the name is empty"),
            ("curl +tls -tls", "something else was chosen for tls before"),
        ] {
            let message = read(words).unwrap_err().to_string();
            assert!(message.contains(part), "{words}: {message}");
        }
        assert!(read("curl +tls +tls").is_ok());
    }
}
