//! Which generations stay on a medium, and why.

use std::fmt;
use std::num::NonZero;

use profiles::Name;

use super::installed::{Installed, InstalledGeneration};

/// What becomes of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The profile.
    pub profile: Name,
    /// The number.
    pub number: u64,
    /// Whether it stays.
    pub stays: bool,
    /// Why, as the end of a sentence.
    pub why: String,
}

/// `web/3 stays: is the newest`.
impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.stays { "stays" } else { "goes" };
        write!(out, "{}/{} {word}: {}", self.profile, self.number, self.why)
    }
}

/// What decides.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'a> {
    /// The profiles of which older generations go; of others everything stays.
    pub profiles: &'a [Name],
    /// How many of the newest stay.
    pub keep: NonZero<usize>,
    /// What boots by itself from now on.
    pub default: Option<(&'a Name, u64)>,
    /// The generations that come; they are the newest ones.
    pub new: &'a [(Name, u64)],
}

/// Decides about every generation of the medium.
pub fn judge(installed: &Installed, policy: &Policy<'_>) -> Vec<Verdict> {
    installed.generations.iter().map(|generation| of_one(installed, policy, generation)).collect()
}

fn of_one(installed: &Installed, policy: &Policy<'_>, generation: &InstalledGeneration) -> Verdict {
    let why = reason(installed, policy, generation);
    let stays = why.is_some();
    let why = why.unwrap_or_else(|| format!("older than the newest {}", policy.keep));
    Verdict { profile: generation.profile.clone(), number: generation.number, stays, why }
}

/// Why it stays.
fn reason(installed: &Installed, policy: &Policy<'_>, generation: &InstalledGeneration) -> Option<String> {
    let said = |text: &str| Some(text.to_owned());
    if !policy.profiles.contains(&generation.profile) {
        return said("of a profile that was not named");
    }
    if policy.new.contains(&(generation.profile.clone(), generation.number)) {
        return said("is what is installed");
    }
    if policy.default == Some((&generation.profile, generation.number)) {
        return said("boots by itself");
    }
    if installed.is_running(generation) {
        return said("this machine runs it");
    }
    if generation.kept {
        return said("is kept, until `lamina system keep --undo`");
    }
    if let Err(why) = &installed.ledger {
        return Some(format!("the slots that count boots cannot be read: {why}"));
    }
    if installed.is_last_good(generation) {
        return said("is the last good one");
    }
    if installed.attempts(generation) > 0 {
        return said("is being tried");
    }
    if generation.digest.is_none() {
        // Nobody knows whether the slots mean it.
        return said("cannot be read");
    }
    let newer =
        installed.of(&generation.profile).filter(|it| it.number > generation.number).map(|it| it.number);
    let coming =
        policy.new.iter().filter(|(name, number)| *name == generation.profile && *number > generation.number);
    let mut above: Vec<u64> = newer.chain(coming.map(|it| it.1)).collect();
    above.sort_unstable();
    above.dedup();
    match above.len() {
        0 => said("is the newest"),
        before if before < policy.keep.get() => Some(format!("one of the newest {}", policy.keep)),
        _ => None,
    }
}
