//! The menu for the generations that will be on a medium. What was chosen when it was made (parameters, order, rescue, time) is read from
//! the entries that are there.

use std::collections::BTreeMap;
use std::num::NonZero;

use boot_entry::menu::{LAST_PLACE, place_of};
use boot_entry::{
    BootEntry, Choice, EntryFileName, Generation, LoaderConf, Menu, MenuRequest, Parameter, StartedWith,
    Tries, names,
};
use profiles::resolved::BootProfile;
use profiles::{Digest, Name};

use super::esp::EspEntry;
use super::installed::Installed;
use super::request::Request;
use crate::disk::kernel::BootFiles;
use crate::error::{Error, Result};
use crate::medium::contents::InstalledGeneration;

/// The parameters that each entry has for itself.
const BINDING: [&str; 2] = [names::PROFILE, names::FALLBACK];
/// How often a new entry may be tried on a medium whose menu counts, as the Boot Loader Specification has it in its examples.
const TRIES: NonZero<u32> = NonZero::new(3).unwrap();

/// Seconds until the default boots, where no loader says.
const TIMEOUT: u32 = 5;

/// A generation that will be on the medium.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The profile.
    pub profile: &'a Name,
    /// Its number.
    pub number: u64,
    /// SHA-256 of its file.
    pub digest: Digest,
    /// What it says.
    pub contents: &'a BootProfile,
    /// Whether it comes with this request.
    pub new: bool,
}

/// Decides the menu; `shown` has all generations of a profile together, the newest first. Every entry has the name of its file: that which
/// it has now, where nothing of it changes.
///
/// # Errors
/// No entry says how this medium is booted; an entry that loaders or the kernel could not take.
pub fn make(installed: &Installed, request: &Request, shown: &[Shown<'_>]) -> Result<Menu> {
    let menu = Menu::make(&wanted(installed, request, shown)?).map_err(Error::on(""))?;
    Ok(named(installed, request, menu, &installed.esp.loader_conf.clone().unwrap_or_default()))
}

/// What the menu is to be made of.
///
/// # Errors
/// No entry says how this medium is booted.
pub fn wanted(installed: &Installed, request: &Request, shown: &[Shown<'_>]) -> Result<MenuRequest> {
    let rescue = request.rescue.clone().or_else(|| rescue_of(installed, shown));
    let mut profiles: Vec<Vec<Generation>> = Vec::new();
    for (name, place) in places(installed, shown) {
        let of_profile = shown.iter().filter(|it| *it.profile == name);
        let generations = of_profile.map(|it| generation(installed, request, it, rescue.as_ref()));
        profiles.resize_with(profiles.len().max(place + 1), Vec::new);
        profiles[place] = generations.collect::<Result<_>>()?;
    }
    let conf = installed.esp.loader_conf.clone().unwrap_or_default();
    let timeout = conf.timeout.unwrap_or(TIMEOUT);
    let choice = request.choice.unwrap_or_else(|| choice_of(installed, &conf));
    Ok(MenuRequest { profiles, rescue, parameters: Vec::new(), timeout, choice })
}

/// How the loaders of this medium find what boots by itself.
fn choice_of(installed: &Installed, conf: &LoaderConf) -> Choice {
    if installed.esp.starts_last() {
        Choice::Last
    } else if is_counted(installed, conf) {
        Choice::Counted(TRIES)
    } else {
        Choice::Default
    }
}

/// Whether the loader counts tries here: of the default, or of any entry that was not blessed yet.
fn is_counted(installed: &Installed, conf: &LoaderConf) -> bool {
    conf.is_counted() || installed.own_entries().any(|(file, _)| file.name.tries.is_some())
}

fn generation(
    installed: &Installed,
    request: &Request,
    shown: &Shown<'_>,
    rescue: Option<&Name>,
) -> Result<Generation> {
    let is_shown = |it: &InstalledGeneration| {
        it.profile == *shown.profile && it.number == shown.number && it.digest == Some(shown.digest)
    };
    let own = installed.own_entries().find(|it| installed.booted_by(it.0).is_some_and(is_shown));
    let template = match own {
        Some((_, entry)) if !shown.new || request.kernel_of(shown.profile).is_none() => entry,
        own => template(installed, shown.profile).or(own.map(|it| it.1)).ok_or_else(no_template)?,
    };
    let mut parameters: Vec<Parameter> =
        template.options.iter().filter(|it| !BINDING.contains(&it.name())).cloned().collect();
    if own.is_none() {
        let state =
            installed.own_entries().find_map(|it| it.1.options.iter().find(|it| it.name() == names::STATE));
        parameters.retain(|it| it.name() != names::STATE);
        let takes = shown.contents.takes_a_state() && rescue != Some(shown.profile);
        parameters.extend(state.filter(|_| takes).cloned());
        let more = request.parameters.iter().filter(|_| shown.new);
        parameters.extend(more.cloned());
    }
    let kernel = request.kernel_of(shown.profile).filter(|_| shown.new).map(BootFiles::started_with);
    let there = || StartedWith {
        linux: template.linux.clone(),
        initrd: template.initrd.clone(),
        version: template.version.clone(),
    };
    let known = boot_ledger::Generation { number: shown.number, digest: shown.digest };
    let good = installed.medium.ledger.as_ref().ok().and_then(|ledger| ledger.last_good(shown.profile));
    Ok(Generation {
        profile: shown.profile.clone(),
        number: shown.number,
        digest: shown.digest,
        description: shown.contents.description.clone(),
        parameters,
        last_good: good == Some(known),
        started_with: kernel.unwrap_or_else(there),
    })
}

/// The entry after which a new one is made: the newest of the same profile, else the one that boots by itself, else the first.
fn template<'a>(installed: &'a Installed, profile: &Name) -> Option<&'a BootEntry> {
    let of_profile =
        installed.own_entries().filter(|it| it.1.boots().is_some_and(|(name, _)| name == *profile));
    let newest = of_profile.max_by_key(|it| installed.booted_by(it.0).map(|it| it.number)).map(|it| it.1);
    let default = installed.esp.default_entry().map(|it| it.name.id.clone());
    let boots_by_itself = || installed.own_entries().find(|it| Some(&it.0.name.id) == default.as_ref());
    newest.or_else(|| boots_by_itself().or_else(|| installed.own_entries().next()).map(|it| it.1))
}

fn no_template() -> Error {
    Error::new(
        "the EFI system partition",
        "has no entry of a profile of this medium: nothing says how it is booted",
    )
    .remedy("give the partition with the menu by `--esp DIR`; `lamina disk create` makes a medium with one")
}

/// What takes the place of everything: what an entry of another profile falls back to, else what is called so.
pub(super) fn rescue_of(installed: &Installed, shown: &[Shown<'_>]) -> Option<Name> {
    let is_shown = |name: &Name| shown.iter().any(|it| it.profile == name);
    let of_entry = |entry: &BootEntry| {
        let boots = entry.boots()?.0;
        entry.fallbacks().into_iter().map(|it| it.0).rfind(|name| *name != boots && is_shown(name))
    };
    installed
        .own_entries()
        .find_map(|it| of_entry(it.1))
        .or_else(|| Name::parse("rescue").ok().filter(is_shown))
}

/// The place of each profile in the menu: the one that it has, else behind the others.
fn places(installed: &Installed, shown: &[Shown<'_>]) -> BTreeMap<Name, usize> {
    let mut places: BTreeMap<Name, usize> = BTreeMap::new();
    let mut without: Vec<Name> = Vec::new();
    for (_, entry) in installed.own_entries() {
        let Some((name, _)) = entry.boots() else { continue };
        let place = entry.sort_key.as_deref().and_then(place_of);
        match place.filter(|place| places.iter().all(|(other, taken)| *other == name || taken != place)) {
            Some(place) => _ = places.entry(name).or_insert(place),
            None => without.push(name),
        }
    }
    without.extend(shown.iter().map(|it| it.profile.clone()));
    for name in without {
        if !places.contains_key(&name) {
            let next = next_place(&places);
            places.insert(name, next);
        }
    }
    places.retain(|name, _| shown.iter().any(|it| it.profile == name));
    places
}

/// Behind the others, and where there is no such place, the first that is free.
fn next_place(places: &BTreeMap<Name, usize>) -> usize {
    let behind = places.values().max().map_or(0, |last| last + 1);
    let is_free = |place: &usize| places.values().all(|it| it != place);
    if behind <= LAST_PLACE { behind } else { (0..=LAST_PLACE).find(is_free).unwrap_or(behind) }
}

/// Gives each entry the name of its file, and finds which one boots by itself.
fn named(installed: &Installed, request: &Request, menu: Menu, conf: &LoaderConf) -> Menu {
    let now = installed.default_generation().map(|it| (it.profile.clone(), it.number));
    let default = request.default.clone().or(now).map(|(name, number)| EntryFileName::of(&name, number));
    let plain = |id: &str| menu.entries.iter().any(|it| it.0.id == id);
    let default = default.map(|it| it.id).filter(|id| plain(id)).unwrap_or(menu.default.clone());
    let mut named =
        Menu { entries: Vec::new(), default: default.clone(), timeout: menu.timeout, choice: menu.choice };
    for (name, entry) in menu.entries {
        let is_default = name.id == default;
        let mut name = name_of(installed, name, &entry);
        // Whoever asks for what the loader has given up wants it tried again.
        if is_default && request.default.is_some() && name.tries.is_some_and(|tries| tries.used_up()) {
            name.tries = Some(Tries { left: TRIES.get(), done: 0 });
        }
        if is_default {
            named.default = name.id.clone();
        }
        named.entries.push((name, entry));
    }
    // Somebody else's entry boots by itself, also one of another medium, and nobody asked for another.
    let of_others = |id: &String| !EntryFileName::is_our_id(id) || is_of_another_medium(installed);
    let foreign = conf.default.clone().filter(|id| request.default.is_none() && of_others(id));
    named.default = foreign.unwrap_or(named.default);
    named
}

fn is_of_another_medium(installed: &Installed) -> bool {
    let default = installed.esp.default_entry().filter(|it| it.entry.is_ok());
    default.is_some_and(|it| installed.own_entries().all(|(own, _)| own.file != it.file))
}

/// The file that has this text already, with the tries that were counted; else a name that no file has.
fn name_of(installed: &Installed, plain: EntryFileName, entry: &BootEntry) -> EntryFileName {
    let text = entry.to_conf();
    let files = &installed.esp.entries;
    if let Some(there) = files.iter().find(|it| it.name.is_ours() && it.text == text.as_bytes()) {
        return there.name.clone();
    }
    // What was counted is the generation's with its kernel and initramfs: it stays with them when the title changes.
    let same = |it: &(&EspEntry, &BootEntry)| {
        let is_it = |it: &InstalledGeneration| EntryFileName::of(&it.profile, it.number).id == plain.id;
        installed.booted_by(it.0).is_some_and(is_it)
            && (it.1.boots() == entry.boots() && it.1.linux == entry.linux && it.1.initrd == entry.initrd)
    };
    let tries = installed.own_entries().find(same).map_or(plain.tries, |it| it.0.name.tries);
    let plain = EntryFileName { tries, ..plain };
    if installed.esp.has_id(&plain.id) { plain.revised(&text) } else { plain }
}
