//! The ways out: init anew, the machine anew, or off.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::reboot::{RebootMode, reboot};
use nix::unistd::sync;
use profiles::Name;

use super::choice::CHOSEN;
use crate::{console, descriptors, unmount};

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
    unmount::everything();
    // Else the next init takes the raised limit for the kernel's, and hands it on to the real one.
    descriptors::as_before();
    let mut init = Command::new("/init");
    init.args(std::env::args_os().skip(1)).env_remove(stack::last_resort::DIED);
    init.env(CHOSEN, profile.map_or("", Name::as_str));
    format!("cannot start /init again: {}", init.exec())
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
    console::write_line(&format!("the kernel refuses: {}; switch the machine off", errno.desc()));
    sleep_for_ever()
}

/// Recovery itself has panicked. No menu any more: one line, time to read it, and a reboot.
pub fn last_words(location: &str, message: &str, panic: Option<i64>) -> ! {
    let time = match panic {
        Some(seconds @ 1..) => Duration::from_secs(seconds.unsigned_abs()),
        Some(..0) => Duration::ZERO,
        Some(0) | None => LAST_WORDS,
    };
    let seconds = time.as_secs();
    console::write("\n");
    console::write_line(&format!("recovery itself failed: {message} ({location}); rebooting in {seconds} s"));
    thread::sleep(time);
    let _ = reboot(RebootMode::RB_AUTOBOOT);
    sleep_for_ever()
}

/// PID 1 must not end.
pub fn sleep_for_ever() -> ! {
    loop {
        thread::park();
    }
}
