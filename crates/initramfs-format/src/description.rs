//! `etc/lamina/initramfs.kdl`: for which kernel the initramfs was made, in which format, and what it lets boot.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use profiles::decode::{self, Shape};
use profiles::quote::Quoted;
use profiles::{Diagnostics, Name};

use crate::paths;

/// The layout of the initramfs that is written, and the newest that is read.
pub const FORMAT: u64 = 1;
const SHAPE: Shape = Shape::BARE
    .properties(&["format", "kernel", "profile-format", "signatures", "shell"])
    .block(&["profile"]);
const PROFILE: Shape = Shape::argument("name").properties(&["key", "lowest"]);
/// The one value of `signatures`; without it a profile may come without a signature.
const REQUIRED: &str = "required";
/// The one value of `shell`; without it there is none where signatures are required.
const ALLOWED: &str = "allowed";
/// What helps when an initramfs does not fit to the init in it, or to the running kernel.
pub const REMEDY: &str = "make it again with the mkinitramfs that belongs to this init, for this kernel";

/// What an initramfs was made to be. One without a description, made by hand, promises nothing.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Description {
    /// The release that its modules are for.
    pub kernel: Option<String>,
    /// The newest format of resolved profiles that its init reads; 1 where nothing is said. It is for whoever installs profiles.
    pub profile_format: Option<u64>,
    /// `signatures="required"`: profiles without a valid signature are refused.
    pub signatures_required: bool,
    /// `shell="allowed"`: there is a rescue shell although signatures are required.
    pub shell_allowed: bool,
    /// `profile "NAME"`: the profiles of a medium that may be booted; all of them when there is no such node.
    pub profiles: Vec<AllowedProfile>,
}

/// A profile of a medium that init may boot; with one of them, no other profile of a medium boots.
///
/// On the command line of mkinitramfs it is written `NAME`, `NAME,key=KEY`, `NAME,lowest=N` or with both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedProfile {
    /// What its folder below `profiles/` is called.
    pub name: Name,
    /// The key that must have signed it, by the name of its file without `.pub`; any of the initramfs's when there is none.
    pub key: Option<Name>,
    /// The lowest generation that boots, which the signature must name.
    pub lowest: Option<u64>,
}

impl FromStr for AllowedProfile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name =
            |text: &str| Name::parse(text).map_err(|error| format!("'{}': {error}", text.escape_debug()));
        let mut parts = text.split(',');
        let mut allowed = Self { name: name(parts.next().unwrap_or_default())?, key: None, lowest: None };
        for part in parts {
            match part.split_once('=') {
                Some(("key", key)) => allowed.key = Some(name(key)?),
                Some(("lowest", number)) => {
                    let number = number.parse::<u64>().ok().filter(|number| *number > 0);
                    allowed.lowest = Some(number.ok_or("lowest= is a generation: a number from 1")?);
                }
                _ => return Err(format!("'{}' is neither key=NAME nor lowest=N", part.escape_debug())),
            }
        }
        Ok(allowed)
    }
}

/// Why a description is not understood.
#[derive(Debug)]
pub enum DescriptionError {
    /// All errors in its text.
    Text(Diagnostics),
    /// Its format is newer than [`FORMAT`].
    Newer(u64),
}

impl fmt::Display for DescriptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(diagnostics) => f.write_str(diagnostics.to_string().trim_end()),
            Self::Newer(format) => {
                write!(f, "the initramfs has format {format}, this init reads up to {FORMAT}")
            }
        }
    }
}

impl std::error::Error for DescriptionError {}

impl Description {
    /// Whether there may be a rescue shell: where signatures are required, only when that was said when the initramfs was made.
    pub fn allows_shell(&self) -> bool {
        !self.signatures_required || self.shell_allowed
    }

    /// The text of the file.
    pub fn to_kdl(&self) -> String {
        let mut text = format!("initramfs format={FORMAT}");
        // Writing to a String cannot fail.
        if let Some(kernel) = &self.kernel {
            let _ = write!(text, " kernel={}", Quoted(kernel));
        }
        if let Some(format) = self.profile_format {
            let _ = write!(text, " profile-format={format}");
        }
        if self.signatures_required {
            let _ = write!(text, " signatures=\"{REQUIRED}\"");
        }
        if self.shell_allowed {
            let _ = write!(text, " shell=\"{ALLOWED}\"");
        }
        if !self.profiles.is_empty() {
            text.push_str(" {\n");
            for profile in &self.profiles {
                let _ = write!(text, "    profile {}", Quoted(profile.name.as_str()));
                if let Some(key) = &profile.key {
                    let _ = write!(text, " key={}", Quoted(key.as_str()));
                }
                if let Some(lowest) = profile.lowest {
                    let _ = write!(text, " lowest={lowest}");
                }
                text.push('\n');
            }
            text.push('}');
        }
        text + "\n"
    }

    /// Reads the text of the file.
    ///
    /// # Errors
    /// All that is not understood, with its place; a newer format.
    pub fn parse(bytes: &[u8]) -> Result<Self, DescriptionError> {
        let read = decode::read(paths::DESCRIPTION, bytes, |top| {
            let node = top.required("initramfs")?;
            // The format first: a newer one may have properties that this version does not know.
            let format = node.property::<u64>("format")?;
            if format > FORMAT {
                return Some((format, Self::default()));
            }
            let node = node.shape(&SHAPE)?;
            let signatures = node.optional::<String>("signatures");
            if signatures.as_deref().is_some_and(|word| word != REQUIRED) {
                return node.refuse_property("signatures", "the only value is 'required'", REMEDY);
            }
            let shell = node.optional::<String>("shell");
            if shell.as_deref().is_some_and(|word| word != ALLOWED) {
                return node.refuse_property("shell", "the only value is 'allowed'", REMEDY);
            }
            let (kernel, profile_format) = (node.optional("kernel"), node.optional("profile-format"));
            let profiles = node.block().each("profile", |node| {
                let node = node.shape(&PROFILE)?;
                Some(AllowedProfile {
                    name: node.argument("name")?,
                    key: node.optional("key"),
                    lowest: node.optional("lowest"),
                })
            })?;
            let (signatures_required, shell_allowed) = (signatures.is_some(), shell.is_some());
            Some((format, Self { kernel, profile_format, signatures_required, shell_allowed, profiles }))
        });
        match read {
            Err(diagnostics) => Err(DescriptionError::Text(diagnostics)),
            Ok((format, _)) if format > FORMAT => Err(DescriptionError::Newer(format)),
            Ok((_, description)) => Ok(description),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let profiles = ["kiosk,key=site,lowest=7", "rescue"].map(|text| text.parse().unwrap()).into();
        let kernel = Some("6.1.0-test".to_owned());
        let full = Description {
            kernel,
            profile_format: Some(2),
            signatures_required: true,
            shell_allowed: true,
            profiles,
        };
        assert_eq!(
            full.to_kdl(),
            "initramfs format=1 kernel=\"6.1.0-test\" profile-format=2 signatures=\"required\" shell=\"allowed\" {\n    \
             profile \"kiosk\" key=\"site\" lowest=7\n    profile \"rescue\"\n}\n"
        );
        for description in [full, Description::default()] {
            assert_eq!(Description::parse(description.to_kdl().as_bytes()).unwrap(), description);
        }
    }

    #[test]
    fn an_allowed_profile_is_read() {
        let name = |text| Name::parse(text).expect("a name");
        let read = |text: &str| text.parse::<AllowedProfile>();
        assert_eq!(read("kiosk"), Ok(AllowedProfile { name: name("kiosk"), key: None, lowest: None }));
        let all = AllowedProfile { name: name("kiosk"), key: Some(name("site")), lowest: Some(7) };
        assert_eq!(read("kiosk,key=site,lowest=7"), Ok(all));
        for wrong in ["", "../x", "a,", "a,key=", "a,lowest=0", "a,lowest=x", "a,b=c", "a key=b"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
