//! Learns the command line, the initramfs, and where the store is.

use std::fs;

use super::Session;
use crate::boot::boot_counter::BootCounter;
use crate::boot::panic_hook;
use crate::error::{BootError, Failure};
use crate::request::BootRequest;
use crate::request::store_spec::{Protocol, StoreSpec};
use crate::step_name::StepName;
use crate::store::find_store;
use crate::store::initramfs::{self, Description};
use crate::store::medium::Medium;
use crate::store::trust::Trust;
use crate::store::{Origin, Store};
use crate::{paths, plan, recovery};

impl Session {
    /// Learns what is asked for, and how loud to be.
    pub fn read_command_line(&mut self) -> Result<(), BootError> {
        let read = |path: &str| {
            let bytes =
                fs::read(path).map_err(|error| Failure::new(error).at(StepName::ReadCommandLine, path))?;
            // Boot loaders pass on what people typed in whatever encoding: that must not end the boot.
            Ok::<_, BootError>(String::from_utf8_lossy(&bytes).trim_end().to_owned())
        };
        self.words.begin(self.journal.began());
        let (line, kernel) = (read("/proc/cmdline")?, read("/proc/sys/kernel/osrelease")?);
        let request = BootRequest::parse(&line);
        self.journal.speak(request.verbosity, &kernel, &line);
        panic_hook::wait_as(request.panic);
        request.warnings.iter().for_each(|warning| self.journal.warn(warning.clone()));
        request.misread.warnings().for_each(|warning| self.journal.alarm(warning));
        (self.request, self.kernel) = (request, kernel);
        Ok(())
    }

    /// Learns what the initramfs was made to be, its keys, and loads the modules that this machine
    /// needs if they are for this kernel.
    pub fn read_initramfs(&mut self) -> Result<(), BootError> {
        let (kernel, parameters) = (&self.kernel, &self.request.parameters);
        let description: Description =
            self.journal.step(StepName::CheckInitramfs, paths::INITRAMFS, |_| {
                let description = initramfs::read()?;
                initramfs::check(&description, kernel)?;
                Ok(description)
            })?;
        self.trust = self.journal.step(StepName::ReadKeys, paths::KEYS, |_| Trust::read(&description))?;
        let packed = Store::packed();
        self.real_kernel.reads_from(&packed);
        self.packed = Some(packed);
        let modules = &self.real_kernel.modules;
        self.journal.step(StepName::LoadModules, paths::MODULES, |_| modules.begin(parameters))?;
        self.apply_persons_choice();
        Ok(())
    }

    /// Whoever pressed a key on the recovery screen wants a boot: no other stop for rescue, and nothing in the place of a profile
    /// that was skipped. The profile that they chose counts, unless the command line binds the profile's bytes and not those of the
    /// other one.
    fn apply_persons_choice(&mut self) {
        if recovery::person_is_present() {
            (self.request.rescue, self.request.chosen) = (false, true);
        }
        let Some(name) = recovery::chosen_profile() else { return };
        if let Some(wanted) = self.request.may_choose(&name) {
            self.journal.say(&format!("profile {name} was chosen on the recovery screen"));
            self.request.choose(wanted);
        }
    }

    /// Finds the store, waits for its medium where needed, and mounts it.
    pub fn reach_store(&mut self) -> Result<(), BootError> {
        self.request.misread.of_store().map_or(Ok(()), Err)?;
        let medium = self.find_medium()?;
        if medium != Medium::Initramfs {
            self.request.misread.of_folder().map_or(Ok(()), Err)?;
        }
        self.carry_out(&plan::medium(&medium))?;
        if medium == Medium::Initramfs {
            self.origin = Some(Origin::Initramfs);
            self.counter = BootCounter::of_initramfs();
            if self.request.folder != paths::PACKED_STORE {
                self.journal.warn(format!(
                    "lamina.dir={} was ignored: the store in the initramfs is in /{}",
                    self.request.folder,
                    paths::PACKED_STORE
                ));
            }
            return Ok(());
        }
        let store = Store::on_medium(&self.request.folder);
        self.journal.store_folder(store.folder.display().to_string());
        self.counter = BootCounter::open(&store.folder);
        self.real_kernel.reads_from(&store);
        (self.origin, self.on_medium) = (Some(Origin::Medium), Some(store));
        Ok(())
    }

    fn find_medium(&mut self) -> Result<Medium, BootError> {
        let (request, packed) = (&self.request, self.packed.as_ref());
        let object = request.store.as_ref().map_or_else(|| "lamina.store=".to_owned(), ToString::to_string);
        let (spec, medium) = self.journal.step(StepName::FindStore, &object, |_| {
            let spec: StoreSpec = match &request.store {
                Some(spec) => spec.clone(),
                None => find_store::default_spec(packed)?,
            };
            let medium = find_store::find(&spec, request.timeout, &self.waits, &self.real_kernel.modules)?;
            Ok((spec, medium))
        })?;
        let found = match &medium {
            Medium::Device { path, driver, .. } => format!("{path} ({driver})"),
            Medium::Share(share) if share.protocol == Protocol::NineP => format!("9p:{}", share.tag),
            Medium::Share(share) => format!("virtiofs:{}", share.tag),
            Medium::Initramfs => "initramfs".to_owned(),
        };
        self.journal.debug(|| format!("the store {spec} is on {found}"));
        self.journal.medium(spec.to_string(), found);
        Ok(medium)
    }
}
