//! A state that is started as a person starts it: the firmware of a virtual PC finds the loader on the disk, the loader chooses, and a
//! real kernel starts init. Before each start the reader of entries says what will be chosen, and must be right.

use std::path::Path;
use std::time::Duration;

use vm::machine::{Firmware, Machine};

use super::loader::{Loader, Menu};
use super::made_disk::MadeDisk;
use super::trial::{ENDS, Ended, MOST_STARTS, Verdict, judge};
use crate::failure::Failure;
use crate::guest::Guest;

/// Under emulation, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(120);
/// What is printed when a loader, or the first lines of a kernel, give up.
const GIVEN_UP: [&str; 3] = ["System halted", "Error loading", "Failed to"];

/// Starts `disk`, which may change, until something comes up.
pub fn start(
    made: &MadeDisk,
    loader: Loader,
    disk: &Path,
    folder: &Path,
    name: &str,
) -> Result<Verdict, Failure> {
    let mut happened = Vec::new();
    for starts in 1..=MOST_STARTS {
        let started = Menu::read(loader, disk, made.esp, &folder.join("esp"))?.start();
        let Some(started) = started.filter(|started| !started.by_hand) else {
            return Ok(Verdict::Bad(format!(
                "the menu has nothing that boots by itself; {}",
                happened.join("; ")
            )));
        };
        match boot(loader, disk, name)? {
            Ended::Up(name, digest) => return Ok(judge(made, &started.entry, name, &digest, starts, false)),
            Ended::Died(why) => happened.push(format!("{}: {why}", started.entry.id)),
        }
    }
    Ok(Verdict::Bad(format!("nothing came up: {}", happened.join("; "))))
}

fn boot(loader: Loader, disk: &Path, name: &str) -> Result<Ended, Failure> {
    let firmware = match loader {
        Loader::SystemdBoot => Firmware::Uefi,
        Loader::Grub => Firmware::Bios,
    };
    let machine = Machine::from_firmware(&format!("update-{name}"), firmware).kept_disk(disk);
    let mut guest = Guest::boot(&machine)?;
    let ends: Vec<&str> = ENDS.into_iter().chain(GIVEN_UP).collect();
    match guest.wait_for_any(&ends, PATIENCE) {
        Ok(0 | 1) => {
            // The line is complete when the machine goes off, and its disk is written then.
            guest.expect_off()?;
            Ok(Ended::read(guest.text()))
        }
        ended => Ok(Ended::Died(format!("{:?}", ended.map(|at| ends[at])))),
    }
}
