//! The ways out: init anew, the machine anew, or off.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::reboot::{RebootMode, reboot};
use nix::unistd::sync;
use profiles::Name;

use super::CHOSEN;
use crate::{console, paths};

/// A disk that was pulled out while something was written to it must not keep the machine.
const MOST_FOR_SYNC: Duration = Duration::from_secs(10);
/// Nobody can press a key any more: time enough to read one line.
const LAST_WORDS: Duration = Duration::from_secs(60);

/// As long as the initramfs is there, init can begin again.
pub fn can_retry() -> bool {
    let identity = |path: &str| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino())).ok();
    identity("/init").is_some() && identity("/init") == identity("/proc/self/exe")
}

/// Takes away what this attempt has mounted and runs init anew, in the same process; with a profile, that one is started.
/// Returns the sentence that says why not.
pub fn retry(profile: Option<&Name>) -> String {
    for mount in ours(&fs::read("/proc/self/mountinfo").unwrap_or_default()) {
        let _ = stack::mount::detach(&mount);
    }
    let mut init = Command::new("/init");
    init.args(std::env::args_os().skip(1));
    if let Some(profile) = profile {
        init.env(CHOSEN, profile.as_str());
    }
    format!("cannot start /init again: {}", init.exec())
}

/// The mounts of a boot that was not finished, the last one first. A line of /proc/self/mountinfo has the mount point as its
/// fifth field, blanks and the like as `\040` (proc_pid_mountinfo(5)).
fn ours(mountinfo: &[u8]) -> Vec<PathBuf> {
    let point = |line: &[u8]| line.split(|byte| *byte == b' ').nth(4).map(unescaped);
    let mut mounts: Vec<PathBuf> = mountinfo.split(|byte| *byte == b'\n').filter_map(point).collect();
    mounts.retain(|mount| [paths::NEW_ROOT, paths::RUN].iter().any(|folder| mount.starts_with(folder)));
    mounts.reverse();
    mounts
}

fn unescaped(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| *first == b'\\');
        let octal = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    Path::new(&OsString::from_vec(bytes)).to_owned()
}

/// reboot(2). If the kernel refuses, sleep: PID 1 must not end.
pub fn restart(mode: RebootMode) -> ! {
    if let Ok(thread) = thread::Builder::new().spawn(sync) {
        let step = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        while !thread.is_finished() && waited < MOST_FOR_SYNC {
            thread::sleep(step);
            waited += step;
        }
    }
    let Err(errno) = reboot(mode);
    console::write(&format!("lamina: the kernel refuses: {}; switch the machine off\n", errno.desc()));
    super::sleep_for_ever()
}

/// Recovery itself has panicked. No menu any more: one line, time to read it, and a reboot.
pub fn last_words(location: &str, message: &str, panic: Option<i64>) -> ! {
    let time = match panic {
        Some(seconds @ 1..) => Duration::from_secs(seconds.unsigned_abs()),
        Some(..0) => Duration::ZERO,
        Some(0) | None => LAST_WORDS,
    };
    let seconds = time.as_secs();
    console::write(&format!(
        "\nlamina: recovery itself failed: {message} ({location}); rebooting in {seconds} s\n"
    ));
    thread::sleep(time);
    let _ = reboot(RebootMode::RB_AUTOBOOT);
    super::sleep_for_ever()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_boot_has_mounted_is_taken_away_in_reverse_order() {
        let mountinfo = b"22 1 0:21 / /proc rw shared:1 - proc proc rw
30 1 0:26 / /run rw - tmpfs tmpfs rw
31 30 254:0 / /run/lamina/medium ro - ext4 /dev/vda ro
32 30 7:0 / /run/lamina/layers/a\\040b ro - squashfs /dev/loop0 ro
33 1 0:30 / /newroot rw - overlay overlay rw
34 1 0:31 / /newroots rw - tmpfs tmpfs rw
35 1";
        let expected = ["/newroot", "/run/lamina/layers/a b", "/run/lamina/medium"].map(PathBuf::from);
        assert_eq!(ours(mountinfo), expected);
        assert_eq!(unescaped(br"/a\1"), Path::new(r"/a\1"));
        assert_eq!(unescaped(br"/a\999b\134"), Path::new(r"/a\999b\"));
    }
}
