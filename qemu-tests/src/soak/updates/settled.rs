//! Whether what a command says that it did is on the disk by then: the power is cut when it has ended, and nothing that was not flushed
//! arrives. The files of both partitions must be those that are there after everything was synced.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::contents::{contents, write_sparse};
use super::made_disk::{FIRST, MadeDisk};
use super::recording::{Pace, Recording, Step, Way};
use crate::failure::Failure;
use crate::soak::log_writes::{Cut, Entry, Torn};

/// Each kind of change to a disk that has generations, one after the other.
fn life(made: &MadeDisk) -> Result<Vec<Step>, Failure> {
    Ok(vec![
        Step::install(made, FIRST + 1)?,
        Step::of("keep", &["keep", "web/2"]),
        Step::install(made, FIRST + 2)?,
        Step::of("back", &["rollback"]),
        Step::of("default", &["default", "web/2"]),
        Step::of("last", &["default", "--last"]),
        Step::of("undo", &["keep", "--undo", "web/2"]),
        Step::of("first", &["default", "web/4"]),
        Step::of("gc", &["gc", "--keep", "1"]),
    ])
}

/// What was not on the disk when a command had ended, a line for each file.
///
/// # Errors
/// A command was refused; what a power cut leaves cannot be read.
pub fn lost(made: &MadeDisk, way: Way, pace: Pace) -> Result<Vec<String>, Failure> {
    let lived = Recording::of_steps(made, way, life(made)?, pace)?;
    let mut lost = Vec::new();
    for (at, entry) in lived.entries.iter().enumerate() {
        let Entry::Mark(mark) = entry else { continue };
        let Some(step) = mark.strip_prefix("done-") else { continue };
        let settled = Entry::Mark(format!("settled-{step}"));
        let settled = lived.entries.iter().position(|entry| *entry == settled);
        let settled = settled.ok_or_else(|| Failure::new(format!("{step}: nothing was synced after it")))?;
        let then = lived.disk(&Cut { after: at + 1, torn: Torn::Nothing, seed: 0 });
        let later = lived.disk(&Cut { after: settled + 1, torn: Torn::All, seed: 0 });
        if then == later {
            continue;
        }
        let files = |disk: &[u8]| -> Result<BTreeMap<PathBuf, String>, Failure> {
            let path = made.path("settled.img");
            write_sparse(&path, disk)?;
            contents(&path, made)
        };
        let (then, later) = (files(&then)?, files(&later)?);
        let all = then.keys().chain(later.keys().filter(|path| !then.contains_key(*path)));
        let differ = all.filter(|path| then.get(*path) != later.get(*path));
        lost.extend(differ.map(|path| {
            let what = |files: &BTreeMap<PathBuf, String>| files.get(path).cloned().unwrap_or_default();
            format!("{step}: {}: {:?}, later {:?}", path.display(), what(&then), what(&later))
        }));
    }
    Ok(lost)
}
