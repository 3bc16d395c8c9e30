//! Kernels, entries and menus: what comes, what loaders choose, and what goes.

use std::collections::BTreeSet;

use boot_entry::paths::{self, GRUB, GRUB_CFG, GRUB_LAST, GRUB_TRIES, LOADER_CONF};
use boot_entry::{BootEntry, Choice, GrubMenu, GrubTries, Menu, grub, grub_last};
use cli::numbers::{count, human_size};
use cli::safe_text::clean;
use profiles::Name;

use super::super::esp::{Esp, EspEntry, Grub, is_boot_file, mentions};
use super::super::installed::Installed;
use super::super::request::Request;
use super::super::step::{ANOTHER_KERNEL, Step};
use crate::error::{Error, Result};

/// What becomes of the partition, in this order.
#[derive(Default)]
pub(super) struct PartitionSteps {
    /// What makes room for the rest, where it has to.
    pub(super) first: Vec<Step>,
    /// Reads what is there already.
    pub(super) checks: Vec<Step>,
    /// Brings new files.
    pub(super) brought: Vec<Step>,
    /// Lets loaders choose among them.
    pub(super) chosen: Vec<Step>,
    /// Removes what nothing names any more.
    pub(super) then: Vec<Step>,
    /// What a person should know.
    pub(super) warnings: Vec<String>,
}

/// Decides.
///
/// # Errors
/// There is no room, also when all went first that can; GRUB cannot have the menu.
pub(super) fn steps(
    installed: &Installed,
    request: &Request,
    menu: &Menu,
    stays: &dyn Fn(&Name, u64) -> bool,
) -> Result<PartitionSteps> {
    let esp = &installed.esp;
    let grub_menu = match &esp.grub {
        Grub::Absent | Grub::Other(_) => None,
        Grub::Shows(_) | Grub::Nothing => Some(menu.to_grub_menu().map_err(Error::on(""))?),
    };
    let mut steps = PartitionSteps::default();
    bring_boot_files(esp, request, &mut steps);
    steps.checks.extend(read_what_is_started(esp, request, menu)?);
    bring_menu(esp, menu, grub_menu.as_ref(), &mut steps);
    choose(esp, request, menu, grub_menu.as_ref(), &mut steps);
    let goes = Goes::of(installed, request, menu, grub_menu.as_ref());
    let needed = needed(esp, &steps);
    if needed > esp.room.free {
        let first = goes.first(installed, stays);
        let freed: u64 = first.iter().map(|path| esp.room.taken_by(length_of(esp, path))).sum();
        if needed > esp.room.free.saturating_add(freed) {
            let (free, needed) = (human_size(esp.room.free), human_size(needed));
            return Err(Error::new(
                "the EFI system partition",
                format!("has {free} free, and {needed} are needed"),
            )
            .remedy(what_to_remove(installed, &first)));
        }
        steps.first = first.into_iter().map(Step::RemoveFromEsp).collect();
    }
    let is_first =
        |path: &String| steps.first.iter().any(|it| matches!(it, Step::RemoveFromEsp(it) if it == path));
    let then: Vec<String> = goes.all().filter(|path| !is_first(path)).collect();
    steps.then = then.into_iter().map(Step::RemoveFromEsp).collect();
    steps.warnings.extend(warning(esp));
    Ok(steps)
}

/// What was left undone for the sake of somebody else's files.
fn warning(esp: &Esp) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Grub::Other(_) = esp.grub {
        warnings.push(format!(
            "{GRUB_CFG} on the ESP: somebody else has written it, and it stays: GRUB shows what it says, and not these generations\n\
             help: to let Lamina write it, keep a copy elsewhere and empty it; nothing is to be done where another loader boots this medium"
        ));
    }
    if let Some((path, why)) = esp.unread.iter().next() {
        let path = clean(path);
        warnings
            .push(format!("{path} on the ESP {why}: no kernel is removed, for nobody knows which it names"));
    }
    warnings
}

fn bring_boot_files(esp: &Esp, request: &Request, steps: &mut PartitionSteps) {
    // Kernels first.
    for file in request.boot_files().into_values().rev() {
        match esp.boot_files.get(&file.path) == Some(&file.content.length()) {
            true => steps.checks.push(Step::CheckBootFile(file.clone())),
            false => steps.brought.push(Step::CopyBootFile(file.clone())),
        }
    }
}

/// What a generation that comes starts with, where that is there already: nothing here could bring it, and so it has to be whole.
fn read_what_is_started(esp: &Esp, request: &Request, menu: &Menu) -> Result<Vec<Step>> {
    let comes = |entry: &&BootEntry| {
        let is_it =
            |(profile, digest)| request.new.iter().any(|it| (&it.profile, it.digest) == (&profile, digest));
        entry.boots().is_some_and(is_it)
    };
    let entries = menu.entries.iter().map(|it| &it.1).filter(comes);
    let started: BTreeSet<&str> = entries.flat_map(Esp::started_by).collect();
    let brought = request.boot_files();
    let there = started.into_iter().filter(|path| !brought.contains_key(path));
    there
        .map(|path| match esp.has_boot_file(path) {
            true => Ok(Step::ReadBootFile(path.to_owned())),
            false => {
                Err(Error::new(path, "is not on the ESP, or is empty, and what comes would start with it")
                    .remedy(ANOTHER_KERNEL))
            }
        })
        .collect()
}

fn bring_menu(esp: &Esp, menu: &Menu, grub_menu: Option<&GrubMenu>, steps: &mut PartitionSteps) {
    for (name, entry) in &menu.entries {
        let is_there = |it: &EspEntry| it.file == name.file_name() && it.text == entry.to_conf().as_bytes();
        if !esp.entries.iter().any(is_there) {
            let path = paths::entry(&name.file_name());
            steps.brought.push(Step::WriteOnEsp(path, entry.to_conf().into_bytes()));
        }
    }
    let missing =
        |it: &&GrubMenu| esp.grub_menus.get(&it.file_name).map(Vec::as_slice) != Some(it.script.as_bytes());
    if let Some(shown) = grub_menu.filter(missing) {
        let path = format!("{GRUB}/{}", shown.file_name);
        steps.brought.push(Step::WriteOnEsp(path, shown.script.clone().into_bytes()));
    }
}

fn choose(
    esp: &Esp,
    request: &Request,
    menu: &Menu,
    grub_menu: Option<&GrubMenu>,
    steps: &mut PartitionSteps,
) {
    let there = esp.loader_conf.clone().unwrap_or_default();
    let conf = menu.loader_conf().with_settings_of(&there, request.default.is_some());
    if esp.loader_conf.as_ref() != Some(&conf) {
        steps.chosen.push(Step::Choose(LOADER_CONF.to_owned(), conf.to_text().into_bytes()));
    }
    if let Some(block) = grub_menu.and_then(|_| block_of_tries(esp, request, menu)) {
        steps.chosen.push(Step::Choose(GRUB_TRIES.to_owned(), block.into_bytes()));
    }
    if menu.choice == Choice::Last {
        forget_the_last(esp, request, grub_menu, steps);
    }
    if let Some(shown) = grub_menu.filter(|it| esp.grub != Grub::Shows(it.file_name.clone())) {
        steps.chosen.push(Step::Choose(GRUB_CFG.to_owned(), shown.to_grub_cfg().into_bytes()));
    }
}

/// What has been made the default starts next, whatever was started last. GRUB's block can be told so; the variable of a firmware cannot be
/// reached from here.
fn forget_the_last(esp: &Esp, request: &Request, grub_menu: Option<&GrubMenu>, steps: &mut PartitionSteps) {
    let nothing = grub_last::nothing().into_bytes();
    let again = match &esp.grub_last {
        None => true,
        Some(block) => request.default.is_some() && *block != nothing,
    };
    if grub_menu.is_some() && again {
        steps.chosen.push(Step::Choose(GRUB_LAST.to_owned(), nothing));
    }
    if let Some((profile, number)) = &request.default {
        steps.warnings.push(format!(
            "the menu starts what was started last: where systemd-boot shows it, choose {profile}/{number} once\n\
             help: `lamina system default {profile}/{number}` lets that boot by itself in any case"
        ));
    }
}

/// The block by which GRUB counts, where another one has to be written: what boots by itself is another entry than it counts, or somebody has
/// asked for one that it has given up or counts no more; it is missing or damaged.
fn block_of_tries(esp: &Esp, request: &Request, menu: &Menu) -> Option<String> {
    let wanted = menu.grub_tries();
    let again = match &esp.grub_tries {
        None | Some(Err(_)) => true,
        Some(Ok(None)) => wanted.is_some() && request.default.is_some(),
        Some(Ok(Some(now))) => wanted
            .as_ref()
            .is_some_and(|wanted| wanted.entry != now.entry || (request.default.is_some() && now.left == 0)),
    };
    (menu.choice.tries().is_some() && again).then(|| GrubTries::block(wanted.as_ref()))
}

/// Bytes of what comes, beside what is there. Of a file that is replaced the old one stays until the new one is there.
fn needed(esp: &Esp, steps: &PartitionSteps) -> u64 {
    let room = esp.room;
    let taken = |step: &Step| match step {
        Step::CopyBootFile(file) => room.taken_by(file.content.length()),
        Step::WriteOnEsp(_, bytes) => room.taken_by(bytes.len() as u64),
        Step::Choose(path, bytes) if !esp.in_place.contains(path.as_str()) => {
            room.taken_by(bytes.len() as u64)
        }
        _ => 0,
    };
    let files: u64 = steps.brought.iter().chain(&steps.chosen).map(taken).sum();
    // A folder grows by a cluster at a time; there are three.
    if files == 0 { 0 } else { files + 3 * room.cluster }
}

fn length_of(esp: &Esp, path: &str) -> u64 {
    let entry = || esp.entries.iter().find(|it| it.path() == path).map(|it| it.text.len() as u64);
    let menu = || Some(esp.grub_menus.get(path.strip_prefix(GRUB)?.strip_prefix('/')?)?.len() as u64);
    esp.boot_files.get(path).copied().or_else(entry).or_else(menu).unwrap_or(0)
}

/// What nothing names any more when all is done, by path.
struct Goes {
    entries: Vec<String>,
    menus: Vec<String>,
    boot_files: Vec<String>,
}

impl Goes {
    fn of(installed: &Installed, request: &Request, menu: &Menu, grub_menu: Option<&GrubMenu>) -> Goes {
        let esp = &installed.esp;
        let kept: BTreeSet<String> = menu.entries.iter().map(|(name, _)| name.file_name()).collect();
        let foreign: BTreeSet<&str> = installed.foreign_entries().map(|it| it.file.as_str()).collect();
        let gone = |it: &&EspEntry| !kept.contains(&it.file) && !foreign.contains(it.file.as_str());
        let entries = esp.entries.iter().filter(gone).map(EspEntry::path).collect();
        let menus = esp.grub_menus.keys().filter(|name| grub_menu.is_some_and(|it| it.file_name != **name));
        let mut texts: Vec<Vec<u8>> = menu.entries.iter().map(|it| it.1.to_conf().into_bytes()).collect();
        texts.extend(installed.foreign_entries().map(|it| it.text.clone()));
        texts.extend(request.boot_files().into_values().map(|it| it.path.clone().into_bytes()));
        if let Grub::Other(text) = &esp.grub {
            let sourced = esp.grub_menus.iter().filter(|(name, _)| mentions(text, name));
            texts.extend(sourced.map(|it| it.1.clone()).chain([text.clone()]));
        }
        let unused = |path: &&String| {
            is_boot_file(path) && esp.unread.is_empty() && !texts.iter().any(|text| mentions(text, path))
        };
        Goes {
            entries,
            menus: menus.map(|name| format!("{GRUB}/{name}")).collect(),
            boot_files: esp.boot_files.keys().filter(unused).cloned().collect(),
        }
    }

    fn all(&self) -> impl Iterator<Item = String> {
        self.entries.iter().chain(&self.menus).chain(&self.boot_files).cloned()
    }

    /// Those of which nothing is lost when they go first: entries of generations that go, but for the one that boots by itself now; menus
    /// that are not shown; and kernels that neither the entries name which are left then, nor what GRUB boots by itself.
    fn first(&self, installed: &Installed, stays: &dyn Fn(&Name, u64) -> bool) -> Vec<String> {
        let esp = &installed.esp;
        let default = esp.default_entry().map(EspEntry::path);
        let of_what_goes = |it: &EspEntry| match installed.booted_by(it) {
            Some(generation) => !stays(&generation.profile, generation.number),
            None => it.entry.is_err(),
        };
        let goes = |path: &&String| {
            Some(*path) != default.as_ref()
                && esp.entries.iter().any(|it| it.path() == **path && of_what_goes(it))
        };
        let entries: Vec<&String> = self.entries.iter().filter(goes).collect();
        let is_shown =
            |path: &&String| matches!(&esp.grub, Grub::Shows(name) if path.ends_with(name.as_str()));
        let menus = self.menus.iter().filter(|path| !is_shown(path));
        let left = esp.entries.iter().filter(|it| !entries.contains(&&it.path()));
        let mut texts: Vec<&[u8]> = left.map(|it| it.text.as_slice()).collect();
        texts.extend(shown_by_grub(esp));
        let unused = |path: &&String| !texts.iter().any(|text| mentions(text, path));
        let boot_files = self.boot_files.iter().filter(unused);
        entries.iter().copied().chain(menus).chain(boot_files).cloned().collect()
    }
}

/// The entry that GRUB boots by itself; all that it shows, where nobody knows which that is.
fn shown_by_grub(esp: &Esp) -> Option<&[u8]> {
    let menu = esp.shown_menu()?;
    let default = std::str::from_utf8(menu).ok().and_then(grub::default_of);
    Some(default.map_or(menu, str::as_bytes))
}

/// Kernels and initramfs files that only older generations use, beside those that go `first` and are not enough.
fn what_to_remove(installed: &Installed, first: &[String]) -> String {
    let newest = |name: &Name| installed.medium.of(name).next().map(|it| it.number);
    let is_older =
        |it: &EspEntry| installed.booted_by(it).is_some_and(|it| newest(&it.profile) != Some(it.number));
    let of_newest: Vec<&[u8]> =
        installed.esp.entries.iter().filter(|it| !is_older(it)).map(|it| it.text.as_slice()).collect();
    let old = installed.esp.boot_files.iter().filter(|(path, _)| {
        is_boot_file(path) && !first.contains(path) && !of_newest.iter().any(|text| mentions(text, path))
    });
    let (files, bytes) = old.fold((0_u64, 0), |all, it| (all.0 + 1, all.1 + it.1));
    match files {
        0 => "remove what is not Lamina's from it, or make the disk anew with a larger one".to_owned(),
        _ => format!(
            "`lamina system gc --keep 1` frees up to {} there: {} of older generations",
            human_size(bytes),
            count(files, "file")
        ),
    }
}
