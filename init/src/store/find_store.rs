//! Waits for the medium: the kernel says when something new is there, also in a drive, into which it looks every second meanwhile.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use profiles::DeviceSpec;

use crate::console;
use crate::devices::block_devices::BlockDevice;
use crate::devices::inventory::Inventory;
use crate::devices::uevents::{Uevents, Waited};
use crate::devices::which_device;
use crate::error::Failure;
use crate::modules::Modules;
use crate::request::store_spec::{Protocol, Share, StoreSpec};
use crate::store::Store;
use crate::store::medium::{self, Medium};
use crate::waiting::wait_for_device::{Patience, Waits, nothing_answers};

/// Finds the medium that the request names, and waits for it at most `timeout`.
pub fn find(
    spec: &StoreSpec,
    timeout: Duration,
    waits: &Waits,
    modules: &Modules,
) -> Result<Medium, Failure> {
    match spec {
        StoreSpec::Initramfs => Ok(Medium::Initramfs),
        StoreSpec::Share(share) => find_share(share, timeout, modules),
        StoreSpec::Device(device) => find_device(device, spec, timeout, waits, modules),
    }
}

/// Without `lamina.store=` only a store in the initramfs serves; guessing a disk would boot whatever was plugged in.
pub fn default_spec(packed: Option<&Store>) -> Result<StoreSpec, Failure> {
    if packed.is_some_and(Store::has_profiles) {
        return Ok(StoreSpec::Initramfs);
    }
    let mut inventory = Inventory::default();
    inventory.refresh();
    Err(Failure::new("no lamina.store= on the kernel command line, and no store in the initramfs")
        .having_seen(inventory.devices().iter().map(ToString::to_string))
        .try_this("write lamina.store=LABEL=NAME, or pack the store into the initramfs"))
}

fn find_device(
    spec: &DeviceSpec,
    store: &StoreSpec,
    timeout: Duration,
    waits: &Waits,
    modules: &Modules,
) -> Result<Medium, Failure> {
    let absent = |devices: &[BlockDevice]| {
        let seen = devices.iter().map(ToString::to_string).collect();
        not_found(store, timeout, seen, modules, "disk")
    };
    let choose = |devices: &[BlockDevice]| {
        let chosen = medium::choose(spec, devices)?;
        if chosen.is_some()
            && let Some(line) = which_device::about_whole_disk(spec, devices)
        {
            console::write_line(&line);
        }
        Ok(chosen)
    };
    waits.wait(spec, timeout, modules, choose, absent)
}

fn find_share(share: &Share, timeout: Duration, modules: &Modules) -> Result<Medium, Failure> {
    let deadline = Instant::now() + timeout;
    let mut patience = Patience::begin(deadline);
    let uevents = Uevents::subscribe()?;
    loop {
        modules.follow_devices();
        let tags = tags(share.protocol);
        if tags.iter().any(|tag| tag.as_ref().is_none_or(|tag| *tag == share.tag)) {
            return Ok(Medium::Share(share.clone()));
        }
        if uevents.wait(patience.until)? == Waited::TimedOut && patience.is_over(modules) {
            let seen =
                tags.into_iter().flatten().map(|tag| format!("{}:{tag}", share.protocol.driver())).collect();
            return Err(not_found(&StoreSpec::Share(share.clone()), timeout, seen, modules, "share"));
        }
    }
}

/// The tags of the shares that are there; `None` for one whose tag the kernel does not tell (virtiofs before 6.9), where
/// the mount will show.
fn tags(protocol: Protocol) -> Vec<Option<String>> {
    let text = |path: &Path| {
        let text = fs::read_to_string(path).ok()?;
        Some(text.trim_end_matches(['\0', '\n']).to_owned())
    };
    let entries = |folder: &str| -> Vec<_> {
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    match protocol {
        Protocol::NineP => {
            let devices = entries("/sys/bus/virtio/drivers/9pnet_virtio");
            devices.iter().filter_map(|device| text(&device.join("mount_tag"))).map(Some).collect()
        }
        Protocol::Virtiofs => {
            let tags: Vec<_> = entries("/sys/fs/virtiofs")
                .iter()
                .filter_map(|share| text(&share.join("tag")))
                .map(Some)
                .collect();
            let devices = entries("/sys/bus/virtio/drivers/virtiofs");
            let bound = devices.iter().filter(|device| device.join("device").exists()).count();
            if tags.is_empty() { vec![None; bound] } else { tags }
        }
    }
}

fn not_found(
    spec: &StoreSpec,
    timeout: Duration,
    seen: Vec<String>,
    modules: &Modules,
    noun: &str,
) -> Failure {
    nothing_answers(&spec.to_string(), timeout, seen, modules, noun, "lamina.store=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_store_names_what_was_seen_and_the_modules_that_failed() {
        let modules = Modules::that_failed(&[
            "wdat: its hardware is not in this machine",
            "virtio_blk: made for another kernel",
        ]);
        let spec = StoreSpec::parse("/dev/disk/by-label/x").unwrap();
        let failure =
            not_found(&spec, Duration::from_secs(5), vec!["/dev/sr0 1 MiB".into()], &modules, "disk");
        assert_eq!(failure.why, "nothing answers to /dev/disk/by-label/x after 5 s");
        assert_eq!(
            failure.seen,
            ["/dev/sr0 1 MiB", "module not loaded: virtio_blk: made for another kernel"]
        );
        assert!(failure.remedies[1].contains("LABEL="), "{failure:?}");
    }

    #[test]
    fn waiting_for_a_device_that_never_comes_ends_in_time() {
        let begin = Instant::now();
        let spec = StoreSpec::parse("LABEL=no such volume on this machine").unwrap();
        let failure =
            find(&spec, Duration::from_millis(50), &Waits::default(), &Modules::default()).unwrap_err();
        assert!(begin.elapsed() >= Duration::from_millis(50));
        assert!(failure.why.contains("no such volume"), "{failure:?}");
    }
}
