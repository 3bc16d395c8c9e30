//! A stage lives no longer than the process that started it.

use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::Signal;

use crate::error::{Error, Result};

/// Asks the kernel for SIGKILL when the parent goes (prctl(2), PR_SET_PDEATHSIG), and refuses to go on when it is gone
/// already: standard input is a pipe whose other end only the parent holds. To be called again after each change of
/// credentials, which clears the request.
pub(super) fn tie_to_parent() -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(Error::on("cannot tie the sandbox to its parent"))?;
    let stdin = std::io::stdin();
    let mut ends = [PollFd::new(stdin.as_fd(), PollFlags::empty())];
    poll(&mut ends, PollTimeout::ZERO).map_err(Error::on("the sandbox's lifeline"))?;
    match ends[0].revents() {
        Some(events) if events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL) => {
            Err(Error::new("sandbox", "the process that asked for it is gone"))
        }
        _ => Ok(()),
    }
}
