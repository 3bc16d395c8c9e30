//! `loader/loader.conf`, the settings of systemd-boot (loader.conf(5)).

use crate::file_name::EntryFileName;
use crate::sector;

/// The pattern behind the name of a profile: `fnmatch(3)`, as systemd-boot has it.
const ANY: &str = "-[0-9]*";

/// What of it decides about the menu.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoaderConf {
    /// Seconds until the default boots; `None`: at once, or something that is no number.
    pub timeout: Option<u32>,
    /// The id of the entry that boots by itself, or a pattern: see [`LoaderConf::any_generation`].
    pub default: Option<String>,
    /// All other lines, as they are: other settings, a default that is no file name (`@saved`, `auto-windows`), a timeout that is a word.
    pub others: Vec<String>,
}

impl LoaderConf {
    /// The line by which systemd-boot boots what it has started last, which the firmware keeps (`LoaderEntryLastBooted`).
    pub const LAST: &str = "default @saved";

    /// Whether what was started last boots by itself.
    pub fn is_last(&self) -> bool {
        self.others.iter().any(|line| line.split_whitespace().eq(Self::LAST.split(' ')))
    }

    /// The file, of the length of a [`sector`], unless others have set more than fits.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.timeout.iter().for_each(|seconds| text.push_str(&format!("timeout {seconds}\n")));
        // The tries in its name do not change which entry is meant: systemd-boot compares the id without them, and takes a pattern.
        self.default.iter().for_each(|id| text.push_str(&format!("default {id}.conf\n")));
        self.others.iter().for_each(|line| text.push_str(&format!("{line}\n")));
        sector::filled(text)
    }

    /// What `default` is where tries are counted: any generation of the profile of an entry. systemd-boot compares ids without tries, also
    /// with a pattern, and takes the first that fits. Entries without a try left stand last in its list (`config_entry_compare` of its
    /// `boot.c`), so that an older generation of the profile is found before one; the id itself would be taken for ever.
    pub fn any_generation(id: &str) -> String {
        format!("{}{ANY}", profile_of(id))
    }

    /// Whether tries are counted in the menu of this file.
    pub fn is_counted(&self) -> bool {
        self.default.as_ref().is_some_and(|default| default.ends_with(ANY))
    }

    /// Whether `default` is a pattern (loader.conf(5)) that Lamina has not written: which entries it fits is not known here.
    pub fn is_pattern_of_others(&self) -> bool {
        self.default.as_ref().is_some_and(|it| !it.ends_with(ANY) && it.contains(['*', '?', '[']))
    }

    /// Whether the pattern means generations of one profile alone: that of `web` also fits `web-1`.
    pub fn means_one_profile<'a>(&self, mut entries: impl Iterator<Item = &'a EntryFileName>) -> bool {
        let Some(profile) = self.default.as_ref().and_then(|default| default.strip_suffix(ANY)) else {
            return false;
        };
        entries.all(|entry| !self.means(entry) || profile_of(&entry.id).eq_ignore_ascii_case(profile))
    }

    /// Whether the entry of this name is one that boots by itself: the first in the order of the menu is.
    pub fn means(&self, entry: &EntryFileName) -> bool {
        let Some(default) = &self.default else { return false };
        let (default, id) = (default.to_ascii_lowercase(), entry.id.to_ascii_lowercase());
        match default.strip_suffix(ANY) {
            None => default == id,
            Some(profile) => id
                .strip_prefix(profile)
                .and_then(|rest| rest.strip_prefix('-'))
                .is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit())),
        }
    }

    /// This one with the settings that somebody else has made in the file that is `there`; the default too, unless one was `chosen`.
    pub fn with_settings_of(mut self, there: &LoaderConf, chosen: bool) -> LoaderConf {
        let own = self.others.iter().any(|line| sets(line, "default"));
        let stays = |line: &&String| !((chosen || own) && sets(line, "default"));
        self.others.extend(there.others.iter().filter(stays).cloned());
        let others = |key| self.others.iter().any(|line| sets(line, key));
        let (timeout, default) = (others("timeout"), others("default"));
        self.timeout = self.timeout.filter(|_| !timeout);
        self.default = self.default.filter(|_| !default);
        self
    }

    /// Reads the file, whoever wrote it: of a repeated key the last one counts.
    pub fn parse(bytes: &[u8]) -> LoaderConf {
        let mut found = LoaderConf::default();
        for line in String::from_utf8_lossy(bytes).lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (key, value) = line.split_once([' ', '\t']).unwrap_or((line, ""));
            let known = match key {
                "timeout" => {
                    found.timeout = value.trim().parse().ok();
                    found.timeout.is_some()
                }
                "default" => {
                    found.default = EntryFileName::parse(value.trim()).map(|name| name.id);
                    found.default.is_some()
                }
                _ => {
                    found.others.push(line.to_owned());
                    continue;
                }
            };
            found.others.retain(|line| !sets(line, key));
            found.others.extend((!known).then(|| line.to_owned()));
        }
        found
    }
}

/// Whether a line sets this key.
fn sets(line: &str, key: &str) -> bool {
    line.split([' ', '\t']).next() == Some(key)
}

/// The part of an id that says the profile: what stands before the number, and before what `EntryFileName::revised` put behind that.
fn profile_of(id: &str) -> &str {
    let revised = id.rsplit_once("_-").filter(|(plain, digest)| {
        digest.len() == 8
            && digest.bytes().all(|it| it.is_ascii_hexdigit())
            && plain.ends_with(|last: char| last.is_ascii_digit())
    });
    let plain = revised.map_or(id, |(plain, _)| plain);
    plain.rsplit_once('-').map_or(plain, |(profile, _)| profile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_generation_of_a_profile_may_be_meant() {
        let name = |id: &str| EntryFileName { id: id.to_owned(), tries: None };
        let conf = |default: &str| LoaderConf { default: Some(default.to_owned()), ..LoaderConf::default() };
        let any = conf(&LoaderConf::any_generation("lamina-web-7"));
        assert_eq!(any.default.as_deref(), Some("lamina-web-[0-9]*"));
        for (id, meant) in [
            ("lamina-web-7_-0123abcd", "lamina-web-[0-9]*"),
            ("lamina-w__-12345678", "lamina-w__-[0-9]*"),
            ("lamina-w__-7_-0123abcd", "lamina-w__-[0-9]*"),
            ("lamina-web-1-7", "lamina-web-1-[0-9]*"),
        ] {
            assert_eq!(LoaderConf::any_generation(id), meant);
        }
        let alone =
            |ids: &[&str]| any.means_one_profile(ids.iter().map(|id| name(id)).collect::<Vec<_>>().iter());
        assert!(alone(&["lamina-web-7", "lamina-web-6_-0123abcd", "lamina-mail-1"]));
        assert!(
            !alone(&["lamina-web-7", "lamina-web-1-7"]) && !conf("lamina-web-7").means_one_profile([].iter())
        );
        assert!(any.is_counted() && !conf("lamina-web-7").is_counted());
        assert!(LoaderConf::parse(any.to_text().as_bytes()).is_counted());
        assert!(any.means(&name("lamina-web-6")) && any.means(&name("LAMINA-WEB-12_-0123abcd")));
        assert!(
            !any.means(&name("lamina-web-site-6"))
                && !any.means(&name("lamina-web-"))
                && !any.means(&name("lamina-we-6"))
        );
        assert!(
            conf("lamina-web-7").means(&name("Lamina-web-7"))
                && !conf("lamina-web-7").means(&name("lamina-web-6"))
        );
        assert!(!LoaderConf::default().means(&name("lamina-web-7")));
    }

    #[test]
    fn it_is_one_sector_and_read_back() {
        let written =
            LoaderConf { timeout: Some(5), default: Some("lamina-web-7".to_owned()), others: Vec::new() };
        assert_eq!(written.to_text().len(), sector::LENGTH);
        assert_eq!(LoaderConf::parse(written.to_text().as_bytes()), written);
        let by_others = b"#timeout 3\ndefault   debian-*.conf\neditor no\ntimeout menu-force\n";
        let others = ["#timeout 3", "editor no", "timeout menu-force"].map(str::to_owned).to_vec();
        let read = LoaderConf { timeout: None, default: Some("debian-*".to_owned()), others };
        assert_eq!(LoaderConf::parse(by_others), read);
        assert_eq!(LoaderConf::parse(read.to_text().as_bytes()), read);
        // What others have set stays, but a default that somebody chooses is that one.
        let theirs = LoaderConf::parse(b"default @saved\neditor no\ntimeout menu-force\n");
        let kept = written.clone().with_settings_of(&theirs, false);
        assert_eq!(kept, theirs);
        let chosen = written.clone().with_settings_of(&theirs, true);
        assert_eq!((chosen.default, chosen.others.len()), (written.default.clone(), 2));
        // All of them.
        let long = LoaderConf::parse(format!("# {}\neditor no\n", "x".repeat(600)).as_bytes());
        assert_eq!(written.clone().with_settings_of(&long, true).others, long.others);
        // Cut off by an older length: it names no entry, and the first one boots.
        assert_eq!(LoaderConf::parse(b"timeout 5\ndefault lamina-we").default, None);
    }
}
