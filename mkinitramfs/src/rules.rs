//! What init may boot from a medium, and whether it may open a shell: rules that are fixed when the initramfs is made.

pub use initramfs_format::AllowedProfile;
use initramfs_format::Description;
use profiles::Name;

use crate::keys::Keys;
use fault::Error;

/// What `etc/lamina/initramfs.kdl` says.
///
/// # Errors
/// A rule that nothing could keep: a key that is not there, or a generation that nobody vouches for.
pub(crate) fn description(
    (release, profile_format): (&str, u64),
    keys: &Keys,
    shell_allowed: bool,
    profiles: &[AllowedProfile],
) -> Result<Description, Error> {
    for (index, profile) in profiles.iter().enumerate() {
        let option = || format!("--allow-profile {}", profile.name);
        if profiles[..index].iter().any(|other| other.name == profile.name) {
            return Err(Error::new(option(), "the profile is named twice")
                .remedy("name it once, with its key and its lowest generation"));
        }
        if let Some(key) = profile.key.as_ref().filter(|key| !keys.has(key)) {
            return Err(Error::new(option(), format!("there is no key '{key}'"))
                .remedy("name its file with --public-key: a key is called by the name of its file"));
        }
        if profile.lowest.is_some() && keys.is_empty() {
            return Err(Error::new(option(), "nobody vouches for a generation where there is no key")
                .remedy("name a public key with --public-key"));
        }
    }
    Ok(Description {
        kernel: Some(release.to_owned()),
        // An init that says nothing may not know this property either.
        profile_format: Some(profile_format).filter(|format| *format > 1),
        signatures_required: keys.required(),
        shell_allowed,
        profiles: profiles.to_vec(),
    })
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
