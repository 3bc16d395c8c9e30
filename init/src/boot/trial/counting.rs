//! How often a generation was started without a blessing. Boots are counted on the medium only: the initramfs cannot be written.

use boot_ledger::Generation;
use boot_report::records::LedgerRecord;
use profiles::Name;

use crate::boot::chain::Candidate;
use crate::boot::session::Session;
use crate::store::{Origin, StoredProfile};

fn generation(stored: &StoredProfile) -> Generation {
    Generation { number: stored.profile.generation, digest: stored.profile.digest }
}

/// How often it was started without a blessing, as far as that is counted.
pub fn attempts(session: &Session, candidate: &Candidate, stored: &StoredProfile) -> u32 {
    match (candidate.origin, &candidate.wanted) {
        (Origin::Medium, Some(wanted)) => session.counter.attempts(&wanted.name, &generation(stored)),
        _ => 0,
    }
}

/// Counts this start, and says which it is.
pub fn note_attempt(session: &mut Session, candidate: &Candidate, profile: &Name, stored: &StoredProfile) {
    let attempt = match candidate.origin {
        Origin::Medium => {
            let (attempt, protected) = session.counter.note(profile, &generation(stored));
            if let Err(failure) = protected {
                session.journal.alarm(format!("the medium stays writable: {}", failure.why));
            }
            attempt
        }
        Origin::Initramfs => None,
    };
    let why_not = session.counter.why_not().map(str::to_owned);
    session.journal.ledger(LedgerRecord { counted: attempt.is_some(), attempt, why_not });
    if let Some(attempt @ 2..) = attempt {
        let most = boot_ledger::MOST_ATTEMPTS;
        let of = if attempt > most { String::new() } else { format!(" of {most}") };
        session.journal.say(&format!(
            "attempt {attempt}{of} without a blessing; `lamina bless` in the running system gives it"
        ));
    }
}
