//! What a boot leaves: programs and records for the running system, or the recovery screen.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::time::Duration;

use profiles::resolved::BootProfile;

use super::Session;
use crate::deadline::within_on;
use crate::devices::inventory::Inventory;
use crate::error::BootError;
use crate::modules::Left;
use crate::recovery::Context;
use crate::store::{Origin, ProfileSummary};
use crate::{console, paths, plan, recovery};

/// The recovery screen comes also when the disk with the store, or the host that shares it, does not answer any more.
const MOST_FOR_A_LOOK: Duration = Duration::from_secs(10);

/// As the first thread has it (RLIMIT_STACK); what is not used is no memory.
const STACK_OF_A_PARSER: usize = 8 << 20;

impl Session {
    /// Tells of images whose damage was healed, or was not, while the root was built.
    fn tell_of_damage(&mut self) {
        // Nothing else tells of damage, and a boot without dm-verity need not wait for the log.
        if self.real_kernel.layer_devices().0.iter().any(|layer| layer.backing.is_some()) {
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
    /// several layers. The same thread writes what is said from here on.
    pub fn leave_programs(&mut self) {
        self.thread_pool.start();
        let errands = self.thread_pool.errands();
        console::write_beside(move || errands(console::flush));
        self.thread_pool.make(&self.programs);
    }

    /// Leaves profile and report, waits for the programs that are left for the running system, and says goodbye. Returns the
    /// modules that nothing has asked for.
    pub fn leave_records(&mut self, profile: &BootProfile) -> Left {
        let summary = format!(
            "profile {}, {}, {}, verify {}",
            profile.name,
            cli::numbers::count(profile.images.len(), "layer"),
            plan::total_size(profile),
            profile.verify
        );
        // The other thread may still be at work on the programs: what it has not come to is written here meanwhile.
        console::flush();
        // Without them the system runs all the same.
        if let Err(failure) = &**self.programs {
            self.journal.warn(format!(
                "the system will not end cleanly, because no program is left for that: {}",
                failure.why
            ));
        }
        self.tell_of_damage();
        let kernel = &self.real_kernel;
        let left = kernel.modules.take_left();
        self.journal.modules(kernel.modules.record());
        if let Some(layers) = self.layers.take() {
            self.journal.layers(self.words.attempt_from(), layers);
        }
        self.journal.started(&profile.init, &summary);
        console::write_here();
        self.thread_pool.stop();
        // The root is mounted: a record that cannot be written must not take it away.
        let profile =
            fs::create_dir_all(paths::RUN).and_then(|()| fs::write(paths::PROFILE, &self.profile_bytes));
        if let Err(error) = profile {
            self.journal.warn(format!("{} cannot be written: {error}", paths::PROFILE));
        }
        let report = File::create(paths::REPORT).and_then(|file| {
            let mut file = BufWriter::new(file);
            self.journal.write_json(&mut file)?;
            file.flush()
        });
        if let Err(error) = report {
            self.journal.warn(format!("{} cannot be written: {error}", paths::REPORT));
        }
        console::flush();
        left
    }

    /// The end of a boot that failed.
    pub fn recover(&mut self, error: &BootError) -> ! {
        self.listen();
        self.log_devices();
        self.real_kernel.modules.load_left("the recovery screen");
        self.journal.modules(self.real_kernel.modules.record());
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
        let Some(store) = self.origin.and_then(|origin| self.store(origin).ok()).cloned() else {
            return Vec::new();
        };
        let described = !self.trust.required || store.origin == Origin::Initramfs;
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
