//! Images and profiles: what comes, and what goes.

use std::collections::BTreeSet;

use boot_store::layout;
use cli::numbers::human_size;

use super::super::installed::Installed;
use super::super::menu::Shown;
use super::super::request::{NewGeneration, Request};
use super::super::room::FreeRoom;
use super::super::step::Step;
use crate::error::{Error, Result};
use crate::medium::MediumImage;
use crate::medium::contents::InstalledGeneration;
use crate::medium::retention::{Removals, Verdict};

/// The images of what comes.
pub(super) struct Images {
    /// They have a file of their length already.
    pub(super) there: Vec<MediumImage>,
    /// Steps that bring the others.
    pub(super) coming: Vec<Step>,
    /// Bytes of these.
    pub(super) bytes: u64,
}

/// Decides which images come. One of another length is damaged: it comes too, and until then lies beside the new one.
pub(super) fn images(installed: &Installed, request: &Request, room: FreeRoom) -> Result<Images> {
    let mut seen = BTreeSet::new();
    let mut images = Images { there: Vec::new(), coming: Vec::new(), bytes: 0 };
    let (mut replaced, mut missing) = (Vec::new(), Vec::new());
    let mut new = Vec::new();
    for (image, what) in
        request.new.iter().flat_map(|it| &it.images).filter(|it| seen.insert(it.0.wanted.digest))
    {
        let size = image.wanted.size;
        match installed.medium.images.get(&image.wanted.digest) {
            Some(length) if *length == size => {
                images.there.push(image.clone());
                continue;
            }
            Some(length) => {
                replaced.push((size, *length));
                images.coming.push(Step::CopyImage(image.clone(), what.clone()));
            }
            None => {
                missing.push(size);
                new.push(Step::CopyImage(image.clone(), what.clone()));
            }
        }
        images.bytes += size;
    }
    // What is replaced comes first, in the order in which room is counted: each makes room when the one before it goes.
    images.coming.extend(new);
    let taken = room.most_taken(&replaced, missing);
    if taken > room.free {
        let cause = format!("has {} free, and the images take {}", human_size(room.free), human_size(taken));
        return Err(Error::new("the medium", cause)
            .remedy("`lamina system gc --keep 1` says what can go, and removes it"));
    }
    Ok(images)
}

/// Writes what is not there: profiles, each after its signature, and the slots.
pub(super) fn profiles(installed: &Installed, request: &Request) -> Vec<Step> {
    let mut steps: Vec<Step> = request.new.iter().flat_map(|new| profile(installed, new)).collect();
    steps.extend((!request.new.is_empty()).then_some(Step::MakeSlots));
    steps
}

/// A profile must never be seen without its signature, nor with one that is for something else, which init refuses.
fn profile(installed: &Installed, new: &NewGeneration) -> Vec<Step> {
    let path = layout::profile(&new.profile, new.number);
    let (signature, mark) = (layout::signature_of(&path), layout::kept_mark_of(&path));
    let there = installed.medium.of(&new.profile).find(|it| it.number == new.number);
    let same = there.filter(|it| it.digest == Some(new.digest));
    let mut steps = Vec::new();
    match &new.signature {
        Some(text) if there.and_then(text_of_signature).is_some_and(|it| it.as_bytes() == text) => {}
        Some(text) => steps.push(Step::WriteOnMedium(signature, text.clone())),
        None => {
            let stale = match same {
                // What cannot be read may be its own.
                Some(same) => text_of_signature(same).is_some() && !same.is_signed(),
                None => {
                    there.is_some_and(|it| it.signature.is_some())
                        || installed.medium.of_none.contains(&signature)
                }
            };
            steps.extend(stale.then_some(Step::RemoveFromMedium(signature)));
        }
    }
    steps.extend(installed.medium.of_none.contains(&mark).then_some(Step::RemoveFromMedium(mark)));
    steps.extend(same.is_none().then(|| Step::WriteOnMedium(path, new.bytes.clone())));
    steps
}

fn text_of_signature(generation: &InstalledGeneration) -> Option<&String> {
    generation.signature.as_ref()?.as_ref().ok()
}

/// What goes.
pub(super) fn removals(
    installed: &Installed,
    request: &Request,
    verdicts: &[Verdict],
    shown: &[Shown<'_>],
    warnings: &mut Vec<String>,
) -> Vec<Step> {
    if request.keep.is_none() {
        return Vec::new();
    }
    let needed = shown.iter().flat_map(|it| it.contents.all_images()).map(|it| it.digest).collect();
    let removals = Removals::after(&installed.medium, verdicts, &request.coming(), &needed);
    warnings.extend(removals.kept_because);
    removals.files.into_iter().map(Step::RemoveFromMedium).collect()
}
