//! What a sealed profile allows beside itself on the kernel command line.
//!
//! The real init and the programs of the system read `/proc/cmdline` by themselves: `systemd.debug-shell` is a root shell, `single`
//! another. What they will read nobody can know, so that a sealed profile boots only beside parameters that are known to be harmless,
//! or that it names.

use profiles::Seal;

use crate::error::Failure;
use kernel_command_line::Parameter;

/// Parameters of the kernel that say where it speaks, what hardware it has, and how it ends
/// (`Documentation/admin-guide/kernel-parameters.txt`), and words of boot loaders, distributions and virtual machines. None of them starts a program or takes a
/// check away. `console=` says where the kernel speaks; that a system offers a login there is the system's.
const HARMLESS: [&str; 84] = [
    "8250.nr_uarts",
    "BOOTIF",
    "BOOT_IMAGE",
    "acpi",
    "acpi_backlight",
    "acpi_osi",
    "amd_pstate",
    "apic",
    "biosdevname",
    "cgroup_disable",
    "cgroup_enable",
    "cgroup_memory",
    "clocksource",
    "coherent_pool",
    "console",
    "consoleblank",
    "cpuidle.off",
    "crashkernel",
    "earlycon",
    "earlyprintk",
    "elevator",
    "fbcon",
    "highres",
    "hpet",
    "hugepages",
    "i8042.dumbkbd",
    "i8042.noaux",
    "i8042.nomux",
    "i8042.nopnp",
    "i8042.reset",
    "idle",
    "initrd",
    "intel_idle.max_cstate",
    "intel_pstate",
    "lapic",
    "libata.force",
    "loglevel",
    "logo.nologo",
    "maxcpus",
    "mem",
    "memmap",
    "net.ifnames",
    "no_timer_check",
    "noapic",
    "nohz",
    "nolapic",
    "nomodeset",
    "nomodules",
    "nosmp",
    "nosplash",
    "nowatchdog",
    "nr_cpus",
    "numa_policy",
    "nvme_core.default_ps_max_latency_us",
    "nvme_core.io_timeout",
    "oops",
    "panic",
    "pci",
    "pcie_aspm",
    "possible_cpus",
    "printk.time",
    "quiet",
    "random.trust_bootloader",
    "random.trust_cpu",
    "reboot",
    "rhgb",
    "ro",
    "root",
    "rootdelay",
    "rootflags",
    "rootfstype",
    "rootwait",
    "rw",
    "scsi_mod.use_blk_mq",
    "splash",
    "swapaccount",
    "transparent_hugepage",
    "tsc",
    "usbcore.autosuspend",
    "vga",
    "video",
    "virtio_mmio.device",
    "vt.global_cursor_default",
    "vt.handoff",
];

/// What is known of the seal of the profile that was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Asked {
    /// It could not be read: it may have been sealed.
    #[default]
    Unknown,
    /// It is sealed: so must be what takes its place.
    Sealed,
    /// It is not.
    Open,
}

impl Asked {
    /// What is known when its profile was read.
    pub fn of(seal: Option<&Seal>) -> Self {
        if seal.is_some() { Self::Sealed } else { Self::Open }
    }

    /// Whether a profile without a seal may take its place. Where signatures are required (`strict`), it may not be enough to take
    /// the sealed one away.
    ///
    /// # Errors
    /// It may not.
    pub fn gives_way_to_open(self, strict: bool) -> Result<(), Failure> {
        let why = match self {
            Self::Sealed => "the profile that was asked for is sealed, and this one is not",
            Self::Unknown if strict => {
                "the profile that was asked for cannot be read and may be sealed, and this one is not"
            }
            Self::Unknown | Self::Open => return Ok(()),
        };
        Err(Failure::new(why)
            .try_this("seal this profile too, and lock it again")
            .try_this("or ask for it by its name: lamina.profile="))
    }
}

/// What the kernel, init, systemd and shells do not all take for the same: quotes, blanks other than space and tab, and bytes that are not
/// ASCII, of which the kernel takes one for a blank.
fn splits_elsewhere(character: char) -> bool {
    matches!(character, '"' | '\'')
        || !character.is_ascii()
        || (character.is_ascii_control() && !matches!(character, '\t' | '\n'))
}

/// Whether a profile with this seal may boot beside these parameters and these words for the real init, those behind `--` among them.
///
/// # Errors
/// Something is there that the seal does not allow; all of it is named.
pub fn check(seal: &Seal, line: &str, parameters: &[Parameter], for_init: &[String]) -> Result<(), Failure> {
    if let Some(character) = line.chars().find(|character| splits_elsewhere(*character)) {
        let why = format!(
            "the profile is sealed and refuses {character:?} on the kernel command line: not everybody who reads it there reads the same words"
        );
        return Err(Failure::new(why).try_this("write the line without quotes and signs that are not ASCII: a store whose label has blanks by lamina.store=UUID="));
    }
    let allowed = |name: &str| {
        // Those of ours that would change the profile are refused where they are obeyed.
        name.starts_with("lamina.")
            || HARMLESS.iter().any(|harmless| harmless.replace('-', "_") == name.replace('-', "_"))
            || seal.names(name)
    };
    let names = parameters.iter().map(|parameter| parameter.name.as_str()).filter(|name| *name != "init");
    let words = for_init.iter().map(|word| word.split('=').next().unwrap_or_default());
    let mut refused: Vec<String> = Vec::new();
    for name in names.chain(words).filter(|name| !allowed(name)) {
        let name: String = name.chars().take(64).collect();
        if !refused.contains(&name) && refused.len() < 16 {
            refused.push(name);
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    let quoted = refused.iter().map(|name| format!("\"{}\"", name.escape_debug()));
    let remedy = format!(
        "or allow it in the profile, and lock that again: sealed {}",
        quoted.collect::<Vec<_>>().join(" ")
    );
    Err(Failure::new(format!(
        "the profile is sealed and refuses {} on the kernel command line",
        refused.join(", ")
    ))
    .try_this("take it off the kernel command line: the programs of the system read that too")
    .try_this(remedy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use profiles::resolved::BootProfile;

    fn seal(node: &str) -> Seal {
        let image = format!("image \"a\" version=\"1\" digest=\"sha256:{}\" size=1", "0".repeat(64));
        let text = format!(
            "profile \"kiosk\" format=1 {{\n{node}\n{image}\nroot writable=\"no\"\nverify \"digest\"\ninit \"/i\"\n}}\n"
        );
        BootProfile::parse("test", text.as_bytes()).unwrap().sealed.unwrap()
    }

    fn checked(node: &str, line: &str) -> Result<(), String> {
        check(&seal(node), line, &kernel_command_line::parse(line), &kernel_command_line::for_init(line))
            .map_err(|failure| failure.why)
    }

    #[test]
    fn what_a_boot_needs_stands_beside_a_seal() {
        let line = "BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro quiet console=ttyS0,115200 panic=10 lamina.profile=kiosk nr-cpus=2 --";
        assert_eq!(checked("sealed", line), Ok(()));
        assert_eq!(checked("sealed", ""), Ok(()));
    }

    #[test]
    fn what_the_system_might_read_is_refused_by_name() {
        for word in [
            "systemd.debug-shell",
            "systemd.unit=rescue.target",
            "single",
            "S",
            "1",
            "emergency",
            "rd.break",
            "foo=bar",
        ] {
            let name = word.split('=').next().unwrap();
            let why = format!("the profile is sealed and refuses {name} on the kernel command line");
            assert_eq!(checked("sealed", word), Err(why.clone()));
            assert_eq!(checked("sealed", &format!("quiet -- {word}")), Err(why));
        }
        assert!(checked("sealed", "a b=1 a").unwrap_err().contains("refuses a, b on"));
    }

    /// systemd takes two apostrophes around a quote for a word of its own; shells split at blanks in quotes; the kernel splits at 0x0B and 0xA0.
    #[test]
    fn what_others_read_as_other_words_is_refused() {
        for line in [
            "quiet='\"' systemd.debug-shell '\"'",
            "quiet=\"x single\"",
            "quiet=\u{b}single",
            "quiet=\u{a0}single",
            "quiet=\u{fffd}single",
            "\"--\" single",
        ] {
            assert!(checked("sealed", line).unwrap_err().contains("not everybody who reads it"), "{line:?}");
        }
        assert_eq!(checked("sealed", "quiet\tinitrd=\\EFI\\initrd splash"), Ok(()));
    }

    #[test]
    fn a_seal_may_name_more() {
        assert_eq!(checked("sealed \"systemd.unit\" \"x-y\"", "systemd.unit=kiosk.target x_y=1"), Ok(()));
        assert!(checked("sealed \"systemd.unit\"", "systemd.unit=a systemd.debug-shell").is_err());
    }

    #[test]
    fn a_sealed_profile_gives_way_to_sealed_ones_only_also_when_it_was_taken_away() {
        let gives_way = |asked: Asked, strict| asked.gives_way_to_open(strict).is_ok();
        assert!(!gives_way(Asked::Sealed, false) && !gives_way(Asked::Sealed, true));
        assert!(gives_way(Asked::Unknown, false) && !gives_way(Asked::Unknown, true));
        assert!(gives_way(Asked::Open, false) && gives_way(Asked::Open, true));
        assert_eq!((Asked::of(Some(&Seal::default())), Asked::of(None)), (Asked::Sealed, Asked::Open));
    }

    #[test]
    fn the_list_is_sorted_and_has_nothing_twice() {
        assert!(HARMLESS.is_sorted_by(|a, b| a < b));
    }
}
