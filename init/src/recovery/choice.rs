//! What a person chose on the screen, handed over to the init that is started for it.

use profiles::Name;

/// Says to the init that starts anew that a person wants it, and names the profile that was chosen, if one was.
pub const CHOSEN: &str = "LAMINA_PROFILE";

/// Whether a person was at the recovery screen, and had init run itself anew.
pub fn person_is_present() -> bool {
    std::env::var_os(CHOSEN).is_some()
}

/// The profile that a person chose before init ran itself anew.
pub fn chosen_profile() -> Option<Name> {
    Name::parse(std::env::var_os(CHOSEN)?.to_str()?).ok()
}
