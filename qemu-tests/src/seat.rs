//! Two seats for guests on one computer, shared by every test program through file locks.
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

const SEATS: usize = 2;

thread_local! {
    /// Whether the story of this thread has a seat.
    static SEATED: Cell<bool> = const { Cell::new(false) };
}

/// The right to run one guest. The kernel gives the seat back when the process ends, however it ends. It stays on the thread
/// that counts it.
#[derive(Debug)]
pub struct Seat {
    #[allow(dead_code, reason = "held for its lock, never read")]
    lock: Flock<File>,
    stays: PhantomData<*const ()>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        SEATED.set(false);
    }
}

/// Waits for a free seat, as long as it takes: other guests have timeouts of their own.
///
/// # Errors
/// When the story has one already: two stories that each wait for a second seat would wait for ever.
pub fn take() -> Result<Seat, Failure> {
    if SEATED.get() {
        return Err(Failure::new(
            "this story still has a guest: wait until it is off, or drop it, before the next",
        ));
    }
    let folder = artifacts::cache().join("seats");
    fs::create_dir_all(&folder).map_err(Failure::at(&folder))?;
    loop {
        for seat in 0..SEATS {
            let path = folder.join(seat.to_string());
            let file =
                OpenOptions::new().create(true).append(true).open(&path).map_err(Failure::at(&path))?;
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => {
                    SEATED.set(true);
                    return Ok(Seat { lock, stays: PhantomData });
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
    fn a_story_that_would_wait_for_a_second_seat_is_told() {
        let seat = take().unwrap();
        assert!(take().unwrap_err().to_string().contains("still has a guest"));
        drop(seat);
        drop(take().unwrap());
    }
}
