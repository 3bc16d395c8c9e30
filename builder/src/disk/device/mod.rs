//! A device that a disk is written to: what is known of it, and whether it may be lost. [`observe`] looks; the rest is pure.

mod observe;

use std::fmt;
use std::path::PathBuf;

use cli::numbers::human_size;
use cli::safe_text::clean;

pub use observe::{observe, open_exclusively, shown_by_loop};

use crate::error::{Error, Result};

/// Bytes of a sector that our partition tables count in.
const SECTOR: u64 = disk_image::SECTOR;

/// What is known of a block device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceFacts {
    /// Its node, as it was named.
    pub path: PathBuf,
    /// The kernel's name: `sdb`.
    pub name: String,
    /// Of a partition: the name of its disk.
    pub partition_of: Option<String>,
    /// What its maker calls it.
    pub model: Option<String>,
    /// Bytes; 0 when there is no medium in it.
    pub size: u64,
    /// Bytes of a logical block.
    pub sector: u64,
    /// Nothing can be written to it.
    pub read_only: bool,
    /// It can be taken out.
    pub removable: bool,
    /// What lies on it and on its partitions.
    pub contents: Vec<FoundContent>,
    /// Who uses it.
    pub uses: Vec<Use>,
}

/// What lies on the disk or on one of its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundContent {
    /// The kernel's name: `sdb1`.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// The file system, or what else is known; empty: nothing that is known.
    pub kind: String,
    /// The label of the file system.
    pub label: Option<String>,
}

/// A use of the disk, or of the part with this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// Mounted there.
    Mounted(String, PathBuf),
    /// The system that runs was started from it.
    RunningSystem(String, PathBuf),
    /// It is swapped to.
    Swap(String),
    /// A device of md, LVM, dm-crypt or the like is made of it.
    Holder(String, String),
    /// A loop device shows it.
    Loop(String, String),
}

impl fmt::Display for Use {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Use::Mounted(part, place) => write!(out, "{part} is mounted at {}", place.display()),
            Use::RunningSystem(part, place) => {
                write!(out, "{part} holds the system that runs (mounted at {})", place.display())
            }
            Use::Swap(part) => write!(out, "{part} is swapped to"),
            Use::Holder(part, holder) => write!(out, "{part} is a part of {holder}"),
            Use::Loop(part, device) => write!(out, "{device} shows {part}"),
        }
    }
}

impl Use {
    fn remedy(&self) -> String {
        match self {
            Use::Mounted(_, place) => {
                format!("`umount {}`, and look twice whether it is the right one", place.display())
            }
            Use::RunningSystem(..) => "take another disk, or start from another one".to_owned(),
            Use::Swap(part) => format!("`swapoff /dev/{part}`, and look twice whether it is the right one"),
            Use::Holder(_, holder) => {
                format!(
                    "take {holder} apart first (`lsblk` shows it), and look twice whether it is the right one"
                )
            }
            Use::Loop(_, device) => format!("`losetup --detach /dev/{device}`"),
        }
    }
}

impl DeviceFacts {
    /// Whether it may be written to at all, by what was observed.
    ///
    /// # Errors
    /// It is no whole disk, empty, protected, of another sector size, or in use.
    pub fn judge(&self) -> Result<()> {
        let refused = |cause: String| Error::new(self.path.display(), cause);
        if let Some(disk) = &self.partition_of {
            return Err(refused(format!(
                "is a partition of {disk}, and a disk has a partition table of its own"
            ))
            .remedy(format!("give the whole disk, /dev/{disk}")));
        }
        if let Some(first) = self.uses.first() {
            let all = self.uses.iter().map(Use::to_string).collect::<Vec<_>>().join("; ");
            return Err(refused(all).remedy(first.remedy()));
        }
        if self.size == 0 {
            return Err(refused("has no medium".to_owned()).remedy("put one in"));
        }
        if self.read_only {
            let remedy = "look for a switch on it; a card in an adapter has one too";
            return Err(refused("is write-protected".to_owned()).remedy(remedy));
        }
        if self.sector != SECTOR {
            let cause =
                format!("has sectors of {} bytes, and this disk is for those of {SECTOR}", self.sector);
            return Err(refused(cause).remedy("take another disk"));
        }
        Ok(())
    }

    /// Whether the disk was named once more, by its kernel's name or its path.
    ///
    /// # Errors
    /// Another one was named.
    pub fn confirm(&self, typed: &str) -> Result<()> {
        let typed = typed.trim();
        if typed == self.name || typed == self.path.display().to_string() {
            return Ok(());
        }
        Err(Error::new(
            self.path.display(),
            format!("nothing was written: '{}' is not {}", clean(typed), self.name),
        )
        .remedy(format!("type {0}, or give `--erase {0}`", self.name)))
    }
}

impl fmt::Display for DeviceFacts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = self.model.as_deref().unwrap_or("no name");
        write!(out, "{}: {}, {}", self.path.display(), clean(model), human_size(self.size))?;
        out.write_str(if self.removable { ", removable" } else { "" })?;
        for FoundContent { name, size, kind, label } in &self.contents {
            let kind = if kind.is_empty() { "nothing that is known" } else { kind };
            write!(out, "\n  {name}: {}, {kind}", human_size(*size))?;
            if let Some(label) = label {
                write!(out, " '{}'", label.escape_debug())?;
            }
        }
        if self.contents.is_empty() {
            out.write_str("\n  nothing that is known lies on it")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stick() -> DeviceFacts {
        DeviceFacts {
            path: "/dev/sdb".into(),
            name: "sdb".to_owned(),
            model: Some("Ultra\x1b[2J".to_owned()),
            size: 8 << 30,
            sector: 512,
            removable: true,
            contents: vec![FoundContent {
                name: "sdb1".to_owned(),
                size: 8 << 30,
                kind: "vfat".to_owned(),
                label: Some("Fotos\n2024".to_owned()),
            }],
            ..DeviceFacts::default()
        }
    }

    #[test]
    fn what_may_be_lost_is_shown_on_plain_lines() {
        let text = stick().to_string();
        assert_eq!(text.lines().count(), 2);
        assert!(text.starts_with("/dev/sdb: Ultra") && text.ends_with(r"vfat 'Fotos\n2024'"), "{text}");
        assert!(!text.contains('\x1b'), "{text:?}");
        let blank = DeviceFacts { contents: Vec::new(), model: None, removable: false, ..stick() };
        assert!(
            blank.to_string().ends_with("no name, 8.0 GiB\n  nothing that is known lies on it"),
            "{blank}"
        );
    }

    #[test]
    fn what_is_in_use_or_cannot_be_written_is_refused() {
        stick().judge().unwrap();
        let mounted = Use::Mounted("sdb1".to_owned(), "/mnt/a b".into());
        let cases = [
            (DeviceFacts { partition_of: Some("sdb".into()), ..stick() }, "the whole disk, /dev/sdb"),
            (DeviceFacts { size: 0, ..stick() }, "has no medium"),
            (DeviceFacts { read_only: true, ..stick() }, "is write-protected"),
            (DeviceFacts { sector: 4096, ..stick() }, "has sectors of 4096 bytes"),
            (
                DeviceFacts { uses: vec![mounted.clone()], ..stick() },
                "sdb1 is mounted at /mnt/a b\nhelp: `umount",
            ),
            (
                DeviceFacts { uses: vec![Use::RunningSystem("sdb2".into(), "/".into())], ..stick() },
                "sdb2 holds the system that runs",
            ),
            (DeviceFacts { uses: vec![Use::Swap("sdb3".into())], ..stick() }, "`swapoff /dev/sdb3`"),
            (
                DeviceFacts { uses: vec![Use::Holder("sdb2".into(), "dm-0".into()), mounted], ..stick() },
                "sdb2 is a part of dm-0; sdb1 is mounted",
            ),
            (DeviceFacts { uses: vec![Use::Loop("sdb".into(), "loop3".into())], ..stick() }, "/dev/loop3"),
        ];
        for (facts, words) in cases {
            let text = facts.judge().unwrap_err().to_string();
            assert!(
                text.starts_with("/dev/sdb: ") && text.contains(words) && text.contains("\nhelp: "),
                "{text}"
            );
        }
    }

    #[test]
    fn only_its_own_name_confirms() {
        stick().confirm("sdb\n").unwrap();
        stick().confirm("/dev/sdb").unwrap();
        for typed in ["", "y", "yes", "sdb1", "sda", "SDB"] {
            let text = stick().confirm(typed).unwrap_err().to_string();
            assert!(text.contains("nothing was written") && text.contains("--erase sdb"), "{text}");
        }
    }
}
