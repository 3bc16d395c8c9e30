//! The layers of a stack, as the report has them.

use boot_report::records::LayerRecord;
use profiles::Verify;
use profiles::resolved::{BootProfile, ImageRef};
use running::layer_devices::Device;

use crate::paths;

/// What was found when a layer was mounted.
#[derive(Debug, Clone, Copy)]
pub struct LayerFacts {
    /// `squashfs` or `erofs`.
    pub file_system: &'static str,
    /// Whether damage is healed as it is read.
    pub corrects_errors: bool,
    /// The device that is mounted.
    pub device: Option<Device>,
    /// The loop device below dm-verity.
    pub backing: Option<Device>,
}

/// The layers of a profile, bottom first, as far as they are known before they are mounted.
pub fn layers(profile: &BootProfile) -> Vec<LayerRecord> {
    let verified = match profile.verify {
        Verify::None => "none",
        Verify::Digest => "digest",
        Verify::Verity => "verity",
    };
    let record = |image: &ImageRef| LayerRecord {
        name: image.name.as_str().to_owned(),
        version: image.version.clone(),
        id: image.id.map(|id| id.hex()),
        digest: image.digest.to_string(),
        size: image.size,
        file_system: "unknown",
        verified: verified.to_owned(),
        corrects_errors: false,
        path: format!("{}/{}", paths::LAYERS, image.name),
        device: None,
        backing: None,
    };
    profile.images.iter().map(record).collect()
}
