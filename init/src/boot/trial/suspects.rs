//! Which layers may be at fault.

use boot_report::records::AttemptRecord;
use profiles::resolved::BootProfile;

use crate::boot::chain::Candidate;
use crate::boot::session::Session;
use crate::request::WantedProfile;

/// The layers that the last good generation of the profile does not have: when that one was good, they are at fault.
pub fn suspects(session: &Session, candidate: &Candidate, record: &AttemptRecord) -> Vec<String> {
    let read = |wanted: &WantedProfile| {
        let stored = session.store(candidate.origin).ok()?.find_profile(Some(wanted)).ok()?;
        session.trust.read_profile(candidate.origin, &stored).ok().map(|(profile, _)| profile)
    };
    let suspects = || {
        let name = &candidate.wanted.as_ref()?.name;
        let digest = profiles::Digest::parse(record.digest.as_ref()?).ok()?;
        let good = session.counter.last_good(name).filter(|good| good.digest != digest)?;
        let wanted = |digest| WantedProfile { name: name.clone(), digest: Some(digest) };
        let (failed, good): (BootProfile, BootProfile) =
            (read(&wanted(digest))?, read(&wanted(good.digest))?);
        let new = failed.images.iter().filter(|image| good.images.iter().all(|it| it.digest != image.digest));
        Some(new.map(|image| format!("{} {}", image.name, image.version)).collect())
    };
    suspects().unwrap_or_default()
}
