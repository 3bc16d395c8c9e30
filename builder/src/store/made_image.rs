//! An image that this program has written and that is not in the store yet, and the way in which it comes there: first the image, then the
//! record that names it.

use std::num::NonZero;
use std::path::{Path, PathBuf};

use squashfs::Tree;

use super::{BuildRecord, RECORD_FOLDER, Store};
use crate::error::Result;
use crate::image::format::ImageFormat;
use crate::image::output;
use crate::image::path_metadata::PathMetadata;
use crate::scratch::Scratch;

/// An image that lies in scratch and is gone with it, unless [`Store::publish_made`] takes it.
#[derive(Debug)]
pub struct MadeImage {
    scratch: Scratch,
    /// What it was made from, with its digest and what opens it.
    pub record: BuildRecord,
}

impl MadeImage {
    /// The image in a scratch folder.
    fn path_in(scratch: &Scratch) -> PathBuf {
        scratch.path().join("image")
    }

    /// Where it lies.
    pub fn path(&self) -> PathBuf {
        Self::path_in(&self.scratch)
    }
}

/// Writes `tree` with the record inside, and what `metadata` says of its paths, to the new file `path`. Completes the record.
pub fn write_with_record(
    tree: &mut Tree,
    metadata: &[PathMetadata],
    record: &mut BuildRecord,
    (format, jobs): (ImageFormat, NonZero<usize>),
    path: &Path,
) -> Result<()> {
    let inside = format!("{RECORD_FOLDER}/{}.kdl", record.name);
    output::finish(tree, metadata, (&inside, record.to_kdl_inside().into_bytes()))?;
    let written = output::write(tree, &format.write_options(jobs), path)?;
    (record.digest, record.size, record.verity) = (written.digest, written.size, Some(written.verity));
    Ok(())
}

impl Store {
    /// Makes an image that no recipe describes, of a tree and what is known of it; digest, size and hash tree of `record` are found here.
    /// `jobs` threads do not change its bytes.
    pub fn make_image(
        &self,
        mut tree: Tree,
        mut record: BuildRecord,
        format: ImageFormat,
        jobs: NonZero<usize>,
    ) -> Result<MadeImage> {
        let scratch = self.scratch(record.name.as_str())?;
        let path = MadeImage::path_in(&scratch);
        write_with_record(&mut tree, &[], &mut record, (format, jobs), &path)?;
        Ok(MadeImage { scratch, record })
    }

    /// Puts an image that was made, and its record, into the store.
    pub fn publish_made(&self, made: &MadeImage) -> Result<()> {
        self.publish_build(&made.path(), &made.record)
    }

    /// Puts the image `path` and the record that says what it is into the store.
    pub fn publish_build(&self, path: &Path, record: &BuildRecord) -> Result<()> {
        self.publish(path, &self.image_path(&record.digest))?;
        self.write(&self.record_path(&record.id), record.to_kdl().as_bytes())
    }
}
