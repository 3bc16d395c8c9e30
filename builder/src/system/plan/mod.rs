//! From what is on a medium to what is to be there, as steps that print. The order is what makes each of them safe: images, profiles and
//! kernels come before the entries that name them, entries before the loaders choose one of them, and only then what is old goes, in the
//! opposite order. What is there already is read before anything is written. Where the partition is too full for that order, what goes
//! anyway, and nothing that boots by itself needs, goes first.
//!
//! | module | subject |
//! |---|---|
//! | [`medium`] | images and profiles |
//! | [`partition`] | kernels, entries, and what loaders choose by |

mod medium;
mod partition;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::PathBuf;

use boot_entry::Menu;
use boot_store::layout;
use profiles::Name;

use super::installed::Installed;
use super::menu::{self, Shown};
use super::request::Request;
use super::room::FreeRoom;
use super::step::Step;
use crate::error::{Error, Result};
use crate::medium::contents::InstalledGeneration;
use crate::medium::retention::{self, Policy, Verdict};

/// All of it.
#[derive(Debug, Clone)]
pub struct SystemPlan {
    /// In the order in which they are carried out.
    pub steps: Vec<Step>,
    /// What becomes of each generation that is there.
    pub verdicts: Vec<Verdict>,
    /// What the menu shows.
    pub menu: Menu,
    /// Bytes of images that come.
    pub bytes: u64,
    /// What a person should know.
    pub warnings: Vec<String>,
}

impl SystemPlan {
    /// Decides; `room` is that of the medium.
    ///
    /// # Errors
    /// The medium or the partition has no room; something that is no file stands in the way of one; there is no menu to be made.
    pub fn make(installed: &Installed, request: &Request, room: FreeRoom) -> Result<SystemPlan> {
        let new = request.coming();
        let nothing = (Vec::new(), std::num::NonZero::<usize>::MIN);
        let (profiles, keep) = request.keep.as_ref().unwrap_or(&nothing);
        let now = installed.default_generation().map(|it| (&it.profile, it.number));
        let default = request.default.as_ref().map(|(name, number)| (name, *number)).or(now);
        let verdicts =
            retention::judge(&installed.medium, &Policy { profiles, keep: *keep, default, new: &new });
        let stays = |profile: &Name, number: u64| retention::stays(&verdicts, profile, number);
        let shown = shown(installed, request, &stays);
        let menu = menu::make(installed, request, &shown)?;
        let mut warnings = installed.warnings();
        let images = medium::images(installed, request, room)?;
        let partition = partition::steps(installed, request, &menu, &stays)?;
        warnings.extend(partition.warnings);
        let mut steps = partition.first;
        steps.extend((!images.there.is_empty()).then_some(Step::CheckImages(images.there)));
        steps.extend(partition.checks);
        steps.extend(images.coming);
        steps.extend(medium::profiles(installed, request));
        steps.extend(partition.brought);
        steps.extend(partition.chosen);
        steps.extend(partition.then);
        steps.extend(medium::removals(installed, request, &verdicts, &shown, &mut warnings));
        steps.iter().try_for_each(|step| refuse_what_is_in_the_way(installed, step))?;
        Ok(SystemPlan { steps, warnings, verdicts, menu, bytes: images.bytes })
    }
}

/// The generations that will be there and can be booted, by profile, the newest first. One that has an entry keeps it, with its kernel and
/// what was chosen for it, also while an image is missing: that is put there again.
fn shown<'a>(
    installed: &'a Installed,
    request: &'a Request,
    stays: &dyn Fn(&Name, u64) -> bool,
) -> Vec<Shown<'a>> {
    let mut shown: BTreeMap<(&str, Reverse<u64>), Shown<'a>> = BTreeMap::new();
    let has_place =
        |it: &InstalledGeneration| installed.medium.is_whole(it) || installed.entry_of(it).is_some();
    for there in
        installed.medium.generations.iter().filter(|it| stays(&it.profile, it.number) && has_place(it))
    {
        let (Some(digest), Ok(contents)) = (there.digest, &there.contents) else { continue };
        let one = Shown { profile: &there.profile, number: there.number, digest, contents, new: false };
        shown.insert((there.profile.as_str(), Reverse(there.number)), one);
    }
    for new in &request.new {
        let one = Shown {
            profile: &new.profile,
            number: new.number,
            digest: new.digest,
            contents: &new.contents,
            new: true,
        };
        shown.insert((new.profile.as_str(), Reverse(new.number)), one);
    }
    shown.into_values().collect()
}

/// A folder, a FIFO or a link under the name of a file that is to be written.
fn refuse_what_is_in_the_way(installed: &Installed, step: &Step) -> Result<()> {
    let on_medium = |path: PathBuf| {
        installed.medium.no_files.contains(&path).then(|| (path.display().to_string(), "medium"))
    };
    let on_esp = |path: &String| installed.esp.no_files.contains(path).then(|| (path.clone(), "ESP"));
    let found = match step {
        Step::CopyImage(image, _) => on_medium(layout::image(&image.wanted.digest)),
        Step::WriteOnMedium(path, _) => on_medium(path.clone()),
        Step::MakeSlots => boot_ledger::FILES.into_iter().find_map(|path| on_medium(path.into())),
        Step::CopyBootFile(file) => on_esp(&file.path),
        Step::WriteOnEsp(path, _) | Step::Choose(path, _) => on_esp(path),
        _ => None,
    };
    let Some((path, place)) = found else { return Ok(()) };
    let cause = format!("is no regular file on the {place}, and one has to be written there");
    Err(Error::new(path, cause).remedy("remove it, or give it another name"))
}
