//! Kernel modules: each is loaded when a device, a file system or a step of the boot asks for it, after those that it needs.
//!
//! | module | what it does |
//! |---|---|
//! | `list` | reads the list that mkinitramfs wrote |
//! | `needs` | what a boot wants modules for; pure |
//! | `devices` | which devices there are; `initramfs_format::pattern` says which module drives them |
//! | `blacklist` | what the kernel command line keeps out |
//! | `loader` | loads |
//!
//! Nothing is left out in the end, only postponed: what nothing asked for is loaded when the store is not found at once, before
//! another profile is tried, before the recovery screen, and else by a process of its own while the real init starts.

mod blacklist;
mod devices;
mod list;
mod loader;
pub mod needs;

use std::fs;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::devices::uevents::{Uevents, Waited};
use crate::error::Failure;
use crate::paths;
use boot_report::records::ModuleRecord;
use devices::Device;
use kernel_command_line::Parameter;
pub use loader::Left;
use loader::Loader;
use needs::Need;

/// The modules of the initramfs, for the threads of init.
#[derive(Debug, Default)]
pub struct Modules {
    loader: Mutex<Loader>,
}

impl Modules {
    /// Reads the list, and loads what is loaded always and what the devices of this machine ask for. A module that does not
    /// load is no error yet: the machine may not need it, and the message about the missing store names it.
    pub fn begin(&self, parameters: &[Parameter]) -> Result<(), Failure> {
        let mut loader = self.lock();
        *loader = Loader::new(read()?, parameters.to_vec());
        loader.load_unasked();
        // The order matters: what appears between the subscription and the look at /sys is announced.
        match Uevents::subscribe() {
            Ok(uevents) => loader.uevents = Some(uevents),
            Err(_) => loader.load_left("devices cannot be listened for"),
        }
        load_drivers(&mut loader);
        drop(loader);
        self.follow_devices();
        Ok(())
    }

    /// Loads what meets these needs, as far as the initramfs has it. With nothing left to load they are not made: layers ask
    /// by the hundred.
    pub fn want(&self, needs: impl FnOnce() -> Vec<Need>) {
        let mut loader = self.lock();
        if loader.has_left() {
            needs().iter().for_each(|need| loader.want(need));
        }
    }

    /// Loads the drivers of the devices that have appeared since the last call.
    pub fn follow_devices(&self) {
        let mut loader = self.lock();
        // Each driver may make further devices appear, which are announced before the call that loaded it is over.
        while let Some(Ok(Some(waited))) = loader.uevents.as_ref().map(Uevents::pending) {
            match waited {
                Waited::Event(event) => {
                    if let (Some(name), Some(modalias)) = (event.name, event.modalias) {
                        loader.want(&Need::device(Device { name, modalias }));
                    }
                }
                Waited::Overflow => load_drivers(&mut loader),
                Waited::TimedOut => break,
            }
        }
    }

    /// Loads all that nothing has asked for; `why` is for the report.
    pub fn load_left(&self, why: &str) {
        self.lock().load_left(why);
    }

    /// Takes out what nothing has asked for, with its files open: the initramfs is about to go.
    pub fn take_left(&self) -> Left {
        self.lock().take_left()
    }

    /// What did not load although its hardware may be there, for a message about a device that is not.
    pub fn suspects(&self) -> Vec<String> {
        let record = self.record();
        record.failed.into_iter().filter(|module| !module.ends_with(loader::NO_HARDWARE)).collect()
    }

    /// What has become of the modules so far.
    pub fn record(&self) -> ModuleRecord {
        self.lock().record.clone()
    }

    /// As if these could not be loaded.
    #[cfg(test)]
    pub fn that_failed(failed: &[&str]) -> Self {
        let modules = Self::default();
        modules.lock().record.failed = failed.iter().map(ToString::to_string).collect();
        modules
    }

    /// A poisoned lock means that another thread panicked, and the panic hook shows that.
    fn lock(&self) -> MutexGuard<'_, Loader> {
        self.loader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn load_drivers(loader: &mut Loader) {
    if loader.has_left() {
        let devices = devices::present(std::path::Path::new("/sys/bus"));
        loader.want_in_order(&devices.into_iter().map(Need::device).collect::<Vec<_>>());
    }
}

/// Loads every module, whatever came of others before: for the recovery screen, whose keyboard may need any of them.
pub fn load_all() {
    let parameters = fs::read_to_string("/proc/cmdline").map(|line| kernel_command_line::parse(&line));
    if let Ok(list) = read() {
        Loader::new(list, parameters.unwrap_or_default()).load_left("the recovery screen");
    }
}

fn read() -> Result<Vec<list::Module>, Failure> {
    match fs::read_to_string(paths::MODULES) {
        Ok(text) => list::parse(&text),
        // A kernel with everything built in needs no list.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => {
            Err(Failure::new(format!("cannot read {}: {error}", paths::MODULES)).try_this(list::REMEDY))
        }
    }
}
