//! `etc/lamina/initramfs.kdl`, which mkinitramfs writes.

#![no_main]

use init::readers::parse_contract;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    match parse_contract(text) {
        Ok(contract) => assert_eq!(parse_contract(contract.to_kdl().as_bytes()), Ok(contract)),
        Err(failure) => assert!(!failure.why.is_empty()),
    }
});
