//! A state that is started as a person starts it: the firmware of a virtual PC finds the loader on the disk, the loader chooses, and a
//! real kernel starts init. Before each start the reader of entries says what will be chosen, and must be right.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use vm::machine::{Firmware, Machine};

use super::loader::{Loader, Menu};
use super::made_disk::MadeDisk;
use super::patience;
use super::trial::{ENDS, Ended, Start, Trial, log_of};
use crate::failure::Failure;
use crate::guest::Guest;

/// Under emulation.
const PATIENCE: Duration = Duration::from_secs(120);
/// What is printed when a loader, the firmware that it goes back to, or the first lines of a kernel give up.
const GIVEN_UP: [&str; 5] =
    ["System halted", "Error loading", "Failed to", "BdsDxe: failed to start", "!!!! X64 Exception Type"];

/// Starts `disk`, which may change, until something comes up. `folder` is for copies and for what the guests print.
pub fn start(made: &MadeDisk, loader: Loader, disk: &Path, folder: &Path) -> Result<Trial, Failure> {
    Trial::of(made, |number| {
        let started = Menu::read(loader, disk, made.esp, &folder.join("esp"))?.start();
        let Some(entry) = started.filter(|it| !it.by_hand).map(|it| it.entry) else { return Ok(None) };
        let log = log_of(folder, number);
        let (ended, took) = boot(loader, disk, &log)?;
        let start = Start { entry: entry.id.clone(), ended, took, log };
        Ok(Some((entry, start, false)))
    })
}

fn boot(loader: Loader, disk: &Path, log: &Path) -> Result<(Ended, (Duration, Duration)), Failure> {
    let firmware = match loader {
        Loader::SystemdBoot => Firmware::Uefi,
        Loader::Grub => Firmware::Bios,
    };
    let folder = log.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let machine = Machine::from_firmware(&format!("update-{folder}"), firmware).kept_disk(disk);
    let mut guest = Guest::boot(&machine)?;
    let began = Instant::now();
    let ends: Vec<&str> = ENDS.into_iter().chain(GIVEN_UP).collect();
    let (found, kept) = patience::wait_for(guest.id(), PATIENCE, |slice| guest.wait_for_any(&ends, slice));
    let ended = match found {
        Ok(0 | 1) => {
            // The line is complete when the machine goes off, and its disk is written then.
            guest.expect_off()?;
            Ended::read(guest.text())
        }
        Ok(at) => Ended::Died(format!("{:?} was printed", ends[at])),
        Err(unmet) => Ended::without_end(&unmet),
    };
    let took = (began.elapsed(), kept);
    fs::write(log, guest.text()).map_err(Failure::at(log))?;
    Ok((ended, took))
}
