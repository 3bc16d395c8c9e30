//! The one error of this crate: which object, what went wrong with it, and what to do.

use std::error;
use std::fmt;

use profiles::{split_remedy, with_sources};

/// Names an object (file, image, package, device), the cause, and, where there is one, the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    object: String,
    cause: String,
    remedy: Option<String>,
}

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error about `object`; `cause` is a sentence or another error, whose remedy this one has until it gets its own.
    pub fn new(object: impl fmt::Display, cause: impl fmt::Display) -> Self {
        let text = cause.to_string();
        let (cause, remedy) = split_remedy(&text);
        Error { object: object.to_string(), cause: cause.to_owned(), remedy: remedy.map(str::to_owned) }
    }

    /// What went wrong, without the object and the remedy.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// The same error with what the reader can do about it.
    pub fn remedy(mut self, remedy: impl fmt::Display) -> Self {
        self.remedy = Some(remedy.to_string());
        self
    }

    /// The same error shown at a place of a text, with the line and a caret, when it is a single line.
    pub fn at(self, place: &profiles::Place) -> Self {
        if self.cause.contains('\n') || self.object.is_empty() {
            return self;
        }
        Error::new("", self.diagnostic(place))
    }

    /// Object, cause and remedy as an error at a place of a text.
    pub fn diagnostic(self, place: &profiles::Place) -> profiles::Diagnostic {
        place.error(format!("{}: {}", self.object, self.cause), self.remedy.unwrap_or_default())
    }

    /// For `map_err`: wraps an error as the cause, with `object` in front. See [`Error::caused`].
    pub fn on<E: error::Error + 'static>(object: impl fmt::Display) -> impl FnOnce(E) -> Self {
        move |cause| Error::caused(object, &cause)
    }

    /// An error about `object` because of another one, whose whole chain of sources is told: some errors leave what the system said to
    /// their source. The remedy of the inner error stays the remedy.
    pub fn caused(object: impl fmt::Display, cause: &(dyn error::Error + 'static)) -> Self {
        let own = cause.downcast_ref::<Error>().cloned();
        let own = own.or_else(|| cause.downcast_ref::<stack::Error>().map(Error::from));
        let own = own.or_else(|| cause.downcast_ref::<atomic_file::Error>().cloned().map(Error::from));
        match own {
            Some(inner) => inner.about(object.to_string()),
            None => Error::new(object, with_sources(cause)),
        }
    }

    /// The same error with a further object in front.
    fn about(self, object: String) -> Self {
        match (object.as_str(), self.object.as_str()) {
            ("", _) => self,
            (_, "") => Error { object, ..self },
            (_, inner) => Error { cause: format!("{inner}: {}", self.cause), object, ..self },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.object.is_empty() {
            write!(out, "{}: ", self.object)?;
        }
        out.write_str(self.cause.trim_end())?;
        // A cause of several errors has a remedy for each.
        let usual = || usual_remedy(&self.cause).filter(|_| !self.cause.contains("\nhelp: "));
        match self.remedy.as_deref().or_else(usual) {
            Some(remedy) => write!(out, "\nhelp: {remedy}"),
            None => Ok(()),
        }
    }
}

/// What helps against the answers of the system that any path may get (errno(3)), wherever it was.
fn usual_remedy(cause: &str) -> Option<&'static str> {
    let remedies = [
        (
            "No space left on device",
            "make room on its file system, or write to another one (the store: `--store DIR` or LAMINA_STORE)",
        ),
        ("File too large", "make room, or raise the limit of `ulimit -f`; FAT holds no file of 4 GiB"),
        (
            "Disk quota exceeded",
            "make room, or write to another file system (the store: `--store DIR` or LAMINA_STORE)",
        ),
        ("No such file or directory", "check the path"),
        ("Is a directory", "give the path of a file"),
        ("Not a directory", "a part of this path is a file: check the path"),
        ("not a directory", "give the path of a folder"),
        ("Permission denied", "ask whoever owns it for the right, or do this as root"),
        ("Too many open files", "raise the limit with `ulimit -n`"),
        ("Read-only file system", "write to another file system (the store: `--store DIR` or LAMINA_STORE)"),
    ];
    remedies.into_iter().find(|(answer, _)| cause.contains(answer)).map(|(_, remedy)| remedy)
}

impl error::Error for Error {}

impl From<stack::Error> for Error {
    fn from(error: stack::Error) -> Self {
        Error::from(&error)
    }
}

impl From<&stack::Error> for Error {
    fn from(error: &stack::Error) -> Self {
        let plain = Error::new(format!("cannot {} {}", error.action, error.object), error.why());
        match &error.remedy {
            Some(remedy) => plain.remedy(remedy),
            None => plain,
        }
    }
}

impl From<atomic_file::Error> for Error {
    fn from(error: atomic_file::Error) -> Self {
        let plain = Error::new(error.object, error.cause);
        if error.remedy.is_empty() { plain } else { plain.remedy(error.remedy) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_object_cause_and_remedy() {
        let error = Error::new("images/ab.sqfs", "is cut short").remedy("run `lamina build hello`");
        assert_eq!(error.to_string(), "images/ab.sqfs: is cut short\nhelp: run `lamina build hello`");
    }

    #[test]
    fn a_full_disk_has_a_remedy_everywhere() {
        let full = std::io::Error::from_raw_os_error(nix::errno::Errno::ENOSPC as i32);
        assert!(
            Error::new("images/ab.sqfs", full).to_string().contains("\nhelp: make room on its file system")
        );
    }

    #[test]
    fn what_the_system_says_of_a_path_has_one_too() {
        let said = |errno| {
            let error = std::io::Error::from_raw_os_error(errno as i32);
            Error::new("x", error).to_string().lines().nth(1).map(str::to_owned)
        };
        assert_eq!(said(nix::errno::Errno::ENOENT).as_deref(), Some("help: check the path"));
        assert_eq!(said(nix::errno::Errno::EISDIR).as_deref(), Some("help: give the path of a file"));
        assert!(said(nix::errno::Errno::EACCES).is_some_and(|help| help.contains("root")));
        assert_eq!(said(nix::errno::Errno::EIO), None);
    }

    #[test]
    fn help_is_shown_once_however_often_an_error_is_wrapped() {
        let missing = || std::io::Error::from_raw_os_error(nix::errno::Errno::ENOENT as i32);
        let twice = Error::new("package a", Error::new("images/x", missing()));
        assert_eq!(
            twice.to_string(),
            "package a: images/x: No such file or directory (os error 2)\nhelp: check the path"
        );
        let inner = Error::new("b", missing()).remedy("build it");
        assert!(Error::new("a", &inner).to_string().ends_with("(os error 2)\nhelp: build it"));
        let outer = Error::new("a", Error::new("b", &inner)).remedy("build all");
        assert!(outer.to_string().ends_with("(os error 2)\nhelp: build all"));
        let (one, two) = (Error::new("a", "x").remedy("y"), Error::new("b", missing()));
        let several = Error::new("", format!("{one}\n{two}")).to_string();
        assert_eq!(several.matches("help: ").count(), 2, "{several}");
    }

    #[test]
    fn an_empty_object_leaves_no_colon() {
        assert_eq!(Error::new("", "recipe.kdl:1:1: error: no").to_string(), "recipe.kdl:1:1: error: no");
    }

    /// As those that leave the system's words to their source.
    #[derive(Debug)]
    struct Silent(std::io::Error);

    impl fmt::Display for Silent {
        fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("cannot mount x")
        }
    }

    impl error::Error for Silent {
        fn source(&self) -> Option<&(dyn error::Error + 'static)> {
            Some(&self.0)
        }
    }

    fn full() -> std::io::Error {
        std::io::Error::from_raw_os_error(nix::errno::Errno::ENOSPC as i32)
    }

    #[test]
    fn the_sources_of_a_cause_are_told_to_the_end_of_the_line_and_once() {
        let error = Error::on("a.sqfs")(Silent(full()));
        let first = error.to_string().lines().next().map(str::to_owned);
        assert_eq!(first.as_deref(), Some("a.sqfs: cannot mount x: No space left on device (os error 28)"));
        assert!(error.to_string().contains("\nhelp: make room"), "{error}");
        // An io::Error shows what it wraps, and has it as its source too.
        let error = Error::on("a.sqfs")(std::io::Error::other(Silent(full())));
        assert!(
            error.to_string().starts_with("a.sqfs: cannot mount x: No space left on device (os error 28)\n"),
            "{error}"
        );
        let error = Error::on("sandbox")(stack::Error::new("mount", "a.sqfs", full()));
        assert!(
            error
                .to_string()
                .starts_with("sandbox: cannot mount a.sqfs: No space left on device (os error 28)\n"),
            "{error}"
        );
    }

    #[test]
    fn an_error_about_an_error_has_one_remedy_the_inner_one() {
        let inner = || Error::new("b", full()).remedy("buy a disk");
        assert_eq!(
            Error::on("a")(inner()).to_string(),
            "a: b: No space left on device (os error 28)\nhelp: buy a disk"
        );
        assert_eq!(Error::on("")(inner()), inner());
        assert_eq!(Error::on("a")(Error::new("b", full())).to_string().matches("help: ").count(), 1);
        assert_eq!(Error::new("a", Error::new("b", full())).to_string().matches("help: ").count(), 1);
    }
}
