//! A state is started until a system comes up: the loader chooses an entry as its documents say, and user-mode Linux starts the
//! initramfs and the command line of that entry on that disk. What dies is started again, as a person would.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::loader::{Entry, Loader, Menu};
use super::made_disk::MadeDisk;
use crate::failure::Failure;
use crate::soak::log_folder;
use crate::uml::Uml;

const PATIENCE: Duration = Duration::from_secs(90);
/// A generation has three tries of the loader and three of init, and there are the one before and the rescue: who has switched it on
/// so often gives up.
pub const MOST_STARTS: u32 = 9;

/// What came of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A system came up.
    Up {
        /// What its own layer says that it is: `web 3`.
        name: String,
        /// How often the disk was started for that.
        starts: u32,
        /// Whether somebody had to choose another entry in the menu.
        by_hand: bool,
    },
    /// It should not have come to this.
    Bad(String),
}

/// How one start ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// A whole system: what it is, and the digest of its profile.
    Up(String, String),
    /// Without one, for this reason.
    Died(String),
}

/// What a guest prints that has come to an end.
pub const ENDS: [&str; 4] = ["soak: whole: ", "soak: damaged: ", "[p] power off", "reboot: "];

impl Ended {
    /// Reads what a guest printed; the last line is complete.
    pub fn read(text: &str) -> Self {
        let line =
            |mark: &str| text.split_once(mark).and_then(|(_, rest)| rest.lines().next()).map(str::trim);
        if let Some(found) = line("soak: whole: ").and_then(|line| line.strip_suffix('.')) {
            let (name, digest) = found.rsplit_once(' ').unwrap_or((found, ""));
            return Self::Up(name.to_owned(), digest.to_owned());
        }
        Self::Died(line("soak: damaged: ").unwrap_or("no system came up").to_owned())
    }
}

/// Starts `disk`, which may change, until something comes up. `name` is for the log, and `folder` for copies.
pub fn start(
    made: &MadeDisk,
    loader: Loader,
    disk: &Path,
    folder: &Path,
    name: &str,
) -> Result<Verdict, Failure> {
    let mut menu = Menu::read(loader, disk, made.esp, &folder.join("esp"))?;
    let log = log_folder()?.join(format!("update-{name}.log"));
    let mut happened = Vec::new();
    let mut by_hand = false;
    for starts in 1..=MOST_STARTS {
        let Some(started) = menu.start() else {
            return Ok(Verdict::Bad(format!("the menu has nothing that boots; {}", happened.join("; "))));
        };
        by_hand |= started.by_hand;
        let entry = started.entry;
        if !menu.is_whole(&entry) {
            happened.push(format!("{}: kernel or initramfs is not whole", entry.id));
            continue;
        }
        match boot(&menu, &entry, disk, &log)? {
            Ended::Up(name, digest) => {
                fs::remove_file(&log).map_err(Failure::at(&log))?;
                return Ok(judge(made, &entry, name, &digest, starts, by_hand));
            }
            Ended::Died(why) => happened.push(format!("{}: {why}", entry.id)),
        }
    }
    Ok(Verdict::Bad(format!("nothing came up: {}; console: {}", happened.join("; "), log.display())))
}

/// What came up is what its profile is, and was bound by the entry.
pub fn judge(
    made: &MadeDisk,
    entry: &Entry,
    name: String,
    digest: &str,
    starts: u32,
    by_hand: bool,
) -> Verdict {
    if !entry.bound().iter().any(|bound| bound == digest) {
        return Verdict::Bad(format!("{} has booted {name} ({digest}), which it does not bind", entry.id));
    }
    match made.generation(digest) {
        Some(generation) if generation.name == name => Verdict::Up { name, starts, by_hand },
        other => Verdict::Bad(format!("{name} came up with the profile of {other:?}")),
    }
}

fn boot(menu: &Menu, entry: &Entry, disk: &Path, log: &Path) -> Result<Ended, Failure> {
    let files: Vec<PathBuf> = entry.initrd.iter().map(|path| menu.file(path)).collect();
    let [initramfs] = files.as_slice() else {
        return Ok(Ended::Died(format!("{} initramfs files", files.len())));
    };
    let mut guest = Uml::new(initramfs).disk(disk).parameters(&entry.options).boot(log)?;
    match guest.wait_for_any(&ENDS, PATIENCE) {
        Ok(0 | 1) => {
            let _ = guest.wait_for_any(&["\n"], PATIENCE);
            let ended = Ended::read(guest.text());
            // The disk is looked at and started again: what it has written must be there.
            let _ = guest.wait_for_end(PATIENCE);
            Ok(ended)
        }
        ended => Ok(Ended::Died(format!("{ended:?}"))),
    }
}
