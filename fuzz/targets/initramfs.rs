//! `etc/lamina/initramfs.kdl`, which mkinitramfs writes.

#![no_main]
#![allow(
    dead_code,
    unused_imports,
    reason = "these are all the modules of init, and little of them is called"
)]

include!(concat!(env!("OUT_DIR"), "/init/mod.rs"));

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    match contract::parse(text) {
        Ok(contract) => drop(contract.check("6.1.0")),
        Err(failure) => assert!(!failure.why.is_empty()),
    }
});
