//! Images of the store, read through their recorded hash trees, and mended where that is possible.

use std::fs;

use profiles::Digest;
use profiles::resolved::VerityRef;

use super::Store;
use crate::error::{Error, Result};
use crate::image::checked::{self, CheckedImage};
use crate::report::Report;

impl Store {
    /// The image of this digest; every byte that is read of it is checked. `verity` is what its record or profile says.
    pub fn open_image(&self, digest: &Digest, verity: Option<&VerityRef>) -> Result<CheckedImage> {
        CheckedImage::open(&self.image_path(digest), digest, verity)
    }

    /// Says what was mended in what was read of an image, and mends the file itself where the store can be written to.
    pub fn finish_reading(
        &self,
        image: &CheckedImage,
        digest: &Digest,
        verity: Option<&VerityRef>,
        report: &Report,
    ) {
        let (Some(told), Some(verity)) = (image.told(), verity) else { return };
        match self.mend_image(digest, verity) {
            Ok(()) => report.line(format_args!("warning: {told}; the file was mended too")),
            Err(error) => {
                report
                    .line(format_args!("warning: {told}; the file itself stays damaged: {}", error.cause()));
            }
        }
    }

    /// Puts a mended copy in the place of a damaged image.
    fn mend_image(&self, digest: &Digest, verity: &VerityRef) -> Result<()> {
        let (scratch, path) = (self.scratch("mend")?, self.image_path(digest));
        let copy = scratch.path().join("image");
        fs::copy(&path, &copy).map_err(Error::on(path.display()))?;
        let mut file =
            fs::File::options().read(true).write(true).open(&copy).map_err(Error::on(copy.display()))?;
        checked::heal(&mut file, &path, digest, verity)?;
        self.publish(&copy, &path)
    }
}
