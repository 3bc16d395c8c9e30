//! The way back: what this program does when the system goes down.
//!
//! It lies in `/run/initramfs/shutdown`, on memory, so that it outlives the stack that the system runs on. Three ways lead
//! here:
//!
//! - systemd makes `/run/initramfs` the root, puts the old one at `/oldroot` and becomes `/shutdown VERB` (its
//!   INITRD_INTERFACE document, and `switch_root_initramfs` of its `src/shutdown/shutdown.c`);
//! - another init becomes this program while the stack is still its root: it turns the root around itself, and goes on as
//!   above;
//! - an ordinary process of a system whose PID 1 stays ([`from_the_system`]): then nothing can be unmounted, and all that is
//!   on disks is made read-only instead, which leaves them as clean.
//!
//! Decisions are in `plan`; the table of mounts that they need in `mounts`.

mod devices;
mod ending;
pub mod handover;
mod plan;
mod processes;
mod swaps;
mod system;

use std::convert::Infallible;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use crate::console;
use crate::deadline::{self, within};
use crate::panic_for_tests::panic_if_told;
use crate::shutdown::handover::{EXIT, PROGRAM};
use ending::{Ending, PARAMETER_OF_SYSTEMD};
use plan::{OLD_ROOT, ShutdownStep};
use processes::Spare;
use system::{RealSystem, System};

/// After each pass the table is read again: one thing out of the way may free another.
const MOST_PASSES: usize = 4;
/// sync(2) writes back all that the memory of a large machine holds, to media that may be slow.
const SYNC: Duration = Duration::from_secs(60);
/// Longer than all that has a limit of its own, together: behind it something hangs that nobody has thought of.
const EVERYTHING: Duration = Duration::from_secs(6 * 60);

/// As PID 1: unmounts everything and does what the words behind the program's name say. Never returns.
pub fn as_pid_1(words: &[String]) -> ! {
    stack::last_resort::only_restart();
    let left_by_systemd = std::fs::read_to_string(PARAMETER_OF_SYSTEMD).ok();
    let ending = Ending::parse(words, left_by_systemd.as_deref()).unwrap_or_else(|why| {
        console::write_line(&format!("shutdown: {why}; powering off"));
        Ending::POWER_OFF
    });
    end_even_after_a_failure(&ending);
    panic_if_told("begin shutdown");
    system::prepare();
    let system = RealSystem::begin();
    if !system.table().iter().any(|mount| mount.target == Path::new(OLD_ROOT)) {
        let Err(why) = pivot_to_exit(&ending);
        console::write_line(&format!("shutdown: cannot leave the root: {why}"));
        end_processes();
        write_back();
        tell(&carry_out_all(&system, &plan::protect(&system.table(), &system.swaps())));
        ending::end(&ending)
    }
    end_processes();
    write_back();
    let result = leave(&system);
    tell(&result.left);
    write_back();
    if !system::is_quiet() || !result.left.is_empty() {
        let end = if result.left.is_empty() { "nothing is left mounted" } else { "some of it is left" };
        console::write_line(&format!("{} unmounted, {end}; {ending}", result.unmounted));
    }
    ending::end(&ending)
}

/// The machine ends as it was told to, although this program panics, dies or hangs; what was written is on the disks then, but
/// nothing is unmounted.
fn end_even_after_a_failure(ending: &Ending) {
    if ending.stays_off() {
        stack::last_resort::only_power_off();
    }
    let after_panic = ending.clone();
    std::panic::set_hook(Box::new(move |info| {
        console::write_line(&format!("shutdown: {info}"));
        panic_if_told("end after a panic");
        write_back();
        ending::end(&after_panic)
    }));
    let too_late = ending.clone();
    deadline::after(EVERYTHING, move || {
        console::write_line(&format!("shutdown: something hangs; {too_late} all the same"));
        ending::end(&too_late)
    });
}

/// `lamina shutdown`, called by the scripts of an init that stays PID 1: ends all other processes and makes everything on
/// disks read-only. Says what stays writable, and then fails.
pub fn from_the_system() -> ExitCode {
    if !rustix::process::geteuid().is_root() {
        eprintln!("lamina: shutdown: only root may do this");
        return ExitCode::FAILURE;
    }
    // sd_booted(3): this folder is there when systemd is PID 1.
    if Path::new("/run/systemd/system").exists() {
        eprintln!("lamina: shutdown: systemd ends this system by itself: use `systemctl poweroff`");
        return ExitCode::FAILURE;
    }
    end_processes();
    write_back();
    let system = RealSystem::begin();
    let left = carry_out_all(&system, &plan::protect(&system.table(), &system.swaps()));
    tell(&left);
    if left.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The stack is still the root: pivot_root(2) to where this program lies, and begin again there.
fn pivot_to_exit(ending: &Ending) -> Result<Infallible, String> {
    end_processes();
    write_back();
    system::pivot(Path::new(EXIT), OLD_ROOT)?;
    let program = format!("/{PROGRAM}");
    Err(Command::new(&program).args(ending.words()).exec().to_string())
}

/// What became of [`leave`].
struct Unmounted {
    unmounted: usize,
    left: Vec<String>,
}

/// Unmounts in the order of the plan, as often as that gets anywhere; then gives up what is left, and says what.
fn leave(system: &impl System) -> Unmounted {
    let mut unmounted = 0;
    let mut failures = Vec::new();
    for pass in 0..MOST_PASSES {
        let steps = plan::leave(&system.table(), &system.swaps());
        let mut done = 0;
        failures.clear();
        for step in &steps {
            match (system.carry_out(step), step) {
                (Ok(()), ShutdownStep::Unmount(_)) => done += 1,
                (Ok(()), _) => {}
                (Err(why), _) => failures.push(format!("cannot {step}: {why}")),
            }
        }
        unmounted += done;
        if failures.is_empty() || done == 0 && pass > 0 {
            break;
        }
        if pass == 0 {
            system.end_storage();
        }
    }
    if !failures.is_empty() {
        failures.extend(carry_out_all(system, &plan::give_up(&system.table())));
    }
    Unmounted { unmounted, left: failures }
}

/// All steps, whether or not one fails; the failures.
fn carry_out_all(system: &impl System, steps: &[ShutdownStep]) -> Vec<String> {
    let failed =
        |step: &ShutdownStep| system.carry_out(step).err().map(|why| format!("cannot {step}: {why}"));
    steps.iter().filter_map(failed).collect()
}

fn end_processes() {
    let left = processes::end_all(Spare::Storage);
    if !left.is_empty() {
        console::write_line(&format!("shutdown: still running: {}", left.join(", ")));
    }
}

fn write_back() {
    if within(SYNC, nix::unistd::sync).is_none() {
        console::write_line("shutdown: a disk does not take what is to be written; going on without it");
    }
}

fn tell(failures: &[String]) {
    for failure in failures {
        console::write_line(&format!("shutdown: {failure}"));
        console::to_kernel_log(3, &format!("shutdown: {failure}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mounts::Mounted;
    use std::cell::RefCell;
    use std::path::PathBuf;

    /// Refused until those are ended that serve file systems.
    const BY_STORAGE: usize = 1000;

    /// A kernel that refuses some steps, each so many times, and unmounts for the rest.
    struct Fake {
        table: RefCell<Vec<Mounted>>,
        refuses: RefCell<Vec<(&'static str, usize)>>,
    }

    impl Fake {
        fn new(refuses: &[(&'static str, usize)]) -> Self {
            let table = b"1 0 0:1 / / rw - tmpfs tmpfs rw
2 1 0:2 / /proc rw - proc proc rw
3 1 0:3 / /oldroot rw - overlay overlay rw
4 3 0:4 / /oldroot/run rw - tmpfs tmpfs rw
5 4 254:0 / /oldroot/run/lamina/medium ro - ext4 /dev/vda ro
6 4 254:1 / /oldroot/run/lamina/state rw - ext4 /dev/vdb rw
";
            Self { table: RefCell::new(crate::mounts::parse(table)), refuses: RefCell::new(refuses.to_vec()) }
        }
    }

    impl System for Fake {
        fn table(&self) -> Vec<Mounted> {
            self.table.borrow().clone()
        }

        fn swaps(&self) -> Vec<PathBuf> {
            vec!["/oldroot/run/lamina/state/swap".into()]
        }

        fn carry_out(&self, step: &ShutdownStep) -> Result<(), String> {
            let text = step.to_string();
            for (refused, times) in self.refuses.borrow_mut().iter_mut() {
                if text.starts_with(*refused) && *times > 0 {
                    *times -= usize::from(*times != BY_STORAGE);
                    return Err("busy".into());
                }
            }
            let mut table = self.table.borrow_mut();
            match step {
                ShutdownStep::Move { from, to } => {
                    for mount in table.iter_mut() {
                        if let Ok(rest) = mount.target.strip_prefix(from) {
                            mount.target = to.components().chain(rest.components()).collect();
                        }
                    }
                }
                ShutdownStep::Unmount(object) | ShutdownStep::Detach(object) => {
                    let at = table.iter().rposition(|mount| mount.target == object.target);
                    table.remove(at.ok_or("not mounted")?);
                }
                ShutdownStep::SwapOff(_) | ShutdownStep::ReadOnly(_) | ShutdownStep::FreeDevices => {}
            }
            Ok(())
        }

        fn end_storage(&self) {
            self.refuses.borrow_mut().retain(|(_, times)| *times != BY_STORAGE);
        }
    }

    #[test]
    fn whatever_fails_once_is_tried_again() {
        for step in [
            "end swapping",
            "move",
            "unmount overlay",
            "unmount tmpfs",
            "unmount /dev/vda",
            "unmount /dev/vdb",
            "free",
        ] {
            let fake = Fake::new(&[(step, 1)]);
            let result = leave(&fake);
            assert!(result.left.is_empty(), "{step}: {:?}", result.left);
            assert_eq!(fake.table().len(), 2, "{step}");
        }
    }

    #[test]
    fn what_serves_file_systems_is_ended_when_it_is_in_the_way() {
        let fake = Fake::new(&[("unmount", BY_STORAGE)]);
        let result = leave(&fake);
        assert!(result.left.is_empty() && fake.table().len() == 2, "{:?}", result.left);
    }

    #[test]
    fn what_stays_busy_is_told_and_given_up() {
        let fake = Fake::new(&[("unmount /dev/vdb", 99)]);
        let result = leave(&fake);
        assert_eq!(result.left.len(), 1, "{:?}", result.left);
        assert!(result.left[0].starts_with("cannot unmount /dev/vdb (ext4) at /old"), "{}", result.left[0]);
        assert_eq!(fake.table().len(), 2, "it was detached");
        let stuck = Fake::new(&[("", 9999)]);
        assert!(!leave(&stuck).left.is_empty());
    }
}
