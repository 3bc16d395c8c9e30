//! What the kernel announces when devices come and go: the netlink family of netlink(7), NETLINK_KOBJECT_UEVENT.
//!
//! A message is `ACTION@DEVPATH`, then `KEY=VALUE` texts, each ended by a NUL (`lib/kobject_uevent.c` of the kernel).

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, setsockopt, socket,
    sockopt,
};

use crate::error::Failure;

/// The multicast group of the kernel's own messages; group 2 is udev's.
const KERNEL_GROUP: u32 = 1;
/// Hundreds of disks may be announced while one is probed.
const RECEIVE_BUFFER: usize = 4 << 20;
/// UEVENT_BUFFER_SIZE of the kernel, with room for the head.
const LONGEST_MESSAGE: usize = 4096;

/// One announcement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Uevent {
    /// `block`, `virtio`, ...
    pub subsystem: String,
    /// `vda1`, where the device has a node.
    pub device: Option<String>,
    /// The kernel's name of the device, the last part of its path: `virtio1`.
    pub name: Option<String>,
    /// What its driver is chosen by, when it has come and there may be one.
    pub modalias: Option<String>,
}

/// What came of waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waited {
    /// Something came, went or changed.
    Event(Uevent),
    /// Some were lost because the buffer ran over: look at everything again.
    Overflow,
    /// The time was up.
    TimedOut,
}

/// The subscription. It must be opened before the first look at `/sys`: what comes between is then not missed.
#[derive(Debug)]
pub struct Uevents {
    socket: OwnedFd,
}

impl Uevents {
    /// Subscribes.
    pub fn subscribe() -> Result<Self, Failure> {
        let failure = |errno: Errno| {
            Failure::new(format!("cannot listen for the kernel's device events: {}", errno.desc()))
                .try_this("build the kernel with CONFIG_NET")
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let protocol = SockProtocol::NetlinkKObjectUEvent;
        let socket = socket(AddressFamily::Netlink, SockType::Datagram, flags, protocol).map_err(failure)?;
        // Without CAP_NET_ADMIN the buffer stays smaller, which `Overflow` makes harmless.
        let _ = setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER);
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, KERNEL_GROUP)).map_err(failure)?;
        Ok(Self { socket })
    }

    /// Sleeps until the kernel announces something or the time is up.
    pub fn wait(&self, deadline: Instant) -> Result<Waited, Failure> {
        loop {
            // Before anything is taken: a device that comes and goes without end must not hold the time up.
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Waited::TimedOut);
            }
            if let Some(waited) = self.pending()? {
                return Ok(waited);
            }
            // Rounded up: a rest of half a millisecond must not become a busy loop.
            let left = i32::try_from(left.as_millis() + 1).unwrap_or(i32::MAX);
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)], timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => {
                    return Err(Failure::new(format!("cannot wait for devices: {}", errno.desc())));
                }
            }
        }
    }

    /// What has been announced already; `None`: nothing that was not taken before.
    pub fn pending(&self) -> Result<Option<Waited>, Failure> {
        loop {
            let mut message = [0; LONGEST_MESSAGE];
            match recv(self.socket.as_raw_fd(), &mut message, MsgFlags::empty()) {
                Ok(length) => {
                    if let Some(event) = parse(&message[..length]) {
                        return Ok(Some(Waited::Event(event)));
                    }
                }
                Err(Errno::ENOBUFS) => return Ok(Some(Waited::Overflow)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(None),
                Err(errno) => {
                    return Err(Failure::new(format!("cannot read device events: {}", errno.desc())));
                }
            }
        }
    }
}

/// Reads a message; `None` for what is not one of the kernel's (udev's begin with `libudev`).
fn parse(message: &[u8]) -> Option<Uevent> {
    let text = std::str::from_utf8(message).ok()?;
    let mut fields = text.split('\0');
    let (action, path) = fields.next()?.split_once('@')?;
    let name = path.rsplit('/').next().map(str::to_owned);
    let mut event = Uevent { name, ..Uevent::default() };
    for (key, value) in fields.filter_map(|field| field.split_once('=')) {
        match key {
            "SUBSYSTEM" => event.subsystem = value.to_owned(),
            "DEVNAME" => event.device = Some(value.to_owned()),
            "MODALIAS" if action != "remove" => event.modalias = Some(value.to_owned()),
            _ => {}
        }
    }
    Some(event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;

    #[test]
    fn announcements_without_end_do_not_hold_the_time_up() {
        let (kernel, ours) = UnixDatagram::pair().unwrap();
        for _ in 0..3 {
            kernel.send(b"change@/devices/sda\0SUBSYSTEM=block\0DEVNAME=sda\0").unwrap();
        }
        let uevents = Uevents { socket: ours.into() };
        let event = uevents.wait(Instant::now() + Duration::from_secs(60)).unwrap();
        assert!(matches!(event, Waited::Event(event) if event.device.as_deref() == Some("sda")));
        assert_eq!(uevents.wait(Instant::now()), Ok(Waited::TimedOut));
    }

    #[test]
    fn a_message_of_the_kernel() {
        let message =
            b"add@/devices/x/vda1\0ACTION=add\0DEVPATH=/devices/x/vda1\0SUBSYSTEM=block\0DEVNAME=vda1\0";
        let expected = Uevent {
            subsystem: "block".into(),
            device: Some("vda1".into()),
            name: Some("vda1".into()),
            modalias: None,
        };
        assert_eq!(parse(message), Some(expected));
    }

    #[test]
    fn a_device_that_comes_asks_for_its_driver() {
        let alias = |action: &str| {
            let message =
                format!("{action}@/devices/pci0/virtio1\0SUBSYSTEM=virtio\0MODALIAS=virtio:d2v1AF4\0");
            let event = parse(message.as_bytes()).unwrap();
            assert_eq!(event.name.as_deref(), Some("virtio1"));
            event.modalias
        };
        assert_eq!(alias("add").as_deref(), Some("virtio:d2v1AF4"));
        assert_eq!(alias("remove"), None);
    }

    #[test]
    fn other_messages_are_none() {
        for message in [&b"libudev\0\xfe\xed"[..], b"", b"\xff@\0", b"no at sign\0SUBSYSTEM=block\0"] {
            assert_eq!(parse(message), None);
        }
    }

    #[test]
    fn waiting_ends_when_the_time_is_up() {
        let uevents = Uevents::subscribe().unwrap();
        let deadline = Instant::now() + Duration::from_millis(20);
        while uevents.wait(deadline).unwrap() != Waited::TimedOut {}
        assert!(Instant::now() >= deadline);
    }
}
