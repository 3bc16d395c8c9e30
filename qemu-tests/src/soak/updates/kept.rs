//! What is kept of a state that was not good: what its guests printed, the writes of its update, and the disk.

use std::fs;
use std::path::{Path, PathBuf};

use super::contents::write_sparse;
use super::made_disk::MadeDisk;
use super::recording::Recording;
use super::state::State;
use super::trial::Trial;
use crate::failure::Failure;
use crate::soak::log_folder;
use crate::soak::log_writes::{Cut, Entry, Torn};

/// Makes the folder of a state, and puts everything there that does not depend on how it was started.
pub fn keep_state(state: &State, recordings: &[Recording], made: &MadeDisk) -> Result<PathBuf, Failure> {
    let folder = log_folder()?.join(format!("update-{}", state.number));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(Failure::at(&folder))?;
    let lived = &recordings[state.recording];
    state.write(recordings, made, &folder.join("state.img"))?;
    write_sparse(&folder.join("all-had-arrived.img"), &lived.disk(&Cut { torn: Torn::All, ..state.cut }))?;
    let path = folder.join("writes.txt");
    fs::write(&path, writes(&lived.entries, &state.cut, made)).map_err(Failure::at(&path))?;
    Ok(folder)
}

/// Adds how it was started; `name` is for this time.
pub fn keep_trial(folder: &Path, name: &str, trial: &Trial) -> Result<(), Failure> {
    let lines: String = trial.starts.iter().map(|start| format!("{start}\n")).collect();
    let path = folder.join(format!("{name}.txt"));
    fs::write(&path, format!("{lines}{:?}\n", trial.verdict)).map_err(Failure::at(&path))?;
    for log in trial.starts.iter().map(|start| &start.log).filter(|log| log.exists()) {
        let file = log.file_name().unwrap_or_default().to_string_lossy();
        fs::copy(log, folder.join(format!("{name}-{file}"))).map_err(Failure::at(log))?;
    }
    Ok(())
}

/// The log of an update, a line for each entry.
fn writes(entries: &[Entry], cut: &Cut, made: &MadeDisk) -> String {
    let arrived = cut.arrived(entries);
    let parts = [("esp", made.esp), ("store", made.store)];
    let mut text = String::new();
    for (index, entry) in entries.iter().enumerate() {
        let line = match entry {
            Entry::Flush => "flush".to_owned(),
            Entry::Mark(name) => format!("mark {name}"),
            Entry::Write { offset, data, through } => {
                let at = *offset as u64;
                let inside = parts.iter().find(|(_, it)| (it.start..it.start + it.size).contains(&at));
                let (name, from) = inside.map_or(("disk", 0), |(name, it)| (*name, it.start));
                let through = if *through { ", through" } else { "" };
                let arrived = arrived.get(index).map_or(String::new(), |bytes| format!(", {bytes} arrived"));
                format!("write {name} {:#x}, {} bytes{through}{arrived}", at - from, data.len())
            }
        };
        text += &format!("{index} {line}\n");
        if index + 1 == cut.after {
            text += &format!("--- the power is cut: {cut:?}\n");
        }
    }
    text
}
