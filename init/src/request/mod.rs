//! What the kernel command line asks of init: the `lamina.*` parameters, and `init=`, `ro`, `rw`, `quiet` and `panic=`.

mod misread;
pub mod overrides;
pub mod seal;
pub mod shared_folder;
pub mod store_spec;

use std::time::Duration;

use boot_store::layout;
use profiles::{Digest, Name, SystemPath, suggest};

use crate::error::Failure;
use kernel_command_line::Parameter;
use misread::Misreadings;
use overrides::Overrides;
use shared_folder::SharedFolder;
use store_spec::StoreSpec;

/// Slow USB disks are there after 10 seconds; a person waits half a minute.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// What init does with a parameter of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Support {
    Yes,
    /// A name of the design that this version cannot honour. To ignore it would boot something else than was asked.
    NotYet,
}

const KNOWN: [(&str, Support); 14] = [
    ("profile", Support::Yes),
    ("store", Support::Yes),
    ("dir", Support::Yes),
    ("rescue", Support::Yes),
    ("timeout", Support::Yes),
    ("debug", Support::Yes),
    ("state", Support::Yes),
    ("verify", Support::Yes),
    ("add", Support::Yes),
    ("without", Support::Yes),
    ("fallback", Support::Yes),
    ("share", Support::Yes),
    ("toram", Support::NotYet),
    ("menu", Support::NotYet),
];

/// How much init says on the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// `quiet`: only what went wrong.
    Quiet,
    /// One line a stage and a summary.
    Normal,
    /// `lamina.debug`: every step, with its time.
    Debug,
}

/// The profile that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedProfile {
    /// As `lamina.profile=` spells it, before the digest.
    pub name: Name,
    /// The SHA-256 that its file must have, as in `web@sha256:HEX`.
    pub digest: Option<Digest>,
}

/// How the real init gets its root: the kernel's own `ro` and `rw`, of which the last one holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootAccess {
    /// Neither was written: as the profile says.
    AsProfile,
    /// `ro`: read-only, until somebody mounts it again with `remount,rw`.
    ReadOnly,
    /// `rw`: writable, which only the profile can grant.
    Writable,
}

/// What to boot, from where, and how loudly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootRequest {
    /// `lamina.profile=`; without it the boot stops later, where the profiles that exist can be listed.
    pub profile: Option<WantedProfile>,
    /// Whether a person has just chosen it, or to try it again, on the recovery screen.
    pub chosen: bool,
    /// Whether that person wants another profile than the command line.
    pub replaced: bool,
    /// That one of the command line, as far as it can be read.
    pub left: Option<WantedProfile>,
    /// `lamina.fallback=`: what to boot when that profile, and its last good generation, cannot be booted; tried in this order.
    pub fallbacks: Vec<WantedProfile>,
    /// `lamina.add=`, `lamina.without=`, `lamina.verify=`, `lamina.state=`: what to change of the profile.
    pub overrides: Overrides,
    /// `lamina.store=`; without it only a store in the initramfs serves.
    pub store: Option<StoreSpec>,
    /// `lamina.dir=`: the folder of the store on its medium, relative.
    pub folder: String,
    /// `lamina.share=`: folders of the host; each one adds to those before.
    pub shares: Vec<SharedFolder>,
    /// `init=`, in place of the profile's.
    pub init: Option<String>,
    /// `ro`, `rw`.
    pub root_access: RootAccess,
    /// `lamina.timeout=`: how long to wait for the store.
    pub timeout: Duration,
    /// `quiet`, `lamina.debug`.
    pub verbosity: Verbosity,
    /// `lamina.rescue`: stop in the rescue shell, on purpose.
    pub rescue: bool,
    /// `panic=`: seconds after which the recovery screen reboots; negative means at once, 0 never.
    pub panic: Option<i64>,
    /// Sentences about parameters that were not understood and not obeyed.
    pub warnings: Vec<String>,
    /// Parameters that could not be read.
    pub misread: Misreadings,
    /// All parameters, for the options of modules.
    pub parameters: Vec<Parameter>,
    /// What comes after `--`: for the real init.
    pub for_init: Vec<String>,
    /// The whole line.
    pub line: String,
}

impl BootRequest {
    /// Before the command line was read.
    pub fn empty() -> Self {
        Self {
            profile: None,
            chosen: false,
            replaced: false,
            left: None,
            fallbacks: Vec::new(),
            overrides: Overrides::default(),
            store: None,
            folder: layout::DEFAULT_FOLDER.to_owned(),
            shares: Vec::new(),
            init: None,
            root_access: RootAccess::AsProfile,
            timeout: DEFAULT_TIMEOUT,
            verbosity: Verbosity::Normal,
            rescue: false,
            panic: None,
            warnings: Vec::new(),
            misread: Misreadings::default(),
            parameters: Vec::new(),
            for_init: Vec::new(),
            line: String::new(),
        }
    }

    /// Reads the line. Of a repeated parameter the last one holds. What cannot be read is in [`BootRequest::misread`].
    pub fn parse(line: &str) -> Self {
        let mut request = Self {
            parameters: kernel_command_line::parse(line),
            for_init: kernel_command_line::for_init(line),
            line: line.to_owned(),
            ..Self::empty()
        };
        for Parameter { name, value } in request.parameters.clone() {
            let bound = request.is_bound() && name == "lamina.profile";
            match request.take(&name, value.as_deref()) {
                Ok(()) => request.misread.was_written_again(&name),
                Err(failure) => {
                    if name == "lamina.profile" {
                        // Not an earlier one either: that is not what was asked for.
                        request.profile = None;
                    }
                    request.misread.note(&name, value.as_deref(), failure, bound);
                }
            }
        }
        request
    }

    /// A person wants this profile in place of the one on the command line. What the command line changes was meant for that
    /// one: the other may have no such images and no such init.
    pub fn choose(&mut self, wanted: WantedProfile) {
        if self.profile.as_ref() != Some(&wanted) {
            (self.overrides, self.init) = (Overrides::default(), None);
            (self.replaced, self.left) = (true, self.profile.take());
            self.misread.forget_asked();
        }
        self.profile = Some(wanted);
    }

    /// Whether the command line says which bytes the profile has, legibly or not.
    pub fn is_bound(&self) -> bool {
        self.profile.as_ref().is_some_and(|wanted| wanted.digest.is_some()) || self.misread.bind()
    }

    /// What a person may choose in place of the profile that was asked for: anything, or what the command line binds as well.
    pub fn may_choose(&self, name: &Name) -> Option<WantedProfile> {
        if !self.is_bound() {
            return Some(WantedProfile { name: name.clone(), digest: None });
        }
        self.fallbacks.iter().find(|wanted| wanted.name == *name && wanted.digest.is_some()).cloned()
    }

    /// Whether anything that [`Overrides::apply`] obeys was asked for.
    pub fn changes_the_profile(&self) -> bool {
        self.overrides != Overrides::default() || self.init.is_some()
    }

    fn take(&mut self, name: &str, value: Option<&str>) -> Result<(), Failure> {
        match (name, value) {
            ("init", Some(path)) => {
                let wrong =
                    |rule| Failure::new(rule).try_this("write init=/PATH as the booted system has it");
                self.init = Some(SystemPath::parse(path).map_err(wrong)?.as_str().to_owned());
            }
            ("quiet", None) if self.verbosity == Verbosity::Normal => self.verbosity = Verbosity::Quiet,
            ("ro", None) => self.root_access = RootAccess::ReadOnly,
            ("rw", None) => self.root_access = RootAccess::Writable,
            ("panic", Some(seconds)) => {
                let wrong = |_| Failure::new("it is not a whole number of seconds");
                self.panic = Some(seconds.parse().map_err(wrong)?);
            }
            _ => {
                if let Some(ours) = name.strip_prefix("lamina.") {
                    // next_arg() of the kernel takes away quotes around a whole value only: `lamina.store=LABEL="my disk"` keeps them.
                    let value = value.map(|value| value.replace('"', ""));
                    return self.take_ours(ours, value.as_deref());
                }
            }
        }
        Ok(())
    }

    fn take_ours(&mut self, name: &str, value: Option<&str>) -> Result<(), Failure> {
        let Some((_, support)) = KNOWN.iter().find(|(known, _)| *known == name) else {
            // It binds bytes, under whatever name: to go on without it would boot others.
            if value.is_some_and(|value| value.contains("@sha256:")) {
                return Err(Failure::new(unknown(name)).try_this("write lamina.profile=NAME@sha256:HEX"));
            }
            self.warnings.push(unknown(name));
            return Ok(());
        };
        if *support == Support::NotYet {
            return Err(
                Failure::new("not supported by this init").try_this("take it off the kernel command line")
            );
        }
        let text = || {
            value.filter(|value| !value.is_empty()).ok_or_else(|| {
                Failure::new("it needs a value")
                    .try_this(format!("write lamina.{name}=VALUE, without blanks around `=`"))
            })
        };
        if matches!(name, "rescue" | "debug") && value.is_some() {
            // `lamina.rescue=0` would mean its opposite to half of all people.
            return Err(Failure::new("it takes no value")
                .try_this(format!("write lamina.{name}, or take it off the kernel command line")));
        }
        match name {
            "profile" => self.profile = Some(wanted_profile(name, text()?)?),
            "fallback" => self.take_fallbacks(text()?)?,
            "add" | "without" | "verify" | "state" => self.overrides.take(name, text()?)?,
            "store" => self.store = Some(StoreSpec::parse(text()?)?),
            "dir" => self.folder = folder(text()?)?,
            "share" => self.shares.push(SharedFolder::parse(text()?)?),
            "timeout" => self.timeout = seconds(text()?)?,
            "rescue" => self.rescue = true,
            // Stronger than `quiet`, in whatever order they come.
            _ => self.verbosity = Verbosity::Debug,
        }
        Ok(())
    }

    /// Takes those that can be read, which are as good as before; the error is that of the first that cannot.
    fn take_fallbacks(&mut self, text: &str) -> Result<(), Failure> {
        let (mut good, mut first_wrong) = (Vec::new(), None);
        for one in text.split(',') {
            match wanted_profile("fallback", one) {
                Ok(wanted) => good.push(wanted),
                Err(mut failure) => {
                    failure.why = format!("{one}: {}", failure.why);
                    first_wrong.get_or_insert(failure);
                }
            }
        }
        self.fallbacks = good;
        first_wrong.map_or(Ok(()), Err)
    }
}

fn wanted_profile(parameter: &str, text: &str) -> Result<WantedProfile, Failure> {
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (text, None),
    };
    let remedy = format!("write lamina.{parameter}=NAME or lamina.{parameter}=NAME@sha256:HEX");
    let name = Name::parse(name).map_err(|error| Failure::new(error).try_this(&remedy))?;
    let digest =
        digest.map(Digest::parse).transpose().map_err(|error| Failure::new(error).try_this(&remedy))?;
    Ok(WantedProfile { name, digest })
}

/// A folder on the medium: no way out of it.
fn folder(text: &str) -> Result<String, Failure> {
    let path = text.trim_matches('/');
    if path.split('/').any(|part| matches!(part, ".." | ".")) || path.contains(char::is_control) {
        return Err(Failure::new("the folder must be a plain path on the medium")
            .try_this("write it without `.` or `..`"));
    }
    Ok(path.to_owned())
}

fn seconds(text: &str) -> Result<Duration, Failure> {
    let seconds = text.parse::<u32>().map_err(|_| {
        Failure::new("it is not a whole number of seconds")
            .try_this("write lamina.timeout=30, or 0 to not wait")
    })?;
    Ok(Duration::from_secs(seconds.into()))
}

/// The sentence about a `lamina.*` that does not exist, with the nearest one that does.
fn unknown(name: &str) -> String {
    let names = KNOWN.map(|(known, _)| known);
    match suggest::nearest(name, names) {
        Some(known) => format!("lamina.{name} is unknown and was ignored: did you mean lamina.{known}?"),
        None => format!("lamina.{name} is unknown and was ignored: known are {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests;
