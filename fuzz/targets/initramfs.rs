//! `etc/lamina/initramfs.kdl`, which mkinitramfs writes.

#![no_main]

use init::readers::parse_contract;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    match parse_contract(text) {
        Ok(contract) => drop(contract.check("6.1.0")),
        Err(failure) => assert!(!failure.why.is_empty()),
    }
});
