//! One boot: what has been learnt so far, and the parts of the story that learn it.
//!
//! | module | what it does |
//! |---|---|
//! | `hooks` | programs of the initramfs at points of the boot |
//! | `learning` | the command line, the initramfs, the store |
//! | `leaving` | what the running system gets, and the end of a boot that failed |
//! | `shares` | folders of the host for the running system |

mod hooks;
mod learning;
mod leaving;
mod shares;

use std::sync::{Arc, LazyLock};

use profiles::Verify;
use profiles::resolved::BootProfile;

use crate::boot::boot_counter::BootCounter;
use crate::console;
use crate::error::{BootError, Failure};
use crate::plan::Stage;
use crate::plan::executor::execute;
use crate::plan::real_kernel::RealKernel;
use crate::plan::thread_pool::ThreadPool;
use crate::report::journal::{self, Journal, Part};
use crate::report::kernel_words::KernelWords;
use crate::request::BootRequest;
use crate::request::seal;
use crate::shutdown::handover;
use crate::store::trust::Trust;
use crate::store::{Origin, Store};
use crate::waiting::wait_for_device::Waits;

/// What a boot knows.
#[derive(Debug)]
pub struct Session {
    /// What the command line asks for.
    pub request: BootRequest,
    /// What has happened.
    pub journal: Journal,
    /// What carries out plans.
    pub real_kernel: Arc<RealKernel>,
    /// The threads that help.
    thread_pool: ThreadPool,
    /// Where the store is that was asked for, when it was found.
    pub origin: Option<Origin>,
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
    /// The release of the running kernel.
    pub kernel: String,
    profile_bytes: Vec<u8>,
    /// What the report will have of the layers that are mounted.
    layers: Option<Part>,
    /// Leaves the programs for the running system.
    programs: Arc<LazyLock<Result<(), Failure>>>,
}

impl Session {
    /// Nothing is known yet.
    pub fn begin() -> Self {
        Self {
            request: BootRequest::empty(),
            journal: Journal::begin(),
            real_kernel: Arc::default(),
            thread_pool: ThreadPool::default(),
            origin: None,
            on_medium: None,
            packed: None,
            counter: BootCounter::default(),
            trust: Trust::default(),
            asked: seal::Asked::default(),
            waits: Waits::default(),
            words: KernelWords::default(),
            kernel: String::new(),
            profile_bytes: Vec::new(),
            layers: None,
            programs: Arc::new(LazyLock::new(handover::leave_programs)),
        }
    }

    /// One of the two stores.
    ///
    /// # Errors
    /// It was not found.
    pub fn store(&self, origin: Origin) -> Result<&Store, Failure> {
        let store = match origin {
            Origin::Medium => self.on_medium.as_ref(),
            Origin::Initramfs => self.packed.as_ref(),
        };
        store.ok_or_else(|| Failure::new("the store was not found"))
    }

    /// The bytes that `profile.kdl` will have.
    pub fn keep_profile(&mut self, bytes: Vec<u8>) {
        self.profile_bytes = bytes;
    }

    /// Carries out a plan.
    pub fn carry_out(&mut self, plan: &[Stage]) -> Result<(), BootError> {
        execute(plan, &self.real_kernel, &self.thread_pool, &mut self.journal)
    }

    /// Has what was found of the layers made ready for the report.
    pub fn tell_of_layers(&mut self, profile: &Arc<BootProfile>) {
        let kernel = self.real_kernel.clone();
        let layers = journal::layers(profile.clone(), move |position| kernel.facts(position));
        self.thread_pool.make(&layers);
        self.layers = Some(layers);
    }

    /// Listens from here on to what the kernel says, when its words are read at the end of the boot too: dm-verity tells of damage there.
    pub fn attend(&mut self, verify: Verify) {
        if verify == Verify::Verity {
            self.words.attend();
        }
    }

    /// Hears what the kernel said about the layers of this attempt.
    pub fn listen(&mut self) {
        self.words.listen(&self.real_kernel.layer_devices());
    }

    /// Lets go of what this attempt has attached and mounted; the kernel's log keeps which layer had which device.
    pub fn forget(&mut self) {
        self.listen();
        self.log_devices();
        self.real_kernel.forget();
        self.words.next_attempt();
    }

    /// Says in the kernel's log which layer has which device, in few lines, and not on the console: for whoever reads the kernel's words
    /// later.
    fn log_devices(&self) {
        const DEBUG: u8 = 7;
        self.real_kernel.layer_devices().lines().iter().for_each(|line| console::to_kernel_log(DEBUG, line));
    }
}
