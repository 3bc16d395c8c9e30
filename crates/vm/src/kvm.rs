//! KVM, where it works.
//!
//! The device node proves nothing: there are machines whose `/dev/kvm` opens and on which ordinary kernels hang or die. So a
//! guest is booted on it, and only one that prints its first words within seconds counts. The verdict holds until the host
//! is restarted.

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
const WORKS: &str = "works";
const DOES_NOT_WORK: &str = "does not work";

/// KVM when a probe guest has booted on it since the host was started, else emulation.
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
) -> Result<Acceleration, E> {
    if File::options().read(true).write(true).open(DEVICE).is_err() {
        return Ok(Acceleration::Emulated);
    }
    let boot_id =
        fs::read_to_string(BOOT_ID).map_err(|error| Error::caused(BOOT_ID, error).remedy("mount /proc"))?;
    best_since(&boot_id, verdict, probe, tell)
}

/// As [`best`], on a host with `/dev/kvm` that was started as `boot_id`.
fn best_since<E: From<Error>>(
    boot_id: &str,
    verdict: &Path,
    probe: impl FnOnce() -> Result<bool, E>,
    tell: impl FnOnce(&str),
) -> Result<Acceleration, E> {
    let kept = fs::read_to_string(verdict).unwrap_or_default();
    let works = match kept.strip_prefix(boot_id) {
        Some(answer) => answer == WORKS,
        None => {
            let works = probe()?;
            let answer = if works { WORKS } else { DOES_NOT_WORK };
            tell(answer);
            keep(verdict, &format!("{boot_id}{answer}"))?;
            works
        }
    };
    Ok(if works { Acceleration::Kvm } else { Acceleration::Emulated })
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
    fn choose(boot_id: &str, verdict: &Path, boots: Option<bool>) -> (Acceleration, String) {
        let mut told = String::new();
        let probe = || boots.ok_or_else(|| Error::new("probe", "ran").remedy("the answer was kept"));
        let chosen = best_since(boot_id, verdict, probe, |answer| answer.clone_into(&mut told));
        (chosen.unwrap(), told)
    }

    #[test]
    fn kvm_is_used_only_when_a_guest_has_booted_on_it_and_is_asked_once_for_each_start_of_the_host() {
        let folder = tempfile::tempdir().unwrap();
        let verdict = folder.path().join("cache/kvm-verdict");
        assert_eq!(choose("one\n", &verdict, Some(true)), (Acceleration::Kvm, WORKS.to_owned()));
        assert_eq!(choose("one\n", &verdict, None), (Acceleration::Kvm, String::new()));
        assert_eq!(
            choose("two\n", &verdict, Some(false)),
            (Acceleration::Emulated, DOES_NOT_WORK.to_owned())
        );
        assert_eq!(choose("two\n", &verdict, None), (Acceleration::Emulated, String::new()));
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
        assert_eq!(choose("one\n", &verdict, None).0, Acceleration::Kvm);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_verdict_cut_short_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let verdict = folder.path().join("kvm-verdict");
        fs::write(&verdict, "on").unwrap();
        assert_eq!(choose("one\n", &verdict, Some(false)).0, Acceleration::Emulated);
    }
}
