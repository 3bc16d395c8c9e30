//! What init may boot from a medium, and whether it may open a shell: rules that are fixed when the initramfs is made.

use std::fmt::Write as _;
use std::str::FromStr;

use profiles::Name;
use profiles::quote::Quoted;

use crate::error::Error;
use crate::keys::Keys;

/// A profile of a medium that init may boot; with one of them, no other profile of a medium boots.
///
/// Written `NAME`, `NAME,key=KEY`, `NAME,lowest=N` or with both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedProfile {
    /// Its name.
    pub name: Name,
    /// The key that must have signed it, by the name of its file without `.pub`.
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

/// The text of `etc/lamina/initramfs.kdl`.
///
/// # Errors
/// A rule that nothing could keep: a key that is not there, or a generation that nobody vouches for.
pub(crate) fn contract(
    format: u64,
    release: &str,
    keys: &Keys,
    shell_allowed: bool,
    profiles: &[AllowedProfile],
) -> Result<String, Error> {
    let mut text = format!("initramfs format={format} kernel={}", Quoted(release));
    if keys.required() {
        text.push_str(" signatures=\"required\"");
    }
    if shell_allowed {
        text.push_str(" shell=\"allowed\"");
    }
    if !profiles.is_empty() {
        text.push_str(" {\n");
        for (index, profile) in profiles.iter().enumerate() {
            let option = || format!("--allow-profile {}", profile.name);
            if profiles[..index].iter().any(|other| other.name == profile.name) {
                return Err(Error::new(option(), "the profile is named twice")
                    .remedy("name it once, with its key and its lowest generation"));
            }
            let _ = write!(text, "    profile {}", Quoted(profile.name.as_str()));
            if let Some(key) = &profile.key {
                if !keys.has(key) {
                    return Err(Error::new(option(), format!("there is no key '{key}'"))
                        .remedy("name its file with --public-key: a key is called by the name of its file"));
                }
                let _ = write!(text, " key={}", Quoted(key.as_str()));
            }
            if let Some(lowest) = profile.lowest {
                if keys.is_empty() {
                    return Err(Error::new(
                        option(),
                        "nobody vouches for a generation where there is no key",
                    )
                    .remedy("name a public key with --public-key"));
                }
                let _ = write!(text, " lowest={lowest}");
            }
            text.push('\n');
        }
        text.push('}');
    }
    text.push('\n');
    Ok(text)
}

/// What somebody should know who makes an initramfs that requires signatures and has a shell in it.
pub(crate) fn about_shell(keys: &Keys, shell_packed: bool, shell_allowed: bool) -> Option<&'static str> {
    match (keys.required() && shell_packed, shell_allowed) {
        (true, true) => Some(
            "--allow-shell: whoever stands before the machine becomes root when a boot fails, and a boot fails when its medium is taken away",
        ),
        (true, false) => Some(
            "--busybox: init opens no shell where signatures are required; --allow-shell allows it to whoever stands before the machine",
        ),
        _ => None,
    }
}

/// A packed rescue that would not come up when it is needed.
pub(crate) fn about_rescue(keys: &Keys, unsealed: &[Name], shell_allowed: bool) -> Option<String> {
    let rescue = unsealed.iter().find(|name| name.as_str() == "rescue")?;
    (keys.required() && !shell_allowed).then(|| {
        format!("the packed profile '{rescue}' is not sealed: it takes the place of no sealed profile and, without --allow-shell, of none that cannot be read")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
