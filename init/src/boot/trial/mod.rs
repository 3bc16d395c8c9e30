//! One candidate after another, until the root of one is mounted at `/newroot`.
//!
//! | module | what it does |
//! |---|---|
//! | `reading` | reads a candidate's profile, and decides whether it is trusted |
//! | `counting` | how often it was started without a blessing |
//! | `top` | its writable top |
//! | `root` | builds its root |
//! | `suspects` | which layers may be at fault when it fails |

mod counting;
mod reading;
mod root;
mod suspects;
mod top;

use std::sync::Arc;

use boot_ledger::MOST_ATTEMPTS;
use boot_report::records::AttemptRecord;
use profiles::resolved::BootProfile;

use crate::boot::chain::{self, Candidate, Role, Wishes};
use crate::boot::session::Session;
use crate::error::{BootError, Failure};
use crate::request::BootRequest;
use crate::step_name::StepName;
use crate::store::{Origin, StoredProfile};
use crate::{recovery, unmount};

/// Whether the number of attempts counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    /// A generation that was started [`MOST_ATTEMPTS`] times without a blessing is skipped.
    Counted,
    /// Nothing else could be booted: those that were skipped, in the order of [`chain::second_round`].
    Endless,
}

/// The sentence about a skipped candidate says "three times".
const _: () = assert!(MOST_ATTEMPTS == 3);

/// What became of a candidate that did not fail.
enum Tried {
    Ready(Arc<BootProfile>),
    /// After so many attempts.
    Skipped(u32),
    /// The same generation was tried under another role.
    Repeated,
}

/// What makes two candidates the same.
#[derive(PartialEq, Eq)]
struct Attempt {
    origin: Origin,
    profile: String,
    generation: u64,
    /// By the command line.
    is_changed: bool,
}

impl Attempt {
    fn of(request: &BootRequest, candidate: &Candidate, profile: String, generation: u64) -> Self {
        let is_changed = candidate.role == Role::Asked && request.changes_the_profile();
        Self { origin: candidate.origin, profile, generation, is_changed }
    }
}

/// Tries the candidates in turn and returns the profile whose root is mounted. `unreached` is why the store was not found.
///
/// The error is the first one: it is that of what somebody asked for.
pub fn try_candidates(
    session: &mut Session,
    unreached: Option<BootError>,
) -> Result<Arc<BootProfile>, BootError> {
    reading::learn_seal_of_replaced(session);
    let mut round = candidates(session);
    if let (Some(error), false) = (&unreached, round.is_empty()) {
        // Something else may boot: it must not look as if that had been asked for.
        let mut record = AttemptRecord::of("the store".to_owned(), String::new());
        note_failure(&mut record, error);
        session.journal.attempt(record);
        recovery::show(error, &[]);
    }
    let mut first = unreached;
    let mut tried = Vec::new();
    for round_kind in [Round::Counted, Round::Endless] {
        let mut skipped = Vec::new();
        for candidate in round {
            if first.is_some() {
                session.journal.say(&format!("trying {candidate}"));
            }
            match try_one(session, &candidate, round_kind, &mut tried) {
                Ok(Tried::Ready(profile)) => return Ok(profile),
                Ok(Tried::Skipped(attempts)) => skipped.push((candidate, attempts)),
                Ok(Tried::Repeated) => {}
                Err(error) => {
                    unmount::root();
                    session.forget();
                    session.real_kernel.modules.load_left("a profile failed");
                    first.get_or_insert(error);
                }
            }
        }
        round = chain::second_round(skipped);
    }
    Err(first
        .unwrap_or_else(|| Failure::new("there is nothing to boot").at(StepName::FindProfile, "the chain")))
}

/// The chain, without rescue profiles that are not there: nobody asked for them.
fn candidates(session: &Session) -> Vec<Candidate> {
    let request = &session.request;
    let asked = request.profile.as_ref();
    let last_good = asked.and_then(|wanted| session.counter.last_good(&wanted.name));
    let wishes = Wishes {
        profile: asked,
        bound: request.is_bound(),
        fallbacks: &request.fallbacks,
        last_good: last_good.as_ref(),
        store: session.origin,
    };
    let mut chain = chain::chain(&wishes);
    chain.retain(|candidate| match (&candidate.wanted, candidate.role) {
        (Some(wanted), Role::Rescue) => {
            session.store(candidate.origin).is_ok_and(|store| store.has_profile(&wanted.name))
        }
        _ => true,
    });
    chain
}

fn note_failure(record: &mut AttemptRecord, error: &BootError) {
    record.failed(error.step.as_str(), &error.object, &error.failure.why);
}

fn try_one(
    session: &mut Session,
    candidate: &Candidate,
    round_kind: Round,
    tried: &mut Vec<Attempt>,
) -> Result<Tried, BootError> {
    let name = candidate.wanted.as_ref().map_or_else(String::new, |wanted| wanted.name.to_string());
    let mut record = AttemptRecord::of(candidate.to_string(), name.clone());
    let result = find(session, candidate).and_then(|stored| {
        record.found(stored.profile.generation, stored.profile.digest.to_string());
        if let Some(error) = misread(session, candidate) {
            reading::learn_seal(session, candidate, &stored);
            return Err(error);
        }
        let attempt = Attempt::of(&session.request, candidate, name, stored.profile.generation);
        if tried.contains(&attempt) {
            return Ok(Tried::Repeated);
        }
        let attempts = counting::attempts(session, candidate, &stored);
        if round_kind == Round::Counted && candidate.is_skipped(attempts, session.request.chosen) {
            reading::learn_seal(session, candidate, &stored);
            return Ok(Tried::Skipped(attempts));
        }
        tried.push(attempt);
        root::build_root(session, candidate, &stored).map(Tried::Ready)
    });
    if matches!(result, Ok(Tried::Skipped(_)) | Err(_)) {
        record.suspects = suspects::suspects(session, candidate, &record);
    }
    match result {
        Ok(Tried::Repeated) => return Ok(Tried::Repeated),
        Ok(Tried::Ready(_)) => record.outcome = "started",
        Ok(Tried::Skipped(_)) => {
            record.skipped("it was started three times in a row, and never blessed");
            session.journal.alarm(record.line());
        }
        Err(mut error) => {
            note_failure(&mut record, &error);
            error.suspects.clone_from(&record.suspects);
            session.listen();
            record.kernel = session.words.of_attempt().to_vec();
            session.journal.attempt(record);
            recovery::show(&error, session.words.of_attempt());
            return Err(error);
        }
    }
    session.journal.attempt(record);
    result
}

/// Why the candidate cannot be what was asked for: a parameter that says so cannot be read.
fn misread(session: &Session, candidate: &Candidate) -> Option<BootError> {
    session.request.misread.of_asked().filter(|_| candidate.role == Role::Asked)
}

/// Finds the candidate's profile and reads its bytes.
fn find(session: &mut Session, candidate: &Candidate) -> Result<StoredProfile, BootError> {
    if let Some(error) = misread(session, candidate).filter(|_| candidate.wanted.is_none()) {
        return Err(error);
    }
    let store = session.store(candidate.origin).cloned();
    let wanted = candidate.wanted.as_ref();
    let object = wanted.map_or_else(|| "lamina.profile=".to_owned(), |wanted| wanted.name.to_string());
    session.journal.step(StepName::FindProfile, &object, |_| store?.find_profile(wanted))
}

#[cfg(test)]
mod tests;
