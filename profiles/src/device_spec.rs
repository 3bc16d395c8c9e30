//! How a block device is named before anything has made links to it.

use std::fmt;

/// What identifies a block device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceSpec {
    /// `LABEL=`: of the file system, compared as it stands.
    Label(String),
    /// `UUID=`: of the file system, in any case of letters.
    Uuid(String),
    /// `PARTLABEL=`: of a GPT partition, compared as it stands.
    PartLabel(String),
    /// `PARTUUID=`: of a GPT or MBR partition, in any case of letters.
    PartUuid(String),
    /// `/dev/NAME`.
    Path(String),
}

impl DeviceSpec {
    /// The forms that [`DeviceSpec::parse`] reads, for remedies.
    pub const FORMS: &str = "LABEL=, UUID=, PARTLABEL=, PARTUUID= or /dev/NAME";

    /// Longest value in bytes: a GPT name has 36 characters, the longest label of a file system 511.
    const LONGEST: usize = 1024;

    /// Reads `LABEL=NAME`, `UUID=`, `PARTLABEL=`, `PARTUUID=` or a path below `/dev`; `None` for everything else, for a name
    /// that is empty, longer than 1024 bytes or with a control character, and for a path with `..`.
    pub fn parse(text: &str) -> Option<DeviceSpec> {
        if text.len() > DeviceSpec::LONGEST || text.chars().any(char::is_control) {
            return None;
        }
        if let Some(name) = text.strip_prefix("/dev/") {
            let parts = ["", ".", ".."];
            return (!name.split('/').any(|part| parts.contains(&part))).then(|| Self::Path(text.to_owned()));
        }
        let (tag, value) = text.split_once('=').filter(|(_, value)| !value.is_empty())?;
        let make = match tag {
            "LABEL" => Self::Label,
            "UUID" => Self::Uuid,
            "PARTLABEL" => Self::PartLabel,
            "PARTUUID" => Self::PartUuid,
            _ => return None,
        };
        Some(make(value.to_owned()))
    }
}

impl fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(text) => write!(f, "LABEL={text}"),
            Self::Uuid(text) => write!(f, "UUID={text}"),
            Self::PartLabel(text) => write!(f, "PARTLABEL={text}"),
            Self::PartUuid(text) => write!(f, "PARTUUID={text}"),
            Self::Path(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back_and_nothing_else_is_read() {
        for text in [
            "LABEL=state",
            "LABEL=my state=1",
            "UUID=0A-1",
            "PARTLABEL=x",
            "PARTUUID=1-01",
            "/dev/vda2",
            "/dev/mapper/x",
        ] {
            assert_eq!(DeviceSpec::parse(text).expect(text).to_string(), text);
        }
        let long = format!("LABEL={}", "x".repeat(1024));
        for text in [
            "",
            "state",
            "LABEL=",
            "label=x",
            "LABEL=a\nb",
            "/dev/",
            "/dev",
            "/dev/../etc",
            "/dev//sda",
            "/etc/x",
            "9p:x",
            &long,
        ] {
            assert_eq!(DeviceSpec::parse(text), None, "{text:?}");
        }
    }
}
