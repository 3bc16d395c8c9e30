//! Which extended attributes (xattr(7)) an image gets. What a host sets on every file by itself (`security.selinux`, POSIX ACLs) says
//! nothing about the file, and would give other bits on another machine.

use std::collections::BTreeMap;

use super::capabilities::CAPABILITY;
use super::overlay_marks;
use crate::error::{Error, Result};

/// What is taken when nobody chooses, in the words of `lamina image create --attributes`.
pub const DEFAULT: &str = "user.*,security.capability";

/// The families that squashfs can hold (`squashfs_xattr_handlers` in the kernel's fs/squashfs/xattr.c).
const FAMILIES: [&str; 3] = ["user.", "trusted.", "security."];

/// Names, or a family each with `*` behind its dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes(Vec<String>);

impl Attributes {
    /// Of a package: its capabilities, and what the recipe allows by name.
    pub fn of_package(allowed: &[String]) -> Attributes {
        Attributes(std::iter::once(CAPABILITY.to_owned()).chain(allowed.iter().cloned()).collect())
    }

    /// Reads a list with commas: `user.*,security.capability`; `all` and `none` stand for all families and no attribute.
    pub fn parse(text: &str) -> Result<Attributes> {
        let words: Vec<String> = match text {
            "none" => Vec::new(),
            "all" => FAMILIES.iter().map(|family| format!("{family}*")).collect(),
            _ => text.split(',').map(|word| word.trim().to_owned()).collect(),
        };
        let is_name = |word: &&String| {
            FAMILIES.iter().any(|family| word.strip_prefix(family).is_some_and(|rest| !rest.is_empty()))
        };
        match words.iter().find(|word| !is_name(word)) {
            None => Ok(Attributes(words)),
            Some(word) => Err(Error::new(
                format!("--attributes {text}"),
                format!("`{word}` is no attribute that squashfs holds"),
            )
            .remedy(
                "give names and families with commas, as user.*,security.capability; or `all`, or `none`",
            )),
        }
    }

    /// Whether it is among them.
    pub fn take(&self, name: &[u8]) -> bool {
        self.named(name)
            || self
                .0
                .iter()
                .any(|word| word.strip_suffix('*').is_some_and(|family| name.starts_with(family.as_bytes())))
    }

    fn named(&self, name: &[u8]) -> bool {
        self.0.iter().any(|word| word.as_bytes() == name)
    }
}

/// The attributes that were met and not taken, with the number of files that have each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    counts: BTreeMap<String, (u64, String)>,
    of_overlayfs: Option<(String, String)>,
}

impl LeftOut {
    /// Chooses by `wanted`, and remembers what was not chosen; `path` is for messages.
    pub fn choose(&mut self, wanted: &Attributes, path: &std::path::Path, name: &[u8]) -> bool {
        let (shown, place) = (name.escape_ascii().to_string(), path.display().to_string());
        if overlay_marks::acts_in_overlayfs(name) && !wanted.named(name) {
            self.of_overlayfs.get_or_insert((place, shown));
            return false;
        }
        let taken = wanted.take(name);
        if !taken {
            self.counts.entry(shown).or_insert((0, place)).0 += 1;
        }
        taken
    }

    /// Refuses what overlayfs acts on: an image without it would show what its maker had hidden.
    pub fn check(&self) -> Result<()> {
        match &self.of_overlayfs {
            None => Ok(()),
            Some((path, name)) => Err(overlay_marks::overlay_attribute(path, name)),
        }
    }

    /// A line for each name in `family`, or in none of the others.
    pub fn lines(&self) -> impl Iterator<Item = (&str, String)> {
        self.counts.iter().map(|(name, (count, path))| {
            let of = if *count == 1 {
                path.clone()
            } else {
                format!("{}, as {path}", cli::numbers::count(*count, "file"))
            };
            (name.as_str(), format!("left out the attribute {name} of {of}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_list_takes_names_and_families() {
        let takes = |text: &str, name: &str| Attributes::parse(text).unwrap().take(name.as_bytes());
        for (name, default, all) in [
            ("user.note", true, true),
            ("security.capability", true, true),
            ("security.capability2", false, true),
            ("security.selinux", false, true),
            ("trusted.note", false, true),
            ("system.posix_acl_access", false, false),
        ] {
            assert_eq!(
                (takes(DEFAULT, name), takes("all", name), takes("none", name)),
                (default, all, false),
                "{name}"
            );
        }
        assert!(takes("user.note", "user.note") && !takes("user.note", "user.notes"));
        for wrong in ["", "user", "user.", "system.posix_acl_access", "user.*,", "*"] {
            let error = Attributes::parse(wrong).unwrap_err().to_string();
            assert!(error.contains("is no attribute that squashfs holds\nhelp: "), "{error}");
        }
    }

    #[test]
    fn what_overlayfs_acts_on_is_taken_by_name_alone() {
        for name in [&b"user.overlay.opaque"[..], b"trusted.overlay.redirect"] {
            let mut left_out = LeftOut::default();
            assert!(!left_out.choose(&Attributes::parse("all").unwrap(), Path::new("/x/etc"), name));
            let error = left_out.check().unwrap_err().to_string();
            assert!(error.starts_with("/x/etc: has the attribute ") && error.contains("\nhelp: "), "{error}");
            let by_name = Attributes::parse(&name.escape_ascii().to_string()).unwrap();
            assert!(LeftOut::default().choose(&by_name, Path::new("x"), name));
        }
    }
}
