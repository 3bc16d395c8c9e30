//! The boot ledger: which generation of each profile is known to be good, and how often another one was tried since.
//!
//! It lives on the medium, in two files of 4096 bytes below the store's folder, `boot/a` and `boot/b`. They are written in
//! turn and in place, so that nothing of a file system changes but the contents of one block: no rename, no new length, no
//! new block. A power cut in the middle of a write leaves that slot damaged, which its SHA-256 shows, and the other one as it
//! was. On FAT, where a rename is no protection, this is what holds.
//!
//! [`Ledger`] is pure; [`Slots`] reads and writes.

mod codec;
mod ledger;
mod slots;

pub use codec::Damage;
pub use ledger::{Generation, Ledger, MOST_ATTEMPTS, SLOT_BYTES};
pub use slots::{FILES, Reading, Slot, Slots};
