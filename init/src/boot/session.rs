//! One boot: what has been learnt so far, and the parts of the story that learn it.

use std::fs;
use std::panic::PanicHookInfo;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use profiles::resolved::BootProfile;

use crate::boot::boot_counter::BootCounter;
use crate::clock::now;
use crate::deadline::within_on;
use crate::devices::inventory::Inventory;
use crate::error::{BootError, Failure};
use crate::modules::Left;
use crate::plan::crew::Crew;
use crate::plan::executor::execute;
use crate::plan::machine::Machine;
use crate::plan::{self, Stage};
use crate::recovery::Context;
use crate::report::journal::Journal;
use crate::report::kernel_words::KernelWords;
use crate::request::BootRequest;
use crate::request::seal;
use crate::request::store_spec::{Protocol, StoreSpec};
use crate::shutdown::handover;
use crate::store::contract::{self, Contract};
use crate::store::find_store;
use crate::store::medium::Medium;
use crate::store::trust::Trust;
use crate::store::{Place, ProfileSummary, Store};
use crate::waiting::wait_for_device::Waits;
use crate::{console, paths, recovery};

/// `panic=`, for the panic hook, which has no session.
static PANIC_TIMEOUT: OnceLock<Option<i64>> = OnceLock::new();

/// The recovery screen comes also when the disk with the store, or the host that shares it, does not answer any more.
const MOST_FOR_A_LOOK: Duration = Duration::from_secs(10);

/// As the first thread has it (RLIMIT_STACK); what is not used is no memory.
const STACK_OF_A_PARSER: usize = 8 << 20;

/// What a boot knows.
#[derive(Debug)]
pub struct Session {
    /// What the command line asks for.
    pub request: BootRequest,
    /// What has happened.
    pub journal: Journal,
    /// What carries out plans.
    pub machine: Arc<Machine>,
    /// The threads that help.
    crew: Crew,
    /// Where the store is that was asked for, when it was found.
    pub place: Option<Place>,
    /// The store on the medium, when that was found.
    on_medium: Option<Store>,
    /// The store that is packed into the initramfs, once it was looked for.
    packed: Option<Store>,
    /// Boot attempts.
    pub counter: BootCounter,
    /// Keys and the rule about signatures.
    pub trust: Trust,
    /// What is known of the seal of the profile that was asked for.
    pub asked: seal::Asked,
    /// The devices that were waited for in vain.
    pub waits: Waits,
    /// What the kernel said meanwhile.
    pub words: KernelWords,
    kernel: String,
    profile_bytes: Vec<u8>,
    /// What leaves the programs for the running system.
    leaving: Option<Receiver<Result<(), Failure>>>,
}

impl Session {
    /// Nothing is known yet.
    pub fn begin() -> Self {
        Self {
            request: BootRequest::empty(),
            journal: Journal::begin(),
            machine: Arc::default(),
            crew: Crew::default(),
            place: None,
            on_medium: None,
            packed: None,
            counter: BootCounter::default(),
            trust: Trust::default(),
            asked: seal::Asked::default(),
            waits: Waits::default(),
            words: KernelWords::default(),
            kernel: String::new(),
            profile_bytes: Vec::new(),
            leaving: None,
        }
    }

    /// Learns what is asked for, and how loud to be.
    pub fn read_command_line(&mut self) -> Result<(), BootError> {
        let read = |path: &str| {
            let bytes =
                fs::read(path).map_err(|error| Failure::new(error).at("read the command line", path))?;
            // Boot loaders pass on what people typed in whatever encoding: that must not end the boot.
            Ok::<_, BootError>(String::from_utf8_lossy(&bytes).trim_end().to_owned())
        };
        self.words.begin();
        let (line, kernel) = (read("/proc/cmdline")?, read("/proc/sys/kernel/osrelease")?);
        let request = BootRequest::parse(&line);
        self.journal.speak(request.verbosity, &kernel, &line);
        let _ = PANIC_TIMEOUT.set(request.panic);
        stack::last_resort::wait_as(request.panic);
        request.warnings.iter().for_each(|warning| self.journal.warn(warning.clone()));
        request.misread.warnings().for_each(|warning| self.journal.alarm(warning));
        (self.request, self.kernel) = (request, kernel);
        Ok(())
    }

    /// Learns what the initramfs was made to be, its keys, and loads the modules that this machine
    /// needs if they are for this kernel.
    pub fn read_initramfs(&mut self) -> Result<(), BootError> {
        let (kernel, parameters) = (&self.kernel, &self.request.parameters);
        let contract: Contract = self.journal.step("check the initramfs", paths::INITRAMFS, |_| {
            let contract = contract::read()?;
            contract.check(kernel)?;
            Ok(contract)
        })?;
        self.trust = self.journal.step("read keys", paths::KEYS, |_| Trust::read(&contract))?;
        let packed = Store::packed();
        self.machine.reads_from(&packed);
        self.packed = Some(packed);
        let modules = &self.machine.modules;
        self.journal.step("load modules", paths::MODULES, |_| modules.begin(parameters))?;
        self.obey_the_person();
        Ok(())
    }

    /// Whoever pressed a key on the recovery screen wants a boot: no other stop for rescue, and nothing in the place of a profile
    /// that was put off. The profile that they chose counts, unless the command line binds the profile's bytes and not those of the
    /// other one.
    fn obey_the_person(&mut self) {
        if recovery::somebody_is_there() {
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
            self.place = Some(Place::Initramfs);
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
        self.machine.reads_from(&store);
        (self.place, self.on_medium) = (Some(Place::Medium), Some(store));
        Ok(())
    }

    fn find_medium(&mut self) -> Result<Medium, BootError> {
        let (request, packed) = (&self.request, self.packed.as_ref());
        let object = request.store.as_ref().map_or_else(|| "lamina.store=".to_owned(), ToString::to_string);
        let (spec, medium) = self.journal.step("find the store", &object, |_| {
            let spec: StoreSpec = match &request.store {
                Some(spec) => spec.clone(),
                None => find_store::default_spec(packed)?,
            };
            let medium = find_store::find(&spec, request.timeout, &self.waits, &self.machine.modules)?;
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

    /// One of the two stores.
    ///
    /// # Errors
    /// It was not found.
    pub fn store(&self, place: Place) -> Result<&Store, Failure> {
        let store = match place {
            Place::Medium => self.on_medium.as_ref(),
            Place::Initramfs => self.packed.as_ref(),
        };
        store.ok_or_else(|| Failure::new("the store was not found"))
    }

    /// The bytes that `profile.kdl` will have.
    pub fn keep_profile(&mut self, bytes: Vec<u8>) {
        self.profile_bytes = bytes;
    }

    /// Carries out a plan.
    pub fn carry_out(&mut self, plan: &[Stage]) -> Result<(), BootError> {
        execute(plan, &self.machine, &self.crew, &mut self.journal)
    }

    /// Hears what the kernel said about the layers of this attempt.
    pub fn listen(&mut self) {
        self.words.listen(&self.machine.layer_devices());
    }

    /// Lets go of what this attempt has attached and mounted; the kernel's log keeps which layer had which device.
    pub fn forget(&mut self) {
        self.listen();
        self.log_devices();
        self.machine.forget();
        self.words.next_attempt();
    }

    /// Says in the kernel's log which layer has which device, in few lines, and not on the console: for whoever reads the kernel's words
    /// later.
    fn log_devices(&self) {
        const DEBUG: u8 = 7;
        self.machine.layer_devices().lines().iter().for_each(|line| console::to_kernel_log(DEBUG, line));
    }

    /// Tells of images whose damage was healed, or was not, while the root was built.
    fn tell_of_damage(&mut self) {
        // Nothing else tells of damage, and a boot without dm-verity need not wait for the log.
        if self.machine.layer_devices().0.iter().any(|layer| layer.backing.is_some()) {
            self.listen();
        }
        for damage in self.words.damages().0.clone() {
            match damage.lost {
                0 => self.journal.warn(damage.sentence()),
                _ => self.journal.alarm(damage.sentence()),
            }
        }
        self.log_devices();
    }

    /// Begins to leave the programs for the running system, as soon as `/run` is there: to copy a megabyte takes as long as to mount
    /// several layers.
    pub fn leave_programs(&mut self) {
        self.crew.hire();
        let (sender, left) = mpsc::channel();
        let given = self.crew.give(move || drop(sender.send(handover::leave_programs())));
        self.leaving = given.then_some(left);
    }

    /// Where nobody could begin it is done now.
    fn programs_are_left(&mut self) -> Result<(), Failure> {
        match self.leaving.take().map(|left| left.recv()) {
            Some(Ok(result)) => result,
            Some(Err(_)) | None => handover::leave_programs(),
        }
    }

    /// Leaves profile and report, waits for the programs that are left for the running system, and says goodbye. Returns the
    /// modules that nothing has asked for.
    pub fn leave_records(&mut self, profile: &BootProfile) -> Left {
        let summary = format!(
            "profile {}, {}, {}, verify {}",
            profile.name,
            cli::progress::count(profile.images.len(), "layer"),
            plan::total_size(profile),
            profile.verify
        );
        // Without them the system runs all the same.
        if let Err(failure) = self.programs_are_left() {
            self.journal.warn(format!(
                "the system will not end cleanly, because no program is left for that: {}",
                failure.why
            ));
        }
        self.crew.dismiss();
        self.tell_of_damage();
        let machine = &self.machine;
        let left = machine.modules.take_left();
        self.journal.modules(machine.modules.record());
        self.journal.layers(self.words.attempt_from(), |name| machine.facts(name));
        self.journal.started(&profile.init, &summary);
        let report = self.journal.json();
        for (path, bytes) in
            [(paths::PROFILE, self.profile_bytes.as_slice()), (paths::REPORT, report.as_bytes())]
        {
            // The root stands: a record that cannot be written must not take it away.
            if let Err(error) = fs::create_dir_all(paths::RUN).and_then(|()| fs::write(path, bytes)) {
                self.journal.warn(format!("{path} cannot be written: {error}"));
            }
        }
        left
    }

    /// The end of a boot that failed.
    pub fn recover(&mut self, error: &BootError) -> ! {
        self.listen();
        self.log_devices();
        self.machine.modules.load_left("the recovery screen");
        self.journal.modules(self.machine.modules.record());
        self.journal.failed(error);
        let report = self.journal.json();
        recovery::leave_report(&report);
        let context = Context {
            report,
            profiles: self.choices(),
            devices: devices(),
            attempts: self.journal.failed_attempts(),
            kernel: self.words.warnings().to_vec(),
            heard_to: self.words.heard_to(),
            ..Context::bare(self.request.panic, self.journal.began())
        };
        recovery::enter(error, &context)
    }

    /// The profiles that a person may start instead: when the command line binds the bytes of one, only what it binds as well.
    fn choices(&self) -> Vec<ProfileSummary> {
        let Some(store) = self.place.and_then(|place| self.store(place).ok()).cloned() else {
            return Vec::new();
        };
        let described = !self.trust.required || store.place == Place::Initramfs;
        let choices = within_on(STACK_OF_A_PARSER, MOST_FOR_A_LOOK, move || store.choices(described));
        let mut choices = choices.unwrap_or_default();
        choices.retain(|choice| self.request.may_choose(&choice.name).is_some());
        choices
    }
}

/// The block devices as they are now, one a line.
fn devices() -> Vec<String> {
    let mut inventory = Inventory::default();
    inventory.refresh();
    inventory.devices().iter().map(ToString::to_string).collect()
}

/// `panic = "abort"` would end PID 1, and with it the kernel; the hook runs before that and never returns.
pub fn panics_end_in_recovery() {
    let began = now();
    std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        let location = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        let message = info.payload_as_str().unwrap_or("no message");
        console::to_kernel_log(2, &format!("panic at {location}: {message}"));
        recovery::after_panic(&location, message, PANIC_TIMEOUT.get().copied().flatten(), began)
    }));
}
