//! The loopback interface of a new network namespace, which is down at first.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;

use crate::{Error, Result};

nix::ioctl_write_ptr_bad!(
    /// SIOCSIFFLAGS of netdevice(7).
    set_interface_flags,
    libc::SIOCSIFFLAGS,
    libc::ifreq
);

/// Brings `lo` up, which gives it 127.0.0.1 and, where the kernel has IPv6, ::1. Needs CAP_NET_ADMIN in the user namespace that owns the
/// network namespace (netdevice(7)).
pub fn bring_up() -> Result<()> {
    let error = |errno: Errno| Error::new("bring up", "lo", io::Error::from(errno));
    // SAFETY: socket(2) touches no memory.
    #[expect(unsafe_code, reason = "socket(2): see SAFETY")]
    let number = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    let number = Errno::result(number).map_err(error)?;
    // SAFETY: the descriptor was made a moment ago and belongs to nobody else.
    #[expect(unsafe_code, reason = "the descriptor of socket(2): see SAFETY")]
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    let mut name = [0; libc::IFNAMSIZ];
    for (to, from) in name.iter_mut().zip(b"lo") {
        *to = from.cast_signed() as libc::c_char;
    }
    // The loopback device has no other flag that anybody sets.
    let flags = libc::__c_anonymous_ifr_ifru { ifru_flags: libc::IFF_UP as libc::c_short };
    let request = libc::ifreq { ifr_name: name, ifr_ifru: flags };
    // SAFETY: the request lives until the call returns, has a name that ends with NUL, and the member that this request reads.
    #[expect(unsafe_code, reason = "SIOCSIFFLAGS: see SAFETY")]
    let result = unsafe { set_interface_flags(socket.as_raw_fd(), &request) };
    result.map(drop).map_err(error)
}
