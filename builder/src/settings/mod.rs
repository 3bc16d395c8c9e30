//! A machine's own settings: from the block `system` of a profile, and the stack that it is for, to the files that say the same to the
//! programs of that stack. docs/settings.md has the mapping.
//!
//! [`plan`] is pure but for reading: the images of the stack and the files beside the profile. It finds all errors before it gives up,
//! each with its line. [`image::make`] writes what was planned.

use profiles::Diagnostics;
use profiles::written::settings::Settings;

use crate::error::{Error, Result};

mod account_file;
mod accounts;
mod busybox;
mod draft;
pub mod image;
mod init_system;
mod own_files;
mod plan;
mod ssh_keys;
mod systemd;
mod time_zone;
mod unit;

use draft::Draft;
pub use draft::Target;
use init_system::InitSystem;
pub use plan::{Plan, Planned, What};

/// What `settings` come to on this stack.
///
/// # Errors
/// Each line that the stack cannot honour, with its place; an image that cannot be read.
pub fn plan(settings: &Settings, target: &Target<'_>) -> Result<Plan> {
    let init = InitSystem::find(&target.joined, target.init).map_err(Error::on(""))?;
    let mut draft = Draft::new(target);
    draw(settings, init, &mut draft).map_err(Error::on(""))?;
    let (plan, errors) = draft.finish().map_err(Error::on(""))?;
    Diagnostics::unless(errors).map_err(Error::on(""))?;
    Ok(plan)
}

fn draw(settings: &Settings, init: InitSystem, draft: &mut Draft<'_>) -> Result<(), squashfs::Error> {
    accounts::draw(settings, init, draft)?;
    if let Some(zone) = &settings.time_zone {
        time_zone::draw(zone, draft)?;
    }
    match init {
        InitSystem::Busybox => busybox::draw(settings, draft)?,
        InitSystem::Systemd => systemd::draw(settings, draft)?,
        InitSystem::Other => init_system::refuse(settings, draft),
    }
    settings.files.iter().try_for_each(|file| own_files::draw(file, draft))
}

/// The files that settings take from beside the profile, read and thrown away: what `profile check` can find without a stack.
///
/// # Errors
/// Each that cannot be read, with its line.
pub fn check_files(settings: &Settings) -> Result<()> {
    let errors =
        settings.files.iter().filter_map(|file| own_files::read(file).err().map(|error| *error)).collect();
    Diagnostics::unless(errors).map_err(Error::on(""))
}
