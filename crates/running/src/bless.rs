//! `lamina bless`: notes on the medium that this boot went well.
//!
//! The medium is mounted read-only. It is made writable, for this process alone, for the moment of one write to one slot of the boot ledger, and
//! then read-only again; when the generation is good already, nothing is touched.

use std::io;
use std::path::{Path, PathBuf};

use boot_ledger::{Generation, Slots};
use boot_report::{BootReport, paths};
use profiles::{Digest, Name};

use crate::error::{failure, refusal};
use crate::medium::{ProtectedMount, lock, store_folder};
use crate::report;
use crate::{Error, Result, System};

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blessing {
    /// The generation is the last good one from now on, and its attempts are forgotten.
    Noted(Name, Generation),
    /// It was that already.
    Known(Name, Generation),
}

/// Blesses the generation that this system was booted from.
///
/// # Errors
/// Lamina did not boot this system; its medium has no slots, or cannot be written to.
pub fn bless(system: &System) -> Result<Blessing> {
    let report = report::read(system)?;
    let (name, generation) = booted(&report)?;
    let store = store_folder(system, &report, "boots are not counted here")?;
    let _alone = lock(system)?;
    let mut ledger = slots(&store)?.read().ledger;
    if !ledger.bless(&name, &generation) {
        return Ok(Blessing::Known(name, generation));
    }
    let medium = Medium { system, folder: PathBuf::from(&report.store_folder), device: report.medium };
    // What was opened before lies on the mount of all.
    medium.while_writable(&store, || slots(&store)?.write(&ledger).map_err(|error| medium.error(error)))?;
    Ok(Blessing::Noted(name, generation))
}

/// Why the boot of this system was not counted; `None` when it was.
///
/// # Errors
/// Lamina did not boot this system.
pub fn why_not_counted(system: &System) -> Result<Option<String>> {
    let ledger = report::read(system)?.ledger;
    let unknown = || "its init does not count boots".to_owned();
    Ok((!ledger.counted).then(|| if ledger.why_not.is_empty() { unknown() } else { ledger.why_not }))
}

/// What was booted, out of the report.
fn booted(report: &BootReport) -> Result<(Name, Generation)> {
    let none = |why: &str| refusal(paths::REPORT, why).remedy("boot a profile first");
    if report.outcome.state != "started" {
        return Err(none("says that no system was started"));
    }
    let profile = report.profile.as_ref().ok_or_else(|| none("names no profile"))?;
    let unclear = |why: String| match report.caution() {
        Some(caution) => refusal(paths::REPORT, format!("{why}; {caution}"))
            .remedy(format!("use the `lamina` of the system that was booted: {}", paths::LAMINA)),
        None => refusal(paths::REPORT, why),
    };
    let name = Name::parse(&profile.name).map_err(|error| unclear(format!("the profile: {error}")))?;
    let digest = Digest::parse(&profile.digest).map_err(|error| unclear(format!("the profile: {error}")))?;
    Ok((name, Generation { number: profile.generation, digest }))
}

fn slots(store: &Path) -> Result<Slots> {
    let object = store.join("boot");
    match Slots::open(store) {
        Ok(Some(slots)) => Ok(slots),
        Ok(None) => Err(refusal(object.display(), "the medium has no slots to count boots in")
            .remedy("`lamina medium create` makes them; do it where the medium is made")),
        Err(error) => Err(failure(object.display(), error)),
    }
}

/// The medium in the running system.
struct Medium<'a> {
    system: &'a System,
    /// The folder of the store, as the report has it.
    folder: PathBuf,
    /// What to call it.
    device: String,
}

impl Medium<'_> {
    /// Does something while the medium is writable. What was read-only before is so again afterwards.
    fn while_writable(&self, store: &Path, action: impl FnOnce() -> Result<()>) -> Result<()> {
        let failed = |error: io::Error| self.error(error);
        let Some(protected) = ProtectedMount::of(self.system, &self.folder, store).map_err(failed)? else {
            return action();
        };
        stack::mount::own_namespace().map_err(|errno| failed(errno.into()))?;
        let writable = protected.make_writable().map_err(failed)?;
        let done = action();
        let protected = writable.end();
        done?;
        protected.map_err(|error| {
            let cause = format!("is blessed, and stays writable: {}", error.why());
            refusal(&self.device, cause)
                .remedy("look for what writes to it, and remount it read-only")
                .because_of(error)
        })
    }

    fn error(&self, error: io::Error) -> Error {
        let remedy = match error.kind() {
            io::ErrorKind::PermissionDenied if rustix::process::geteuid().is_root() => {
                "look for a switch that protects the medium, or bless outside of the container"
            }
            io::ErrorKind::PermissionDenied => "run this as root",
            io::ErrorKind::ReadOnlyFilesystem => {
                "the medium is write-protected, or of a kind that cannot be written: its boots are not counted"
            }
            io::ErrorKind::InvalidData | io::ErrorKind::NotFound => {
                "`lamina medium create` mends the slots; do it where the medium is made"
            }
            io::ErrorKind::Unsupported => "use the `lamina` of the system that was booted",
            _ => "look at the kernel's log for errors of the device",
        };
        refusal(&self.device, format!("cannot be blessed: {error}")).remedy(remedy).because_of(error)
    }
}
