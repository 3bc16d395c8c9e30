//! Which layer the kernel means when its log names a device: `device-mapper: verity: 7:2: data block 20 is corrupted`.

use std::fmt;

use boot_report::BootReport;
use boot_report::reading::Layer;

/// Major number of loop devices: `Documentation/admin-guide/devices.txt` of the kernel.
const LOOP: u32 = 7;
/// A record of the kernel's log has at most 1024 bytes (PRINTKRB_RECORD_MAX), with what is put in front of it.
const LONGEST_LINE: usize = 800;

/// A block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Which driver.
    pub major: u32,
    /// Which of its devices.
    pub minor: u32,
}

impl Device {
    /// Reads `MAJOR:MINOR`.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once(':')?;
        let number =
            |text: &str| text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        Some(Self { major: number(major)?, minor: number(minor)? })
    }

    /// The kernel's name of a device of a layer: `loop3`, `dm-3`.
    fn name(self) -> String {
        let kind = if self.major == LOOP { "loop" } else { "dm-" };
        format!("{kind}{}", self.minor)
    }

    /// Whether a word of the kernel's means this device: `7:3`, `loop3`, `dm-3`.
    fn is_meant_by(self, word: &str) -> bool {
        Self::parse(word) == Some(self) || word == self.name()
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// A layer and its devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerDevice {
    /// Name and version of the layer.
    pub layer: String,
    /// The device that is mounted.
    pub device: Device,
    /// The loop device below it, when dm-verity is between.
    pub backing: Option<Device>,
}

/// The devices of all layers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LayerDevices(pub Vec<LayerDevice>);

impl LayerDevices {
    /// Those of which a report tells.
    pub fn of(report: &BootReport) -> Self {
        let layer = |layer: &Layer| {
            let device = Device::parse(&layer.device)?;
            let title = format!("{} {}", layer.name, layer.version);
            Some(LayerDevice { layer: title, device, backing: Device::parse(&layer.backing) })
        };
        Self(report.layers.iter().filter_map(layer).collect())
    }

    /// The layer of the first device that the text names.
    pub fn layer_in(&self, text: &str) -> Option<&str> {
        let words = text.split(|character: char| character.is_whitespace() || ",()[]".contains(character));
        words.map(|word| word.trim_end_matches([':', '.', ';'])).find_map(|word| {
            let means = |device: Device| device.is_meant_by(word);
            let found = self.0.iter().find(|it| means(it.device) || it.backing.is_some_and(means));
            found.map(|it| it.layer.as_str())
        })
    }

    /// The text, with the name of the layer behind it when it names a device of one.
    pub fn explain(&self, text: &str) -> String {
        self.layer_in(text).map_or_else(|| text.to_owned(), |layer| format!("{text} (layer {layer})"))
    }

    /// All of them in few lines for the kernel's log: `layers: 253:0 on 7:0 base-files 1; 253:1 on 7:1 busybox 1.35.0`.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for LayerDevice { layer, device, backing } in &self.0 {
            let below = backing.map_or_else(String::new, |backing| format!(" on {backing}"));
            let item = format!("{device}{below} {layer}");
            match lines.last_mut() {
                Some(line) if line.len() + item.len() + 2 <= LONGEST_LINE => *line += &format!("; {item}"),
                _ => lines.push(format!("layers: {item}")),
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(text: &str) -> Device {
        Device::parse(text).unwrap()
    }

    fn three() -> LayerDevices {
        let layer = |layer: &str, own: &str, backing: Option<&str>| LayerDevice {
            layer: layer.to_owned(),
            device: device(own),
            backing: backing.map(device),
        };
        LayerDevices(vec![
            layer("base-files 1", "253:0", Some("7:0")),
            layer("busybox 1.35.0", "253:1", Some("7:12")),
            layer("plain 2", "7:1", None),
        ])
    }

    #[test]
    fn the_words_of_the_kernel_are_explained() {
        let devices = three();
        for (words, layer) in [
            ("device-mapper: verity: 7:12: data block 20 is corrupted", Some("busybox 1.35.0")),
            ("device-mapper: verity-fec: 7:0: FEC 0: corrected 8 errors", Some("base-files 1")),
            ("Buffer I/O error on dev dm-1, logical block 20, async page read", Some("busybox 1.35.0")),
            ("I/O error, dev loop1, sector 160 op 0x0:(READ) flags 0x80700", Some("plain 2")),
            ("erofs: (device dm-0): z_erofs_read_folio: failed", Some("base-files 1")),
            ("device-mapper: verity: 7:1: data block 2 is corrupted", Some("plain 2")),
            ("device-mapper: verity: 7:120: data block 2 is corrupted", None),
            ("EXT4-fs error (device dm-11): no such", None),
            ("usb 7:12:1: not a number", None),
            ("squashfs: bad", None),
        ] {
            assert_eq!(devices.layer_in(words), layer, "{words}");
        }
        assert_eq!(devices.explain("dm-1: bad"), "dm-1: bad (layer busybox 1.35.0)");
        assert_eq!(devices.explain("nothing"), "nothing");
    }

    #[test]
    fn many_layers_take_few_lines_that_the_kernel_accepts() {
        let expected = "layers: 253:0 on 7:0 base-files 1; 253:1 on 7:12 busybox 1.35.0; 7:1 plain 2";
        assert_eq!(three().lines(), [expected]);
        let many = (0..500).map(|minor| LayerDevice {
            layer: format!("package-{minor} 1.2.3"),
            device: Device { major: 253, minor },
            backing: Some(Device { major: 7, minor }),
        });
        let lines = LayerDevices(many.collect()).lines();
        assert!(lines.len() <= 30, "{}", lines.len());
        assert!(lines.iter().all(|line| line.len() <= LONGEST_LINE));
        assert!(lines.iter().any(|line| line.contains("253:499 on 7:499 package-499 1.2.3")));
        assert!(LayerDevices::default().lines().is_empty());
    }

    #[test]
    fn only_two_numbers_are_a_device() {
        for text in ["7", "7:", ":7", "7:+1", "7:1:2", "a:b", "7: 1"] {
            assert_eq!(Device::parse(text), None, "{text}");
        }
    }
}
