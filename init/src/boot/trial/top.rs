//! The writable top of a candidate.

use boot_report::records::TopRecord;
use profiles::resolved::BootProfile;
use profiles::{TmpfsSize, WritableTop};

use crate::boot::session::Session;
use crate::error::{BootError, Failure};
use crate::plan::PreparedTop;
use crate::state::{self, Trouble, top_size};
use crate::step_name::StepName;

/// What takes the place of a persistent top that cannot be used.
const SPARE_TOP: TmpfsSize = TmpfsSize::Percent(50);

/// Makes the writable top ready. A state file system that cannot be used must not strand the machine: a tmpfs takes its
/// place, and the console and the report say so.
pub fn prepare_top(session: &mut Session, profile: &BootProfile) -> Result<PreparedTop, BootError> {
    let wanted = match &profile.root {
        WritableTop::None => {
            session.journal.top(TopRecord::none());
            return Ok(PreparedTop::None);
        }
        WritableTop::Tmpfs { size } => {
            top_size::warning_here(*size).into_iter().for_each(|warning| session.journal.warn(warning));
            session.journal.top(TopRecord::tmpfs(None));
            return Ok(PreparedTop::Tmpfs(*size));
        }
        WritableTop::State(state) => state::Wanted {
            state,
            profile: &profile.name,
            stack: profile.stack_digest(),
            timeout: session.request.timeout,
            waits: &session.waits,
            modules: &session.real_kernel.modules,
        },
    };
    let object = wanted.state.place.to_string();
    // Said while it is done: making a file system takes its time.
    let opened = session.journal.step(StepName::OpenState, &object, |journal| {
        match state::open(&wanted, &mut |line| journal.warn(line.to_owned())) {
            Ok(top) => Ok(Ok(top)),
            Err(Trouble::Broken(failure)) => Ok(Err(failure)),
            Err(Trouble::Refused(failure)) => Err(failure),
        }
    })?;
    match opened {
        Ok(top) => {
            session.journal.top(top.record);
            Ok(PreparedTop::Kept(top.folder))
        }
        Err(failure) => Ok(fall_back_to_tmpfs(session, profile, failure)),
    }
}

/// A tmpfs in the place of a state.
pub fn fall_back_to_tmpfs(session: &mut Session, profile: &BootProfile, failure: Failure) -> PreparedTop {
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
    PreparedTop::Tmpfs(SPARE_TOP)
}
