//! Two seats for guests on one computer, shared by every test program through file locks.
//!
//! Each test program runs its tests on several threads, and two `make` commands may run at once; a guest that gets a fifth
//! of a processor only runs into its timeouts.

use std::fs::{self, File, OpenOptions};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::artifacts;
use crate::failure::Failure;

const SEATS: usize = 2;

/// The right to run one guest. The kernel gives the seat back when the process ends, however it ends.
#[derive(Debug)]
pub struct Seat(#[allow(dead_code, reason = "held for its lock, never read")] Flock<File>);

/// Waits for a free seat, as long as it takes: other guests have timeouts of their own.
pub fn take() -> Result<Seat, Failure> {
    let folder = artifacts::cache().join("seats");
    fs::create_dir_all(&folder).map_err(Failure::at(&folder))?;
    loop {
        for seat in 0..SEATS {
            let path = folder.join(seat.to_string());
            let file =
                OpenOptions::new().create(true).append(true).open(&path).map_err(Failure::at(&path))?;
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(Seat(lock)),
                Err((_, Errno::EWOULDBLOCK)) => {}
                Err((_, error)) => return Err(Failure::at(&path)(error)),
            }
        }
        thread::sleep(Duration::from_millis(100));
    }
}
