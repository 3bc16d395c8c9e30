//! Superblocks of whatever disk is plugged in.

#![no_main]

include!("device.rs");

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let device = device(input);
    block_probe::superblock::is_blank(&device);
    block_probe::superblock::probe(&device);
    // A device may end anywhere.
    block_probe::superblock::probe(&device[..input.len().min(device.len())].to_vec());
});
