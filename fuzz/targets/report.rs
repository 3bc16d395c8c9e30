//! The report of a boot, which `lamina report` draws.

#![no_main]

use boot_report::BootReport;
use running::chart;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    if let Ok(report) = BootReport::parse(text) {
        chart::svg(&report);
    }
});
