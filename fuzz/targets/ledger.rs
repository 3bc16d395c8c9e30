//! The slots of the boot ledger, which lie on a medium that anybody may have written.

#![no_main]

use boot_ledger::{Ledger, SLOT_BYTES};
use sha2::{Digest, Sha256};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    decode(bytes);
    // No random change would keep the hash right: it is made here, so that what stands before it is read.
    let mut slot = bytes.to_vec();
    let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    slot.extend(format!("sha256 {hash}\n").bytes());
    slot.resize(SLOT_BYTES.max(slot.len()), 0);
    decode(&slot);
});

/// What is accepted is exactly what would be written.
fn decode(slot: &[u8]) {
    match Ledger::decode(slot) {
        Ok((sequence, ledger)) => assert_eq!(ledger.encode(sequence).as_slice(), slot),
        Err(damage) => assert!(!damage.to_string().is_empty()),
    }
}
