//! Folders of the host, below `/run/host` of the system.

use std::mem;
use std::time::Duration;

use profiles::resolved::BootProfile;

use super::Session;
use crate::modules::needs;
use crate::plan;
use crate::plan::real_kernel::mount_at;
use crate::request::shared_folder::SharedFolder;
use crate::request::store_spec::StoreSpec;
use crate::step_name::StepName;
use crate::store::find_store;

/// They are there with the machine, or never.
const MOST_TO_WAIT: Duration = Duration::from_secs(5);

impl Session {
    /// Mounts what `lamina.share=` asks for. The system runs without what cannot be had: each is a warning.
    pub fn mount_shares(&mut self, profile: &BootProfile) {
        let shares = mem::take(&mut self.request.shares);
        if profile.sealed.is_some() && !shares.is_empty() {
            return self.journal.warn("lamina.share was ignored: the profile is sealed".to_owned());
        }
        for shared in &shares {
            self.mount_share(shared);
        }
    }

    fn mount_share(&mut self, shared: &SharedFolder) {
        let (kind, target) = (shared.share.protocol.driver(), shared.target());
        let spec = StoreSpec::Share(shared.share.clone());
        let object = format!("{spec} at {}", target.display());
        let (waits, kernel) = (&self.waits, &self.real_kernel);
        let mounted = self.journal.step(StepName::Mount, &object, |_| {
            find_store::find(&spec, MOST_TO_WAIT, waits, &kernel.modules)?;
            kernel.modules.want(|| needs::of_file_system(kind));
            mount_at(kind, &shared.share.tag, &plan::shared_folder(shared), &target)
        });
        if let Err(error) = mounted {
            self.journal.warn(format!("{object}: {}", error.failure.why));
        }
    }
}
