//! Partition tables of whatever disk is plugged in.

#![no_main]

include!("device.rs");

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let device = device(input);
    let claimed = input.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    for size in [device.len() as u64, claimed] {
        for (sector, force_gpt) in [(512, false), (512, true), (4096, true), (claimed, false)] {
            let disk = block_probe::partition_table::Disk { size, sector, force_gpt };
            let _ = block_probe::partition_table::gpt_copies(&device, &disk);
            if let Some(table) = block_probe::partition_table::read(&device, &disk) {
                for number in [0, 1, 128, u32::MAX] {
                    table.partition(number, claimed, size);
                }
            }
        }
    }
});
