//! `etc/lamina/initramfs.kdl`, which mkinitramfs writes.

#![no_main]

use init::readers::parse_description;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    match parse_description(text) {
        Ok(description) => assert_eq!(parse_description(description.to_kdl().as_bytes()), Ok(description)),
        Err(failure) => assert!(!failure.why.is_empty()),
    }
});
