//! What the report says of the writable top.

use serde::Serialize;

use crate::paths;

/// The `top` of `report.json`; `docs/boot.md` has its fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TopRecord {
    /// `none`, `tmpfs` or `state`.
    pub kind: &'static str,
    /// Where the top is, when there is one.
    pub path: Option<&'static str>,
    /// `/dev/NAME` of a state.
    pub device: Option<String>,
    /// The driver of a state.
    pub file_system: Option<String>,
    /// The folder of a state, in the running system.
    pub folder: Option<String>,
    /// `created`, `reused`, `kept`, `set aside` or `taken back`.
    pub action: Option<String>,
    /// The folder in which the top that was there is now.
    pub aside: Option<String>,
    /// What the file system's own program found, when it was asked: `good`, `repaired` or `not packed`.
    pub check: Option<&'static str>,
    /// Why a tmpfs serves in place of the state.
    pub fell_back: Option<String>,
}

impl TopRecord {
    /// A read-only root.
    pub fn none() -> Self {
        Self { kind: "none", ..Self::default() }
    }

    /// A tmpfs: the profile wants one, or the state cannot be used for the reason in `fell_back`.
    pub fn tmpfs(fell_back: Option<String>) -> Self {
        Self { kind: "tmpfs", path: Some(paths::TOP), fell_back, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_has_the_documented_keys() {
        let json = serde_json::to_value(TopRecord::tmpfs(Some("gone".into()))).unwrap();
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            ["action", "aside", "check", "device", "fell_back", "file_system", "folder", "kind", "path"]
        );
        assert_eq!((&json["kind"], &json["fell_back"]), (&"tmpfs".into(), &"gone".into()));
        assert_eq!(serde_json::to_value(TopRecord::none()).unwrap()["path"], serde_json::Value::Null);
    }
}
