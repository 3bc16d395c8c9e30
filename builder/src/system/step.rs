//! The steps of a plan, each of which prints as a line.

use std::fmt;
use std::path::PathBuf;

use cli::numbers::{count, human_size};
use disk_image::DiskFile;

use crate::medium::MediumImage;

/// What helps where a kernel or an initramfs of the partition is of no use.
pub(super) const ANOTHER_KERNEL: &str =
    "give what comes a kernel of its own: `--kernel PACKAGE --initramfs FILE`";

/// One step.
#[derive(Debug, Clone)]
pub enum Step {
    /// Reads images that are on the medium, and puts those there again that are damaged.
    CheckImages(Vec<MediumImage>),
    /// Brings an image; the text says which package and version.
    CopyImage(MediumImage, String),
    /// Makes the slots that count boots, where they are missing.
    MakeSlots,
    /// Writes a small file of the medium, where it can be in place of the one that is there.
    WriteOnMedium(PathBuf, Vec<u8>),
    /// Brings a kernel or an initramfs.
    CopyBootFile(DiskFile),
    /// Reads one that is there, and brings it again when it is damaged.
    CheckBootFile(DiskFile),
    /// Reads one that is there, and for which nothing else is: the path.
    ReadBootFile(String),
    /// Writes a file that the partition does not have yet.
    WriteOnEsp(String, Vec<u8>),
    /// Writes that by which a loader chooses: one sector, in place, unless others have set more than fits.
    Choose(String, Vec<u8>),
    /// Removes a file of the partition.
    RemoveFromEsp(String),
    /// Removes a file of the medium.
    RemoveFromMedium(PathBuf),
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::CheckImages(images) => {
                let size = images.iter().map(|image| image.wanted.size).sum();
                write!(out, "check {} of the medium, {}", count(images.len(), "image"), human_size(size))
            }
            Step::CopyImage(image, what) => {
                write!(out, "copy the image of {what}, {}", human_size(image.wanted.size))
            }
            Step::MakeSlots => out.write_str("make the slots that count boots"),
            Step::WriteOnMedium(path, _) => write!(out, "write {} on the medium", path.display()),
            Step::CopyBootFile(file) => {
                write!(out, "copy {} to the ESP, {}", file.path, human_size(file.content.length()))
            }
            Step::CheckBootFile(file) => {
                write!(out, "check {} on the ESP, {}", file.path, human_size(file.content.length()))
            }
            Step::ReadBootFile(path) => write!(out, "check {path} on the ESP"),
            Step::WriteOnEsp(path, _) => write!(out, "write {path} on the ESP"),
            Step::Choose(path, _) => write!(out, "choose the default in {path}"),
            Step::RemoveFromEsp(path) => write!(out, "remove {path} from the ESP"),
            Step::RemoveFromMedium(path) => write!(out, "remove {} from the medium", path.display()),
        }
    }
}
