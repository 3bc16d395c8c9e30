//! Resolved profiles, which init reads from a medium that anybody may have written.

#![no_main]

use profiles::resolved::BootProfile;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    match BootProfile::parse("fuzz", text) {
        // What was understood survives writing and reading.
        Ok(profile) => {
            let written = profile.to_kdl();
            let again = BootProfile::parse("written", written.as_bytes());
            assert_eq!(again.ok().as_ref(), Some(&profile), "{written}");
            profile.stack_digest();
        }
        Err(diagnostics) => assert!(!diagnostics.to_string().is_empty()),
    }
});
