//! A throwaway initramfs: one that is kept, and behind it an archive with the agent of `--run`, which init starts beside the real init.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use cpio::newc::{self, ModeFileType};
use initramfs_format::paths::{BESIDE, entry};

use crate::error::{Error, Result};
use crate::regular_file;

/// An initramfs is archives one after the other, and an archive begins at a multiple of this (`buffer-format.rst` of the kernel's documents).
const ALIGNED: u64 = 4;
/// A static program has half a megabyte.
const LONGEST_AGENT: u64 = 64 << 20;

/// Writes the initramfs to `output`, with the program `agent` behind what is in `kept`.
///
/// # Errors
/// One of them cannot be read, or `output` not written.
pub fn write(kept: &Path, agent: &Path, output: &Path) -> Result<()> {
    let unwritable = |error: io::Error| Error::caused(output.display(), error);
    let (mut program, length) = regular_file::open_bounded(agent, LONGEST_AGENT)?;
    let mut from = File::open(kept).map_err(Error::on(kept.display()))?;
    let mut to = File::create(output).map_err(unwritable)?;
    let copied = io::copy(&mut from, &mut to)
        .map_err(|error| Error::caused(format!("{} to {}", kept.display(), output.display()), error))?;
    to.write_all(&[0; ALIGNED as usize][..(copied.next_multiple_of(ALIGNED) - copied) as usize])
        .map_err(unwritable)?;
    append(&mut to, &mut program, length).map_err(unwritable)
}

fn append(mut to: impl Write, program: &mut File, length: u64) -> io::Result<()> {
    let path = entry(BESIDE);
    let folders = path.match_indices('/').map(|(end, _)| &path[..end]);
    for folder in folders {
        let made =
            newc::Builder::new(folder).mode(0o755).set_mode_file_type(ModeFileType::Directory).nlink(2);
        to = made.write(to, 0).finish()?;
    }
    let length = u32::try_from(length).map_err(io::Error::other)?;
    let file = newc::Builder::new(path).mode(0o755).set_mode_file_type(ModeFileType::Regular).nlink(1);
    let mut entry = file.write(to, length);
    if io::copy(program, &mut entry)? != u64::from(length) {
        return Err(io::Error::other("the agent was changed meanwhile"));
    }
    newc::trailer(entry.finish()?)?.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_agent_lies_in_an_archive_of_its_own_behind_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let [kept, agent, output] = ["kept", "agent", "output"].map(|name| folder.path().join(name));
        fs::write(&kept, "12345").unwrap();
        fs::write(&agent, "program").unwrap();
        write(&kept, &agent, &output).unwrap();
        let bytes = fs::read(&output).unwrap();
        assert_eq!(&bytes[..8], b"12345\0\0\0");
        let (mut rest, mut found) = (&bytes[8..], Vec::new());
        loop {
            let reader = newc::Reader::new(rest).unwrap();
            let it = reader.entry();
            if it.is_trailer() {
                break;
            }
            found.push((it.name().to_owned(), it.mode(), it.file_size()));
            rest = reader.finish().unwrap();
        }
        let names: Vec<_> = found.iter().map(|(name, mode, size)| (name.as_str(), *mode, *size)).collect();
        assert_eq!(
            names,
            [("lib", 0o040_755, 0), ("lib/lamina", 0o040_755, 0), ("lib/lamina/beside", 0o100_755, 7)]
        );
        assert_eq!(write(&kept, Path::new("/nowhere"), &output).unwrap_err().object(), "/nowhere");
    }
}
