//! The layers of a stack, as the report has them.

use boot_report::Rendered;
use boot_report::records::LayerRecord;
use profiles::Verify;
use profiles::resolved::BootProfile;
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

impl LayerFacts {
    /// As far as is known before it is mounted.
    const UNKNOWN: Self =
        Self { file_system: "unknown", corrects_errors: false, device: None, backing: None };
}

/// The layers of a profile, bottom first, with what was found of the one at each position.
pub fn layers(profile: &BootProfile, facts: impl Fn(usize) -> Option<LayerFacts>) -> Rendered {
    let verified = match profile.verify {
        Verify::None => "none",
        Verify::Digest => "digest",
        Verify::Verity => "verity",
    };
    let mut layers = Rendered::default();
    for (position, image) in profile.images.iter().enumerate() {
        let facts = facts(position).unwrap_or(LayerFacts::UNKNOWN);
        layers.push(&LayerRecord {
            name: image.name.as_str(),
            version: &image.version,
            id: image.id.map(|id| id.hex()),
            digest: image.digest.to_string(),
            size: image.size,
            file_system: facts.file_system,
            verified,
            corrects_errors: facts.corrects_errors,
            path: format!("{}/{}", paths::LAYERS, image.name),
            device: facts.device.map(|device| device.to_string()),
            backing: facts.backing.map(|device| device.to_string()),
        });
    }
    layers
}
