//! The stamp of a top: whose it is, over which stack its files were written, and how it was mounted.
//!
//! One node in a file called `stamp.kdl`, at most 4 KiB:
//!
//! ```kdl
//! state format=1 profile="web" stack="sha256:HEX" overlay-features="off"
//! ```
//!
//! `overlay-features="off"` says that overlayfs was always mounted over it with `redirect_dir`, `index`, `metacopy` and
//! `xino` off, which is what makes it safe to change the layers below ("Changes to underlying filesystems" in the
//! kernel's `Documentation/filesystems/overlayfs.rst`).

use profiles::decode::{self, Shape};
use profiles::{Digest, Name};

/// The name of the file, beside `upper` and `work`.
pub const FILE: &str = "stamp.kdl";
/// A stamp is shorter by far; whatever is longer is none.
pub const LONGEST: u64 = 4096;

const FORMAT: u64 = 1;
const SHAPE: Shape = Shape::BARE.properties(&["format", "profile", "stack", "overlay-features"]);
const OFF: &str = "off";

/// What the stamp says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The profile that the top belongs to.
    pub profile: Name,
    /// The stack that its files were written over: `BootProfile::stack_digest`.
    pub stack: Digest,
    /// Whether no feature of overlayfs ties it to the inodes of that stack.
    pub features_off: bool,
}

impl Stamp {
    /// The stamp of a top that this init mounts.
    pub fn of(profile: &Name, stack: Digest) -> Self {
        Self { profile: profile.clone(), stack, features_off: true }
    }

    /// Reads a stamp, or says in one line why it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let read = decode::read(FILE, bytes, |top| {
            top.allow(&["state"]);
            let node = top.required("state")?;
            // The format first: a newer one may have properties that this version does not know.
            let format = node.property::<u64>("format")?;
            if format != FORMAT {
                return Some(Err(format));
            }
            let node = node.shape(&SHAPE)?;
            let profile = node.property::<Name>("profile");
            let stack = node.property::<Digest>("stack");
            let features = node.property::<String>("overlay-features");
            Some(Ok(Self { profile: profile?, stack: stack?, features_off: features? == OFF }))
        });
        match read {
            Ok(Ok(stamp)) => Ok(stamp),
            Ok(Err(format)) => Err(format!("{FILE} has format {format}, this init reads format {FORMAT}")),
            Err(errors) => Err(errors.to_string().lines().next().unwrap_or_default().to_owned()),
        }
    }

    /// The stamp as it is written.
    pub fn to_kdl(&self) -> String {
        let features = if self.features_off { OFF } else { "on" };
        // A name and a digest have no character that KDL would want quoted.
        format!(
            "state format={FORMAT} profile=\"{}\" stack=\"{}\" overlay-features=\"{features}\"\n",
            self.profile, self.stack
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_the_bytes_are_documented() {
        let stamp = Stamp::of(&Name::parse("web").unwrap(), Digest::from_bytes([0xab; 32]));
        let text = stamp.to_kdl();
        let stack = "ab".repeat(32);
        assert_eq!(
            text,
            format!("state format=1 profile=\"web\" stack=\"sha256:{stack}\" overlay-features=\"off\"\n")
        );
        assert_eq!(Stamp::parse(text.as_bytes()), Ok(stamp));
        let on = Stamp::parse(text.replace("\"off\"", "\"on\"").as_bytes()).unwrap();
        assert!(!on.features_off);
        assert!(!Stamp::parse(on.to_kdl().as_bytes()).unwrap().features_off);
    }

    #[test]
    fn everything_else_is_refused_in_one_line() {
        for (text, why) in [
            ("", "there is no 'state'"),
            ("state format=2 new=1\n", "stamp.kdl has format 2, this init reads format 1"),
            ("state format=1 profile=\"../x\" stack=\"0\" overlay-features=\"off\"\n", "stamp.kdl:1:"),
            ("\0\0\0\0", "stamp.kdl:1:"),
            ("state format=1 profile=\"web\"\n", "lacks the property"),
        ] {
            let found = Stamp::parse(text.as_bytes()).unwrap_err();
            assert!(found.contains(why) && found.lines().count() == 1, "{text:?}: {found}");
        }
        // Every prefix, as a torn write leaves it, and every byte changed: refused or read, never a panic.
        let whole = Stamp::of(&Name::parse("web").unwrap(), Digest::from_bytes([7; 32])).to_kdl();
        for end in 0..whole.len() - 1 {
            assert!(Stamp::parse(&whole.as_bytes()[..end]).is_err(), "{end}");
            let mut changed = whole.clone().into_bytes();
            changed[end] ^= 0x80;
            let _ = Stamp::parse(&changed);
        }
    }
}
