//! Never stranded: what is booted when what was asked for cannot be.
//!
//! The profile that was asked for, its last good generation, those of `lamina.fallback=`, the profile `rescue` of the medium, the
//! profile `rescue` of the initramfs; after them the recovery screen. Pure: whether each exists is seen when it is tried.

use std::fmt;

use boot_ledger::{Generation, MOST_ATTEMPTS};
use profiles::Name;

use crate::request::WantedProfile;
use crate::store::Origin;

/// The name of the profile that is tried last.
const RESCUE: &str = "rescue";

/// Why a profile is in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `lamina.profile=`, or what a person chose on the recovery screen.
    Asked,
    /// The generation of it that was blessed last.
    LastGood,
    /// `lamina.fallback=`.
    Fallback,
    /// The profile `rescue`.
    Rescue,
}

/// Something that may be booted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Why it is one.
    pub role: Role,
    /// The store that has it.
    pub origin: Origin,
    /// The profile; `None` when the command line names none, which fails with a list of those that there are.
    pub wanted: Option<WantedProfile>,
}

impl Candidate {
    /// Whether the command line names the digest of the profile's file.
    pub fn is_bound(&self) -> bool {
        self.wanted.as_ref().is_some_and(|wanted| wanted.digest.is_some())
    }

    /// Whether something else is tried first, after so many attempts without a blessing. What a person has just `chosen` on the
    /// recovery screen never is.
    pub fn is_skipped(&self, attempts: u32, chosen: bool) -> bool {
        attempts >= MOST_ATTEMPTS && !(chosen && self.role == Role::Asked)
    }
}

/// The order in which skipped candidates are tried when nothing else boots, each with its attempts without a blessing.
///
/// First the profile `rescue`: whatever crashed three times must not come before the one that is there to mend it, and whether
/// a rescue that nobody blesses has crashed too, nobody can tell. Then the one that was tried least: what was bad three
/// times may be good the fourth time, and none of them may keep the others from a try.
pub fn second_round(mut skipped: Vec<(Candidate, u32)>) -> Vec<Candidate> {
    skipped.sort_by_key(|(candidate, attempts)| (candidate.role != Role::Rescue, *attempts));
    skipped.into_iter().map(|(candidate, _)| candidate).collect()
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.wanted.as_ref().map_or("", |wanted| wanted.name.as_str());
        match (self.role, self.origin) {
            (Role::Asked, _) => write!(f, "the profile {name}"),
            (Role::LastGood, _) => write!(f, "the last good generation of {name}"),
            (Role::Fallback, _) => write!(f, "lamina.fallback={name}"),
            (Role::Rescue, Origin::Medium) => write!(f, "the profile {name} of the store"),
            (Role::Rescue, Origin::Initramfs) => write!(f, "the profile {name} of the initramfs"),
        }
    }
}

/// What the chain follows from.
#[derive(Debug, Clone, Copy)]
pub struct Wishes<'a> {
    /// `lamina.profile=`.
    pub profile: Option<&'a WantedProfile>,
    /// The command line says which bytes it has.
    pub bound: bool,
    /// `lamina.fallback=`, in the order in which they are tried.
    pub fallbacks: &'a [WantedProfile],
    /// The generation of the profile that was blessed last.
    pub last_good: Option<&'a Generation>,
    /// The store that was asked for; `None` when it was not found.
    pub store: Option<Origin>,
}

/// The candidates, best first.
///
/// A command line that binds the profile's digest is a promise that nothing else of the medium runs in its place, signed or not:
/// an older generation has a good signature too. Such a boot falls back only to what is bound as well, or in the initramfs, which is
/// as trusted as init itself.
pub fn chain(wishes: &Wishes<'_>) -> Vec<Candidate> {
    let candidate = |role, origin, wanted| Candidate { role, origin, wanted };
    let bound = wishes.bound;
    let mut chain = Vec::new();
    if let Some(origin) = wishes.store {
        chain.push(candidate(Role::Asked, origin, wishes.profile.cloned()));
        if let (Some(asked), Some(good), false) = (wishes.profile, wishes.last_good, bound) {
            let wanted = WantedProfile { name: asked.name.clone(), digest: Some(good.digest) };
            chain.push(candidate(Role::LastGood, origin, Some(wanted)));
        }
        let fallbacks = wishes.fallbacks.iter().filter(|fallback| !bound || fallback.digest.is_some());
        chain.extend(fallbacks.map(|fallback| candidate(Role::Fallback, origin, Some(fallback.clone()))));
    }
    let rescue = Name::parse(RESCUE).ok().map(|name| WantedProfile { name, digest: None });
    if wishes.store == Some(Origin::Medium) && !bound {
        chain.push(candidate(Role::Rescue, Origin::Medium, rescue.clone()));
    }
    chain.push(candidate(Role::Rescue, Origin::Initramfs, rescue));
    chain
}

#[cfg(test)]
mod tests {
    use super::*;
    use profiles::Digest;

    fn wanted(name: &str, digest: Option<u8>) -> WantedProfile {
        let digest = digest.map(|byte| Digest::from_bytes([byte; 32]));
        WantedProfile { name: Name::parse(name).unwrap(), digest }
    }

    fn told(wishes: &Wishes<'_>) -> Vec<String> {
        chain(wishes).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn everything_there_is_stands_in_order() {
        let (web, fallbacks) = (wanted("web", None), [wanted("small", None), wanted("tiny", Some(2))]);
        let good = Generation { number: 3, digest: Digest::from_bytes([3; 32]) };
        let wishes = Wishes {
            profile: Some(&web),
            bound: false,
            fallbacks: &fallbacks,
            last_good: Some(&good),
            store: Some(Origin::Medium),
        };
        assert_eq!(
            told(&wishes),
            [
                "the profile web",
                "the last good generation of web",
                "lamina.fallback=small",
                "lamina.fallback=tiny",
                "the profile rescue of the store",
                "the profile rescue of the initramfs"
            ]
        );
        assert_eq!(chain(&wishes)[1].wanted.as_ref().unwrap().digest, Some(good.digest));
    }

    /// Whether signatures are required or not: the last good generation is what a forged slot says, and `rescue` whatever was signed once.
    #[test]
    fn a_bound_profile_gives_way_only_to_what_is_bound_or_packed() {
        let web = wanted("web", Some(1));
        let fallbacks = [wanted("small", None), wanted("web", Some(3)), wanted("rescue", Some(2))];
        let good = Generation { number: 3, digest: Digest::from_bytes([3; 32]) };
        let wishes = |fallbacks| Wishes {
            profile: Some(&web),
            bound: true,
            fallbacks,
            last_good: Some(&good),
            store: Some(Origin::Medium),
        };
        let packed = "the profile rescue of the initramfs";
        assert_eq!(told(&wishes(&[])), ["the profile web", packed]);
        assert_eq!(told(&wishes(&fallbacks[..1])), ["the profile web", packed]);
        assert_eq!(
            told(&wishes(&fallbacks)),
            ["the profile web", "lamina.fallback=web", "lamina.fallback=rescue", packed]
        );
        assert!(chain(&wishes(&fallbacks)).iter().all(|candidate| {
            candidate.origin == Origin::Initramfs || candidate.wanted.as_ref().unwrap().digest.is_some()
        }));
    }

    #[test]
    fn without_a_store_only_the_initramfs_is_left() {
        let web = wanted("web", None);
        let wishes =
            Wishes { profile: Some(&web), bound: false, fallbacks: &[], last_good: None, store: None };
        assert_eq!(told(&wishes), ["the profile rescue of the initramfs"]);
    }
}
