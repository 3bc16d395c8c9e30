//! A stage lives no longer than the process that started it.
//!
//! Its lifeline is a pipe with a descriptor of its own, so that standard input belongs to what runs in the sandbox. Nothing is ever
//! written: the other end stays with the process that started the stage, and hangs up with it.

use std::io::{PipeReader, PipeWriter, pipe};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use rustix::io::FdFlags;

use crate::error::{Error, Result};

const FAILED: &str = "the sandbox's lifeline";

/// The end that a stage has.
#[derive(Debug)]
pub(super) struct Lifeline(OwnedFd);

/// A lifeline for a process that is started by fork(2).
pub(super) fn make() -> Result<(Lifeline, PipeWriter)> {
    let (reader, writer) = pipe().map_err(Error::on(FAILED))?;
    Ok((Lifeline(reader.into()), writer))
}

/// A lifeline for a program, with the number by which it finds its end. The reading end is inherited by all that is started as long as it
/// is open: another program that gets it, too, can do nothing with it and holds nothing up.
pub(super) fn make_inherited() -> Result<(PipeReader, PipeWriter, u32)> {
    let (reader, writer) = pipe().map_err(Error::on(FAILED))?;
    rustix::io::fcntl_setfd(&reader, FdFlags::empty()).map_err(Error::on(FAILED))?;
    let number = reader.as_raw_fd().unsigned_abs();
    Ok((reader, writer, number))
}

impl Lifeline {
    /// That of a program, by its number. Every other descriptor but the standard ones is closed.
    pub(super) fn inherited(number: &str) -> Result<Self> {
        let number =
            number.parse::<u32>().map_err(|error| Error::new(FAILED, format!("{number:?}: {error}")))?;
        Ok(Lifeline(stack::inherited::keep_one_descriptor(number)?))
    }

    /// Asks the kernel for SIGKILL when the parent goes (prctl(2), PR_SET_PDEATHSIG), and refuses to go on when it is gone already. To be
    /// called again after each change of credentials, which clears the request.
    pub(super) fn tie_to_parent(&self) -> Result<()> {
        prctl::set_pdeathsig(Signal::SIGKILL).map_err(Error::on("cannot tie the sandbox to its parent"))?;
        let mut ends = [PollFd::new(self.0.as_fd(), PollFlags::empty())];
        poll(&mut ends, PollTimeout::ZERO).map_err(Error::on(FAILED))?;
        match ends[0].revents() {
            Some(events)
                if events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL) =>
            {
                Err(Error::new("sandbox", "the process that asked for it is gone"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_left_alone_does_not_go_on() {
        // The request to the kernel holds for the thread that asks.
        std::thread::spawn(|| {
            let (lifeline, other_end) = make().unwrap();
            lifeline.tie_to_parent().unwrap();
            drop(other_end);
            let error = lifeline.tie_to_parent().unwrap_err().to_string();
            assert!(error.contains("the process that asked for it is gone"), "{error}");
            prctl::set_pdeathsig(None).unwrap();
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_number_that_is_none_is_refused() {
        for wrong in ["", "x", "-1", "0", "2", "4294967295"] {
            assert!(Lifeline::inherited(wrong).is_err(), "{wrong}");
        }
    }
}
