//! The root of one candidate: its profile, its top, its layers.

use std::sync::Arc;

use profiles::Verify;
use profiles::resolved::BootProfile;

use super::{counting, reading, top};
use crate::boot::chain::Candidate;
use crate::boot::session::Session;
use crate::error::BootError;
use crate::plan::{self, PreparedTop};
use crate::request::Verbosity;
use crate::step_name::StepName;
use crate::store::StoredProfile;
use crate::{state, unmount};

/// Reads the profile and builds its root.
pub fn build_root(
    session: &mut Session,
    candidate: &Candidate,
    stored: &StoredProfile,
) -> Result<Arc<BootProfile>, BootError> {
    let profile = reading::read(session, candidate, stored)?;
    counting::note_attempt(session, candidate, &profile.name, stored);
    let top = top::prepare_top(session, &profile)?;
    if let Err(error) = mount_root(session, candidate, &profile, &top) {
        let failure = state::failure_of_top(&error).filter(|_| matches!(top, PreparedTop::Kept(_)));
        let Some(failure) = failure else { return Err(error) };
        unmount::root();
        session.forget();
        let top = top::fall_back_to_tmpfs(session, &profile, failure);
        mount_root(session, candidate, &profile, &top)?;
    }
    warn_of_no_correction(session, &profile);
    session.keep_profile(stored.profile.bytes.clone());
    Ok(profile)
}

/// Builds the root with this top.
fn mount_root(
    session: &mut Session,
    candidate: &Candidate,
    profile: &Arc<BootProfile>,
    top: &PreparedTop,
) -> Result<(), BootError> {
    let store =
        session.store(candidate.origin).map_err(|failure| failure.at(StepName::OpenImage, "the store"))?;
    let images = plan::images(&store.folder, profile);
    session.attend(profile.verify);
    session.carry_out(&plan::layers(&images, session.real_kernel.mounts_from_files(&images)))?;
    session.tell_of_layers(profile);
    session.carry_out(&plan::root(&images, top, &profile.init, session.request.root_access))
}

/// The images have error correction, and this kernel's dm-verity was built without: they are checked all the same.
fn warn_of_no_correction(session: &mut Session, profile: &BootProfile) {
    let corrects = |position| session.real_kernel.facts(position).is_none_or(|facts| facts.corrects_errors);
    let images = profile.images.iter().enumerate();
    let protected = images.filter(|(_, image)| image.verity.is_some_and(|it| it.fec_roots.is_some()));
    let count = protected.filter(|(position, _)| !corrects(*position)).count();
    if profile.verify == Verify::Verity && count > 0 && session.request.verbosity > Verbosity::Quiet {
        session.journal.warn(format!(
            "this kernel corrects no errors (no CONFIG_DM_VERITY_FEC): damage in {} is noticed and not healed",
            cli::numbers::count(count, "layer")
        ));
    }
}
