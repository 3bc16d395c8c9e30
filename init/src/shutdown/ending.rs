//! The last thing: what the machine does when everything is unmounted.

use std::fmt;
use std::time::Duration;

use nix::sys::reboot::{RebootMode, reboot};

use crate::console;

/// What was asked for: the verbs that systemd hands to `/run/initramfs/shutdown` (its INITRD_INTERFACE document).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Switch the machine off.
    PowerOff,
    /// Start it anew.
    Reboot,
    /// Stop it, with the power on.
    Halt,
    /// Start the kernel that kexec(8) has loaded.
    Kexec,
}

impl Verb {
    /// Reads a verb. `None` for another word; `exit`, which is for containers, ends like `poweroff`.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "poweroff" | "exit" => Some(Self::PowerOff),
            "reboot" => Some(Self::Reboot),
            "halt" => Some(Self::Halt),
            "kexec" => Some(Self::Kexec),
            _ => None,
        }
    }

    /// The word for it, which [`Verb::parse`] reads.
    pub fn word(self) -> &'static str {
        match self {
            Self::PowerOff => "poweroff",
            Self::Reboot => "reboot",
            Self::Halt => "halt",
            Self::Kexec => "kexec",
        }
    }

    fn mode(self) -> RebootMode {
        match self {
            Self::PowerOff => RebootMode::RB_POWER_OFF,
            Self::Reboot => RebootMode::RB_AUTOBOOT,
            Self::Halt => RebootMode::RB_HALT_SYSTEM,
            Self::Kexec => RebootMode::RB_KEXEC,
        }
    }

    /// What is tried when the kernel refuses: without a loaded kernel kexec gives EINVAL, and a machine that cannot
    /// switch itself off can be stopped.
    fn instead(self) -> Option<Self> {
        match self {
            Self::Kexec => Some(Self::Reboot),
            Self::PowerOff | Self::Reboot => Some(Self::Halt),
            Self::Halt => None,
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PowerOff => "powering off",
            Self::Reboot => "rebooting",
            Self::Halt => "halting",
            Self::Kexec => "starting the loaded kernel",
        })
    }
}

/// reboot(2). Does not return, because PID 1 must not end.
pub fn end(verb: Verb) -> ! {
    let mut next = Some(verb);
    while let Some(verb) = next {
        let Err(errno) = reboot(verb.mode());
        next = verb.instead();
        let then = next.map_or_else(|| "switch the machine off".to_owned(), |verb| verb.to_string());
        console::write_line(&format!("{verb}: the kernel refuses: {}; {then}", errno.desc()));
    }
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_those_of_systemd() {
        let verbs = ["poweroff", "reboot", "halt", "kexec", "exit"].map(Verb::parse);
        assert!(verbs.iter().all(Option::is_some));
        assert_eq!(Verb::parse("--log-level"), None);
    }

    #[test]
    fn every_verb_ends_in_one_that_has_no_other() {
        for verb in [Verb::PowerOff, Verb::Reboot, Verb::Halt, Verb::Kexec] {
            let chain = std::iter::successors(Some(verb), |verb| verb.instead());
            assert_eq!(chain.take(9).last(), Some(Verb::Halt));
        }
    }
}
