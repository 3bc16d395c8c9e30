//! How many virtual machines run at once on one computer: two, over all test programs, by file locks.
//!
//! Each test program runs its tests on several threads, and two `make` commands may run at once; a guest that gets a fifth
//! of a processor only runs into its timeouts.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::marker::PhantomData;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::artifacts;
use crate::failure::Failure;

const SLOTS: usize = 2;

thread_local! {
    /// Whether the story of this thread has a slot.
    static HAS_SLOT: Cell<bool> = const { Cell::new(false) };
}

/// The right to run one guest. The kernel gives the slot back when the process ends, however it ends. It stays on the thread
/// that counts it.
#[derive(Debug)]
pub struct Slot {
    #[allow(dead_code, reason = "held for its lock, never read")]
    lock: Flock<File>,
    stays: PhantomData<*const ()>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        HAS_SLOT.set(false);
    }
}

/// Waits for a free slot, as long as it takes: other guests have timeouts of their own.
///
/// # Errors
/// When the story has one already: two stories that each wait for a second slot would wait for ever.
pub fn take() -> Result<Slot, Failure> {
    if HAS_SLOT.get() {
        return Err(Failure::new(
            "this story still has a guest: wait until it is off, or drop it, before the next",
        ));
    }
    let folder = artifacts::cache().join("vm-slots");
    fs::create_dir_all(&folder).map_err(Failure::at(&folder))?;
    loop {
        for slot in 0..SLOTS {
            let path = folder.join(slot.to_string());
            let file =
                OpenOptions::new().create(true).append(true).open(&path).map_err(Failure::at(&path))?;
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => {
                    HAS_SLOT.set(true);
                    return Ok(Slot { lock, stays: PhantomData });
                }
                Err((_, Errno::EWOULDBLOCK)) => {}
                Err((_, error)) => return Err(Failure::at(&path)(error)),
            }
        }
        thread::sleep(Duration::from_millis(100));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_that_would_wait_for_a_second_slot_is_told() {
        let slot = take().unwrap();
        assert!(take().unwrap_err().to_string().contains("still has a guest"));
        drop(slot);
        drop(take().unwrap());
    }
}
