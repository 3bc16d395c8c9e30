//! What a virtual machine has; [`Machine::arguments`] says how QEMU is told.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use disk_image::DiskFormat;

use crate::share::Access;
pub use controller::Controller;
use disk::{Bus, Disk, LateDisk};
pub use firmware::Firmware;
pub(crate) use option::of_a_shell;

mod arguments;
mod controller;
mod disk;
mod firmware;
mod option;

/// A forwarded TCP port: the host's `host` on the loopback address reaches the guest's `guest`.
#[derive(Debug, Clone, Copy)]
pub struct ForwardedPort {
    /// Port on the host's 127.0.0.1.
    pub host: u16,
    /// Port in the guest.
    pub guest: u16,
}

/// A network card whose packets go to a multicast group of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lan {
    /// The group.
    pub group: Ipv4Addr,
    /// Its UDP port.
    pub port: u16,
    /// The card's address; two of one network must differ.
    pub mac: [u8; 6],
}

/// Where the guest finds a folder of the host.
#[derive(Debug, Clone)]
enum Share {
    NineP { tag: String, folder: PathBuf, access: Access },
    VirtioFs { tag: String, socket: PathBuf },
}

/// A machine that is not running yet. Everything is named by the caller; nothing depends on the host.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Names the console log.
    pub name: String,
    kernel: PathBuf,
    initramfs: PathBuf,
    command_line: Vec<String>,
    /// SeaBIOS where none is named.
    firmware: Option<Firmware>,
    /// The firmware starts what is on the first disk, and no kernel is handed over.
    from_disk: bool,
    disks: Vec<Disk>,
    /// A disk that is not plugged in yet.
    late_disk: Option<LateDisk>,
    screen: bool,
    /// The card in a card reader, beside an empty disc drive.
    card: Option<PathBuf>,
    /// A USB keyboard in the place of the one of old PCs.
    usb_keyboard: bool,
    /// The socket of the monitor that takes orders while the machine runs.
    monitor: Option<PathBuf>,
    /// The socket of the second serial port.
    agent: Option<PathBuf>,
    shares: Vec<Share>,
    ports: Option<Vec<ForwardedPort>>,
    lan: Option<Lan>,
    /// The socket of a TPM.
    tpm: Option<PathBuf>,
    /// Has what a machine needs that goes on somewhere else.
    can_be_kept: bool,
    /// The file that it goes on from.
    kept_in: Option<PathBuf>,
    memory_mib: u32,
    processors: u32,
    /// How many processors there could be.
    possible: Option<u32>,
    /// A window of QEMU's own shows the screen.
    window: bool,
    /// It starts again when the guest says so, in place of its end.
    restarts: bool,
}

impl Machine {
    /// A q35 machine with one serial port, 512 MiB, two processors, and no disk or network. q35 because it is what real
    /// firmware and cloud machines look like; `microvm` starts 0.1 s earlier on Debian's cloud kernels.
    pub fn new(name: &str, kernel: &Path, initramfs: &Path) -> Self {
        Self {
            name: name.to_owned(),
            kernel: kernel.to_owned(),
            initramfs: initramfs.to_owned(),
            // loglevel: only the kernel's errors, for its chatter would cut the lines that the stories wait for; not `quiet`,
            // which is an order to init as well. no_timer_check: on a busy host an emulated timer comes late, and the kernel
            // takes that for broken hardware and panics (2 of 40 boots). nohz=off highres=off: the timer ticks by itself; without,
            // the kernel sets it anew for each tick, and one that is lost leaves it waiting for ever (about 1 of 200 boots hung
            // so before init, with stalls of rcu_preempt). It costs no time: 11 boots each, 7.4 s with it and 8.0 s without.
            command_line: ["console=ttyS0", "loglevel=4", "no_timer_check", "nohz=off", "highres=off"]
                .map(str::to_owned)
                .to_vec(),
            firmware: None,
            from_disk: false,
            disks: Vec::new(),
            late_disk: None,
            card: None,
            screen: false,
            usb_keyboard: false,
            monitor: None,
            agent: None,
            shares: Vec::new(),
            ports: None,
            lan: None,
            tpm: None,
            can_be_kept: false,
            kept_in: None,
            memory_mib: 512,
            processors: 2,
            possible: None,
            window: false,
            restarts: false,
        }
    }

    /// Adds one parameter to the kernel command line; one with a space in it is quoted as the kernel wants it.
    #[must_use]
    pub fn parameter(mut self, parameter: &str) -> Self {
        self.command_line.push(kernel_command_line::quoted(parameter));
        self
    }

    /// Adds several parameters, separated by spaces, none of them quoted.
    #[must_use]
    pub fn parameters(self, parameters: &str) -> Self {
        parameters.split_whitespace().fold(self, Self::parameter)
    }

    /// Adds a virtio disk (`/dev/vda`, `/dev/vdb`, ...). What the guest writes is forgotten when it ends, so that one disk
    /// serves several guests.
    #[must_use]
    pub fn disk(mut self, image: &Path) -> Self {
        self.disks.push(Disk::new(image));
        self
    }

    /// As [`Machine::disk`], on USB: `/dev/sda`, `/dev/sdb`, ...
    #[must_use]
    pub fn usb_stick(mut self, image: &Path) -> Self {
        self.disks.push(Disk { bus: Bus::Usb, ..Disk::new(image) });
        self
    }

    /// As [`Machine::disk`], alone behind a controller that another hypervisor or computer has.
    #[must_use]
    pub fn disk_behind(mut self, image: &Path, controller: Controller) -> Self {
        self.disks.push(Disk { bus: Bus::Behind(controller), ..Disk::new(image) });
        self
    }

    /// As [`Machine::disk`], write-protected: `/sys/block/vdX/ro` is 1.
    #[must_use]
    pub fn protected_disk(mut self, image: &Path) -> Self {
        self.disks.push(Disk { forgets: false, access: Access::Read, ..Disk::new(image) });
        self
    }

    /// As [`Machine::disk`], and what the guest writes is there afterwards, for the host to look at.
    #[must_use]
    pub fn kept_disk(mut self, image: &Path) -> Self {
        self.disks.push(Disk { forgets: false, ..Disk::new(image) });
        self
    }

    /// As [`Machine::disk`], of this format; what the guest writes is forgotten, or not.
    #[must_use]
    pub fn disk_of(mut self, image: &Path, format: DiskFormat, forgets: bool) -> Self {
        self.disks.push(Disk { format, forgets, ..Disk::new(image) });
        self
    }

    /// As [`Machine::disk_of`], a stick on USB.
    #[must_use]
    pub fn usb_stick_of(mut self, image: &Path, format: DiskFormat, forgets: bool) -> Self {
        self.disks.push(Disk { format, forgets, bus: Bus::Usb, ..Disk::new(image) });
        self
    }

    /// As [`Machine::kept_disk`], and each write and flush goes, in order, into `log` too, in the format of dm-log-writes (the block driver
    /// `blklogwrites` of qemu(1)). The file must be there.
    #[must_use]
    pub fn logged_disk(mut self, image: &Path, log: &Path) -> Self {
        self.disks.push(Disk { forgets: false, log: Some(log.to_owned()), ..Disk::new(image) });
        self
    }

    /// As [`Machine::disk`], but it stops to answer when this many bytes were read: what follows takes a second for each byte (the
    /// throttling of qemu(1)). The kernel itself reads 4 KiB when it looks for partitions and there are none.
    #[must_use]
    pub fn dying_disk(mut self, image: &Path, bytes: u64) -> Self {
        self.disks.push(Disk { stops_after: Some(bytes), ..Disk::new(image) });
        self
    }

    /// Keeps a virtio disk at hand that [`crate::qemu::RunningMachine::plug_in`] puts into a slot of the running machine.
    #[must_use]
    pub fn late_disk(mut self, image: &Path, monitor: &Path) -> Self {
        self.late_disk = Some(LateDisk { image: image.to_owned(), is_stick: false });
        self.monitor = Some(monitor.to_owned());
        self
    }

    /// As [`Machine::late_disk`], a stick on USB.
    #[must_use]
    pub fn late_stick(mut self, image: &Path, monitor: &Path) -> Self {
        self.late_disk = Some(LateDisk { image: image.to_owned(), is_stick: true });
        self.monitor = Some(monitor.to_owned());
        self
    }

    /// The order to the monitor that plugs in what comes late.
    pub(crate) fn plug_in(&self) -> Option<&'static str> {
        self.late_disk.as_ref().map(LateDisk::order)
    }

    /// Adds an empty disc drive (`/dev/sr0`) and a card reader (`/dev/sda`) with this card, both on SCSI;
    /// [`crate::qemu::RunningMachine::insert`] changes what is in them.
    #[must_use]
    pub fn drives(mut self, card: &Path, monitor: &Path) -> Self {
        self.card = Some(card.to_owned());
        self.monitor = Some(monitor.to_owned());
        self
    }

    /// Adds a graphics card, whose screen [`crate::qemu::RunningMachine::take_picture`] keeps; the keyboard beside it is there always, and
    /// [`crate::qemu::RunningMachine::press`] types on it.
    #[must_use]
    pub fn screen(mut self, monitor: &Path) -> Self {
        self.screen = true;
        self.monitor = Some(monitor.to_owned());
        self
    }

    /// Gives it a USB keyboard, and no other.
    #[must_use]
    pub fn usb_keyboard(mut self) -> Self {
        self.usb_keyboard = true;
        self
    }

    /// Takes the serial console away from the kernel: `console=null` is none at all.
    #[must_use]
    pub fn without_console(mut self) -> Self {
        self.command_line.retain(|parameter| !parameter.starts_with("console="));
        self.parameter("console=null")
    }

    /// Where QEMU's monitor listens, when there is something to order.
    pub fn monitor(&self) -> Option<&Path> {
        self.monitor.as_deref()
    }

    /// Shares a folder of the host over 9p.
    #[must_use]
    pub fn nine_p(mut self, tag: &str, folder: &Path, access: Access) -> Self {
        self.shares.push(Share::NineP { tag: tag.to_owned(), folder: folder.to_owned(), access });
        self
    }

    /// Shares the folder of the virtiofsd that listens on `socket` (see [`crate::share::VirtioFsDaemon`]).
    #[must_use]
    pub fn virtiofs(mut self, tag: &str, socket: &Path) -> Self {
        self.shares.push(Share::VirtioFs { tag: tag.to_owned(), socket: socket.to_owned() });
        self
    }

    /// Adds a network card behind QEMU's own NAT (guest 10.0.2.15), with these ports reachable from the host.
    #[must_use]
    pub fn network(mut self, ports: &[ForwardedPort]) -> Self {
        self.ports = Some(ports.to_vec());
        self
    }

    /// Adds a card on a network with other guests of this machine, behind that of [`Machine::network`].
    #[must_use]
    pub fn lan(mut self, lan: Lan) -> Self {
        self.lan = Some(lan);
        self
    }

    /// Adds the TPM that listens on `socket` ([`crate::tpm::TpmDaemon`]).
    #[must_use]
    pub fn tpm(mut self, socket: &Path) -> Self {
        self.tpm = Some(socket.to_owned());
        self
    }

    /// Lets [`crate::qemu::RunningMachine::keep_as`] keep it as it runs. A kernel that looks there learns by a number that it goes on a
    /// second time (VMGENID of qemu(1)); Debian's 6.1 does not, and the agent tells it.
    #[must_use]
    pub fn can_be_kept(mut self, monitor: &Path) -> Self {
        self.can_be_kept = true;
        self.monitor = Some(monitor.to_owned());
        self
    }

    /// Gives it a monitor, for who wants to know how it is.
    #[must_use]
    pub fn monitored(mut self, monitor: &Path) -> Self {
        self.monitor = Some(monitor.to_owned());
        self
    }

    /// Goes on from such a file in place of a start. The machine must be the same.
    #[must_use]
    pub fn kept_in(mut self, file: &Path) -> Self {
        self.kept_in = Some(file.to_owned());
        self
    }

    /// Sets the memory, in MiB.
    #[must_use]
    pub fn memory_mib(mut self, memory_mib: u32) -> Self {
        self.memory_mib = memory_mib;
        self
    }

    /// Sets the number of processors.
    #[must_use]
    pub fn processors(mut self, count: u32) -> Self {
        self.processors = count;
        self
    }

    /// Shows the screen in a window, where a kernel that was handed to QEMU speaks too. The serial console stays.
    #[must_use]
    pub fn window(mut self) -> Self {
        self.window = true;
        self.speaks_on_screen()
    }

    /// Has the kernel speak on the screen, too.
    #[must_use]
    pub fn speaks_on_screen(mut self) -> Self {
        // The last one is that of /dev/console, and the serial line is where the caller's terminal is.
        self.command_line.insert(0, "console=tty0".to_owned());
        self
    }

    /// Adds a second serial port, at whose other end a [`crate::agent::Agent`] listens.
    #[must_use]
    pub fn agent(mut self, socket: &Path) -> Self {
        self.agent = Some(socket.to_owned());
        self
    }

    /// Starts it again when the guest reboots; without this it ends.
    #[must_use]
    pub fn restarts(mut self) -> Self {
        self.restarts = true;
        self
    }

    /// Lets processors be added up to this number while it runs: the kernel prepares for each of them (6.1; newer kernels count only
    /// those that are there).
    #[must_use]
    pub fn possible_processors(mut self, count: u32) -> Self {
        self.possible = Some(count);
        self
    }
}
