//! Damage of images, as dm-verity tells of it in the kernel's log: `drivers/md/dm-verity-target.c` and `dm-verity-fec.c`.
//!
//! The kernel keeps no count of its own: in the status of a target there is only whether something could not be healed. It writes
//! at most ten such lines in five seconds, so that the numbers here are the least that it can have been.

use boot_report::BootReport;

use crate::System;
use crate::kernel_log::{self, KernelLog, Record};
use crate::layer_devices::LayerDevices;

/// Blocks of an image that are named.
const MOST_BLOCKS: usize = 8;

/// The damage of one image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Damage {
    /// Name and version of the layer.
    pub layer: String,
    /// How often the kernel said that it healed something.
    pub healed: u64,
    /// How often it said that it could not.
    pub lost: u64,
    /// The first blocks that could not be healed, in its words: `data block 20`.
    pub blocks: Vec<String>,
}

/// Adds to the warnings of a report what the kernel's log says by now about damage of its layers.
pub fn add_to(report: &mut BootReport, system: &System) {
    if !report.layers.iter().any(|layer| layer.verified == "verity") {
        return;
    }
    let mut log = match KernelLog::open(&system.path(kernel_log::PATH)) {
        Ok(log) => log,
        Err(error) => {
            let why = format!(
                "{}: {error}: whether damage was healed since the boot is not known; ask as root",
                kernel_log::PATH
            );
            return report.warnings.push(why);
        }
    };
    let (devices, mut damages) = (LayerDevices::of(report), Damages::default());
    log.each(|record| {
        if record.sequence >= report.log_from {
            damages.hear(&record, &devices);
        }
    });
    for damage in &damages.0 {
        // What init heard of it is older.
        report.warnings.retain(|warning| !damage.is_told_by(warning));
        report.warnings.push(damage.sentence());
    }
}

/// What a line tells.
#[derive(Debug, PartialEq, Eq)]
enum Event<'a> {
    Healed,
    /// The block, in the kernel's words.
    Lost(&'a str),
}

/// All damage that was heard of, layer by layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Damages(pub Vec<Damage>);

impl Damages {
    /// Takes what a record tells, if it tells of a layer.
    pub fn hear(&mut self, record: &Record, devices: &LayerDevices) {
        let Some(event) = event(&record.text) else { return };
        let Some(layer) = devices.layer_in(&record.text) else { return };
        let index = self.0.iter().position(|damage| damage.layer == layer);
        let index = index.unwrap_or_else(|| {
            self.0.push(Damage { layer: layer.to_owned(), ..Damage::default() });
            self.0.len() - 1
        });
        let Some(damage) = self.0.get_mut(index) else { return };
        match event {
            Event::Healed => damage.healed += 1,
            Event::Lost(block) => {
                damage.lost += 1;
                if damage.blocks.len() < MOST_BLOCKS && damage.blocks.iter().all(|known| known != block) {
                    damage.blocks.push(block.to_owned());
                }
            }
        }
    }
}

impl Damage {
    /// Whether the sentence is about the damage of this layer.
    pub fn is_told_by(&self, sentence: &str) -> bool {
        sentence.starts_with(&self.head())
    }

    fn head(&self) -> String {
        format!("the image of {} is damaged", self.layer)
    }

    /// One sentence, with what to do.
    pub fn sentence(&self) -> String {
        let Self { healed, lost, blocks, .. } = self;
        let head = self.head();
        if *lost > 0 {
            return format!(
                "{head}, and not all of it can be healed ({}): copy it to the medium again",
                blocks.join(", ")
            );
        }
        let times = if *healed == 1 { "once".to_owned() } else { format!("{healed} times") };
        format!(
            "{head}: it was healed as it was read, {times} so far; copy it to the medium again before more is damaged"
        )
    }
}

fn event(text: &str) -> Option<Event<'_>> {
    let words = text.strip_prefix("device-mapper: ")?;
    if let Some(words) = words.strip_prefix("verity-fec: ") {
        return (words.contains(": corrected ") && words.ends_with(" errors")).then_some(Event::Healed);
    }
    let block = words.strip_prefix("verity: ")?.strip_suffix(" is corrupted")?.split(": ").last()?;
    Some(Event::Lost(block))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer_devices::{Device, LayerDevice};
    use std::time::Duration;

    #[test]
    fn what_the_kernel_says_is_added_up_by_layer() {
        let devices = LayerDevices(vec![LayerDevice {
            layer: "noise 1".into(),
            device: Device { major: 253, minor: 2 },
            backing: Some(Device { major: 7, minor: 2 }),
        }]);
        let mut damages = Damages::default();
        for text in [
            "device-mapper: verity-fec: 7:2: FEC 0: corrected 8 errors",
            "device-mapper: verity-fec: 7:2: FEC 4096: corrected 1 errors",
            "device-mapper: verity-fec: 7:9: FEC 4096: corrected 1 errors",
            "device-mapper: verity-fec: 7:2: FEC 0: failed to correct: -74",
            "lamina: device-mapper: verity: 7:2: data block 1 is corrupted",
            "device-mapper: verity: sha256 using implementation \"sha256-generic\"",
        ] {
            let record = Record { level: 4, sequence: 1, time: Duration::ZERO, text: text.into() };
            damages.hear(&record, &devices);
        }
        let expected = Damage { layer: "noise 1".into(), healed: 2, lost: 0, blocks: Vec::new() };
        assert_eq!(damages.0, [expected]);
        assert!(
            damages.0[0].sentence().contains("noise 1 is damaged: it was healed as it was read, 2 times")
        );
        for block in ["data block 20", "data block 20", "metadata block 260"] {
            let text = format!("device-mapper: verity: 7:2: {block} is corrupted");
            let record = Record { level: 3, sequence: 1, time: Duration::ZERO, text };
            damages.hear(&record, &devices);
        }
        assert_eq!((damages.0[0].lost, damages.0[0].healed), (3, 2));
        let sentence = damages.0[0].sentence();
        assert!(sentence.contains("(data block 20, metadata block 260): copy it"), "{sentence}");
    }
}
