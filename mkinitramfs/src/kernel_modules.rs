//! Which kernel modules go in, why, and in which order init loads them.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use kernel_config::table::{REQUIREMENTS, Requirement};
use kernel_config::{Config, Form, Group, Need, Setting};
use kernel_package::KernelPackage;
use profiles::StateFileSystem;
use serde::Serialize;

use crate::aliases::{self, Aliases};
use crate::host::{self, Devices, Drivers, Wanted};
use crate::luks;
use crate::modinfo::ModInfo;
use fault::Error;

/// Modules that do nothing without another. Debian's cloud kernels have HID for the mice of some machines, and no USB keyboards.
const USELESS_ALONE: [(&str, &str); 1] = [("hid_generic", "usbhid")];

/// The modules of one initramfs.
#[derive(Debug, Default, Serialize)]
pub struct Selection {
    /// In the order of loading: what a module needs stands before it.
    pub picked: Vec<Picked>,
    /// Wanted parts that this kernel has neither as modules nor built in.
    pub absent: Vec<Absent>,
    /// What devices ask for and no boot needs, sorted: what for, and the module.
    #[serde(skip)]
    pub not_for_a_boot: BTreeSet<(&'static str, String)>,
}

/// A module that goes in, or that the kernel has built in.
#[derive(Debug, Serialize)]
pub struct Picked {
    /// The name as in `lsmod`.
    pub name: String,
    /// Why it is there.
    pub reason: Reason,
    /// The path below `lib/modules/RELEASE`; nothing for what is built in.
    pub path: Option<String>,
    /// The modules that init loads before it: those that it needs, and those that it wants where there are such.
    pub needs: Vec<String>,
    /// What asks for it: patterns of devices, file systems, algorithms.
    #[serde(skip)]
    pub aliases: Vec<String>,
    /// What it asks the kernel for below `lib/firmware`.
    #[serde(skip)]
    pub firmware: Vec<String>,
    /// The decompressed module, until it lies in what goes into the archive.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

impl Picked {
    fn built_in(name: String, reason: Reason) -> Picked {
        let (needs, aliases, firmware, bytes) = Default::default();
        Picked { name, reason, path: None, needs, aliases, firmware, bytes }
    }
}

/// Why a module goes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Reason {
    /// The table of `kernel-config` wants it.
    Table {
        /// The config symbol, without `CONFIG_`.
        symbol: &'static str,
        /// What it is for.
        why: &'static str,
    },
    /// Another module needs it.
    NeededBy {
        /// The other module.
        module: String,
    },
    /// A device of the machine asked for it.
    Device {
        /// What the device says it is.
        modalias: String,
    },
    /// The command line asked for it.
    AskedFor,
    /// Disks that LUKS encrypts are to be opened.
    Luks,
}

impl Reason {
    /// Whether init loads it whatever there is.
    pub(crate) fn is_for_every_boot(&self) -> bool {
        matches!(self, Reason::AskedFor | Reason::Luks)
    }
}

/// A wanted part that the kernel does not have.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Absent {
    /// The name as in `lsmod`.
    pub name: String,
    /// The config symbol, without `CONFIG_`.
    pub symbol: &'static str,
    /// What is lost.
    pub why: &'static str,
}

/// What modules are picked for.
pub(crate) struct Wishes<'a> {
    /// Groups of the table.
    pub groups: &'a [Group],
    /// File systems by whose drivers a kernel is refused that has none.
    pub file_systems: &'a [StateFileSystem],
    /// Modules that were named.
    pub extra: &'a [String],
    /// Encrypted disks are to be opened.
    pub luks: bool,
    /// A machine, for which the file systems of any medium go in too.
    pub host: Option<&'a Devices>,
}

/// Picks what the table wants for the groups, the drivers of file systems, what was named, what devices ask for, and all that these need.
///
/// # Errors
/// A required or named module, or one that another needs, is missing; a module is damaged or made for another kernel.
pub(crate) fn pick(kernel: &KernelPackage, wishes: &Wishes<'_>) -> Result<Selection, Error> {
    let mut picker =
        Picker { kernel, selection: Selection::default(), state: BTreeMap::new(), aliases: OnceCell::new() };
    let drivers = wishes.file_systems.iter().filter_map(|wanted| wanted.file_system().kernel.first());
    let drivers: Vec<&str> = drivers.filter_map(|part| part.module).collect();
    for row in REQUIREMENTS.iter() {
        let Form::Module(name) = row.form else { continue };
        if drivers.contains(&name) {
            picker.pick_driver(row, name)?;
        } else if wishes.groups.contains(&row.group) || wishes.host.is_some() && row.is_of_a_file_system() {
            picker.pick_row(row, name)?;
        }
    }
    if let Some(devices) = wishes.host {
        picker.pick_for(devices)?;
    }
    for name in wishes.extra {
        let name = name.replace('-', "_");
        if !picker.has(&name) {
            picker.refuse_promised(&name)?;
            let cause = format!("the kernel {} has no such module", kernel.release());
            return Err(Error::new(format!("--module {name}"), cause).remedy(
                "'modinfo FILE.ko' shows a module's name; a driver that is built in needs no module",
            ));
        }
        picker.pick_for_every_boot(&name, &Reason::AskedFor)?;
    }
    if wishes.luks {
        luks::modules(kernel)?.iter().try_for_each(|name| picker.pick_for_every_boot(name, &Reason::Luks))?;
    }
    Ok(picker.selection)
}

/// Where the walk stands with a module.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its dependencies are being picked.
    Open,
    /// It is in the selection.
    Done,
}

struct Picker<'a> {
    kernel: &'a KernelPackage,
    selection: Selection,
    state: BTreeMap<String, State>,
    /// Read when the first module asks for one.
    aliases: OnceCell<Aliases>,
}

impl Picker<'_> {
    fn has(&self, name: &str) -> bool {
        self.kernel.module(name).is_some() || self.kernel.is_builtin(name)
    }

    /// What the devices of a machine ask for, but for what no boot needs.
    fn pick_for(&mut self, devices: &Devices) -> Result<(), Error> {
        for Wanted { module, device } in Drivers::read(self.kernel)?.for_devices(devices) {
            match self.kernel.module(&module) {
                Some(found) => match host::not_for_a_boot(&found.path) {
                    Some(what) => _ = self.selection.not_for_a_boot.insert((what, module)),
                    None => self.pick(&module, &Reason::Device { modalias: device })?,
                },
                None => self.refuse_promised(&module)?,
            }
        }
        Ok(())
    }

    /// A module that `modules.dep` names is no part that the kernel does not have.
    fn refuse_promised(&self, name: &str) -> Result<(), Error> {
        let Some(file) = self.kernel.promised(name) else { return Ok(()) };
        let cause = format!("modules.dep names the module {file}, which is not there");
        Err(Error::new(self.kernel.path().display(), cause).remedy(format!(
            "the kernel is incomplete: install its package again; if it shall be without the module, run 'depmod {}'",
            self.kernel.release()
        )))
    }

    fn pick_row(&mut self, row: &'static Requirement, name: &str) -> Result<(), Error> {
        if self.has(name) {
            if USELESS_ALONE.iter().any(|(alone, with)| *alone == name && !self.has(with)) {
                return Ok(());
            }
            return self.pick(name, &Reason::Table { symbol: row.symbol, why: row.why });
        }
        if self.is_always_built_in(row) {
            return Ok(());
        }
        self.refuse_promised(name)?;
        if row.need == Need::Required {
            let cause = format!(
                "the module {name} (CONFIG_{}) is neither there nor built in, and without it no stack boots: {}",
                row.symbol, row.why
            );
            return Err(Error::new(self.kernel.path().display(), cause)
                .remedy("take a kernel that has it; 'lamina kernel check' says what else is missing"));
        }
        self.selection.absent.push(Absent { name: name.to_owned(), symbol: row.symbol, why: row.why });
        Ok(())
    }

    /// The driver of a file system that was asked for: a kernel without it is refused.
    fn pick_driver(&mut self, row: &'static Requirement, name: &str) -> Result<(), Error> {
        if self.has(name) || self.is_always_built_in(row) {
            return self.pick_row(row, name);
        }
        let cause = format!("the kernel {} does not have it (CONFIG_{})", self.kernel.release(), row.symbol);
        Err(Error::new(format!("the file system {name}"), cause)
            .remedy("take another file system, or a kernel that has this one"))
    }

    /// Some parts can only be built in on some kernels, and then `modules.builtin` does not list them; the config does.
    fn is_always_built_in(&self, row: &Requirement) -> bool {
        let config = Config::of_package(self.kernel);
        config.is_ok_and(|config| *config.get(row.symbol) == Setting::BuiltIn)
    }

    /// Picks what init loads always, also where it has gone in for something else.
    fn pick_for_every_boot(&mut self, name: &str, reason: &Reason) -> Result<(), Error> {
        self.pick(name, reason)?;
        let picked = self.selection.picked.iter_mut().filter(|picked| picked.name == name);
        picked.for_each(|picked| picked.reason = reason.clone());
        Ok(())
    }

    /// Puts the dependencies of `name` into the selection, then itself.
    fn pick(&mut self, name: &str, reason: &Reason) -> Result<(), Error> {
        match self.state.insert(name.to_owned(), State::Open) {
            None => {}
            Some(State::Done) => {
                self.state.insert(name.to_owned(), State::Done);
                return Ok(());
            }
            Some(State::Open) => {
                return Err(Error::new(
                    self.kernel.path().display(),
                    format!("the module {name} needs itself"),
                )
                .remedy("the kernel package is damaged: take another"));
            }
        }
        let (name, reason) = (name.to_owned(), reason.clone());
        let picked = match self.kernel.module(&name) {
            None => Picked::built_in(name, reason),
            Some(module) => {
                let bytes = aliases::bytes(self.kernel, module)?;
                let info = self.info(&name, &bytes)?;
                let needs = self.pick_dependencies(&name, &info)?;
                let path = Some(module.path.clone());
                let ModInfo { aliases, firmware, .. } = info;
                Picked { name, reason, path, needs, aliases, firmware, bytes }
            }
        };
        self.state.insert(picked.name.clone(), State::Done);
        self.selection.picked.push(picked);
        Ok(())
    }

    /// The modules that it found and picked, in the order of loading.
    fn pick_dependencies(&mut self, name: &str, info: &ModInfo) -> Result<Vec<String>, Error> {
        let package = self.kernel.path().display();
        if info.release != self.kernel.release() {
            let cause = format!(
                "the module {name} is made for '{}', the kernel is '{}'",
                info.release,
                self.kernel.release()
            );
            return Err(Error::new(package, cause).remedy("unpack one kernel package into an empty folder"));
        }
        let reason = Reason::NeededBy { module: name.to_owned() };
        let mut before = Vec::new();
        for needed in &info.depends {
            if !self.has(needed) {
                self.refuse_promised(needed)?;
                let cause = format!(
                    "the module {name} needs the module {needed}, which is neither there nor built in"
                );
                return Err(Error::new(self.kernel.path().display(), cause)
                    .remedy("the kernel package is incomplete: take it anew, or unpack all of it"));
            }
            self.pick(needed, &reason)?;
            before.push(needed.clone());
        }
        // A kernel without such a module does without; two that want each other first do not stop the walk either.
        for wanted in &info.wanted_before {
            for module in self.behind(wanted)? {
                if !self.needs_an_open_one(&module, &mut BTreeSet::new())? {
                    self.pick(&module, &reason)?;
                    before.push(module);
                }
            }
        }
        Ok(before)
    }

    fn info(&self, name: &str, bytes: &[u8]) -> Result<ModInfo, Error> {
        let failed = |cause| Error::new(self.kernel.path().display(), format!("the module {name} {cause}"));
        ModInfo::read(bytes).map_err(failed)
    }

    /// The modules behind a name of a soft dependency, which may be an alias: ext4 wants `crypto-crc32c` first. Without a loader
    /// in user space the kernel finds none of them by itself.
    fn behind(&self, wanted: &str) -> Result<Vec<String>, Error> {
        if self.kernel.module(wanted).is_some() {
            return Ok(vec![wanted.to_owned()]);
        }
        let aliases = match self.aliases.get() {
            Some(aliases) => aliases,
            None => {
                let read = Aliases::read(self.kernel)?;
                self.aliases.get_or_init(|| read)
            }
        };
        let modules = aliases.modules(wanted);
        // What is built in may be something else with the same name: f2fs wants the algorithm `crc32` of the crypto interface,
        // and `crc32` is a function of the kernel's own.
        if modules.is_empty() && self.has(wanted) {
            return Ok(vec![wanted.to_owned()]);
        }
        Ok(modules.to_vec())
    }

    /// Whether `name` cannot be loaded before a module whose dependencies are being picked.
    fn needs_an_open_one(&self, name: &str, seen: &mut BTreeSet<String>) -> Result<bool, Error> {
        match (self.state.get(name), self.kernel.module(name)) {
            (Some(state), _) => return Ok(*state == State::Open),
            (None, Some(module)) if seen.insert(name.to_owned()) => {
                let bytes = aliases::bytes(self.kernel, module)?;
                for needed in self.info(name, &bytes)?.depends {
                    if self.needs_an_open_one(&needed, seen)? {
                        return Ok(true);
                    }
                }
            }
            _ => {}
        }
        Ok(false)
    }
}
