//! The kernel command line, which anybody with a boot menu writes.

#![no_main]
#![allow(
    dead_code,
    unused_imports,
    reason = "these are all the modules of init, and little of them is called"
)]

include!(concat!(env!("OUT_DIR"), "/init/mod.rs"));

libfuzzer_sys::fuzz_target!(|line: &[u8]| {
    let line = String::from_utf8_lossy(line);
    let request = request::BootRequest::parse(&line);
    for error in [request.misread.of_store(), request.misread.of_asked()].into_iter().flatten() {
        assert!(!error.to_string().is_empty());
    }
    for name in ["loop", "dm_verity"] {
        cmdline::module_options(&request.parameters, name);
    }
});
