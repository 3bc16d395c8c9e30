//! The random numbers of a kernel that goes on a second time from one memory (random(4)).

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;

nix::ioctl_none!(
    /// RNDRESEEDCRNG of linux/random.h: all that was written counts from now on, and not within the next minute.
    rnd_reseed_crng,
    b'R',
    0x07
);

/// Has the kernel make its random numbers anew, from these bytes too. Takes root.
///
/// # Errors
/// Those of random(4).
pub fn reseed(bytes: &[u8]) -> io::Result<()> {
    let mut random = File::options().write(true).open("/dev/urandom")?;
    random.write_all(bytes)?;
    // SAFETY: the ioctl takes no argument, and the descriptor is open as long as `random`.
    #[expect(unsafe_code, reason = "ioctl(2): see SAFETY")]
    unsafe { rnd_reseed_crng(random.as_raw_fd()) }?;
    Ok(())
}
