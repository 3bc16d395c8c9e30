//! The one error that every command here ends with: which object, what went wrong with it, and what to do.
//!
//! Whatever it came from stays its [`std::error::Error::source`]; what the system answered chooses the usual remedy, by its number and
//! never by its words.
//!
//! ```
//! use fault::Error;
//! let missing = std::fs::File::open("/nowhere/x").map_err(Error::on("/nowhere/x")).unwrap_err();
//! assert_eq!(missing.to_string(), "/nowhere/x: No such file or directory (os error 2)\nhelp: check the path");
//! let ours = Error::new("images/ab.sqfs", "is cut short").remedy("run `lamina build hello`");
//! assert_eq!(ours.to_string(), "images/ab.sqfs: is cut short\nhelp: run `lamina build hello`");
//! ```

mod chain;
mod usual;

use std::borrow::Cow;
use std::error;
use std::fmt;
use std::io;
use std::sync::Arc;

pub use chain::with_sources;

/// What stands before a remedy in the text of an error.
const HELP: &str = "\nhelp: ";

/// Names an object (file, image, package, device), the cause, and, where there is one, the remedy.
#[derive(Debug, Clone)]
pub struct Error {
    object: Box<str>,
    cause: Box<str>,
    remedy: Option<Box<str>>,
    source: Option<Arc<dyn error::Error + Send + Sync>>,
}

/// What fails with it.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error about `object`; the cause is a sentence of ours. One that ends in `help: ` and a remedy brings that along.
    pub fn new<'a>(object: impl fmt::Display, cause: impl Into<Cow<'a, str>>) -> Self {
        let text = cause.into();
        let (cause, remedy) = split_remedy(&text);
        let (cause, remedy) = (cause.into(), remedy.map(Box::from));
        Error { object: object.to_string().into(), cause, remedy, source: None }
    }

    /// For `map_err`: another error as the cause, with `object` in front. See [`Error::caused`].
    pub fn on<E: error::Error + Send + Sync + 'static>(object: impl fmt::Display) -> impl FnOnce(E) -> Self {
        move |cause| Error::caused(object, cause)
    }

    /// An error about `object` because of another one, whose whole chain of sources is told: some errors leave what the system said
    /// to their source. The remedy of the inner error stays the remedy.
    pub fn caused<E: error::Error + Send + Sync + 'static>(object: impl fmt::Display, cause: E) -> Self {
        let cause: Arc<dyn error::Error + Send + Sync> = Arc::new(cause);
        match cause.downcast_ref::<Error>() {
            Some(inner) => inner.clone().about(object),
            None => Error { source: Some(cause.clone()), ..Error::new(object, with_sources(&*cause)) },
        }
    }

    /// The same error with a further object in front.
    pub fn about(self, object: impl fmt::Display) -> Self {
        let object: Box<str> = object.to_string().into();
        match (&*object, &*self.object) {
            ("", _) => self,
            (_, "") => Error { object, ..self },
            (_, inner) => Error { cause: format!("{inner}: {}", self.cause).into(), object, ..self },
        }
    }

    /// The same error, with another one as what it came from: for words that say more than that one's own.
    pub fn because_of(self, source: impl error::Error + Send + Sync + 'static) -> Self {
        Error { source: Some(Arc::new(source)), ..self }
    }

    /// The same error with what the reader can do about it.
    pub fn remedy(self, remedy: impl fmt::Display) -> Self {
        Error { remedy: Some(remedy.to_string().into()), ..self }
    }

    /// What it is about; empty when the cause names it.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// What went wrong, without the object and the remedy.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// What to do: the remedy that it was given, else what usually helps against the answer of the system. None beside a cause of
    /// several errors, which has a remedy for each.
    pub fn known_remedy(&self) -> Option<&str> {
        let usual = || self.system_said().and_then(|error| usual::remedy(&error));
        self.remedy.as_deref().or_else(|| usual().filter(|_| !self.cause.contains(HELP)))
    }

    /// Whether somebody gave it a remedy of its own.
    pub fn has_own_remedy(&self) -> bool {
        self.remedy.is_some()
    }

    /// What the system answered, when that is at the bottom of it.
    pub fn system_said(&self) -> Option<io::Error> {
        self.source.as_deref().and_then(|source| chain::system_error(source))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.object.is_empty() {
            write!(out, "{}: ", self.object)?;
        }
        out.write_str(self.cause.trim_end())?;
        match self.known_remedy() {
            Some(remedy) => write!(out, "{HELP}{remedy}"),
            None => Ok(()),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// By what is said: sources cannot be compared.
impl PartialEq for Error {
    fn eq(&self, other: &Error) -> bool {
        (&self.object, &self.cause, self.known_remedy())
            == (&other.object, &other.cause, other.known_remedy())
    }
}

impl Eq for Error {}

/// The cause and the remedy of an error that prints as `cause`, `\nhelp: `, `remedy`: an error about something larger takes such
/// a one for its cause, and shows one remedy. Without a remedy, or with several, the text stays whole.
fn split_remedy(text: &str) -> (&str, Option<&str>) {
    match text.split_once(HELP) {
        Some((cause, remedy)) if !remedy.contains(HELP) => (cause, Some(remedy.trim_end())),
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests;
