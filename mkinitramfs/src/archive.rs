//! Writes newc archives (kernel: Documentation/driver-api/early-userspace/buffer-format.rst) with the crate `cpio`.
//!
//! `cpio` 0.4 is guarded here in three ways: its `finish` accepts less data than the header promises, sizes of 4 GiB and
//! more would be cut to 32 bits, and it flushes its writer behind entries, which costs up to a third in a zstd stream.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use cli::progress::Meter;
use cpio::newc::{Builder, ModeFileType, trailer};

use crate::contents::{Contents, Entry, Source};
use fault::Error;

/// Writes all of `contents`, sorted by path, owned by root, with the time 0 and inode numbers counted from 1.
///
/// # Errors
/// An entry of 4 GiB or more; a host file that is missing or changed its length; `out`, which is at `place`, refuses the data.
pub(crate) fn write(contents: &Contents, out: impl Write, place: &Path, meter: &Meter) -> Result<(), Error> {
    let refused = RefCell::new(None);
    let written = write_all(contents, Output { out, refused: &refused, meter });
    // Which entry was being written then says nothing.
    written.map_err(|error| refused.take().map_or(error, |cause| full(place, cause)))
}

fn write_all(contents: &Contents, mut out: Output<'_, impl Write>) -> Result<(), Error> {
    for (number, (path, entry)) in (1..).zip(contents.iter()) {
        out = write_entry(path, entry, number, out)?;
    }
    trailer(out).map_err(|error| Error::caused("the initramfs", error))?;
    Ok(())
}

/// An error of the file that is written.
pub(crate) fn full(place: &Path, error: io::Error) -> Error {
    let remedy = match error.kind() {
        io::ErrorKind::BrokenPipe => "the program that reads it ended too early: look what it said",
        _ => "make room on its file system, or write to another one",
    };
    Error::caused(place.display(), error).remedy(remedy)
}

/// A writer that counts: a pipe does not know its length.
pub(crate) struct Counted<W> {
    out: W,
    /// Bytes that were written.
    pub bytes: u64,
}

impl<W> Counted<W> {
    pub fn new(out: W) -> Self {
        Counted { out, bytes: 0 }
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn write_entry<W: Write>(path: &str, entry: &Entry, number: u32, out: W) -> Result<W, Error> {
    let size = u32::try_from(entry.source.size()).map_err(|_| {
        let cause =
            format!("has {} bytes, a newc archive holds less than 4 GiB in one file", entry.source.size());
        Error::new(path, cause).remedy("keep it on the store instead of in the initramfs")
    })?;
    let links = if matches!(entry.source, Source::Folder) { 2 } else { 1 };
    let header = Builder::new(path).ino(number).mode(entry.mode).nlink(links);
    let header = match &entry.source {
        Source::Folder => header.set_mode_file_type(ModeFileType::Directory),
        Source::Bytes(_) | Source::HostFile(..) | Source::Image(_) => {
            header.set_mode_file_type(ModeFileType::Regular)
        }
        Source::Link(_) => header.set_mode_file_type(ModeFileType::Symlink),
        Source::CharDevice(major, minor) => {
            header.set_mode_file_type(ModeFileType::Char).rdev_major(*major).rdev_minor(*minor)
        }
    };
    let mut writer = header.write(out, size);
    match &entry.source {
        Source::Folder | Source::CharDevice(..) => {}
        Source::Bytes(bytes) => writer.write_all(bytes).map_err(|error| Error::caused(path, error))?,
        Source::Link(target) => {
            writer.write_all(target.as_bytes()).map_err(|error| Error::caused(path, error))?
        }
        Source::HostFile(host, size) => copy(host, *size, &mut writer)?,
        Source::Image(image) => image.copy(&mut writer)?,
    }
    writer.finish().map_err(|error| Error::caused(path, error))
}

/// Copies exactly `size` bytes of the file at `host`.
fn copy(host: &Path, size: u64, out: &mut impl Write) -> Result<(), Error> {
    let file = File::open(host).map_err(Error::on(host.display()))?;
    let copied = io::copy(&mut (&file).take(size), out).map_err(Error::on(host.display()))?;
    let more = (&file).read(&mut [0]).map_err(Error::on(host.display()))?;
    if copied != size || more != 0 {
        return Err(Error::new(host.display(), "changed its length while it was read").remedy("try again"));
    }
    Ok(())
}

/// The same error once more: those of the system are their number.
fn again(error: &io::Error) -> io::Error {
    let other = || io::Error::new(error.kind(), error.to_string());
    error.raw_os_error().map_or_else(other, io::Error::from_raw_os_error)
}

/// A writer that is not flushed before its end, that keeps why it refused data, and that tells how far it came.
struct Output<'a, W> {
    out: W,
    meter: &'a Meter,
    refused: &'a RefCell<Option<io::Error>>,
}

impl<W: Write> Write for Output<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let refused = |error: &io::Error| *self.refused.borrow_mut() = Some(again(error));
        let written = self.out.write(bytes).inspect_err(refused)?;
        self.meter.advance(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent() -> Meter {
        cli::progress::Progress::Silent.work("writing")
    }

    fn single(source: Source) -> Contents {
        let mut contents = Contents::default();
        contents.add("file", 0o644, source).expect("one file");
        contents
    }

    #[test]
    fn a_file_that_newc_cannot_count_is_refused() {
        let huge = single(Source::HostFile("/nowhere".into(), 1 << 32));
        let error =
            write(&huge, io::sink(), Path::new("out.img"), &silent()).expect_err("too large").to_string();
        assert!(
            error.starts_with("file: has 4294967296 bytes, a newc archive holds less than 4 GiB"),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_shrank_or_grew_is_refused() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(&file, "12345").expect("five bytes");
        for size in [4, 6] {
            let error = write(
                &single(Source::HostFile(file.path().into(), size)),
                io::sink(),
                Path::new("out.img"),
                &silent(),
            )
            .expect_err("changed");
            assert!(error.to_string().contains("changed its length while it was read"), "{error}");
        }
        write(&single(Source::HostFile(file.path().into(), 5)), io::sink(), Path::new("out.img"), &silent())
            .expect("the right length");
    }
}
