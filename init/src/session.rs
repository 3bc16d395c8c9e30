//! One boot: what has been learnt so far, and the parts of the story that learn it.

use std::fs;
use std::panic::PanicHookInfo;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use profiles::resolved::BootProfile;
use profiles::{Verify, WritableTop};

use crate::error::{BootError, Failure};
use crate::journal::{self, Journal, ModuleRecord};
use crate::machine::Machine;
use crate::medium::{Medium, Protocol, StoreSpec};
use crate::recovery::Context;
use crate::request::{BootRequest, RootAccess, Verbosity};
use crate::{console, contract, find_store, modules, paths, plan, recovery, store};

/// `panic=`, for the panic hook, which has no session.
static PANIC_TIMEOUT: OnceLock<Option<i64>> = OnceLock::new();

/// What a boot knows.
#[derive(Debug)]
pub struct Session {
    /// What the command line asks for.
    pub request: BootRequest,
    /// What has happened.
    pub journal: Journal,
    /// What carries out plans.
    pub machine: Machine,
    kernel: String,
    modules: ModuleRecord,
    profile_bytes: Vec<u8>,
}

impl Session {
    /// Nothing is known yet.
    pub fn begin() -> Self {
        Self {
            request: BootRequest::empty(),
            journal: Journal::begin(),
            machine: Machine::default(),
            kernel: String::new(),
            modules: ModuleRecord::default(),
            profile_bytes: Vec::new(),
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
        let (line, kernel) = (read("/proc/cmdline")?, read("/proc/sys/kernel/osrelease")?);
        let (request, result) = BootRequest::parse(&line);
        self.journal.speak(request.verbosity, &kernel, &line);
        let _ = PANIC_TIMEOUT.set(request.panic);
        request.warnings.iter().for_each(|warning| self.journal.warn(warning.clone()));
        (self.request, self.kernel) = (request, kernel);
        result
    }

    /// Loads the modules that mkinitramfs chose, if they are for this kernel.
    pub fn load_modules(&mut self) -> Result<(), BootError> {
        let (kernel, parameters) = (&self.kernel, &self.request.parameters);
        self.journal.step("check the initramfs", paths::INITRAMFS, |_| contract::check(kernel))?;
        self.modules = self.journal.step("load modules", paths::MODULES, |_| modules::load(parameters))?;
        for module in &self.modules.failed {
            self.journal.debug(|| format!("module not loaded: {module}"));
        }
        self.journal.modules(self.modules.clone());
        Ok(())
    }

    /// Finds the medium, and waits for it where needed.
    pub fn find_medium(&mut self) -> Result<Medium, BootError> {
        let request = &self.request;
        let object = request.store.as_ref().map_or_else(|| "lamina.store=".to_owned(), ToString::to_string);
        let (spec, medium) = self.journal.step("find the store", &object, |_| {
            let spec: StoreSpec = match &request.store {
                Some(spec) => spec.clone(),
                None => find_store::default_spec(&request.folder)?,
            };
            let medium = find_store::find(&spec, request.timeout, &self.modules)?;
            Ok((spec, medium))
        })?;
        let found = match &medium {
            Medium::Device { path, driver } => format!("{path} ({driver})"),
            Medium::Share(share) if share.protocol == Protocol::NineP => format!("9p:{}", share.tag),
            Medium::Share(share) => format!("virtiofs:{}", share.tag),
            Medium::Initramfs => "initramfs".to_owned(),
        };
        self.journal.debug(|| format!("the store {spec} is on {found}"));
        self.journal.medium(spec.to_string(), found);
        Ok(medium)
    }

    /// The folder with `profiles/` and `images/`.
    pub fn store_folder(&self, medium: &Medium) -> PathBuf {
        let root = if *medium == Medium::Initramfs { "/" } else { paths::MEDIUM };
        Path::new(root).join(&self.request.folder)
    }

    /// Reads the profile that was asked for.
    pub fn read_profile(&mut self, folder: &Path) -> Result<BootProfile, BootError> {
        let wanted = self.request.profile.as_ref();
        let object = wanted.map_or_else(|| "lamina.profile=".to_owned(), |wanted| wanted.name.to_string());
        let stored =
            self.journal.step("find the profile", &object, |_| store::find_profile(folder, wanted))?;
        let path = stored.path.display().to_string();
        let profile = self.journal.step("read the profile", &path, |_| {
            let profile = stored.parse()?;
            refuse_what_is_not_supported(&profile)?;
            Ok(profile)
        })?;
        if profile.verify == Verify::None && self.request.verbosity > Verbosity::Quiet {
            self.journal.warn("the profile says verify \"none\": the images are not checked".to_owned());
        }
        if profile.root == WritableTop::None && self.request.root_access == RootAccess::Writable {
            self.journal.warn("rw was ignored: the profile has no writable top".to_owned());
        }
        self.journal.profile(&profile, stored.generation, stored.digest.to_string());
        self.profile_bytes = stored.bytes;
        Ok(profile)
    }

    /// Leaves the profile and the report for the running system, and says goodbye.
    pub fn leave_records(&mut self, profile: &BootProfile, init: &str) -> Result<(), BootError> {
        let summary = format!(
            "profile {}, {}, {}, verify {}",
            profile.name,
            plan::count(profile.images.len(), "layer"),
            plan::total_size(profile),
            profile.verify
        );
        self.journal.started(init, &summary);
        let leave = |path: &str, bytes: &[u8]| {
            let written = fs::create_dir_all(paths::RUN).and_then(|()| fs::write(path, bytes));
            written.map_err(|error| Failure::new(error).at("leave records", path))
        };
        leave(paths::PROFILE, &self.profile_bytes)?;
        leave(paths::REPORT, self.journal.to_json().as_bytes())
    }

    /// The end of a boot that failed.
    pub fn recover(&mut self, error: &BootError) -> ! {
        self.journal.failed(error);
        let report = self.journal.to_json();
        recovery::leave_report(&report);
        recovery::enter(error, &Context { report, ..Context::bare(self.request.panic, self.journal.began()) })
    }
}

/// What the language has and this version of init has not.
fn refuse_what_is_not_supported(profile: &BootProfile) -> Result<(), Failure> {
    let refuse = |what: &str, remedy: &str| {
        Err(Failure::new(format!("{what} is not supported by this init")).try_this(remedy))
    };
    match (profile.verify, &profile.root) {
        (Verify::Verity, _) => {
            refuse("verify \"verity\"", "write verify \"digest\" in the profile and lock it again")
        }
        (_, WritableTop::State(_)) => {
            refuse("a writable top on a disk", "write writable=\"tmpfs\" in the profile and lock it again")
        }
        _ if profile.sealed => {
            refuse("a sealed profile", "take 'sealed' out of the profile and lock it again")
        }
        _ => Ok(()),
    }
}

/// `panic = "abort"` would end PID 1, and with it the kernel; the hook runs before that and never returns.
pub fn panics_end_in_recovery() {
    let began = journal::now();
    std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        let location = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        let message = info.payload_as_str().unwrap_or("no message");
        console::to_kernel_log(2, &format!("panic at {location}: {message}"));
        recovery::after_panic(&location, message, PANIC_TIMEOUT.get().copied().flatten(), began)
    }));
}
