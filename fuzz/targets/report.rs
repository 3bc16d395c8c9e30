//! The report of a boot, which `lamina report` draws.

#![no_main]

use running::chart;
use running::report::BootReport;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    if let Ok(report) = BootReport::parse("fuzz", text) {
        chart::svg(&report);
    }
});
