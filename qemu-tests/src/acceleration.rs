//! KVM, where it works.
//!
//! The device node proves nothing: there are machines whose `/dev/kvm` opens and on which ordinary kernels hang or die. So a
//! guest is booted on it, and only one that prints its first line within seconds counts. The verdict holds until the host
//! is restarted.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use crate::artifacts;
use crate::failure::Failure;
use crate::guest::Guest;
use crate::initramfs::Initramfs;
use crate::machine::Machine;

/// Working KVM gets there in about half a second.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
const KVM: &str = "/dev/kvm";

/// How the guest's processor is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceleration {
    /// Translated by QEMU: works everywhere.
    Emulated,
    /// Run by the host's processor.
    Kvm,
}

impl Acceleration {
    /// The QEMU arguments that ask for it.
    ///
    /// Emulation goes without CMPXCHG16B: QEMU 7.2 now and then leaves garbage in the guest's flags there, and Linux 6.12,
    /// which allocates memory with it, then dies in its first second (2 of 12 boots here, and none of 12 without it).
    pub fn arguments(self) -> [String; 4] {
        match self {
            Self::Emulated => ["-accel", "tcg,thread=multi", "-cpu", "max,-cx16"].map(str::to_owned),
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"].map(str::to_owned),
        }
    }
}

/// KVM when a probe guest has booted on it since the host was started, else emulation.
pub fn best() -> Result<Acceleration, Failure> {
    let may_open = File::options().read(true).write(true).open(KVM).is_ok();
    if !may_open {
        return Ok(Acceleration::Emulated);
    }
    let boot_id = Path::new("/proc/sys/kernel/random/boot_id");
    let boot_id = fs::read_to_string(boot_id).map_err(Failure::at(boot_id))?;
    let verdict_path = artifacts::cache().join("kvm-verdict");
    let known = fs::read_to_string(&verdict_path).unwrap_or_default();
    if let Some(verdict) = known.strip_prefix(&boot_id) {
        return Ok(if verdict == "works" { Acceleration::Kvm } else { Acceleration::Emulated });
    }
    let works = probe()?;
    let verdict = if works { "works" } else { "does not work" };
    eprintln!(
        "qemu-tests: {KVM} {verdict}: {}",
        if works { "guests run on it" } else { "guests are emulated" }
    );
    artifacts::replace(&verdict_path, format!("{boot_id}{verdict}").as_bytes())?;
    Ok(if works { Acceleration::Kvm } else { Acceleration::Emulated })
}

/// Whether init says its first word on KVM.
fn probe() -> Result<bool, Failure> {
    let kernel = artifacts::kernel("6.1")?;
    let initramfs = Initramfs::new(&kernel).write()?;
    let machine = Machine::new("kvm-probe", &kernel.vmlinuz, &initramfs).parameter("lamina.store=initramfs");
    let mut guest = Guest::boot_on(&machine, Acceleration::Kvm)?;
    Ok(guest.expect_within("lamina", PROBE_TIMEOUT).is_ok())
}
