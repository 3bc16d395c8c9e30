//! What the recovery screen shows: which step, which object, why, what was seen, what to try.

use std::fmt;

use nix::errno::Errno;

use crate::step_name::StepName;

/// Why something could not be done, before it is known which step it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failure {
    /// The cause; may have several lines (a rendered profile error has).
    pub why: String,
    /// What was there instead: devices, profiles, files.
    pub seen: Vec<String>,
    /// What to try, most promising first.
    pub remedies: Vec<String>,
    /// Whether the writable top is at fault: the boot can go on without it.
    pub of_top: bool,
}

impl Failure {
    /// A cause without more.
    pub fn new(why: impl fmt::Display) -> Self {
        Self { why: why.to_string(), ..Self::default() }
    }

    /// Adds one thing to try.
    pub fn try_this(mut self, remedy: impl Into<String>) -> Self {
        self.remedies.push(remedy.into());
        self
    }

    /// Adds things that were seen.
    pub fn having_seen(mut self, seen: impl IntoIterator<Item = String>) -> Self {
        self.seen.extend(seen);
        self
    }

    /// The failure as that of a step on an object.
    pub fn at(self, step: StepName, object: impl fmt::Display) -> BootError {
        BootError {
            step,
            object: object.to_string(),
            failure: Box::new(self),
            also: Vec::new(),
            suspects: Vec::new(),
        }
    }
}

impl From<stack::Error> for Failure {
    fn from(error: stack::Error) -> Self {
        let failure = Self::new(format!("cannot {} {}: {}", error.action, error.object, error.why()));
        let usual = if error.action == "mount" { usual_remedy(Errno::from_raw(error.errno())) } else { None };
        match error.remedy.as_deref().or(usual) {
            Some(remedy) => failure.try_this(remedy),
            None => failure,
        }
    }
}

/// What most often makes mount(2) and fsconfig(2) fail so, where nobody knows better.
fn usual_remedy(errno: Errno) -> Option<&'static str> {
    Some(match errno {
        // The kernel sees whole sectors of 512 bytes: what `mksquashfs -nopad` makes ends beyond the last one.
        Errno::EINVAL => {
            "the file system is damaged or cut off, or of a kind or with an option that this kernel does not have; an image made \
             with `mksquashfs -nopad` must be made again without it, or with `lamina image create`"
        }
        Errno::ENODEV => "the kernel has no driver for this file system: add its module to the initramfs",
        Errno::EIO => {
            "the medium cannot be read there: look at the kernel's words, and copy the image anew to a good one"
        }
        Errno::ENOMEM => {
            "the machine has too little memory for it: fewer layers, or EROFS in place of squashfs"
        }
        Errno::EUCLEAN => {
            "the file system is damaged: copy the image anew, or check the disk with its own fsck"
        }
        Errno::EBUSY => "something else uses the device: a mount, a RAID or device-mapper",
        Errno::EOPNOTSUPP => {
            "the file system has a feature that this kernel does not know: make it without, or take a newer kernel"
        }
        _ => return None,
    })
}

/// A boot that stopped. Its `Display`, in `recovery`, is the body of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootError {
    /// The step, by the names of `docs/boot.md`.
    pub step: StepName,
    /// The image, device, file or parameter.
    pub object: String,
    /// The rest; in a box, because it is large and every step's result has room for it.
    pub failure: Box<Failure>,
    /// One line for each other object that failed in the same stage.
    pub also: Vec<String>,
    /// Layers that may be at fault, most likely first.
    pub suspects: Vec<String>,
}

impl std::error::Error for BootError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_that_fails_names_what_is_likely() {
        let failure = |action, errno| {
            Failure::from(stack::Error::new(action, "a.sqfs", std::io::Error::from_raw_os_error(errno)))
        };
        for errno in [
            Errno::EINVAL,
            Errno::ENODEV,
            Errno::EIO,
            Errno::ENOMEM,
            Errno::EUCLEAN,
            Errno::EBUSY,
            Errno::EOPNOTSUPP,
        ] {
            assert_eq!(failure("mount", errno as i32).remedies.len(), 1, "{errno}");
        }
        assert!(failure("mount", Errno::EINVAL as i32).remedies[0].contains("-nopad"));
        assert!(failure("open", Errno::EINVAL as i32).remedies.is_empty());
    }
}
