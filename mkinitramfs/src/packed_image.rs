//! An image of a store on its way into the initramfs: hashed when it is chosen, and again while its bytes are written, so that what is
//! in the initramfs is what the profile names. What error correction can mend is mended, in a copy without a name.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};

use cli::progress::{Meter, count};
use profiles::Digest;
use profiles::resolved::{ImageRef, VerityRef};
use verity::{Layout, Verity};

use crate::host_file;
use fault::Error;

const REMEDY: &str = "'lamina store verify' finds damaged images; 'lamina build' makes them again";

/// An image that was checked.
#[derive(Debug)]
pub struct PackedImage {
    path: PathBuf,
    /// What is packed in the place of a damaged file. A sound one is opened again: of all at once there may be more than a process
    /// may have open.
    mended: Option<File>,
    digest: Digest,
    size: u64,
}

impl PackedImage {
    /// Opens and hashes the image of a profile. Says also what had to be mended, in a sentence.
    ///
    /// # Errors
    /// It is missing; it is not what the profile says, and error correction cannot mend it.
    pub(crate) fn check(
        path: &Path,
        image: &ImageRef,
        profile: impl Display,
        meter: &Meter,
    ) -> Result<(Self, Option<String>), Error> {
        let about = |cause: String| {
            let cause = format!("image '{}' of profile '{profile}': {cause}", image.name);
            Error::new(path.display(), cause).remedy(REMEDY)
        };
        let mut file = host_file::open(path).map_err(|error| about(error.to_string()))?;
        let (digest, size) = Digest::of(meter.reader(&mut file)).map_err(|error| about(error.to_string()))?;
        let packed =
            |mended| PackedImage { mended, path: path.to_path_buf(), digest: image.digest, size: image.size };
        if digest == image.digest && size == image.size {
            return Ok((packed(None), None));
        }
        let wrong = match size == image.size {
            true => format!("has the digest {digest}, not the one in its name"),
            false => format!("has {size} bytes, the profile says {}", image.size),
        };
        let Some(verity) = &image.verity else { return Err(about(wrong)) };
        let (copy, blocks) =
            mended(&mut file, image, verity).map_err(|error| about(format!("{wrong}, and {error}")))?;
        let told = format!(
            "{}: image '{}': {}, mended by error correction in what was packed; {REMEDY}",
            path.display(),
            image.name,
            count(blocks, "damaged block")
        );
        Ok((packed(Some(copy)), Some(told)))
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Writes its bytes.
    ///
    /// # Errors
    /// They are others by now.
    pub(crate) fn copy(&self, out: &mut impl Write) -> Result<(), Error> {
        let mut attempt = || {
            let mut file = match &self.mended {
                Some(file) => file.try_clone()?,
                None => host_file::open(&self.path)?,
            };
            file.rewind()?;
            Digest::of(Tee { file: &file, out })
        };
        match attempt().map_err(Error::on(self.path.display()))? {
            (digest, size) if digest == self.digest && size == self.size => Ok(()),
            _ => Err(Error::new(self.path.display(), "changed while it was read").remedy("try again")),
        }
    }
}

/// What is read of a file is written as well.
struct Tee<'a, W> {
    file: &'a File,
    out: &'a mut W,
}

impl<W: Write> Read for Tee<'_, W> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(bytes)?;
        self.out.write_all(&bytes[..count])?;
        Ok(count)
    }
}

/// A mended copy, and how many blocks of it were wrong.
fn mended(file: &mut File, image: &ImageRef, verity: &VerityRef) -> Result<(File, u64), String> {
    let text = |error: io::Error| error.to_string();
    let layout = Layout::new(verity.data_blocks, verity.fec_roots).map_err(|error| error.to_string())?;
    let whole = Verity { root_hash: *verity.root_hash.bytes(), salt: *verity.salt.bytes(), layout };
    let mut copy = tempfile::tempfile().map_err(text)?;
    file.rewind().and_then(|()| io::copy(&mut file.take(layout.total_len), &mut copy)).map_err(text)?;
    let blocks = verity::heal(&copy, &whole, NonZero::<usize>::MIN)
        .map_err(|error| format!("error correction cannot mend it: {error}"))?;
    copy.rewind().map_err(text)?;
    match Digest::of(&copy).map_err(text)? {
        (digest, _) if digest == image.digest => Ok((copy, blocks)),
        _ => Err("its hash tree is that of another image".to_owned()),
    }
}
