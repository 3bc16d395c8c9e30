//! Reads a candidate's profile, and decides whether it is trusted: signature, seal, and what the command line changes.

use std::cell::Cell;
use std::sync::Arc;

use boot_report::records::ProfileRecord;
use profiles::resolved::BootProfile;
use profiles::{Name, Verify, WritableTop};

use crate::boot::chain::{Candidate, Role};
use crate::boot::session::Session;
use crate::error::{BootError, Failure};
use crate::request::{RootAccess, WantedProfile, seal};
use crate::step_name::StepName;
use crate::store::initramfs;
use crate::store::trust::Trust;
use crate::store::{Origin, Store, StoredProfile};

/// What a person chose takes the place of a profile that is not tried: whether that one is sealed counts all the same.
pub fn learn_seal_of_replaced(session: &mut Session) {
    let Some(left) = session.request.left.clone() else { return };
    let Some(store) = session.origin.and_then(|origin| session.store(origin).ok()) else { return };
    let read = |stored| session.trust.read_profile(store.origin, &stored).ok();
    if let Some((profile, _)) = store.find_profile(Some(&left)).ok().and_then(read) {
        session.asked = seal::Asked::of(profile.sealed.as_ref());
    }
}

/// Also of a profile that is skipped: what takes its place must know.
pub fn learn_seal(session: &mut Session, candidate: &Candidate, stored: &StoredProfile) {
    if candidate.role != Role::Asked || session.request.replaced {
        return;
    }
    if let Ok((profile, _)) = session.trust.read_profile(candidate.origin, stored) {
        session.asked = seal::Asked::of(profile.sealed.as_ref());
    }
}

/// Checks the signature, reads the language, and obeys what the command line changes. Only what was asked for is changed:
/// whatever takes its place should differ from it as much as it can.
pub fn read(
    session: &mut Session,
    candidate: &Candidate,
    stored: &StoredProfile,
) -> Result<Arc<BootProfile>, BootError> {
    let store = session.store(candidate.origin).cloned();
    let path = stored.profile.path.display().to_string();
    let (trust, request, learned) = (&session.trust, &session.request, Cell::new(session.asked));
    let running = session.kernel.as_str();
    let read = session.journal.step(StepName::ReadProfile, &path, |_| {
        let (profile, signed_by) = trust.read_profile(candidate.origin, stored)?;
        // What a person chose takes the place of what the command line asks for.
        if candidate.role == Role::Asked && !request.replaced {
            learned.set(seal::Asked::of(profile.sealed.as_ref()));
        } else if profile.sealed.is_none() {
            // What the command line binds by itself was chosen by whoever wrote it, and not by whoever wrote the medium.
            let chosen = candidate.role == Role::Fallback && candidate.is_bound();
            learned.get().gives_way_to_open(trust.is_strict() && !chosen)?;
        }
        if let Some(seal) = &profile.sealed {
            seal::check(seal, &request.line, &request.parameters, &request.for_init)?;
        }
        if let Some(pin) = &profile.kernel {
            initramfs::check_kernel("profile", pin.release.as_str(), running)
                .map_err(|it| it.try_this("`lamina system install` makes an entry with its kernel"))?;
        }
        if candidate.role != Role::Asked {
            return Ok((profile, Vec::new(), signed_by));
        }
        let other = |name: &Name| lender(store.as_ref(), candidate, trust, name);
        let (profile, changes) = request.overrides.apply(profile, request.init.as_deref(), other)?;
        Ok((profile, changes, signed_by))
    });
    session.asked = learned.get();
    let (profile, changes, signed_by) = read?;
    let profile = Arc::new(profile);
    let record = ProfileRecord {
        name: profile.name.to_string(),
        generation: stored.profile.generation,
        digest: stored.profile.digest.to_string(),
        signed_by,
        bound: candidate.is_bound() && candidate.role != Role::LastGood,
    };
    session.journal.profile(&profile, record, changes);
    warn(session, &profile);
    Ok(profile)
}

/// Another profile of the candidate's store, of which `lamina.add=` wants an image. It is trusted in no other way than the
/// candidate itself: nothing binds its bytes.
fn lender(
    store: Result<&Store, &Failure>,
    candidate: &Candidate,
    trust: &Trust,
    name: &Name,
) -> Result<BootProfile, Failure> {
    if candidate.origin == Origin::Medium && candidate.is_bound() {
        let why = format!(
            "lamina.add={name}/...: nothing vouches for the profile `{name}`, and lamina.profile= binds a digest"
        );
        return Err(Failure::new(why)
            .try_this("list the image under `optional` in the profile that is booted, and lock it again"));
    }
    let store = store.map_err(Failure::clone)?;
    let other = store.find_profile(Some(&WantedProfile { name: name.clone(), digest: None }))?;
    trust.read_profile(candidate.origin, &other).map(|(profile, _)| profile)
}

fn warn(session: &mut Session, profile: &BootProfile) {
    if profile.verify == Verify::None {
        session.journal.warn("verify \"none\": the images are not checked".to_owned());
    }
    if profile.root == WritableTop::None && session.request.root_access == RootAccess::Writable {
        session.journal.warn("rw was ignored: the profile has no writable top".to_owned());
    }
}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
