//! Virtual machines: the one way in which this repository starts QEMU.
//!
//! | module | what it does |
//! |---|---|
//! | [`machine`] | what a machine has, decided first as a pure list of QEMU arguments |
//! | [`acceleration`] | KVM or emulation: [`kvm`] asks a guest whether KVM really works |
//! | [`qemu`] | QEMU as a process: started, given orders, waited for |
//! | `monitor` | the orders |
//! | [`image_lock`] | whether another QEMU has the file of a disk |
//! | [`console`] | the guest's serial port: everything it printed, and waiting for words with a timeout |
//! | [`agent`] | commands that run in a guest, and what they print |
//! | [`share`] | folders of the host in the guest |
//! | [`tpm`] | a TPM for the guest |
//!
//! Nothing here asserts, and nothing panics: a [`fault::Error`] names the object, the cause and the remedy. A QEMU ends with the value
//! that started it, and with the process, however that ends.

pub mod acceleration;
pub mod agent;
pub mod console;
mod daemon;
pub mod image_lock;
pub mod kvm;
pub mod machine;
mod monitor;
mod programs;
pub mod qemu;
pub mod share;
pub mod tpm;
