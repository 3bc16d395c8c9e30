//! `loader/loader.conf`, the settings of systemd-boot (loader.conf(5)).

use crate::file_name::EntryFileName;
use crate::sector;

/// What of it decides about the menu.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoaderConf {
    /// Seconds until the default boots; `None`: at once, or something that is no number.
    pub timeout: Option<u32>,
    /// The id of the entry that boots by itself.
    pub default: Option<String>,
}

impl LoaderConf {
    /// The file, of the length of a [`sector`].
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.timeout.iter().for_each(|seconds| text.push_str(&format!("timeout {seconds}\n")));
        // The tries in its name do not change which entry is meant: systemd-boot compares the id without them, and takes a pattern.
        self.default.iter().for_each(|id| text.push_str(&format!("default {id}.conf\n")));
        sector::filled(text)
    }

    /// Reads the file, whoever wrote it: of a repeated key the last one counts, and what is not known is passed over.
    pub fn parse(bytes: &[u8]) -> LoaderConf {
        let mut found = LoaderConf::default();
        for line in String::from_utf8_lossy(bytes).lines() {
            let Some((key, value)) = line.trim().split_once([' ', '\t']) else { continue };
            match key {
                "timeout" => found.timeout = value.trim().parse().ok(),
                "default" => found.default = EntryFileName::parse(value.trim()).map(|name| name.id),
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_sector_and_read_back() {
        let written = LoaderConf { timeout: Some(5), default: Some("lamina-web-7".to_owned()) };
        assert_eq!(written.to_text().len(), sector::LENGTH);
        assert_eq!(LoaderConf::parse(written.to_text().as_bytes()), written);
        let by_others = b"#timeout 3\ndefault   debian-*.conf\neditor no\ntimeout menu-force\n";
        let read = LoaderConf { timeout: None, default: Some("debian-*".to_owned()) };
        assert_eq!(LoaderConf::parse(by_others), read);
        // Cut off by an older length: it names no entry, and the first one boots.
        assert_eq!(LoaderConf::parse(b"timeout 5\ndefault lamina-we").default, None);
    }
}
