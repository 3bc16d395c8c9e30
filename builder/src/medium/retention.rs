//! Which generations stay on a medium, and why; and what goes with the others. Of the profiles that are named, the newest ones stay, those that
//! the slots name (the last good one, and what is being tried), what runs, and those that are marked by `lamina system keep`; of all others
//! everything. An image goes when no generation that stays names it, and none while one of these cannot be read.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZero;
use std::path::PathBuf;

use boot_store::layout;
use profiles::{Digest, Name};

use super::contents::{InstalledGeneration, MediumContents};

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

/// Whether a generation stays.
pub fn stays(verdicts: &[Verdict], profile: &Name, number: u64) -> bool {
    verdicts.iter().any(|it| it.stays && it.profile == *profile && it.number == number)
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
pub fn judge(contents: &MediumContents, policy: &Policy<'_>) -> Vec<Verdict> {
    contents.generations.iter().map(|generation| of_one(contents, policy, generation)).collect()
}

fn of_one(contents: &MediumContents, policy: &Policy<'_>, generation: &InstalledGeneration) -> Verdict {
    let why = reason(contents, policy, generation);
    let stays = why.is_some();
    let why = why.unwrap_or_else(|| format!("older than the newest {}", policy.keep));
    Verdict { profile: generation.profile.clone(), number: generation.number, stays, why }
}

/// Why it stays.
fn reason(
    contents: &MediumContents,
    policy: &Policy<'_>,
    generation: &InstalledGeneration,
) -> Option<String> {
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
    if contents.is_running(generation) {
        return said("this machine runs it");
    }
    if generation.kept {
        return said("is kept, until `lamina system keep --undo`");
    }
    if let Err(why) = &contents.ledger {
        return Some(format!("the slots that count boots cannot be read: {why}"));
    }
    if contents.is_last_good(generation) {
        return said("is the last good one");
    }
    if contents.attempts(generation) > 0 {
        return said("is being tried");
    }
    if generation.digest.is_none() {
        // Nobody knows whether the slots mean it.
        return said("cannot be read");
    }
    let newer =
        contents.of(&generation.profile).filter(|it| it.number > generation.number).map(|it| it.number);
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

/// What will be removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removals {
    /// Profiles, each with its signature behind it, signatures and marks of none, and then images, as paths below the folder of the medium.
    pub files: Vec<PathBuf>,
    /// Why nothing, or no image, goes.
    pub kept_because: Option<String>,
}

impl Removals {
    /// Nothing, for a reason.
    pub(super) fn nothing(why: String) -> Self {
        Self { files: Vec::new(), kept_because: Some(why) }
    }

    /// What goes once the generations of `new`, which need the images `needed`, are there.
    pub fn after(
        contents: &MediumContents,
        verdicts: &[Verdict],
        new: &[(Name, u64)],
        needed: &BTreeSet<Digest>,
    ) -> Self {
        let stays = |it: &&InstalledGeneration| stays(verdicts, &it.profile, it.number);
        let mut files = Vec::new();
        for generation in contents.generations.iter().filter(|it| !stays(it)) {
            let path = layout::profile(&generation.profile, generation.number);
            let signature = generation.signature.as_ref().map(|_| layout::signature_of(&path));
            files.extend([Some(path), signature].into_iter().flatten());
        }
        let of_new: BTreeSet<PathBuf> = new.iter().flat_map(|(name, number)| beside(name, *number)).collect();
        files.extend(contents.of_none.iter().filter(|it| !of_new.contains(*it)).cloned());
        let comes = |it: &&InstalledGeneration| new.contains(&(it.profile.clone(), it.number));
        let staying = || contents.generations.iter().filter(stays).filter(|it| !comes(it));
        let unknown = staying().find(|it| it.contents.is_err()).map(|it| {
            format!("{} cannot be read: no image is removed, for nobody knows which it needs", it.label())
        });
        let unlisted = contents.unlisted.first().map(|error| format!("no image is removed: {error}"));
        let kept_because = unknown.or(unlisted);
        if kept_because.is_none() {
            let named: BTreeSet<Digest> = staying().flat_map(|it| it.images()).map(|it| it.digest).collect();
            let unused = contents.images.keys().filter(|it| !named.contains(it) && !needed.contains(it));
            files.extend(unused.map(layout::image));
        }
        Self { files, kept_because }
    }
}

/// What may lie beside a generation.
fn beside(name: &Name, number: u64) -> [PathBuf; 2] {
    let path = layout::profile(name, number);
    [layout::signature_of(&path), layout::kept_mark_of(&path)]
}
