//! How the guest's processor is made.

/// Emulated, or run by the host's processor.
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
