//! Images of the store, read through their recorded hash trees, and mended where that is possible.

use std::fs;
use std::path::PathBuf;

use profiles::resolved::{ImageRef, VerityRef};
use profiles::{Digest, Name};
use verified_store::{CheckedImage, heal};

use super::{Store, wrong_length};
use crate::error::{Error, Result};
use crate::report::Report;

impl Store {
    /// The image of this digest; every byte that is read of it is checked. `verity` is what its record or profile says.
    pub fn open_image(&self, digest: &Digest, verity: Option<&VerityRef>) -> Result<CheckedImage> {
        CheckedImage::open(&self.image_path(digest), digest, verity)
    }

    /// Finds an image that a profile needs, by its length: whoever copies it looks at its bytes. Gives its path.
    ///
    /// # Errors
    /// It is missing, or has another length.
    pub fn require_image(&self, profile: &Name, image: &ImageRef) -> Result<PathBuf> {
        let path = self.image_path(&image.digest);
        let found = fs::metadata(&path).map_err(|error| {
            Error::new(path.display(), format!("profile {profile} needs it: {error}"))
                .remedy(format!("`lamina build {profile}` makes what is missing"))
        })?;
        if !found.is_file() {
            return Err(Error::new(path.display(), format!("profile {profile} needs it, and it is no file"))
                .remedy(format!("remove it; `lamina build {profile}` makes what is missing")));
        }
        if found.len() != image.size {
            let cause = format!(
                "the image of {} {}, which profile {profile} needs, {}",
                image.name,
                image.version,
                wrong_length(found.len(), image.size)
            );
            return Err(Error::new(path.display(), cause).remedy(format!(
                "`lamina build {profile}` makes it again; `lamina store verify` finds what else is damaged"
            )));
        }
        Ok(path)
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
        heal(&mut file, digest, verity).map_err(Error::on(path.display()))?;
        self.publish(&copy, &path)
    }
}
