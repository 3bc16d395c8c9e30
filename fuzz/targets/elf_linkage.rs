//! Programs and libraries of images that anybody made, as locking a profile reads them.

#![no_main]

use std::io;

use elf_linkage::{Linkage, Source, exports};

/// As from an image: whoever asks for what is not there would have made room for it.
struct File<'a>(&'a [u8]);

impl Source for File<'_> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_exact_at(&mut self, room: &mut [u8], offset: u64) -> io::Result<()> {
        assert!(room.len() <= self.0.len(), "{} bytes are asked for at once", room.len());
        self.0.read_exact_at(room, offset)
    }
}

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let (linkage, symbols) = (Linkage::read(&mut File(file)), exports(&mut File(file)));
    if let Ok(linkage) = &linkage {
        assert!(linkage.needed.len() <= 1024 && linkage.needed_versions.len() <= 8192);
        assert!(linkage.needed.iter().chain(&linkage.soname).all(|name| name.len() <= 4096));
        assert!(linkage.dynamic || linkage.needed.is_empty());
    }
    if let Ok(symbols) = &symbols {
        assert!(symbols.len() <= file.len() / 16, "{} symbols in {} bytes", symbols.len(), file.len());
    }
});
