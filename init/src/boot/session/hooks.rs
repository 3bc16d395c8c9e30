//! Programs of the initramfs that run at named points of a boot. They are as trusted as init itself, which lies in the same archive.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

use initramfs_format::hook::{HOOKS, Point};

use super::Session;
use crate::console;
use crate::error::Failure;
use crate::step_name::StepName;
use crate::subprocess;

/// Where a script finds its programs.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

impl Session {
    /// Runs those of this point, one after the other. The boot goes on without what one of them was to do: each failure is a warning.
    pub fn run_hooks(&mut self, point: Point) {
        // Most initramfs have none.
        let Ok(hooks) = hooks(point) else { return };
        for hook in hooks {
            let object = hook.display().to_string();
            let ran = self.journal.step(StepName::RunHook, &object, |_| run(&hook, point));
            if let Err(error) = ran {
                self.journal.warn(format!("{object} {}", error.failure.why));
            }
        }
    }
}

fn hooks(point: Point) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(Path::new(HOOKS).join(point.name()))?;
    let mut hooks: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    hooks.sort();
    Ok(hooks)
}

/// It has the console, where it may ask a person.
fn run(hook: &Path, point: Point) -> Result<(), Failure> {
    let mut command = Command::new(hook);
    command.env_clear().env("PATH", PATH).env("LAMINA_POINT", point.name());
    let still = |time: Duration| {
        console::write_line(&format!("{} is still at work, for {} s", hook.display(), time.as_secs()));
    };
    let ended = subprocess::run(&mut command, &subprocess::HOOK, still);
    match ended.map_err(|why| Failure::new(why.to_string()))?.status {
        status if status.success() => Ok(()),
        status => Err(Failure::new(format!("ended with {status}"))),
    }
}
