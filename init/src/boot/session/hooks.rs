//! Programs of the initramfs that run at named points of a boot. They are as trusted as init itself, which lies in the same archive.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use initramfs_format::hook::{HOOKS, Point};

use super::Session;
use crate::console;
use crate::console::settings::Kept;
use crate::error::Failure;
use crate::modules::Modules;
use crate::step_name::StepName;
use crate::{folder, paths, subprocess};

impl Session {
    /// Runs those of this point, one after the other. The boot goes on without what one of them was to do: each failure is a warning.
    pub fn run_hooks(&mut self, point: Point) {
        let hooks = match folder::sorted(&Path::new(HOOKS).join(point.name())) {
            Ok(hooks) => hooks,
            // Most initramfs have none.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.journal.warn(format!("{HOOKS}/{}: {error}", point.name())),
        };
        // They may ask a person.
        console::vt::set_up();
        for hook in hooks {
            let object = hook.display().to_string();
            let modules = &self.real_kernel.modules;
            let ran = self.journal.step(StepName::RunHook, &object, |_| run(&hook, point, modules));
            if let Err(error) = ran {
                self.journal.warn(format!("{object} {}", error.failure.why));
            }
        }
    }
}

/// It has the console, where it may ask a person, and may wait for a device: drivers are loaded meanwhile. How it leaves the console, when
/// it is killed while a passphrase is typed for example, is not how the next one finds it.
fn run(hook: &Path, point: Point, modules: &Modules) -> Result<(), Failure> {
    let mut command = Command::new(hook);
    command.env_clear().env("PATH", paths::PROGRAMS).env("LAMINA_POINT", point.name());
    let _settings = console::open_anew().map(Kept::new);
    let stream = || console::open_anew().map_or_else(Stdio::inherit, Stdio::from);
    command.stdin(stream()).stdout(stream()).stderr(stream());
    // Before what it asks, and not in the middle of it.
    console::flush();
    let ended = subprocess::run(&mut command, &subprocess::HOOK, |_| modules.follow_devices());
    match ended.map_err(|why| Failure::new(why.to_string()))?.status {
        status if status.success() => Ok(()),
        status => Err(Failure::new(format!("ended with {status}"))),
    }
}
