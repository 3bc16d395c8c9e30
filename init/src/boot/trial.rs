//! One candidate after another, until the root of one stands at `/newroot`.

use std::cell::Cell;
use std::collections::BTreeSet;

use boot_ledger::Generation;
use profiles::resolved::BootProfile;
use profiles::{Name, TmpfsSize, Verify, WritableTop};

use crate::boot::chain::{self, Candidate, Role, Wishes};
use crate::boot::session::Session;
use crate::error::{BootError, Failure};
use crate::plan::{self, Top};
use crate::report::{AttemptRecord, LedgerRecord, ProfileRecord, TopRecord};
use crate::request::seal;
use crate::request::{BootRequest, RootAccess, Verbosity, WantedProfile};
use crate::state::{self, Trouble, top_size};
use crate::store::trust::Trust;
use crate::store::{Place, Store, StoredProfile};
use crate::{recovery, take_down};

/// What takes the place of a persistent top that cannot be used.
const SPARE_TOP: TmpfsSize = TmpfsSize::Percent(50);

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
    learn_seal_of_what_was_left(session);
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
                    session.machine.modules.load_left("a profile failed");
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
            learn_seal(session, candidate, &stored);
            return Err(error);
        }
        let attempt = attempt(&session.request, candidate, name, stored.generation);
        if tried.contains(&attempt) {
            return Ok(Outcome::Known);
        }
        let attempts = attempts(session, candidate, &stored);
        if patience == Patience::Counted && candidate.is_put_off(attempts, session.request.chosen) {
            learn_seal(session, candidate, &stored);
            return Ok(Outcome::PutOff(attempts));
        }
        tried.insert(attempt);
        stand_up(session, candidate, &stored).map(Outcome::Stands)
    });
    if matches!(result, Ok(Outcome::PutOff(_)) | Err(_)) {
        record.suspects = suspects(session, candidate, &record);
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

/// Boots are counted on the medium only: the initramfs cannot be written.
fn generation(stored: &StoredProfile) -> Generation {
    Generation { number: stored.generation, digest: stored.digest }
}

/// How often it was started without a blessing, as far as that is counted.
fn attempts(session: &Session, candidate: &Candidate, stored: &StoredProfile) -> u32 {
    match (candidate.place, &candidate.wanted) {
        (Place::Medium, Some(wanted)) => session.counter.attempts(&wanted.name, &generation(stored)),
        _ => 0,
    }
}

/// Reads the profile and builds its root.
fn stand_up(
    session: &mut Session,
    candidate: &Candidate,
    stored: &StoredProfile,
) -> Result<BootProfile, BootError> {
    let profile = read(session, candidate, stored)?;
    note_attempt(session, candidate, &profile.name, stored);
    let top = put_top(session, &profile)?;
    if let Err(error) = build(session, candidate, &profile, &top) {
        let failure = state::why_not_stacked(&error).filter(|_| matches!(top, Top::Kept(_)));
        let Some(failure) = failure else { return Err(error) };
        take_down::root();
        session.forget();
        let top = give_up(session, &profile, failure);
        build(session, candidate, &profile, &top)?;
    }
    warn_of_no_correction(session, &profile);
    session.keep_profile(stored.bytes.clone());
    Ok(profile)
}

/// Builds the root with this top.
fn build(
    session: &mut Session,
    candidate: &Candidate,
    profile: &BootProfile,
    top: &Top,
) -> Result<(), BootError> {
    let store = session.store(candidate.place).map_err(|failure| failure.at("open image", "the store"))?;
    let images = plan::images(&store.folder, profile);
    let mut stages = plan::layers(&images, session.machine.mounts_from_files(&images));
    stages.extend(plan::root(&images, top, &profile.init, session.request.root_access));
    session.carry_out(&stages)
}

/// What a person chose takes the place of a profile that is not tried: whether that one is sealed counts all the same.
fn learn_seal_of_what_was_left(session: &mut Session) {
    let Some(left) = session.request.left.clone() else { return };
    let Some(store) = session.place.and_then(|place| session.store(place).ok()) else { return };
    let (place, found) = (store.place, store.find_profile(Some(&left)).ok());
    let vouched =
        found.filter(|stored| place == Place::Initramfs || session.trust.vouches_for(stored).is_ok());
    if let Some(profile) = vouched.and_then(|stored| stored.parse().ok()) {
        session.asked = seal::Asked::of(profile.sealed.as_ref());
    }
}

/// Also of a profile that is put off: what takes its place must know.
fn learn_seal(session: &mut Session, candidate: &Candidate, stored: &StoredProfile) {
    if candidate.role != Role::Asked || session.request.replaced {
        return;
    }
    let vouched = candidate.place == Place::Initramfs || session.trust.vouches_for(stored).is_ok();
    if let Some(profile) = vouched.then(|| stored.parse().ok()).flatten() {
        session.asked = seal::Asked::of(profile.sealed.as_ref());
    }
}

/// Checks the signature, reads the language, and obeys what the command line changes. Only what was asked for is changed:
/// whatever takes its place should differ from it as much as it can.
fn read(
    session: &mut Session,
    candidate: &Candidate,
    stored: &StoredProfile,
) -> Result<BootProfile, BootError> {
    let store = session.store(candidate.place).cloned();
    let path = stored.path.display().to_string();
    let (trust, request, learned) = (&session.trust, &session.request, Cell::new(session.asked));
    let read = session.journal.step("read the profile", &path, |_| {
        // The initramfs, profiles included, is what the keys themselves are trusted with.
        let signed_by = match candidate.place {
            Place::Medium => trust.vouches_for(stored)?,
            Place::Initramfs => None,
        };
        let profile = stored.parse()?;
        // What a person chose takes the place of what the command line asks for.
        if candidate.role == Role::Asked && !request.replaced {
            learned.set(seal::Asked::of(profile.sealed.as_ref()));
        } else if profile.sealed.is_none() {
            // What the command line binds by itself was chosen by whoever wrote it, and not by whoever wrote the medium.
            let chosen = candidate.role == Role::Fallback
                && candidate.wanted.as_ref().is_some_and(|wanted| wanted.digest.is_some());
            learned.get().gives_way_to_open(trust.is_strict() && !chosen)?;
        }
        if let Some(seal) = &profile.sealed {
            seal::check(seal, &request.line, &request.parameters, &request.for_init)?;
        }
        if candidate.role != Role::Asked {
            return Ok((profile, Vec::new(), signed_by));
        }
        let other = |name: &Name| lender(store.as_ref(), candidate, trust, name);
        let (profile, changes) = request.overrides.apply(&profile, request.init.as_deref(), other)?;
        Ok((profile, changes, signed_by))
    });
    session.asked = learned.get();
    let (profile, changes, signed_by) = read?;
    let bound = candidate.wanted.as_ref().is_some_and(|wanted| wanted.digest.is_some());
    let record = ProfileRecord {
        name: profile.name.to_string(),
        generation: stored.generation,
        digest: stored.digest.to_string(),
        signed_by,
        bound: bound && candidate.role != Role::LastGood,
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
    let bound = candidate.wanted.as_ref().is_some_and(|wanted| wanted.digest.is_some());
    let on_medium = candidate.place == Place::Medium;
    if on_medium && bound {
        let why = format!(
            "lamina.add={name}/...: nothing vouches for the profile `{name}`, and lamina.profile= binds a digest"
        );
        return Err(Failure::new(why)
            .try_this("list the image under `optional` in the profile that is booted, and lock it again"));
    }
    let store = store.map_err(Failure::clone)?;
    let other = store.find_profile(Some(&WantedProfile { name: name.clone(), digest: None }))?;
    if on_medium {
        trust.vouches_for(&other)?;
    }
    other.parse()
}

fn warn(session: &mut Session, profile: &BootProfile) {
    if profile.verify == Verify::None {
        session.journal.warn("verify \"none\": the images are not checked".to_owned());
    }
    if profile.root == WritableTop::None && session.request.root_access == RootAccess::Writable {
        session.journal.warn("rw was ignored: the profile has no writable top".to_owned());
    }
}

/// The images have error correction, and this kernel's dm-verity was built without: they are checked all the same.
fn warn_of_no_correction(session: &mut Session, profile: &BootProfile) {
    let corrects = |name: &str| session.machine.facts(name).is_none_or(|facts| facts.corrects_errors);
    let protected =
        profile.images.iter().filter(|image| image.verity.as_ref().is_some_and(|it| it.fec_roots.is_some()));
    let count = protected.filter(|image| !corrects(image.name.as_str())).count();
    if profile.verify == Verify::Verity && count > 0 && session.request.verbosity > Verbosity::Quiet {
        session.journal.warn(format!(
            "this kernel corrects no errors (no CONFIG_DM_VERITY_FEC): damage in {} is noticed and not healed",
            cli::progress::count(count, "layer")
        ));
    }
}

fn note_attempt(session: &mut Session, candidate: &Candidate, profile: &Name, stored: &StoredProfile) {
    let attempt = match candidate.place {
        Place::Medium => {
            let (attempt, protected) = session.counter.note(profile, &generation(stored));
            if let Err(failure) = protected {
                session.journal.alarm(format!("the medium stays writable: {}", failure.why));
            }
            attempt
        }
        Place::Initramfs => None,
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

/// Makes the writable top ready. A state file system that cannot be used must not strand the machine: a tmpfs takes its
/// place, and everybody is told.
fn put_top(session: &mut Session, profile: &BootProfile) -> Result<Top, BootError> {
    let wanted = match &profile.root {
        WritableTop::None => {
            session.journal.top(TopRecord::none());
            return Ok(Top::None);
        }
        WritableTop::Tmpfs { size } => {
            top_size::warning_here(*size).into_iter().for_each(|warning| session.journal.warn(warning));
            session.journal.top(TopRecord::tmpfs(None));
            return Ok(Top::Tmpfs(*size));
        }
        WritableTop::State(state) => state::Wanted {
            state,
            profile: &profile.name,
            stack: profile.stack_digest(),
            timeout: session.request.timeout,
            waits: &session.waits,
            modules: &session.machine.modules,
        },
    };
    let object = wanted.state.place.to_string();
    // Said while it is done: making a file system takes its time.
    let opened = session.journal.step("open the state", &object, |journal| {
        match state::open(&wanted, &mut |line| journal.warn(line.to_owned())) {
            Ok(top) => Ok(Ok(top)),
            Err(Trouble::Broken(failure)) => Ok(Err(failure)),
            Err(Trouble::Refused(failure)) => Err(failure),
        }
    })?;
    match opened {
        Ok(top) => {
            session.journal.top(top.record);
            Ok(Top::Kept(top.folder))
        }
        Err(failure) => Ok(give_up(session, profile, failure)),
    }
}

/// A tmpfs in the place of a state.
fn give_up(session: &mut Session, profile: &BootProfile, failure: Failure) -> Top {
    let place = match &profile.root {
        WritableTop::State(state) => state.place.to_string(),
        _ => String::new(),
    };
    session.journal.alarm(format!(
        "the state {place} cannot be used: {}; changes of this boot are lost at power-off",
        failure.why
    ));
    failure.remedies.iter().take(2).for_each(|remedy| session.journal.warn(format!("to try: {remedy}")));
    session.journal.top(TopRecord::tmpfs(Some(failure.why)));
    Top::Tmpfs(SPARE_TOP)
}

/// The layers that the last good generation of the profile does not have: when that one was good, they are at fault.
fn suspects(session: &Session, candidate: &Candidate, record: &AttemptRecord) -> Vec<String> {
    let read = |wanted: &WantedProfile| {
        let stored = session.store(candidate.place).ok()?.find_profile(Some(wanted)).ok()?;
        // Nothing that must be signed is parsed before it is checked.
        if candidate.place == Place::Medium {
            session.trust.vouches_for(&stored).ok()?;
        }
        stored.parse().ok()
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

#[cfg(test)]
#[path = "trial_tests.rs"]
mod tests;
