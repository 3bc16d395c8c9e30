//! What a file is for, and which machines.

use serde::{Deserialize, Serialize};

/// A machine that ELF files are made for: only files for the same one can be loaded together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Machine {
    /// 32 or 64 (`EI_CLASS`).
    pub bits: u8,
    /// The order of bytes (`EI_DATA`).
    pub big_endian: bool,
    /// `e_machine`.
    pub number: u16,
}

impl Machine {
    /// PCs, with pointers of 64 bits (EM_X86_64).
    pub const X86_64: Machine = Machine { bits: 64, big_endian: false, number: 62 };
}

/// What a file is for (`e_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// To be linked (`.o`), or a kernel module.
    Relocatable,
    /// A program, also one that can be loaded anywhere (`DF_1_PIE`).
    Executable,
    /// A library. A program that can be loaded anywhere is one too, where it does not say what it is.
    Shared,
    /// A core dump, or a kind of some other system.
    Other,
}
