//! A disk from a file onto a device, and read back.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{Advice, OFlags, fadvise};

use crate::MIB;
use crate::extents::{Extent, data_of, extents};
use fault::{Error, Result};

/// How much is read and written at once, in bytes.
const PART: u64 = MIB;
/// What O_DIRECT wants of memory, with every device (open(2): the size of its logical block).
const ALIGNMENT: usize = 4096;

/// Writes an image to an open device of at least its length, and compares what the device then holds with it; both advance `progress`
/// by bytes. Beginning and partition table come last: a device that was not written to its end shows no disk.
///
/// # Errors
/// The device cannot be written to or read, or does not keep what was written.
pub fn write_and_compare(image: &File, device: &File, name: &Path, progress: impl FnMut(u64)) -> Result<()> {
    write_part_and_compare(image, device, 0, name, progress)
}

/// The same for the image of a part of the device, which begins at byte `at`, a multiple of a MiB.
///
/// # Errors
/// Likewise.
pub fn write_part_and_compare(
    image: &File,
    device: &File,
    at: u64,
    name: &Path,
    mut progress: impl FnMut(u64),
) -> Result<()> {
    let failed = |what: &str, error: io::Error| {
        Error::new(name.display(), format!("{what}: {error}"))
            .remedy(
                "it holds half a disk now: plug it in again and repeat the command, or take another device",
            )
            .because_of(error)
    };
    let length = image.metadata().map_err(|error| failed("the image", error))?.len();
    let all = extents(&data_of(image).map_err(|error| failed("the image", error))?, length);
    let (head, rest): (Vec<&Extent>, Vec<&Extent>) = all.iter().partition(|it| it.range().start < MIB);
    let mut write = |extent: &Extent| copy(image, device, at, extent, &mut progress);
    let old_head = Extent::Zeros(0..MIB.min(length));
    write(&old_head).map_err(|error| failed("cannot be written to", error))?;
    for part in [rest, head] {
        part.into_iter().try_for_each(&mut write).map_err(|error| failed("cannot be written to", error))?;
        device.sync_all().map_err(|error| failed("cannot be written to", error))?;
    }
    let reader = uncached(device).map_err(|error| failed("cannot be read back", error))?;
    for extent in &all {
        compare(image, (&reader, at), extent, &mut progress, name, &failed)?;
    }
    Ok(())
}

/// How many bytes [`write_and_compare`] advances.
///
/// # Errors
/// The image cannot be read.
pub fn work_of(image: &File) -> Result<u64> {
    let read = || -> io::Result<_> { Ok((data_of(image)?, image.metadata()?.len())) };
    let (data, length) = read().map_err(Error::on("the image"))?;
    Ok(2 * extents(&data, length).iter().map(Extent::length).sum::<u64>() + MIB.min(length))
}

fn copy(
    image: &File,
    device: &File,
    at: u64,
    extent: &Extent,
    progress: &mut impl FnMut(u64),
) -> io::Result<()> {
    let mut buffer = vec![0; PART as usize];
    for part in parts(extent.range()) {
        let bytes = &mut buffer[..(part.end - part.start) as usize];
        match extent {
            Extent::Data(_) => image.read_exact_at(bytes, part.start)?,
            Extent::Zeros(_) => bytes.fill(0),
        }
        device.write_all_at(bytes, at + part.start)?;
        progress(part.end - part.start);
    }
    Ok(())
}

/// The device opened again past the kernel's cache, in which everything is as it was written.
fn uncached(device: &File) -> io::Result<File> {
    let path = format!("/proc/self/fd/{}", device.as_raw_fd());
    let direct = OFlags::DIRECT.bits() as i32;
    match File::options().read(true).custom_flags(direct).open(&path) {
        // A file of a file system without O_DIRECT.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            let file = File::open(&path)?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
            Ok(file)
        }
        opened => opened,
    }
}

fn compare(
    image: &File,
    (device, begin): (&File, u64),
    extent: &Extent,
    progress: &mut impl FnMut(u64),
    name: &Path,
    failed: &impl Fn(&str, io::Error) -> Error,
) -> Result<()> {
    let mut memory = vec![0; PART as usize + ALIGNMENT];
    let aligned = memory.as_ptr().align_offset(ALIGNMENT);
    let mut meant = vec![0; PART as usize];
    for part in parts(extent.range()) {
        let length = (part.end - part.start) as usize;
        let found = &mut memory[aligned..aligned + length];
        device
            .read_exact_at(found, begin + part.start)
            .map_err(|error| failed("cannot be read back", error))?;
        if let Extent::Data(_) = extent {
            let meant = &mut meant[..length];
            image.read_exact_at(meant, part.start).map_err(|error| failed("the image", error))?;
        }
        if *found != meant[..length] {
            let at = found.iter().zip(&meant).position(|(found, meant)| found != meant).unwrap_or(0);
            let cause =
                format!("does not hold what was written: byte {} differs", begin + part.start + at as u64);
            let remedy = "do not use it: it is failing, or smaller than it says; take another device";
            return Err(Error::new(name.display(), cause).remedy(remedy));
        }
        progress(part.end - part.start);
    }
    Ok(())
}

fn parts(range: &Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
    let end = range.end;
    let first = range.start;
    (0..)
        .map(move |number| first + number * PART)
        .take_while(move |start| *start < end)
        .map(move |start| start..(start + PART).min(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> File {
        let image = tempfile::tempfile().unwrap();
        image.set_len(64 * MIB).unwrap();
        for at in [512, 20 * MIB, 21 * MIB - 5, 64 * MIB - 512] {
            image.write_all_at(&[7; 300], at).unwrap();
        }
        image
    }

    #[test]
    fn what_is_written_replaces_all_that_counts() {
        let (image, device) = (image(), tempfile::tempfile().unwrap());
        let old = vec![0xee; 64 * MIB as usize];
        device.write_all_at(&old, 0).unwrap();
        let mut done = 0;
        write_and_compare(&image, &device, Path::new("device"), |bytes| done += bytes).unwrap();
        assert_eq!(done, work_of(&image).unwrap());
        let (mut found, mut meant) = (old.clone(), old);
        device.read_exact_at(&mut found, 0).unwrap();
        image.read_exact_at(&mut meant, 0).unwrap();
        let same = |range: Range<u64>| {
            let range = range.start as usize..range.end as usize;
            found[range.clone()] == meant[range]
        };
        assert!(same(0..8 * MIB) && same(19 * MIB..28 * MIB) && same(63 * MIB..64 * MIB));
        assert_eq!(found[40 * MIB as usize], 0xee, "a hole was written");
    }

    /// A file that ends early stands for a device that is smaller than it says.
    #[test]
    fn a_device_that_does_not_keep_it_is_named() {
        let (image, device) = (image(), tempfile::tempfile().unwrap());
        device.set_len(64 * MIB).unwrap();
        write_and_compare(&image, &device, Path::new("sdx"), |_| ()).unwrap();
        device.write_all_at(&[8], 20 * MIB + 3).unwrap();
        let extent = Extent::Data(20 * MIB..22 * MIB);
        let failed = |what: &str, error: io::Error| Error::new(what, error.to_string());
        let error =
            compare(&image, (&device, 0), &extent, &mut |_| (), Path::new("sdx"), &failed).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("sdx: does not hold what was written: byte 20971523 differs"), "{text}");
        let read_only = File::open(format!("/proc/self/fd/{}", device.as_raw_fd())).unwrap();
        let error = write_and_compare(&image, &read_only, Path::new("sdx"), |_| ()).unwrap_err();
        assert!(error.to_string().contains("\nhelp: it holds half a disk"), "{error}");
    }
}
