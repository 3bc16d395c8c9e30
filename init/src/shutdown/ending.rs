//! The last thing: what the machine does when everything is unmounted.

use std::convert::Infallible;
use std::ffi::CString;
use std::fmt;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::reboot::{RebootMode, reboot};

use crate::console;

/// Where `systemctl reboot --reboot-argument=` leaves the parameter of reboot(2) for whoever ends the machine.
pub const PARAMETER_OF_SYSTEMD: &str = "/run/systemd/reboot-param";

/// The verbs that systemd hands to `/run/initramfs/shutdown` (its INITRD_INTERFACE document).
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
    fn parse(word: &str) -> Option<Self> {
        match word {
            "poweroff" | "exit" => Some(Self::PowerOff),
            "reboot" => Some(Self::Reboot),
            "halt" => Some(Self::Halt),
            "kexec" => Some(Self::Kexec),
            _ => None,
        }
    }

    fn word(self) -> &'static str {
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

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    verb: Verb,
    /// For a reboot: what the kernel hands to the firmware or the driver that does it.
    parameter: Option<CString>,
}

impl Ending {
    /// Switch the machine off.
    pub const POWER_OFF: Self = Self { verb: Verb::PowerOff, parameter: None };

    /// From the words behind the program's name, `VERB [PARAMETER] [--OPTION ...]`, and what systemd has left in
    /// [`PARAMETER_OF_SYSTEMD`]. systemd's options are for its own program.
    ///
    /// # Errors
    /// A sentence about the verb.
    pub fn parse(words: &[String], left_by_systemd: Option<&str>) -> Result<Self, String> {
        let word = words.first().ok_or("nothing was asked for")?;
        let verb = Verb::parse(word).ok_or_else(|| format!("`{word}` is not known"))?;
        let given = words.get(1).map(String::as_str).filter(|word| !word.starts_with('-'));
        let left = || left_by_systemd?.lines().next();
        let parameter = given.or_else(left).filter(|word| verb == Verb::Reboot && !word.is_empty());
        Ok(Self { verb, parameter: parameter.and_then(|word| CString::new(word).ok()) })
    }

    /// The words that [`Ending::parse`] reads.
    pub fn words(&self) -> Vec<String> {
        let parameter = self.parameter.iter().map(|word| word.to_string_lossy().into_owned());
        std::iter::once(self.verb.word().to_owned()).chain(parameter).collect()
    }

    /// Whether the machine is to stay off: what a death of this program must not turn into a boot.
    pub fn stays_off(&self) -> bool {
        matches!(self.verb, Verb::PowerOff | Verb::Halt)
    }

    /// What is tried, in order, until the kernel does one.
    fn ways(&self) -> Vec<Self> {
        let plain = |verb| Self { verb, parameter: None };
        let with = self.parameter.as_ref().map(|_| self.clone());
        let verbs = std::iter::successors(Some(self.verb), |verb| verb.instead());
        with.into_iter().chain(verbs.map(plain)).collect()
    }

    fn carry_out(&self) -> Result<Infallible, Errno> {
        match &self.parameter {
            Some(parameter) => stack::restart::with_parameter(parameter),
            None => reboot(self.verb.mode()),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.verb {
            Verb::PowerOff => "powering off",
            Verb::Reboot => "rebooting",
            Verb::Halt => "halting",
            Verb::Kexec => "starting the loaded kernel",
        })?;
        self.parameter.iter().try_for_each(|word| write!(f, " with `{}`", word.to_string_lossy()))
    }
}

/// reboot(2). Does not return, because PID 1 must not end.
pub fn end(ending: &Ending) -> ! {
    let ways = ending.ways();
    let next = ways.iter().skip(1).map(Some).chain([None]);
    for (way, next) in ways.iter().zip(next) {
        let Err(errno) = way.carry_out();
        let then = next.map_or_else(|| "switch the machine off".to_owned(), ToString::to_string);
        console::write_line(&format!("{way}: the kernel refuses: {}; {then}", errno.desc()));
    }
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str, left_by_systemd: Option<&str>) -> Result<Ending, String> {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        Ending::parse(&words, left_by_systemd)
    }

    fn printed(words: &str, left_by_systemd: Option<&str>) -> String {
        parse(words, left_by_systemd).map_or_else(|why| why, |ending| ending.to_string())
    }

    #[test]
    fn verbs_are_those_of_systemd() {
        for verb in ["poweroff", "reboot", "halt", "kexec", "exit"] {
            assert!(parse(&format!("{verb} --log-level 6 --timeout 90000000us"), None).is_ok(), "{verb}");
        }
        assert_eq!(printed("--log-level 6", None), "`--log-level` is not known");
        assert_eq!(printed("", None), "nothing was asked for");
    }

    #[test]
    fn a_reboot_takes_a_parameter_from_its_caller_or_from_systemd() {
        assert_eq!(printed("reboot recovery", None), "rebooting with `recovery`");
        assert_eq!(printed("reboot --log-level 6", Some("recovery\n")), "rebooting with `recovery`");
        assert_eq!(printed("reboot edl", Some("recovery\n")), "rebooting with `edl`");
        for (words, left) in [("reboot", Some("")), ("reboot", Some("\n")), ("reboot --x", None)] {
            assert_eq!(printed(words, left), "rebooting");
        }
        assert_eq!(printed("poweroff recovery", Some("recovery")), "powering off");
        assert_eq!(printed("reboot", Some("a\0b")), "rebooting");
    }

    #[test]
    fn what_is_asked_survives_being_handed_on() {
        for words in ["poweroff", "reboot", "halt", "kexec", "reboot recovery"] {
            let ending = parse(words, None).unwrap();
            assert_eq!(Ending::parse(&ending.words(), None), Ok(ending));
        }
    }

    #[test]
    fn every_ending_has_others_behind_it_and_stopping_last() {
        let ways = |words| {
            let ways = parse(words, None).unwrap().ways();
            ways.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(ways("poweroff"), "powering off, halting");
        assert_eq!(ways("kexec"), "starting the loaded kernel, rebooting, halting");
        assert_eq!(ways("reboot recovery"), "rebooting with `recovery`, rebooting, halting");
        assert_eq!(ways("halt"), "halting");
    }
}
