//! What went wrong with which object, in the kernel's words when it has any.

use std::fmt;
use std::io;

/// The result of everything in this crate that talks to the kernel.
pub type Result<T> = std::result::Result<T, Error>;

/// A system call that failed, told as a sentence.
///
/// `Display` gives the action, the object and the remedy; the cause is [`std::error::Error::source`] and is not repeated.
#[derive(Debug)]
pub struct Error {
    /// What was being done, as in "cannot ACTION OBJECT": "attach a loop device to".
    pub action: &'static str,
    /// The image, device or directory.
    pub object: String,
    /// What the kernel answered.
    pub cause: io::Error,
    /// Lines the kernel left in the file-system context (see fsopen(2)), without their class letter.
    pub kernel: Vec<String>,
    /// What to try, where this crate knows.
    pub remedy: Option<String>,
}

impl Error {
    /// An error without words of the kernel's and without a remedy.
    pub fn new(action: &'static str, object: impl fmt::Display, cause: impl Into<io::Error>) -> Self {
        Self { action, object: object.to_string(), cause: cause.into(), kernel: Vec::new(), remedy: None }
    }

    /// A refusal of our own, before the kernel was asked.
    pub(crate) fn refused(
        action: &'static str,
        object: impl fmt::Display,
        why: String,
        remedy: &str,
    ) -> Self {
        let cause = io::Error::new(io::ErrorKind::InvalidInput, why);
        Self { remedy: Some(remedy.to_owned()), ..Self::new(action, object, cause) }
    }

    /// The same error with a remedy.
    pub(crate) fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// The errno, or 0 when the refusal is our own.
    pub fn errno(&self) -> i32 {
        self.cause.raw_os_error().unwrap_or(0)
    }

    /// Whether the kernel cannot do this at all, so that another way may be tried: ENOTBLK is its answer to a file where it
    /// only mounts devices.
    pub fn is_unsupported(&self) -> bool {
        use nix::errno::Errno;
        [Errno::ENOTBLK, Errno::EOPNOTSUPP, Errno::ENOSYS].contains(&Errno::from_raw(self.errno()))
    }

    /// The cause in words: the kernel's own lines when it left some, and the errno.
    pub fn why(&self) -> String {
        match self.kernel.as_slice() {
            [] => self.cause.to_string(),
            lines => format!("{} ({})", lines.join("; "), self.cause),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}", self.action, self.object)?;
        for line in &self.kernel {
            write!(f, "; the kernel says: {line}")?;
        }
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// As one of the commands' errors: the action and the object are what it is about, and the remedy is one.
impl From<Error> for fault::Error {
    fn from(error: Error) -> Self {
        let plain = fault::Error::new(format!("cannot {} {}", error.action, error.object), error.why());
        let plain = match &error.remedy {
            Some(remedy) => plain.remedy(remedy),
            None => plain,
        };
        plain.because_of(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn the_sentence_names_action_object_kernel_and_remedy_but_not_the_cause() {
        let mut error =
            Error::new("mount", "a.sqfs", io::Error::from_raw_os_error(22)).with_remedy("rebuild it");
        error.kernel.push("squashfs: bad block size".into());
        assert_eq!(
            error.to_string(),
            "cannot mount a.sqfs; the kernel says: squashfs: bad block size; rebuild it"
        );
        assert_eq!(error.source().unwrap().to_string(), "Invalid argument (os error 22)");
        assert_eq!(error.why(), "squashfs: bad block size (Invalid argument (os error 22))");
        assert_eq!(error.errno(), 22);
    }

    #[test]
    fn a_command_tells_it_as_object_cause_and_remedy() {
        let full = || io::Error::from(nix::errno::Errno::ENOSPC);
        let error = fault::Error::from(Error::new("mount", "a.sqfs", full())).about("sandbox");
        assert!(
            error.to_string().starts_with(
                "sandbox: cannot mount a.sqfs: No space left on device (os error 28)\nhelp: make room"
            ),
            "{error}"
        );
        let error = fault::Error::from(Error::new("mount", "a.sqfs", full()).with_remedy("rebuild it"));
        assert_eq!(error.known_remedy(), Some("rebuild it"));
    }
}
