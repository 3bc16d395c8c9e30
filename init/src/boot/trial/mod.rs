//! One candidate after another, until the root of one stands at `/newroot`.
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

use std::collections::BTreeSet;

use profiles::resolved::BootProfile;

use crate::boot::chain::{self, Candidate, Role, Wishes};
use crate::boot::session::Session;
use crate::error::{BootError, Failure};
use crate::report::AttemptRecord;
use crate::request::BootRequest;
use crate::store::{Place, StoredProfile};
use crate::{recovery, take_down};

/// Whether the number of attempts counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// A generation that was started three times without a blessing is put off.
    Counted,
    /// Nothing else stood: those that were put off, in the order of [`chain::once_more`].
    Endless,
}

/// What became of a candidate that did not fail.
enum Outcome {
    Stands(BootProfile),
    /// After so many attempts.
    PutOff(u32),
    /// The same generation was tried under another role.
    Known,
}

/// What makes two candidates the same: the place, the profile, its generation, and whether the command line changes it.
type Attempt = (bool, String, u64, bool);

fn attempt(request: &BootRequest, candidate: &Candidate, name: String, generation: u64) -> Attempt {
    let changed = candidate.role == Role::Asked && request.changes_the_profile();
    (candidate.place == Place::Medium, name, generation, changed)
}

/// Tries the candidates in turn and returns the profile whose root stands. `unreached` is why the store was not found.
///
/// The error is the first one: it is that of what somebody asked for.
pub fn first_that_stands(
    session: &mut Session,
    unreached: Option<BootError>,
) -> Result<BootProfile, BootError> {
    reading::learn_seal_of_what_was_left(session);
    let mut round = candidates(session);
    if let (Some(error), false) = (&unreached, round.is_empty()) {
        // Something else may boot: it must not look as if that had been asked for.
        let mut record = AttemptRecord::of("the store".to_owned(), String::new());
        record.failed(error);
        session.journal.attempt(record);
        recovery::show(error, &[]);
    }
    let mut first = unreached;
    let mut tried = BTreeSet::new();
    for patience in [Patience::Counted, Patience::Endless] {
        let mut put_off = Vec::new();
        for candidate in round {
            if first.is_some() {
                session.journal.say(&format!("trying {candidate}"));
            }
            match try_one(session, &candidate, patience, &mut tried) {
                Ok(Outcome::Stands(profile)) => return Ok(profile),
                Ok(Outcome::PutOff(attempts)) => put_off.push((candidate, attempts)),
                Ok(Outcome::Known) => {}
                Err(error) => {
                    take_down::root();
                    session.forget();
                    session.real_kernel.modules.load_left("a profile failed");
                    first.get_or_insert(error);
                }
            }
        }
        round = chain::once_more(put_off);
    }
    Err(first.unwrap_or_else(|| Failure::new("there is nothing to boot").at("find the profile", "the chain")))
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
        store: session.place,
    };
    let mut chain = chain::chain(&wishes);
    chain.retain(|candidate| match (&candidate.wanted, candidate.role) {
        (Some(wanted), Role::Rescue) => {
            session.store(candidate.place).is_ok_and(|store| store.has_profile(&wanted.name))
        }
        _ => true,
    });
    chain
}

fn try_one(
    session: &mut Session,
    candidate: &Candidate,
    patience: Patience,
    tried: &mut BTreeSet<Attempt>,
) -> Result<Outcome, BootError> {
    let name = candidate.wanted.as_ref().map_or_else(String::new, |wanted| wanted.name.to_string());
    let mut record = AttemptRecord::of(candidate.to_string(), name.clone());
    let result = find(session, candidate).and_then(|stored| {
        record.found(stored.generation, &stored.digest);
        if let Some(error) = misread(session, candidate) {
            reading::learn_seal(session, candidate, &stored);
            return Err(error);
        }
        let attempt = attempt(&session.request, candidate, name, stored.generation);
        if tried.contains(&attempt) {
            return Ok(Outcome::Known);
        }
        let attempts = counting::attempts(session, candidate, &stored);
        if patience == Patience::Counted && candidate.is_put_off(attempts, session.request.chosen) {
            reading::learn_seal(session, candidate, &stored);
            return Ok(Outcome::PutOff(attempts));
        }
        tried.insert(attempt);
        root::stand_up(session, candidate, &stored).map(Outcome::Stands)
    });
    if matches!(result, Ok(Outcome::PutOff(_)) | Err(_)) {
        record.suspects = suspects::suspects(session, candidate, &record);
    }
    match result {
        Ok(Outcome::Known) => return Ok(Outcome::Known),
        Ok(Outcome::Stands(_)) => record.outcome = "started",
        Ok(Outcome::PutOff(_)) => {
            record.skipped("it was started three times in a row, and never blessed");
            session.journal.alarm(record.line());
        }
        Err(mut error) => {
            record.failed(&error);
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
    let store = session.store(candidate.place).cloned();
    let wanted = candidate.wanted.as_ref();
    let object = wanted.map_or_else(|| "lamina.profile=".to_owned(), |wanted| wanted.name.to_string());
    session.journal.step("find the profile", &object, |_| store?.find_profile(wanted))
}

#[cfg(test)]
mod tests;
