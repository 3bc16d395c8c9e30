//! Profiles as people write them, and the values of `lamina.state=`.

#![no_main]

use profiles::WritableTop;
use profiles::written::Profile;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    if let Err(diagnostics) = Profile::parse("fuzz", text) {
        assert!(!diagnostics.to_string().is_empty());
    }
    if let Ok(text) = std::str::from_utf8(text)
        && let Ok(top) = WritableTop::parse_parameter(text)
    {
        assert!(!format!("{top:?}").is_empty());
    }
});
