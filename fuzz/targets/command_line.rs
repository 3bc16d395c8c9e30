//! The kernel command line, which anybody with a boot menu writes.

#![no_main]

use init::readers::{BootRequest, module_options};

libfuzzer_sys::fuzz_target!(|line: &[u8]| {
    let line = String::from_utf8_lossy(line);
    let request = BootRequest::parse(&line);
    for error in [request.misread.of_store(), request.misread.of_asked()].into_iter().flatten() {
        assert!(!error.to_string().is_empty());
    }
    for name in ["loop", "dm_verity"] {
        module_options(&request.parameters, name);
    }
});
