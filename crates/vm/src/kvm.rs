//! KVM, where it works.
//!
//! The device node proves nothing: there are machines whose `/dev/kvm` opens and on which ordinary kernels hang or die. So a
//! guest is booted on it, and only one that prints its first words within seconds counts. The verdict holds until the host
//! is restarted.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use atomic_file::UnnamedFile;
use fault::Error;

use crate::acceleration::Acceleration;
use crate::machine::Machine;
use crate::qemu::RunningMachine;

/// Working KVM gets there in about half a second.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
const DEVICE: &str = "/dev/kvm";
/// Another one after each start of the host (random(4)).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// What is known of KVM on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There is no `/dev/kvm` that this process may open.
    NotThere,
    /// There is one, and nobody has tried a guest on it since the host was started.
    NotTried,
    /// A guest has booted on it.
    Works,
    /// A guest was started on it, and did not boot.
    DoesNotWork,
}

impl Verdict {
    /// How guests are run.
    pub fn acceleration(self) -> Acceleration {
        match self {
            Self::Works => Acceleration::Kvm,
            Self::NotThere | Self::NotTried | Self::DoesNotWork => Acceleration::Emulated,
        }
    }
}

impl fmt::Display for Verdict {
    /// What is chosen, and why.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotThere => "emulated: there is no /dev/kvm that may be opened",
            Self::NotTried => {
                "emulated: no guest was tried on /dev/kvm yet; booting a profile without --dry-run does that"
            }
            Self::Works => "on KVM, which has run a guest here",
            Self::DoesNotWork => "emulated: /dev/kvm is there, and a guest that was tried on it did not boot",
        })
    }
}

const WORKS: &str = "works";
const DOES_NOT_WORK: &str = "does not work";

/// Whether a probe guest has booted on KVM since the host was started.
///
/// `verdict` is the file that keeps the answer; `probe` is run when it holds none, and says whether a guest has booted
/// ([`guest_boots`]). `tell` hears of a new answer: `works` or `does not work`.
///
/// # Errors
/// Those of `probe`, and when the verdict cannot be kept.
pub fn best<E: From<Error>>(
    verdict: &Path,
    probe: impl FnOnce() -> Result<bool, E>,
    tell: impl FnOnce(&str),
) -> Result<Verdict, E> {
    match boot_id()? {
        None => Ok(Verdict::NotThere),
        Some(boot_id) => best_since(&boot_id, verdict, probe, tell),
    }
}

/// What is known without a probe.
///
/// # Errors
/// `/proc` is not mounted.
pub fn known(verdict: &Path) -> Result<Verdict, Error> {
    let Some(boot_id) = boot_id()? else { return Ok(Verdict::NotThere) };
    Ok(match kept_since(&boot_id, verdict) {
        None => Verdict::NotTried,
        Some(true) => Verdict::Works,
        Some(false) => Verdict::DoesNotWork,
    })
}

/// What this start of the host is called; `None` where there is no KVM.
fn boot_id() -> Result<Option<String>, Error> {
    if File::options().read(true).write(true).open(DEVICE).is_err() {
        return Ok(None);
    }
    fs::read_to_string(BOOT_ID).map(Some).map_err(|error| Error::caused(BOOT_ID, error).remedy("mount /proc"))
}

/// Whether KVM works, as the file says that was written since the host was started as `boot_id`.
fn kept_since(boot_id: &str, verdict: &Path) -> Option<bool> {
    match fs::read_to_string(verdict).ok()?.strip_prefix(boot_id)? {
        WORKS => Some(true),
        DOES_NOT_WORK => Some(false),
        _ => None,
    }
}

/// As [`best`], on a host with `/dev/kvm` that was started as `boot_id`.
fn best_since<E: From<Error>>(
    boot_id: &str,
    verdict: &Path,
    probe: impl FnOnce() -> Result<bool, E>,
    tell: impl FnOnce(&str),
) -> Result<Verdict, E> {
    let works = match kept_since(boot_id, verdict) {
        Some(works) => works,
        None => {
            let works = probe()?;
            let answer = if works { WORKS } else { DOES_NOT_WORK };
            tell(answer);
            keep(verdict, &format!("{boot_id}{answer}"))?;
            works
        }
    };
    Ok(if works { Verdict::Works } else { Verdict::DoesNotWork })
}

/// Programs and threads may ask at once: none sees half an answer, and none is in the way of another.
fn keep(verdict: &Path, text: &str) -> Result<(), Error> {
    let failed = |error: io::Error| {
        Error::caused(verdict.display(), error)
            .remedy("the answer about KVM is kept there: make the folder writable")
    };
    fs::create_dir_all(verdict.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    let kept = UnnamedFile::beside(verdict)?;
    kept.handle()?.write_all(text.as_bytes()).map_err(failed)?;
    kept.publish()
}

/// Whether `machine` prints `word` on KVM within ten seconds. All that it prints is in the file `log`.
pub fn guest_boots(machine: &Machine, word: &str, log: &Path) -> Result<bool, Error> {
    let mut guest = RunningMachine::start(machine, Acceleration::Kvm, log)?;
    Ok(guest.console.wait_for(word, PROBE_TIMEOUT).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is chosen when the probe guest does as `boots` says, or must not run, and what was told.
    fn choose(boot_id: &str, verdict: &Path, boots: Option<bool>) -> (Verdict, String) {
        let mut told = String::new();
        let probe = || boots.ok_or_else(|| Error::new("probe", "ran").remedy("the answer was kept"));
        let chosen = best_since(boot_id, verdict, probe, |answer| answer.clone_into(&mut told));
        (chosen.unwrap(), told)
    }

    #[test]
    fn kvm_is_used_only_when_a_guest_has_booted_on_it_and_is_asked_once_for_each_start_of_the_host() {
        let folder = tempfile::tempdir().unwrap();
        let verdict = folder.path().join("cache/kvm-verdict");
        assert_eq!(choose("one\n", &verdict, Some(true)), (Verdict::Works, WORKS.to_owned()));
        assert_eq!(choose("one\n", &verdict, None), (Verdict::Works, String::new()));
        assert_eq!(choose("two\n", &verdict, Some(false)), (Verdict::DoesNotWork, DOES_NOT_WORK.to_owned()));
        assert_eq!(choose("two\n", &verdict, None), (Verdict::DoesNotWork, String::new()));
        let left: Vec<_> = fs::read_dir(verdict.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1);
    }

    #[test]
    fn threads_that_ask_at_once_all_get_an_answer_and_leave_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let verdict = folder.path().join("kvm-verdict");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..200).for_each(|_| keep(&verdict, "one\nworks").unwrap()));
            }
        });
        assert_eq!(choose("one\n", &verdict, None).0, Verdict::Works);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_verdict_cut_short_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let verdict = folder.path().join("kvm-verdict");
        fs::write(&verdict, "on").unwrap();
        assert_eq!(choose("one\n", &verdict, Some(false)).0, Verdict::DoesNotWork);
    }
}
