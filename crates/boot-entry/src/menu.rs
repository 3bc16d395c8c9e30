//! Which entries profiles and their generations give, and in which order: the newest generation of each profile, then older ones,
//! then the rescue.

use std::fmt;
use std::num::NonZero;

use kernel_command_line::names;
use profiles::{Digest, Name};

use crate::entry::{BootEntry, one_line};
use crate::file_name::{EntryFileName, Tries};
use crate::loader_conf::LoaderConf;
use crate::parameter::{LONGEST_LINE, Parameter};

/// Characters of a description that are shown. GRUB reads no menu with a word of more than 8192 bytes (`YYLMAX` of its lexer): it shows none then.
const MOST_OF_DESCRIPTION: usize = 200;

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
    /// Whether it is the generation of its profile that was blessed last: what takes the place of the others first.
    pub last_good: bool,
    /// What it is started with.
    pub started_with: StartedWith,
}

/// The kernel of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedWith {
    /// A path on the partition of the entries.
    pub linux: String,
    /// Its initramfs files, likewise.
    pub initrd: Vec<String>,
    /// The release of the kernel.
    pub version: Option<String>,
}

/// What a menu is made of.
#[derive(Debug, Clone)]
pub struct MenuRequest {
    /// Of each profile the generations on the medium, newest first; profiles in the order of the menu. The first one is the default. An
    /// empty place stays empty, so that the sort keys of the others remain what they are.
    pub profiles: Vec<Vec<Generation>>,
    /// The profile that comes up when nothing else does; it stands last.
    pub rescue: Option<Name>,
    /// Parameters for every entry.
    pub parameters: Vec<Parameter>,
    /// Seconds until the default boots; 0: at once.
    pub timeout: u32,
    /// What boots by itself.
    pub choice: Choice,
}

/// How a loader finds what boots by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// It is the default, whatever became of that.
    Default,
    /// The default as long as it has tries left: so often may the newest generation of a profile be tried before a loader that counts takes
    /// another entry. The rescue and older ones are never counted.
    Counted(NonZero<u32>),
    /// What was started last; the default before anything was.
    Last,
}

impl Choice {
    /// How often a new entry may be tried, where tries are counted.
    pub fn tries(self) -> Option<NonZero<u32>> {
        match self {
            Choice::Counted(tries) => Some(tries),
            Choice::Default | Choice::Last => None,
        }
    }
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
    /// What boots by itself. Where tries are counted, of these entries or of later ones, the default is any generation of its profile.
    pub choice: Choice,
}

/// Why there is no menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MenuError {
    /// No profile, or none besides those without a generation.
    Empty,
    /// More profiles than there are places.
    TooMany,
    /// The command line of this entry is so many bytes long.
    LineTooLong(String, usize),
}

impl fmt::Display for MenuError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MenuError::Empty => out.write_str("menu: has no entries\nhelp: name at least one locked profile"),
            MenuError::TooMany => {
                let most = LAST_PLACE + 1;
                write!(out, "menu: has more than {most} profiles\nhelp: name fewer of them")
            }
            MenuError::LineTooLong(id, length) => write!(
                out,
                "entry {id}: its kernel command line has {length} bytes, and the kernel takes {LONGEST_LINE}\nhelp: give fewer or \
                 shorter parameters"
            ),
        }
    }
}

impl std::error::Error for MenuError {}

/// Where an entry stands, which its title and its sort key say.
#[derive(Clone, Copy, PartialEq)]
enum Group {
    Newest,
    Older,
    Rescue,
}

/// An entry that is to be written.
struct Wanted<'a> {
    generation: &'a Generation,
    group: Group,
    /// Of its profile, in the order of the menu.
    place: usize,
    /// What takes its place before the rescue does.
    before: Option<&'a Generation>,
}

impl Menu {
    /// Decides the entries. Each binds its generation by digest, and what may take its place: the last good generation where one is known,
    /// else the next older one; and the rescue.
    ///
    /// # Errors
    /// Nothing to show; a command line that the kernel would cut.
    pub fn make(request: &MenuRequest) -> Result<Menu, MenuError> {
        if request.profiles.len() > LAST_PLACE + 1 {
            return Err(MenuError::TooMany);
        }
        let is_rescue = |generation: &Generation| Some(&generation.profile) == request.rescue.as_ref();
        let rescue = request.profiles.iter().filter_map(|profile| profile.first()).find(|it| is_rescue(it));
        let mut wanted = Vec::new();
        for (place, profile) in request.profiles.iter().enumerate() {
            for (at, generation) in profile.iter().enumerate() {
                let group = match at {
                    0 if is_rescue(generation) => Group::Rescue,
                    0 => Group::Newest,
                    _ => Group::Older,
                };
                // What has the same bytes is the same system, and cannot take its place.
                let differs = |it: &&Generation| it.digest != generation.digest;
                let good = profile.iter().find(|it| it.last_good).filter(differs);
                let before = good.or_else(|| profile[at + 1..].iter().find(differs));
                wanted.push(Wanted { generation, group, place, before });
            }
        }
        wanted.sort_by_key(Wanted::sort_key);
        let mut entries = Vec::new();
        for wanted in &wanted {
            let mut name = EntryFileName::of(&wanted.generation.profile, wanted.generation.number);
            if wanted.group == Group::Newest {
                name.tries = request.choice.tries().map(|left| Tries { left: left.get(), done: 0 });
            }
            let entry = wanted.entry(request, rescue);
            let length = Parameter::line(&entry.options).len();
            if length > LONGEST_LINE {
                return Err(MenuError::LineTooLong(name.id, length));
            }
            entries.push((name, entry));
        }
        let default = entries.first().ok_or(MenuError::Empty)?.0.id.clone();
        Ok(Menu { entries, default, timeout: request.timeout, choice: request.choice })
    }

    /// The file `loader/loader.conf` of systemd-boot, of the length of a [`sector`](crate::sector).
    pub fn to_loader_conf(&self) -> String {
        self.loader_conf().to_text()
    }

    /// What decides about this menu for systemd-boot.
    pub fn loader_conf(&self) -> LoaderConf {
        if self.choice == Choice::Last {
            return LoaderConf {
                timeout: Some(self.timeout),
                default: None,
                others: vec![LoaderConf::LAST.to_owned()],
            };
        }
        let any =
            LoaderConf { default: Some(LoaderConf::any_generation(&self.default)), ..LoaderConf::default() };
        // Not where the default is an older generation: the pattern would mean the newest. Nor where it fits another profile.
        let is_first = || {
            self.entries.iter().find(|(name, _)| any.means(name)).is_some_and(|it| it.0.id == self.default)
        };
        let names = self.entries.iter().map(|it| &it.0);
        let is_pattern = self.choice.tries().is_some() && is_first() && any.means_one_profile(names);
        let default = any.default.clone().filter(|_| is_pattern);
        let default = default.unwrap_or_else(|| self.default.clone());
        LoaderConf { timeout: Some(self.timeout), default: Some(default), others: Vec::new() }
    }
}

/// The last place that a sort key can say. A menu with so many profiles is nobody's.
pub const LAST_PLACE: usize = 9_999;

/// A place as text, which sorts as the number does: loaders compare bytes. Three digits, and before four of them a letter, which comes after
/// all digits.
fn place_text(place: usize) -> String {
    if place < 1_000 { format!("{place:03}") } else { format!("a{place:04}") }
}

/// The place of its profile that the sort key of an entry says.
pub fn place_of(sort_key: &str) -> Option<usize> {
    let (group, rest) = sort_key.strip_prefix("lamina-")?.split_once('-')?;
    let text = rest.split('-').next()?;
    let place = text.strip_prefix('a').unwrap_or(text).parse().ok()?;
    (group.len() == 1 && place <= LAST_PLACE && place_text(place) == text).then_some(place)
}

/// A description as much of a line of a menu as people read.
fn shortened(text: String) -> String {
    match text.char_indices().nth(MOST_OF_DESCRIPTION) {
        None => text,
        Some((end, _)) => format!("{} ...", text[..end].trim_end()),
    }
}

impl Wanted<'_> {
    /// It depends on nothing but the profile's place and the generation's number, so that a new generation leaves the entries of others as
    /// they are. Newer generations come first: the number is counted down, and has the same length always.
    fn sort_key(&self) -> String {
        let place = place_text(self.place);
        match self.group {
            Group::Newest => format!("lamina-0-{place}"),
            Group::Older => format!("lamina-1-{place}-{:020}", u64::MAX - self.generation.number),
            Group::Rescue => format!("lamina-2-{place}"),
        }
    }

    fn entry(&self, request: &MenuRequest, rescue: Option<&Generation>) -> BootEntry {
        let generation = self.generation;
        let mut title = generation.profile.to_string();
        if self.group == Group::Older {
            title.push_str(&format!(", generation {}", generation.number));
        }
        let description = generation.description.as_deref().map(one_line).filter(|text| !text.is_empty());
        if let Some(description) = description {
            title.push_str(&format!(": {}", shortened(description)));
        }
        let fallbacks = self.before.into_iter().chain(rescue.filter(|rescue| *rescue != generation));
        let mut options = vec![Parameter::bound(names::PROFILE, [generation].into_iter())];
        let fallback = Parameter::bound(names::FALLBACK, fallbacks);
        options.extend((fallback.value() != Some("")).then_some(fallback));
        options.extend(request.parameters.iter().chain(&generation.parameters).cloned());
        let StartedWith { linux, initrd, version } = generation.started_with.clone();
        BootEntry { title, version, sort_key: Some(self.sort_key()), linux, initrd, options }
    }
}

impl Parameter {
    /// `NAME=PROFILE@sha256:HEX,PROFILE@sha256:HEX`: names and digests hold nothing that would need quotes.
    fn bound<'a>(name: &str, generations: impl Iterator<Item = &'a Generation>) -> Parameter {
        let each = generations.map(|it| format!("{}@{}", it.profile, it.digest));
        Parameter::plain(format!("{name}={}", each.collect::<Vec<_>>().join(",")))
    }
}
