//! One entry, and its file as the Boot Loader Specification describes it: lines of a key, blanks, and a value that lasts to the end
//! of the line. Nothing in a value is quoted or escaped, so that whatever would end it is taken out when the entry is made.

use std::fmt;

use kernel_command_line::names;
use profiles::{Digest, Name, is_misleading};

use crate::file_name::{EntryFileName, Tries};
use crate::parameter::Parameter;

/// One entry of a boot menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootEntry {
    /// What the menu shows: one line, see [`one_line`].
    pub title: String,
    /// The version that a loader shows beside equal titles: the release of the kernel.
    pub version: Option<String>,
    /// Loaders show entries by this key, ascending.
    pub sort_key: Option<String>,
    /// The kernel, as a path from the root of the partition that the entry lies on.
    pub linux: String,
    /// The initramfs files, in the order of loading, as such paths.
    pub initrd: Vec<String>,
    /// The kernel command line.
    pub options: Vec<Parameter>,
}

/// What is wrong with the file of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryError {
    /// The key is missing.
    Missing(&'static str),
    /// It is not UTF-8.
    NotText,
}

impl fmt::Display for EntryError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EntryError::Missing(key) => write!(out, "has no line '{key}'"),
            EntryError::NotText => out.write_str("is not UTF-8"),
        }
    }
}

impl std::error::Error for EntryError {}

/// A text as one line without control characters and marks of the direction of writing, and without blanks at its ends: what a title
/// may be.
pub fn one_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if is_misleading(c) { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where systemd-boot lists an entry (`boot_entry_compare` of its `boot.c`): those without a try left last; those with a sort key first, by
/// that; then by id. Of one that cannot be read the name alone counts.
pub fn listed_at(name: &EntryFileName, entry: Option<&BootEntry>) -> impl Ord + use<> {
    let used_up = name.tries.is_some_and(Tries::used_up);
    let key = entry.and_then(|entry| entry.sort_key.clone());
    (used_up, key.is_none(), key, name.id.clone())
}

impl BootEntry {
    /// The profile that it boots, with the digest that it binds; `None` when it names none, or does not bind it.
    pub fn boots(&self) -> Option<(Name, Digest)> {
        self.bound(names::PROFILE).into_iter().next()
    }

    /// What takes the place of that, in this order.
    pub fn fallbacks(&self) -> Vec<(Name, Digest)> {
        self.bound(names::FALLBACK)
    }

    /// What `PROFILE@sha256:HEX,...` names; of a parameter that stands twice the last one counts, as for init.
    fn bound(&self, parameter: &str) -> Vec<(Name, Digest)> {
        let value = self.options.iter().rfind(|it| it.name() == parameter).and_then(Parameter::value);
        let one = |word: &str| {
            let (name, digest) = word.split_once('@')?;
            Some((Name::parse(name).ok()?, Digest::parse(digest).ok()?))
        };
        value.into_iter().flat_map(|value| value.split(',')).filter_map(one).collect()
    }

    /// The file `loader/entries/ID.conf`.
    pub fn to_conf(&self) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: &str| text.push_str(&format!("{key} {}\n", kept_quotes(value)));
        line("title", &one_line(&self.title));
        self.version.iter().for_each(|version| line("version", version));
        self.sort_key.iter().for_each(|key| line("sort-key", key));
        line("linux", &self.linux);
        self.initrd.iter().for_each(|path| line("initrd", path));
        if !self.options.is_empty() {
            line("options", &Parameter::line(&self.options));
        }
        text
    }

    /// The profiles that the entry may boot, each perhaps with `@sha256:HEX`: the one that it is for, then what may take its place.
    pub fn candidates(&self) -> impl Iterator<Item = &str> {
        let named = self.options.iter().filter(|it| [names::PROFILE, names::FALLBACK].contains(&it.name()));
        let of_store = |word: &&str| Name::parse(word.split('@').next().unwrap_or_default()).is_ok();
        named.filter_map(Parameter::value).flat_map(|value| value.split(',')).filter(of_store)
    }

    /// Reads such a file, also one by somebody else: keys that are not known are passed over, `options` add up, and of another
    /// repeated key the last one counts, as with systemd-boot.
    ///
    /// # Errors
    /// It is no text, or names no kernel.
    pub fn parse(bytes: &[u8]) -> Result<BootEntry, EntryError> {
        let text = std::str::from_utf8(bytes).map_err(|_| EntryError::NotText)?;
        let (mut title, mut version, mut sort_key, mut linux) = (None, None, None, None);
        let (mut initrd, mut options) = (Vec::new(), Vec::new());
        for line in text.lines() {
            let line = line.trim();
            let Some((key, value)) = line.split_once([' ', '\t']) else { continue };
            let value = without_outer_quotes(value.trim());
            match key {
                "title" => title = Some(value.to_owned()),
                "version" => version = Some(value.to_owned()),
                "sort-key" => sort_key = Some(value.to_owned()),
                "linux" => linux = Some(value.to_owned()),
                "initrd" => initrd.push(value.to_owned()),
                "options" => options.extend(Parameter::read_line(value)),
                _ => {}
            }
        }
        let linux = linux.ok_or(EntryError::Missing("linux"))?;
        // Without a title, loaders show the name of the file.
        Ok(BootEntry { title: title.unwrap_or_default(), version, sort_key, linux, initrd, options })
    }
}

/// systemd-boot strips a pair of quotes around a whole value (`line_get_key_value` of its `boot.c`): a second pair is left then.
fn kept_quotes(value: &str) -> String {
    match value.len() > 1 && value.starts_with('"') && value.ends_with('"') {
        true => format!("\"{value}\""),
        false => value.to_owned(),
    }
}

fn without_outer_quotes(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(title: &str) -> BootEntry {
        BootEntry {
            title: title.to_owned(),
            version: Some("6.1.0-50-amd64".to_owned()),
            sort_key: Some("lamina-000".to_owned()),
            linux: "/lamina/linux-ab".to_owned(),
            initrd: vec!["/lamina/initrd-cd".to_owned()],
            options: vec![
                Parameter::new("lamina.store=LABEL=my disk").unwrap(),
                Parameter::new("quiet").unwrap(),
            ],
        }
    }

    #[test]
    fn a_title_is_text_whatever_it_holds() {
        for title in [r#"a "b" $c \d 'e' {f} #g"#, "Größe: 5 µm", r#""quoted""#, "# no comment", "x\ty"] {
            let read = BootEntry::parse(entry(title).to_conf().as_bytes()).unwrap();
            assert_eq!(read, BootEntry { title: one_line(title), ..entry(title) });
        }
        let injected = entry("fine\noptions init=/bin/sh\u{2028}x\r\n");
        assert_eq!(injected.to_conf().matches("options").count(), 2);
        assert_eq!(injected.to_conf().lines().filter(|line| line.starts_with("options")).count(), 1);
        assert_eq!(BootEntry::parse(injected.to_conf().as_bytes()).unwrap().options, injected.options);
    }

    #[test]
    fn files_by_others_are_read() {
        let text = "# comment\n\ntitle   Debian\nmachine-id 1\nlinux\t/vmlinuz\noptions a=1\noptions \"b=2 3\" c\nefi\n";
        let read = BootEntry::parse(text.as_bytes()).unwrap();
        assert_eq!((read.title.as_str(), read.linux.as_str()), ("Debian", "/vmlinuz"));
        assert_eq!(Parameter::line(&read.options), "a=1 b=\"2 3\" c");
        assert_eq!(BootEntry::parse(b"title x\n").unwrap_err(), EntryError::Missing("linux"));
        assert_eq!(BootEntry::parse(b"title \xff\n").unwrap_err(), EntryError::NotText);
    }
}
