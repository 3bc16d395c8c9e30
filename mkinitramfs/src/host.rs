//! What the devices of one machine ask for: `modalias` of each, against the aliases of the modules.
//!
//! [`Devices::read`] looks, and [`Drivers::for_devices`] decides; nothing else here knows of a machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use initramfs_format::{buses, pattern};
use kernel_package::KernelPackage;

use crate::modinfo::{self, ModInfo};
use fault::Error;

/// Folders of devices are nested about fifteen deep, behind several hubs.
const DEEPEST: usize = 40;
/// uevent has no more for all of a device's variables (UEVENT_BUFFER_SIZE, kernel: include/linux/kobject.h).
const LONGEST: usize = 2_048;

/// Modules that no boot needs, by their folder: the system that was booted loads them, or they come with `--module`.
const NOT_FOR_A_BOOT: [(&str, &str); 9] = [
    ("kernel/sound/", "sound"),
    ("kernel/drivers/media/", "cameras and television"),
    ("kernel/drivers/net/wireless/", "wireless networks"),
    ("kernel/drivers/bluetooth/", "Bluetooth"),
    ("kernel/drivers/gpu/drm/i915/", "graphics with large firmware"),
    ("kernel/drivers/gpu/drm/xe/", "graphics with large firmware"),
    ("kernel/drivers/gpu/drm/amd/", "graphics with large firmware"),
    ("kernel/drivers/gpu/drm/radeon/", "graphics with large firmware"),
    ("kernel/drivers/gpu/drm/nouveau/", "graphics with large firmware"),
];

/// What the devices of a machine say they are: `pci:v00008086d00002922sv…`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Devices(BTreeSet<String>);

impl Devices {
    /// Reads each `modalias` below `SYSFS/devices`, on the buses whose devices ask for modules. No link is followed.
    ///
    /// # Errors
    /// There is no such folder, or nothing in it.
    pub(crate) fn read(sysfs: &Path) -> Result<Devices, Error> {
        let remedy = "give the folder where sysfs is mounted, usually /sys, or a copy of one with --sysfs";
        let folder = sysfs.join("devices");
        let mut devices = Devices::default();
        devices.walk(&folder, 0).map_err(|error| Error::caused(folder.display(), error).remedy(remedy))?;
        match devices.0.is_empty() {
            true => Err(Error::new(folder.display(), "no device in it asks for a driver").remedy(remedy)),
            false => Ok(devices),
        }
    }

    fn walk(&mut self, folder: &Path, depth: usize) -> std::io::Result<()> {
        for entry in fs::read_dir(folder)?.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && depth < DEEPEST {
                // A device can go while this looks, and folders of others may be closed.
                let _ = self.walk(&entry.path(), depth + 1);
            } else if kind.is_file() && entry.file_name() == "modalias" {
                let text = fs::read_to_string(entry.path()).unwrap_or_default();
                // sysfs says that every file has 4096 bytes, and tar(1) fills its copies up to them with zeros.
                self.add(text.trim_end_matches(|end: char| end == '\0' || end.is_whitespace()));
            }
        }
        Ok(())
    }

    fn add(&mut self, modalias: &str) {
        let asks = buses::names_a_device(modalias) || modalias.starts_with("serio:");
        if asks && modalias.len() <= LONGEST && !modalias.contains(char::is_control) {
            self.0.insert(modalias.to_owned());
        }
    }
}

/// Which module drives what.
#[derive(Debug, Default)]
pub(crate) struct Drivers {
    /// Patterns by what stands before their first `:` or `*`, with the name of the module.
    patterns: BTreeMap<String, Vec<(String, String)>>,
}

/// A module that a machine wants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wanted {
    /// The name as in `lsmod`.
    pub module: String,
    /// The device that asks first.
    pub device: String,
}

impl Drivers {
    /// Reads what depmod(8) wrote, and else the modules themselves.
    ///
    /// # Errors
    /// The table is older than a module, or a module cannot be read.
    pub(crate) fn read(kernel: &KernelPackage) -> Result<Drivers, Error> {
        let Some(table) = kernel.index("modules.alias") else { return Drivers::of_modules(kernel) };
        if let Some(module) = kernel.newer_than("modules.alias") {
            let cause = format!(
                "modules.alias is older than the module {}, and may not say which devices it drives",
                module.file
            );
            return Err(Error::new(kernel.path().display(), cause).remedy(format!(
                "run 'depmod {}' on the machine where the kernel is installed",
                kernel.release()
            )));
        }
        Ok(Drivers::of_table(&table))
    }

    /// Lines `alias PATTERN MODULE`.
    fn of_table(table: &str) -> Drivers {
        let mut drivers = Drivers::default();
        for line in table.lines() {
            if let ["alias", pattern, module] = line.split_whitespace().collect::<Vec<_>>()[..] {
                drivers.add(pattern, module);
            }
        }
        drivers
    }

    fn of_modules(kernel: &KernelPackage) -> Result<Drivers, Error> {
        let mut drivers = Drivers::default();
        for module in kernel.modules() {
            let bytes = kernel.look_at(module)?;
            let info = ModInfo::read(&bytes).map_err(|cause| {
                Error::new(kernel.path().display(), format!("the module {} {cause}", module.name))
            })?;
            info.aliases.iter().for_each(|alias| drivers.add(alias, &module.name));
        }
        Ok(drivers)
    }

    fn add(&mut self, pattern: &str, module: &str) {
        if let Some(module) = modinfo::name(module) {
            self.patterns.entry(bus(pattern)).or_default().push((pattern.to_owned(), module));
        }
    }

    /// The modules that these devices ask for, sorted, each once.
    pub(crate) fn for_devices(&self, devices: &Devices) -> Vec<Wanted> {
        let mut wanted: BTreeMap<&str, &str> = BTreeMap::new();
        for device in &devices.0 {
            let of_bus = self.patterns.get(&bus(device)).into_iter().flatten();
            for (_, module) in of_bus.filter(|(pattern, _)| pattern::matches(pattern, device)) {
                wanted.entry(module).or_insert(device);
            }
        }
        let wanted = wanted.into_iter();
        wanted
            .map(|(module, device)| Wanted { module: module.to_owned(), device: device.to_owned() })
            .collect()
    }
}

/// Why no boot needs the module with this path, if none does.
pub(crate) fn not_for_a_boot(path: &str) -> Option<&'static str> {
    NOT_FOR_A_BOOT.iter().find(|(folder, _)| path.starts_with(folder)).map(|(_, what)| *what)
}

fn bus(alias: &str) -> String {
    alias.split([':', '*']).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(aliases: &[&str]) -> Devices {
        let mut devices = Devices::default();
        aliases.iter().for_each(|alias| devices.add(alias));
        devices
    }

    #[test]
    fn devices_get_the_modules_whose_patterns_they_match() {
        let table = "# Aliases extracted from modules themselves.\n\
                     alias pci:v*d*sv*sd*bc01sc06i01* ahci\n\
                     alias pci:v00001AF4d00001001sv*sd*bc*sc*i* virtio-pci\n\
                     alias acpi*:PNP0C50:* i2c_hid_acpi\n\
                     alias serio:ty06pr*id*ex* atkbd\n\
                     alias fs-ext4 ext4\n\
                     alias cpu:type:x86,ven*fam*mod*:feature:*0099* aesni_intel\n";
        let machine = devices(&[
            "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01",
            "pci:v00008086d00002923sv00001AF4sd00001100bc01sc06i01",
            "acpi:ELAN0001:PNP0C50:",
            "serio:ty06pr00id00ex00",
            "cpu:type:x86,ven0000fam0006mod009E:feature:,0099,",
        ]);
        let wanted = Drivers::of_table(table).for_devices(&machine);
        let wanted: Vec<(&str, &str)> =
            wanted.iter().map(|it| (it.module.as_str(), it.device.as_str())).collect();
        assert_eq!(
            wanted,
            [
                ("ahci", "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01"),
                ("atkbd", "serio:ty06pr00id00ex00"),
                ("i2c_hid_acpi", "acpi:ELAN0001:PNP0C50:"),
            ]
        );
    }

    #[test]
    fn a_machine_is_read_without_following_links() {
        let sys = tempfile::tempdir().expect("a folder");
        let error = Devices::read(sys.path()).expect_err("nothing there").to_string();
        assert!(error.contains("/devices: No such file") && error.contains("usually /sys"), "{error}");
        let put = |path: &str, text: &str| {
            let path = sys.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        };
        put("devices/cpu/modalias", "cpu:type:x86\n");
        let error = Devices::read(sys.path()).expect_err("processors alone").to_string();
        assert!(error.contains("no device in it asks for a driver"), "{error}");
        put("devices/pci0000:00/0000:00:03.0/modalias", "pci:v1\n");
        put("devices/pci0000:00/0000:00:03.0/virtio0/modalias", "virtio:d2v1\n");
        put("devices/pci0000:00/0000:00:04.0/modalias", "pci:v1\n");
        put("elsewhere/modalias", "pci:v2\n");
        std::os::unix::fs::symlink("..", sys.path().join("devices/pci0000:00/up")).expect("a link");
        assert_eq!(Devices::read(sys.path()).expect("read"), devices(&["pci:v1", "virtio:d2v1"]));
    }

    #[test]
    fn a_copy_that_tar_filled_up_with_zeros_is_read() {
        let sys = tempfile::tempdir().expect("a folder");
        let folder = sys.path().join("devices/0000:00:03.0");
        fs::create_dir_all(&folder).expect("made");
        fs::write(folder.join("modalias"), format!("pci:v1\n{}", "\0".repeat(4_089))).expect("written");
        assert_eq!(Devices::read(sys.path()).expect("read"), devices(&["pci:v1"]));
    }

    #[test]
    fn what_no_boot_needs_is_told_by_its_folder() {
        assert_eq!(not_for_a_boot("kernel/sound/pci/hda/snd-hda-intel.ko"), Some("sound"));
        assert_eq!(not_for_a_boot("kernel/drivers/ata/ahci.ko"), None);
    }
}
