//! From what is on a medium to what is to be there, as steps that print. The order is what makes each of them safe: images, profiles and
//! kernels come before the entries that name them, entries before the loaders choose one of them, and only then what is old goes, in the
//! opposite order.

use std::collections::{BTreeMap, BTreeSet};

use boot_entry::Menu;
use boot_entry::paths::{self, GRUB, GRUB_CFG, LOADER_CONF};
use boot_store::layout;
use cli::numbers::{count, human_size};
use profiles::{Digest, Name};

use super::esp::{EspEntry, Grub, Room};
use super::installed::{Installed, InstalledGeneration};
use super::menu::{self, Shown};
use super::request::Request;
use super::retention::{self, Policy, Verdict};
use super::step::Step;
use crate::error::{Error, Result};

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
    /// The medium or the partition has no room; there is no menu to be made.
    pub fn make(installed: &Installed, request: &Request, room: Room) -> Result<SystemPlan> {
        let new: Vec<(Name, u64)> = request.new.iter().map(|it| (it.profile.clone(), it.number)).collect();
        let nothing = (Vec::new(), std::num::NonZero::<usize>::MIN);
        let (profiles, keep) = request.keep.as_ref().unwrap_or(&nothing);
        let now = installed.default_generation().map(|it| (&it.profile, it.number));
        let default = request.default.as_ref().map(|(name, number)| (name, *number)).or(now);
        let verdicts = retention::judge(installed, &Policy { profiles, keep: *keep, default, new: &new });
        let stays = |profile: &Name, number: u64| {
            verdicts.iter().any(|it| it.profile == *profile && it.number == number && it.stays)
        };
        let shown = shown(installed, request, &stays);
        let menu = menu::make(installed, request, &shown)?;
        let mut steps = Steps { installed, steps: Vec::new(), warnings: installed.warnings() };
        let bytes = steps.bring_images(request, room)?;
        steps.bring_profiles(request);
        steps.bring_menu(request, &menu)?;
        steps.remove_from_esp(request, &menu);
        steps.remove_from_medium(request, &stays, &shown);
        Ok(SystemPlan { steps: steps.steps, warnings: steps.warnings, verdicts, menu, bytes })
    }
}

/// The generations that will be there and can be booted, by profile, the newest first. One that has an entry keeps it, with its kernel and
/// what was chosen for it, also while an image is missing: that is put there again.
fn shown<'a>(
    installed: &'a Installed,
    request: &'a Request,
    stays: &dyn Fn(&Name, u64) -> bool,
) -> Vec<Shown<'a>> {
    let mut shown: BTreeMap<(&str, std::cmp::Reverse<u64>), Shown<'a>> = BTreeMap::new();
    let has_place = |it: &InstalledGeneration| installed.is_whole(it) || installed.entry_of(it).is_some();
    for there in installed.generations.iter().filter(|it| stays(&it.profile, it.number) && has_place(it)) {
        let (Some(digest), Ok(contents)) = (there.digest, &there.contents) else { continue };
        let one = Shown { profile: &there.profile, number: there.number, digest, contents, new: false };
        shown.insert((there.profile.as_str(), std::cmp::Reverse(there.number)), one);
    }
    for new in &request.new {
        let one = Shown {
            profile: &new.profile,
            number: new.number,
            digest: new.digest,
            contents: &new.contents,
            new: true,
        };
        shown.insert((new.profile.as_str(), std::cmp::Reverse(new.number)), one);
    }
    shown.into_values().collect()
}

struct Steps<'a> {
    installed: &'a Installed,
    steps: Vec<Step>,
    warnings: Vec<String>,
}

impl Steps<'_> {
    /// Returns the bytes of those that come.
    fn bring_images(&mut self, request: &Request, room: Room) -> Result<u64> {
        let mut seen = BTreeSet::new();
        let (mut there, mut missing) = (Vec::new(), Vec::new());
        let (mut bytes, mut taken) = (0, 0);
        for (image, what) in
            request.new.iter().flat_map(|it| &it.images).filter(|it| seen.insert(it.0.wanted.digest))
        {
            if self.installed.images.contains_key(&image.wanted.digest) {
                there.push(image.clone());
                continue;
            }
            bytes += image.wanted.size;
            taken += room.taken_by(image.wanted.size);
            missing.push(Step::CopyImage(image.clone(), what.clone()));
        }
        if taken > room.free {
            let cause =
                format!("has {} free, and the images take {}", human_size(room.free), human_size(taken));
            return Err(Error::new("the medium", cause)
                .remedy("`lamina system gc --keep 1` says what can go, and removes it"));
        }
        self.steps.extend((!there.is_empty()).then_some(Step::CheckImages(there)));
        self.steps.append(&mut missing);
        Ok(bytes)
    }

    fn bring_profiles(&mut self, request: &Request) {
        for new in &request.new {
            let path = layout::profile(&new.profile, new.number);
            let there = self.installed.by_digest(&new.profile, &new.digest);
            if there.is_some_and(|there| there.signed || new.signature.is_none()) {
                continue;
            }
            // A profile must never be seen without its signature.
            let signature = new
                .signature
                .iter()
                .map(|text| Step::WriteOnMedium(layout::signature_of(&path), text.clone()));
            self.steps.extend(signature);
            self.steps.push(Step::WriteOnMedium(path, new.bytes.clone()));
        }
        if !request.new.is_empty() {
            self.steps.push(Step::MakeSlots);
        }
    }

    fn bring_menu(&mut self, request: &Request, menu: &Menu) -> Result<()> {
        let esp = &self.installed.esp;
        let mut brought = Vec::new();
        for file in request.kernel.iter().flat_map(|it| [&it.linux, &it.initrd]) {
            let is_there = esp.boot_files.get(&file.path) == Some(&file.content.length());
            let step = if is_there { Step::CheckBootFile } else { Step::CopyBootFile };
            brought.push(step(file.clone()));
        }
        for (name, entry) in &menu.entries {
            let is_there =
                |it: &EspEntry| it.file == name.file_name() && it.text == entry.to_conf().as_bytes();
            if !esp.entries.iter().any(is_there) {
                let path = paths::entry(&name.file_name());
                brought.push(Step::WriteOnEsp(path, entry.to_conf().into_bytes()));
            }
        }
        let mut chosen = Vec::new();
        let there = esp.loader_conf.clone().unwrap_or_default();
        let conf = menu.loader_conf().with_settings_of(&there, request.default.is_some());
        if esp.loader_conf.as_ref() != Some(&conf) {
            chosen.push(Step::Choose(LOADER_CONF.to_owned(), conf.to_text().into_bytes()));
        }
        if esp.grub != Grub::Absent {
            let shown = menu.to_grub_menu().map_err(Error::on(""))?;
            if !esp.grub_menus.contains(&shown.file_name) {
                let path = format!("{GRUB}/{}", shown.file_name);
                brought.push(Step::WriteOnEsp(path, shown.script.clone().into_bytes()));
            }
            if esp.grub != Grub::Shows(shown.file_name.clone()) {
                chosen.push(Step::Choose(GRUB_CFG.to_owned(), shown.to_grub_cfg().into_bytes()));
            }
        }
        self.check_room(&brought)?;
        self.steps.append(&mut brought);
        self.steps.append(&mut chosen);
        Ok(())
    }

    /// What comes has to fit beside what is there: nothing goes before.
    fn check_room(&self, brought: &[Step]) -> Result<()> {
        let room = self.installed.esp.room;
        let taken = |step: &Step| match step {
            Step::CopyBootFile(file) => room.taken_by(file.content.length()),
            Step::WriteOnEsp(_, bytes) => room.taken_by(bytes.len() as u64),
            _ => 0,
        };
        // A folder grows by a cluster at a time; there are three.
        let needed: u64 = brought.iter().map(taken).sum::<u64>() + 3 * room.cluster;
        if brought.is_empty() || needed <= room.free {
            return Ok(());
        }
        let cause = format!("has {} free, and {} are needed", human_size(room.free), human_size(needed));
        Err(Error::new("the EFI system partition", cause).remedy(self.what_to_remove()))
    }

    /// Kernels and initramfs files that only older generations use.
    fn what_to_remove(&self) -> String {
        let esp = &self.installed.esp;
        let newest = |name: &Name| self.installed.of(name).next().map(|it| it.number);
        let mut of_newest = BTreeSet::new();
        for (_, entry) in self.installed.own_entries() {
            let older =
                self.installed.booted_by(entry).is_some_and(|it| newest(&it.profile) != Some(it.number));
            of_newest.extend([&entry.linux].into_iter().chain(&entry.initrd).filter(|_| !older));
        }
        let old = |path: &str| !of_newest.iter().any(|used| used.trim_start_matches('/') == path);
        let (files, bytes) = esp
            .boot_files
            .iter()
            .filter(|(path, _)| old(path))
            .fold((0_u64, 0), |all, it| (all.0 + 1, all.1 + it.1));
        match files {
            0 => "remove what is not Lamina's from it, or make the disk anew with a larger one".to_owned(),
            _ => format!(
                "`lamina system gc --keep 1` frees up to {} there: {} of older generations",
                human_size(bytes),
                count(files, "file")
            ),
        }
    }

    fn remove_from_esp(&mut self, request: &Request, menu: &Menu) {
        let esp = &self.installed.esp;
        let kept: BTreeSet<String> = menu.entries.iter().map(|(name, _)| name.file_name()).collect();
        let foreign: BTreeSet<String> = self.installed.foreign_entries().map(|it| it.file.clone()).collect();
        let gone = |file: &String| !kept.contains(file) && !foreign.contains(file);
        let files = esp.entries.iter().map(|it| it.file.clone());
        self.steps.extend(files.filter(gone).map(|file| Step::RemoveFromEsp(paths::entry(&file))));
        let shown = menu.to_grub_menu().map(|it| it.file_name).ok();
        for menu in esp.grub_menus.iter().filter(|it| esp.grub != Grub::Absent && Some(*it) != shown.as_ref())
        {
            self.steps.push(Step::RemoveFromEsp(format!("{GRUB}/{menu}")));
        }
        let of_others = self.installed.foreign_entries().filter_map(|it| it.entry.as_ref().ok());
        let mut used: BTreeSet<&str> = BTreeSet::new();
        for entry in menu.entries.iter().map(|it| &it.1).chain(of_others) {
            used.extend(
                [&entry.linux].into_iter().chain(&entry.initrd).map(|path| path.trim_start_matches('/')),
            );
        }
        used.extend(request.kernel.iter().flat_map(|it| [it.linux.path.as_str(), it.initrd.path.as_str()]));
        // An entry that others wrote, and that is not understood, may still name a file of ours.
        let strange: Vec<&[u8]> = self
            .installed
            .foreign_entries()
            .filter(|it| it.entry.is_err())
            .map(|it| it.text.as_slice())
            .collect();
        let is_named =
            |name: &str| strange.iter().any(|text| text.windows(name.len()).any(|it| it == name.as_bytes()));
        let unused = |path: &&String| {
            let name = path.rsplit('/').next().unwrap_or_default();
            let hex = name.strip_prefix("linux-").or(name.strip_prefix("initrd-"));
            hex.is_some_and(|hex| Digest::parse(hex).is_ok())
                && !used.contains(path.as_str())
                && !is_named(name)
        };
        self.steps.extend(esp.boot_files.keys().filter(unused).map(|path| Step::RemoveFromEsp(path.clone())));
    }

    fn remove_from_medium(
        &mut self,
        request: &Request,
        stays: &dyn Fn(&Name, u64) -> bool,
        shown: &[Shown<'_>],
    ) {
        for generation in self.installed.generations.iter().filter(|it| !stays(&it.profile, it.number)) {
            let path = layout::profile(&generation.profile, generation.number);
            let signature = generation.signed.then(|| layout::signature_of(&path));
            self.steps.extend([Some(path), signature].into_iter().flatten().map(Step::RemoveFromMedium));
        }
        if request.keep.is_none() {
            return;
        }
        let comes = |it: &InstalledGeneration| {
            request.new.iter().any(|new| new.profile == it.profile && new.number == it.number)
        };
        let there = &self.installed.generations;
        let staying = || there.iter().filter(|it| stays(&it.profile, it.number) && !comes(it));
        if let Some(damaged) = staying().find(|it| it.contents.is_err()) {
            let label = damaged.label();
            self.warnings.push(format!(
                "{label} cannot be read: no image is removed, for nobody knows which it needs"
            ));
            return;
        }
        let mut needed: BTreeSet<Digest> = staying().flat_map(|it| it.images()).map(|it| it.digest).collect();
        needed.extend(shown.iter().flat_map(|it| it.contents.all_images()).map(|it| it.digest));
        let unused = self.installed.images.keys().filter(|digest| !needed.contains(digest));
        self.steps.extend(unused.map(|digest| Step::RemoveFromMedium(layout::image(digest))));
    }
}
