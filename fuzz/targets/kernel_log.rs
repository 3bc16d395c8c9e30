//! What the kernel writes into its log, with names out of images and media in it.

#![no_main]

use running::damage::Damages;
use running::kernel_log::Record;
use running::layer_devices::{Device, LayerDevice, LayerDevices};

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let text = String::from_utf8_lossy(text);
    let layer = |minor| LayerDevice {
        layer: format!("layer {minor}"),
        device: Device { major: 253, minor },
        backing: Some(Device { major: 7, minor }),
    };
    let devices = LayerDevices((0..3).map(layer).collect());
    let mut damages = Damages::default();
    for record in text.lines().filter_map(Record::parse) {
        damages.hear(&record, &devices);
        assert!(devices.explain(&record.text).starts_with(&record.text));
    }
    assert!(damages.0.len() <= 3);
    damages.0.iter().for_each(|damage| assert!(!damage.sentence().is_empty()));
});
