//! Programs and shared libraries of the images, as the check of the real init and the step `read init` see them.

#![no_main]

use init::readers::dynamic;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    // As from a file, without making room for what is only promised.
    let read = |offset: u64, length: usize| {
        assert!(length <= 1 << 24, "{length} bytes are asked for at once");
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(file.len());
        file[start..start.saturating_add(length).min(file.len())].to_vec()
    };
    if let Some(dynamic) = dynamic(read) {
        assert!(dynamic.needed.len() <= 512);
    }
});
