//! An initramfs of anybody: archives one behind the other, each plain or in a compressed stream.

#![no_main]

use std::io::{self, Read};
use std::ops::ControlFlow;

use initramfs_archive::{Limits, walk};

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let limits = Limits { entries: 64, names: 4096, unpacked: 1 << 20 };
    let mut seen = 0;
    let walked = walk(file, limits, &mut |entry, data| {
        seen += 1;
        assert!(entry.path.len() <= 4096);
        let mut data = data.take(1 << 20);
        let read = io::copy(&mut data, &mut io::sink())?;
        assert!(read <= u64::from(entry.size));
        Ok(ControlFlow::Continue(()))
    });
    assert!(seen <= 64);
    if let Err(damage) = walked {
        assert!(!damage.to_string().is_empty());
    }
});
