//! The one error of this crate.

use std::borrow::Cow;
use std::error;
use std::fmt;
use std::path::Path;

use profiles::{split_remedy, with_sources};

/// What could not be done: the object, the cause, and the remedy where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    object: String,
    cause: String,
    remedy: Cow<'static, str>,
}

impl Error {
    /// An error about `object`, a path or the name of a module; of a cause that is an error it has the remedy too.
    pub(crate) fn new(object: impl fmt::Display, cause: impl fmt::Display) -> Error {
        let text = cause.to_string();
        let (cause, remedy) = split_remedy(&text);
        Error {
            object: object.to_string(),
            cause: cause.to_owned(),
            remedy: remedy.map(str::to_owned).unwrap_or_default().into(),
        }
    }

    /// For `map_err`: an error about the file at `path`.
    pub(crate) fn at<E: error::Error>(path: &Path) -> impl Fn(E) -> Error {
        move |cause| Error::new(path.display(), with_sources(&cause))
    }

    /// The same error with what to do about it.
    pub(crate) fn remedy(self, remedy: impl Into<Cow<'static, str>>) -> Error {
        Error { remedy: remedy.into(), ..self }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.object.as_str() {
            "" => write!(f, "{}", self.cause)?,
            object => write!(f, "{object}: {}", self.cause)?,
        }
        // A cause of several errors has a remedy for each.
        let has_remedies = self.cause.contains("\nhelp: ");
        match if self.remedy.is_empty() && !has_remedies { usual_remedy(&self.cause) } else { &self.remedy } {
            "" => Ok(()),
            remedy => write!(f, "\nhelp: {remedy}"),
        }
    }
}

/// What helps against the usual answers of the system (errno(3)); empty for others.
fn usual_remedy(cause: &str) -> &'static str {
    let remedies = [
        ("No such file or directory", "check the path"),
        ("is not a regular file", "give the path of a file"),
        ("Permission denied", "ask whoever owns it for the right, or do this as root"),
    ];
    remedies.into_iter().find(|(answer, _)| cause.contains(answer)).map_or("", |(_, remedy)| remedy)
}

impl error::Error for Error {}

impl From<atomic_file::Error> for Error {
    fn from(error: atomic_file::Error) -> Error {
        Error { object: error.object, cause: error.cause, remedy: error.remedy.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_shown_once_however_often_an_error_is_wrapped() {
        let missing = std::io::Error::from_raw_os_error(2);
        let inner = Error::new("images/x", missing);
        let outer = Error::new("profile web", &inner);
        assert_eq!(
            outer.to_string(),
            "profile web: images/x: No such file or directory (os error 2)\nhelp: check the path"
        );
        assert!(
            Error::new("a", outer.remedy("build it")).to_string().ends_with("(os error 2)\nhelp: build it")
        );
    }
}
