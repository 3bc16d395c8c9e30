//! Loads modules, each once, and notes why.

use std::ffi::CString;
use std::fs::File;
use std::path::Path;

use boot_report::records::{LoadedModule, ModuleRecord};
use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};

use super::blacklist::Blacklist;
use super::list::{Lazy, Module};
use super::needs::Need;
use crate::clock::{micros, now};
use crate::devices::uevents::Uevents;
use kernel_command_line::Parameter;

/// Why a module does not load that this machine has no need of.
pub(super) const NO_HARDWARE: &str = "its hardware is not in this machine";

const KEPT_OUT: &str = "kept out by modprobe.blacklist= or module_blacklist= on the kernel command line";

/// Loads modules.
#[derive(Debug, Default)]
pub(super) struct Loader {
    /// In an order in which each could be loaded.
    list: Vec<Module>,
    /// For each of the list: it was loaded, or cannot be.
    done: Vec<bool>,
    /// Needs that were met or cannot be: hundreds of layers have the same.
    met: Vec<String>,
    parameters: Vec<Parameter>,
    blacklist: Blacklist,
    pub record: ModuleRecord,
    /// Announces devices.
    pub uevents: Option<Uevents>,
}

/// Modules that nothing has asked for, ready to be loaded without the initramfs.
#[derive(Debug, Default)]
pub struct Left {
    modules: Vec<(File, CString)>,
}

impl Left {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.modules.is_empty()
    }

    /// Loads them. What does not load is not needed either: nothing has asked for it.
    pub fn load(&self) {
        for (file, options) in &self.modules {
            let _ = finit_module(file, options, ModuleInitFlags::empty());
        }
    }
}

impl Loader {
    /// Nothing is loaded yet. `parameters`: the kernel command line.
    pub fn new(list: Vec<Module>, parameters: Vec<Parameter>) -> Self {
        let blacklist = Blacklist::read(&parameters);
        Self { done: vec![false; list.len()], list, parameters, blacklist, ..Self::default() }
    }

    /// Whether there is anything that nothing has asked for.
    pub fn has_left(&self) -> bool {
        self.done.contains(&false)
    }

    /// Loads what waits for no need: what mkinitramfs marked so, and what has an option on the kernel command line,
    /// which may be what makes its devices (`virtio_mmio.device=`).
    pub fn load_unasked(&mut self) {
        for index in 0..self.list.len() {
            let Some(module) = self.list.get(index) else { continue };
            if module.lazy.is_none() {
                self.load_if_allowed(index, "always");
            } else if !kernel_command_line::module_options(&self.parameters, &module.name).is_empty() {
                self.load_if_allowed(index, "an option on the kernel command line");
            }
        }
    }

    /// Loads what meets the need.
    pub fn want(&mut self, need: &Need) {
        if self.list.is_empty() || self.met.iter().any(|met| *met == need.what) {
            return;
        }
        self.met.push(need.what.to_string());
        self.want_in_order(std::slice::from_ref(need));
    }

    /// Loads what meets any of the needs, in the order of the list: with it, disks get the same names at each boot.
    pub fn want_in_order(&mut self, needs: &[Need]) {
        for index in 0..self.list.len() {
            let Some(module) = self.list.get(index).filter(|_| self.done.get(index) == Some(&false)) else {
                continue;
            };
            let answers = |need: &&Need| match need.what.strip_suffix('*') {
                Some(begin) => module.name.starts_with(begin),
                None => module.answers(&need.what),
            };
            if let Some(need) = needs.iter().find(answers) {
                self.load_if_allowed(index, &need.why);
            }
        }
    }

    /// Loads all that is left.
    pub fn load_left(&mut self, why: &str) {
        for index in 0..self.list.len() {
            self.load_if_allowed(index, why);
        }
    }

    /// Opens what is left, which counts as loaded.
    pub fn take_left(&mut self) -> Left {
        let mut left = Left::default();
        for (module, done) in self.list.iter().zip(&mut self.done) {
            if std::mem::replace(done, true) || self.blacklist.names(&module.name) {
                continue;
            }
            let Some(path) = module.file.as_ref().filter(|_| !is_present(&module.name)) else {
                self.record.present.push(module.name.clone());
                continue;
            };
            let options = CString::new(kernel_command_line::module_options(&self.parameters, &module.name));
            if let (Ok(file), Ok(options)) = (File::open(path), options) {
                left.modules.push((file, options));
                self.record.later.push(module.name.clone());
            }
        }
        left
    }

    /// Loads one, unless the kernel command line keeps it out: then only what needs it brings it.
    fn load_if_allowed(&mut self, index: usize, why: &str) {
        let Some(module) = self.list.get(index).filter(|_| self.done.get(index) == Some(&false)) else {
            return;
        };
        if !self.blacklist.names(&module.name) {
            return self.load(index, why);
        }
        let line = format!("{}: {KEPT_OUT}", module.name);
        if !self.record.failed.contains(&line) {
            self.record.failed.push(line);
        }
    }

    /// Loads one, after those that it needs.
    fn load(&mut self, index: usize, why: &str) {
        let (Some(module), Some(done @ false)) = (self.list.get(index), self.done.get_mut(index)) else {
            return;
        };
        *done = true;
        let needed: Vec<usize> =
            module.lazy.iter().flat_map(|lazy| &lazy.needs).filter_map(|name| self.find(name)).collect();
        let because = format!("needed by {}", module.name);
        needed.iter().for_each(|needed| self.load(*needed, &because));
        match needed.into_iter().any(|needed| self.is_without_hardware(needed)) {
            true => self.fail(index, NO_HARDWARE),
            false => self.insert(index, why),
        }
    }

    /// Whether a module was refused since this machine has none of its devices, so that what needs it only fails with words about its symbols:
    /// the disks of Hyper-V without Hyper-V. Algorithms have stand-ins, for other processors.
    fn is_without_hardware(&self, index: usize) -> bool {
        self.list.get(index).is_some_and(|module| {
            let has_stand_ins =
                module.lazy.iter().flat_map(Lazy::aliases).any(|alias| alias.starts_with("crypto-"));
            !has_stand_ins && self.record.failed.contains(&format!("{}: {NO_HARDWARE}", module.name))
        })
    }

    fn fail(&mut self, index: usize, why: &str) {
        if let Some(module) = self.list.get(index) {
            self.record.failed.push(format!("{}: {why}", module.name));
        }
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.list.iter().position(|module| module.name == name)
    }

    fn insert(&mut self, index: usize, why: &str) {
        let Some(Module { name, file, .. }) = self.list.get(index) else { return };
        let record = &mut self.record;
        let Some(file) = file.as_ref().filter(|_| !is_present(name)) else {
            record.present.push(name.clone());
            return;
        };
        let start = now();
        match insert(file, &kernel_command_line::module_options(&self.parameters, name)) {
            Ok(()) => record.loaded.push(LoadedModule {
                name: name.clone(),
                why: why.to_owned(),
                start_us: micros(start),
                length_us: micros(now().saturating_sub(start)),
            }),
            Err(Errno::EEXIST) => record.present.push(name.clone()),
            Err(errno) => record.failed.push(format!("{name}: {}", explain(errno))),
        }
    }
}

/// `/sys/module` has a folder for each loaded module, and for built-in ones that have parameters.
fn is_present(name: &str) -> bool {
    Path::new("/sys/module").join(name.replace('-', "_")).exists()
}

/// finit_module(2).
fn insert(file: &Path, options: &str) -> Result<(), Errno> {
    let as_errno = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(0));
    let file = File::open(file).map_err(as_errno)?;
    let options = CString::new(options).map_err(|_| Errno::EINVAL)?;
    finit_module(&file, &options, ModuleInitFlags::empty())
}

/// The errors of finit_module(2) in the words of what to do.
fn explain(errno: Errno) -> String {
    match errno {
        Errno::ENOEXEC => "made for another kernel: make the initramfs again for this one".into(),
        Errno::ENOENT => "the file, or a symbol that it needs, is missing".into(),
        Errno::ENODEV => NO_HARDWARE.into(),
        Errno::EKEYREJECTED | Errno::ENOKEY => "not signed with a key that this kernel trusts".into(),
        errno => errno.desc().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::list;
    use super::super::needs::of_file_system;
    use super::*;

    /// None of its files is there, and no kernel has modules of these names: what was tried is among what failed, in its order.
    const LIST: &str = "t_overlay\tno/overlay.ko\t\tfs-overlay\n\
                        t_fat\tno/fat.ko\t\n\
                        t_vfat\tno/vfat.ko\tt_fat\tfs-vfat\n\
                        nls_t\tno/nls.ko\t\n\
                        t_libahci\tno/libahci.ko\t\n\
                        t_ahci\tno/ahci.ko\tt_libahci,gone\tpci:v*d*sv*sd*bc01sc06i01*\n\
                        t_mmio\tno/mmio.ko\t\tof:x\n\
                        named\tno/named.ko\n";

    fn loader(command_line: &str) -> Loader {
        Loader::new(list::parse(LIST).unwrap(), kernel_command_line::parse(command_line))
    }

    fn tried(loader: &Loader) -> Vec<&str> {
        loader.record.failed.iter().filter_map(|line| line.split(':').next()).collect()
    }

    #[test]
    fn only_what_was_named_is_loaded_unasked() {
        let mut plain = loader("quiet");
        plain.load_unasked();
        assert_eq!(tried(&plain), ["named"]);
        let mut told = loader("t-mmio.device=512@0xfeb00e00:12");
        told.load_unasked();
        assert_eq!(tried(&told), ["t_mmio", "named"]);
    }

    #[test]
    fn a_need_brings_what_it_needs_first_and_once() {
        let mut loader = loader("");
        for _ in 0..2 {
            of_file_system("vfat").iter().for_each(|need| loader.want(need));
            of_file_system("overlay").iter().for_each(|need| loader.want(need));
        }
        assert_eq!(tried(&loader), ["t_fat", "t_vfat", "nls_t", "t_overlay"]);
        assert!(loader.has_left());
    }

    #[test]
    fn what_the_command_line_keeps_out_comes_only_with_what_needs_it() {
        let mut loader = loader("modprobe.blacklist=t-overlay,t_fat,named module_blacklist=nls_t");
        loader.load_unasked();
        of_file_system("overlay").iter().for_each(|need| loader.want(need));
        let kept_out = |loader: &Loader, name: &str| {
            loader.record.failed.iter().filter(|line| **line == format!("{name}: {KEPT_OUT}")).count()
        };
        assert_eq!((kept_out(&loader, "named"), kept_out(&loader, "t_overlay")), (1, 1));
        assert_eq!(loader.record.failed.len(), 2);
        // vfat needs fat.
        of_file_system("vfat").iter().for_each(|need| loader.want(need));
        assert_eq!(tried(&loader)[2..], ["t_fat", "t_vfat", "nls_t"]);
        assert_eq!((kept_out(&loader, "t_fat"), kept_out(&loader, "nls_t")), (0, 1));
        loader.load_left("the recovery screen");
        assert_eq!(kept_out(&loader, "t_overlay"), 1);
        assert!(loader.take_left().is_empty());
    }

    /// As on a machine without Hyper-V, whose bus refuses first.
    #[test]
    fn what_needs_hardware_that_is_not_there_is_not_tried() {
        let list = "t_bus\tno/bus.ko\t\tacpi*:VMBUS:*\n\
                    t_sum\tno/sum.ko\t\tcrypto-sum\n\
                    t_disk\tno/disk.ko\tt_bus\tvmbus:x\n\
                    t_fs\tno/fs.ko\tt_sum\tfs-t\n";
        let mut loader = Loader::new(list::parse(list).unwrap(), Vec::new());
        for (index, name) in ["t_bus", "t_sum"].into_iter().enumerate() {
            loader.done[index] = true;
            loader.record.failed.push(format!("{name}: {NO_HARDWARE}"));
        }
        loader.load_left("the recovery screen");
        let others = &loader.record.failed[2..];
        assert_eq!(others[0], format!("t_disk: {NO_HARDWARE}"));
        assert!(others[1].starts_with("t_fs: ") && !others[1].contains(NO_HARDWARE), "{others:?}");
    }

    #[test]
    fn a_device_is_driven_and_what_is_left_is_loaded_in_the_end() {
        let mut loader = loader("");
        let device = |modalias: &str| {
            let (name, modalias) = ("0000:00:1f.2".to_owned(), modalias.to_owned());
            Need::device(super::super::devices::Device { name, modalias })
        };
        loader.want(&device("pci:v00008086d00002922sv00001AF4sd00001100bc02sc00i00"));
        assert_eq!(tried(&loader), [""; 0]);
        loader.want(&device("pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01"));
        assert_eq!(tried(&loader), ["t_libahci", "t_ahci"]);
        loader.load_left("the recovery screen");
        assert_eq!(tried(&loader)[2..], ["t_overlay", "t_fat", "t_vfat", "nls_t", "t_mmio", "named"]);
        assert!(!loader.has_left() && loader.take_left().is_empty());
    }
}
