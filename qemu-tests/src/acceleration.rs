//! Which acceleration the guests of this computer get: the answer of [`vm::kvm`], kept in the cache.

use std::sync::{Mutex, PoisonError};

use vm::acceleration::Acceleration;
use vm::kvm;
use vm::machine::Machine;

use crate::artifacts;
use crate::failure::Failure;
use crate::initramfs::Initramfs;
use crate::logs;
use crate::vm_slots;

/// One story of a program asks, and the others wait for what it hears.
static ASKED: Mutex<()> = Mutex::new(());

/// KVM when a probe guest has booted on it since the host was started, else emulation.
pub fn best() -> Result<Acceleration, Failure> {
    let _one_asks = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    let verdict = kvm::best(&artifacts::cache().join("kvm-verdict"), probe, |answer| {
        eprintln!(
            "qemu-tests: /dev/kvm {answer}: guests run on it only when it works, else they are emulated"
        );
    })?;
    Ok(verdict.acceleration())
}

/// Whether init says its first word on KVM.
fn probe() -> Result<bool, Failure> {
    let kernel = artifacts::kernel("6.1")?;
    let initramfs = Initramfs::new(&kernel).write()?;
    let machine = Machine::new("kvm-probe", &kernel.vmlinuz, &initramfs).parameter("lamina.store=initramfs");
    let _slot = vm_slots::take()?;
    Ok(kvm::guest_boots(&machine, "lamina", &logs::console("kvm-probe")?)?)
}
