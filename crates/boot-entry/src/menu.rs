//! Which entries profiles and their generations give, and in which order: the newest generation of each profile, then older ones,
//! then the rescue.

use std::fmt;
use std::num::NonZero;

use profiles::{Digest, Name};

use crate::entry::{BootEntry, one_line};
use crate::file_name::{EntryFileName, Tries};
use crate::parameter::{LONGEST_LINE, Parameter};

/// A generation of a profile that lies on the medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// The profile.
    pub profile: Name,
    /// Its number, from 1.
    pub number: u64,
    /// SHA-256 of its file: what an entry binds.
    pub digest: Digest,
    /// What people call it.
    pub description: Option<String>,
    /// Parameters for entries of this generation alone.
    pub parameters: Vec<Parameter>,
}

/// What a menu is made of.
#[derive(Debug, Clone)]
pub struct MenuRequest {
    /// Of each profile the generations on the medium, newest first; profiles in the order of the menu. The first one is the default.
    pub profiles: Vec<Vec<Generation>>,
    /// The profile that comes up when nothing else does; it stands last.
    pub rescue: Option<Name>,
    /// The kernel that serves all of them: a path on the partition of the entries.
    pub linux: String,
    /// Its initramfs, likewise.
    pub initrd: String,
    /// The release of the kernel.
    pub version: String,
    /// Parameters for every entry.
    pub parameters: Vec<Parameter>,
    /// Seconds until the default boots; 0: at once.
    pub timeout: u32,
    /// How often a loader that counts may try the newest generation of a profile before it takes another entry; the rescue and older
    /// ones are never counted. None: nothing is.
    pub tries: Option<NonZero<u32>>,
}

/// Entries in their order, with what a loader needs beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Menu {
    /// Each with the name of its file.
    pub entries: Vec<(EntryFileName, BootEntry)>,
    /// The id of the entry that boots by itself.
    pub default: String,
    /// Seconds until it does.
    pub timeout: u32,
}

/// Why there is no menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MenuError {
    /// No profile, or none besides those without a generation.
    Empty,
    /// The command line of this entry is so many bytes long.
    LineTooLong(String, usize),
}

impl fmt::Display for MenuError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MenuError::Empty => out.write_str("menu: has no entries\nhelp: name at least one locked profile"),
            MenuError::LineTooLong(id, length) => write!(
                out,
                "entry {id}: its kernel command line has {length} bytes, and the kernel takes {LONGEST_LINE}\nhelp: give fewer or \
                 shorter parameters"
            ),
        }
    }
}

impl std::error::Error for MenuError {}

/// Where an entry stands, which its title says.
#[derive(Clone, Copy, PartialEq)]
enum Group {
    Newest,
    Older,
}

impl Menu {
    /// Decides the entries. Each binds its generation by digest, and what may take its place: the next older generation, and the
    /// rescue.
    ///
    /// # Errors
    /// Nothing to show; a command line that the kernel would cut.
    pub fn make(request: &MenuRequest) -> Result<Menu, MenuError> {
        let is_rescue = |generation: &Generation| Some(&generation.profile) == request.rescue.as_ref();
        let rescue = request.profiles.iter().filter_map(|profile| profile.first()).find(|it| is_rescue(it));
        let (last, first): (Vec<_>, Vec<_>) = request
            .profiles
            .iter()
            .filter(|profile| !profile.is_empty())
            .partition(|profile| profile.first().is_some_and(is_rescue));
        let newest = |profiles: &[&Vec<Generation>]| -> Vec<(Generation, Option<Generation>, Group)> {
            let one = |it: &&Vec<Generation>| (it[0].clone(), it.get(1).cloned(), Group::Newest);
            profiles.iter().map(one).collect()
        };
        let older = first.iter().chain(&last).flat_map(|profile| {
            (1..profile.len()).map(|at| (profile[at].clone(), profile.get(at + 1).cloned(), Group::Older))
        });
        let in_order = newest(&first).into_iter().chain(older).chain(newest(&last));
        let mut entries = Vec::new();
        for (place, (generation, before, group)) in in_order.enumerate() {
            let fallbacks = before.iter().chain(rescue.filter(|rescue| **rescue != generation));
            let mut name = EntryFileName::of(&generation.profile, generation.number);
            if group == Group::Newest && !is_rescue(&generation) {
                name.tries = request.tries.map(|left| Tries { left: left.get(), done: 0 });
            }
            let entry = entry(request, place, &generation, group, fallbacks);
            let length = Parameter::line(&entry.options).len();
            if length > LONGEST_LINE {
                return Err(MenuError::LineTooLong(name.id, length));
            }
            entries.push((name, entry));
        }
        let default = entries.first().ok_or(MenuError::Empty)?.0.id.clone();
        Ok(Menu { entries, default, timeout: request.timeout })
    }

    /// The file `loader/loader.conf` of systemd-boot.
    pub fn to_loader_conf(&self) -> String {
        let default = match self.entries.iter().any(|(name, _)| name.tries.is_some()) {
            // systemd-boot compares ids without tries, also with a pattern, and takes the first that fits. Entries without a try left
            // stand last in its list (`config_entry_compare` of its `boot.c`), so that an older generation of the profile is found
            // before one; the id itself would be taken for ever.
            true => {
                let profile = self.default.rsplit_once('-').map_or(self.default.as_str(), |(it, _)| it);
                format!("{profile}-[0-9]*")
            }
            false => self.default.clone(),
        };
        format!("timeout {}\ndefault {default}.conf\n", self.timeout)
    }
}

fn entry<'a>(
    request: &MenuRequest,
    place: usize,
    generation: &Generation,
    group: Group,
    fallbacks: impl Iterator<Item = &'a Generation>,
) -> BootEntry {
    let mut title = generation.profile.to_string();
    if group == Group::Older {
        title.push_str(&format!(", generation {}", generation.number));
    }
    let description = generation.description.as_deref().map(one_line).filter(|text| !text.is_empty());
    if let Some(description) = description {
        title.push_str(&format!(": {description}"));
    }
    let mut options = vec![Parameter::bound("lamina.profile", [generation].into_iter())];
    let fallback = Parameter::bound("lamina.fallback", fallbacks);
    options.extend((fallback.value() != Some("")).then_some(fallback));
    options.extend(request.parameters.iter().chain(&generation.parameters).cloned());
    BootEntry {
        title,
        version: Some(request.version.clone()),
        // Three digits order a thousand entries as text.
        sort_key: Some(format!("lamina-{place:03}")),
        linux: request.linux.clone(),
        initrd: vec![request.initrd.clone()],
        options,
    }
}

impl Parameter {
    /// `NAME=PROFILE@sha256:HEX,PROFILE@sha256:HEX`: names and digests hold nothing that would need quotes.
    fn bound<'a>(name: &str, generations: impl Iterator<Item = &'a Generation>) -> Parameter {
        let each = generations.map(|it| format!("{}@{}", it.profile, it.digest));
        Parameter::plain(format!("{name}={}", each.collect::<Vec<_>>().join(",")))
    }
}
