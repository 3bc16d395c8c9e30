//! The table: what init and the images need of a kernel, and why.

mod everywhere;
mod machines;
mod own_kernel;

use std::sync::LazyLock;

use file_systems::{FILE_SYSTEMS, Packed};

use Form::{BuiltIn, Module};
use Group::{
    Cards, Console, Core, Display, Drives, Graphics, Hardening, Hardware, Input, Keyboard, Media, Network,
    Programs, State, Verity, Vm,
};
use Need::Optional;
use everywhere::{CONSOLE, FROM_DRIVES_ON, UP_TO_PARTITIONS};

/// One thing that a kernel should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirement {
    /// What it is for.
    pub group: Group,
    /// The config symbol without `CONFIG_`.
    pub symbol: &'static str,
    /// Whether it may be a module.
    pub form: Form,
    /// Whether Lamina can do without.
    pub need: Need,
    /// One sentence without its full stop: what it is used for.
    pub why: &'static str,
    /// Symbols without which Kconfig does not offer this one, such as the menu it stands in.
    pub below: &'static [&'static str],
}

/// Whether a requirement may be met by a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// It must be part of the kernel: it is needed before modules can be loaded, or cannot be a module.
    BuiltIn,
    /// It may be this module (the name as in `lsmod`, with underscores), which the initramfs then carries.
    Module(&'static str),
}

/// Whether Lamina can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// No stack boots without it.
    Required,
    /// One way to store, boot or use a stack is lost without it.
    Optional,
}

/// What a requirement is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Every boot.
    Core,
    /// Finding the store on disks, sticks and discs.
    Media,
    /// Keys for the recovery screen.
    Keyboard,
    /// Virtual machines.
    Vm,
    /// The network of the booted system.
    Network,
    /// Images checked block by block.
    Verity,
    /// Keeping what was changed, on file systems that no store needs.
    State,
    /// Seeing the boot.
    Console,
    /// Drives and controllers of computers and hypervisors of other makers.
    Drives,
    /// Keys for the recovery screen of machines without a PS/2 or USB keyboard.
    Input,
    /// A picture.
    Display,
    /// Network cards.
    Cards,
    /// Graphics cards whose drivers are large, and want firmware.
    Graphics,
    /// Processors, buses and timers, which every kernel of a distribution knows and one of one's own must be told.
    Hardware,
    /// The same for what programs ask of a kernel.
    Programs,
    /// The same for what makes attacks harder.
    Hardening,
}

impl Group {
    /// All groups, in the order of the table.
    pub const ALL: [Group; 16] = [
        Core, Media, Keyboard, Vm, Network, Verity, State, Console, Drives, Input, Display, Cards, Graphics,
        Hardware, Programs, Hardening,
    ];

    /// Whether it is about machines of some kinds: a kernel that lacks them lacks nothing on all others.
    pub fn is_of_some_machines(self) -> bool {
        matches!(self, Drives | Input | Display | Cards | Graphics)
    }

    /// Whether only who makes a kernel needs to know: it has no modules, and nothing is asked of kernels that are there.
    pub fn is_of_own_kernels(self) -> bool {
        matches!(self, Hardware | Programs | Hardening)
    }

    /// The name, as in the file of its fragment.
    pub fn name(self) -> &'static str {
        match self {
            Core => "core",
            Media => "media",
            Keyboard => "keyboard",
            Vm => "vm",
            Network => "network",
            Verity => "verity",
            State => "state",
            Console => "console",
            Drives => "drives",
            Input => "input",
            Display => "display",
            Cards => "cards",
            Graphics => "graphics",
            Hardware => "hardware",
            Programs => "programs",
            Hardening => "hardening",
        }
    }

    /// What the group is for, in a phrase.
    pub fn purpose(self) -> &'static str {
        match self {
            Core => "what every boot needs",
            Media => "the store on disks, sticks and discs",
            Keyboard => "keys for the recovery screen",
            Vm => "virtual machines",
            Network => "the network of the booted system",
            Verity => "images checked block by block while they are read",
            State => "what was changed, kept on other file systems than ext4",
            Console => "seeing the boot",
            Drives => "the store on the drives of any machine and hypervisor",
            Input => "keys for the recovery screen, where they are behind neither PS/2 nor USB",
            Display => "a picture: what the firmware left, and the cards of virtual machines",
            Cards => "the network of the booted system, on the cards of any machine",
            Graphics => "graphics cards whose drivers are large and want firmware",
            Hardware => "processors, buses and timers of PCs, and of QEMU's q35 and microvm",
            Programs => "what the programs of a system ask of a kernel",
            Hardening => "what makes attacks on the kernel and by faults of processors harder",
        }
    }
}

impl Requirement {
    /// Whether a file system is made of it that an initramfs has unasked.
    pub fn is_of_a_file_system(&self) -> bool {
        let always = FILE_SYSTEMS.iter().filter(|row| row.packed == Packed::Always);
        always.flat_map(|row| row.kernel).any(|part| part.symbol == self.symbol)
    }
}

/// The modules of a group, in the order of the table: what an initramfs carries where the kernel has them as modules.
pub fn modules(group: Group) -> impl Iterator<Item = &'static str> {
    REQUIREMENTS.iter().filter(move |row| row.group == group).filter_map(|row| match row.form {
        Module(name) => Some(name),
        BuiltIn => None,
    })
}

/// A line of the table.
const fn row(
    group: Group,
    symbol: &'static str,
    form: Form,
    need: Need,
    why: &'static str,
    below: &'static [&'static str],
) -> Requirement {
    Requirement { group, symbol, form, need, why, below }
}

/// The table. Groups stand together; within a group, what others build on comes first.
pub static REQUIREMENTS: LazyLock<Vec<Requirement>> = LazyLock::new(|| {
    [
        UP_TO_PARTITIONS,
        &file_systems(Media, Packed::Always),
        FROM_DRIVES_ON,
        &file_systems(State, Packed::WhenAskedFor),
        CONSOLE,
        machines::ROWS,
        own_kernel::ROWS,
    ]
    .concat()
});

/// What the file systems need that an initramfs has always, or when somebody asks.
fn file_systems(group: Group, packed: Packed) -> Vec<Requirement> {
    let parts = FILE_SYSTEMS.iter().filter(|row| row.packed == packed).flat_map(|row| row.kernel);
    parts
        .map(|part| row(group, part.symbol, part.module.map_or(BuiltIn, Module), Optional, part.why, &[]))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn symbols_and_modules_stand_once_and_groups_stand_together() {
        let symbols: BTreeSet<_> = REQUIREMENTS.iter().map(|row| row.symbol).collect();
        assert_eq!(symbols.len(), REQUIREMENTS.len());
        assert!(REQUIREMENTS.is_sorted_by_key(|row| row.group), "groups stand in the order of Group::ALL");
        let modules: Vec<_> = Group::ALL.into_iter().flat_map(modules).collect();
        assert_eq!(modules.iter().collect::<BTreeSet<_>>().len(), modules.len());
        assert!(modules.iter().all(|name| !name.contains('-')), "module names are as in lsmod");
    }

    /// Whatever an initramfs can mount it can have the modules for, and no file system is written down here a second time.
    #[test]
    fn every_part_of_a_file_system_is_in_its_group() {
        for file_system in &FILE_SYSTEMS {
            let group = if file_system.packed == Packed::Always { Media } else { State };
            for part in file_system.kernel {
                let rows: Vec<_> = REQUIREMENTS.iter().filter(|row| row.symbol == part.symbol).collect();
                assert_eq!(rows.len(), 1, "{}", part.symbol);
                let module = if let Module(name) = rows[0].form { Some(name) } else { None };
                assert_eq!((rows[0].group, module, rows[0].why), (group, part.module, part.why));
            }
        }
        let parts = FILE_SYSTEMS.iter().filter(|row| row.packed == Packed::WhenAskedFor);
        let parts = parts.map(|row| row.kernel.len()).sum();
        assert_eq!(REQUIREMENTS.iter().filter(|row| row.group == State).count(), parts);
    }

    #[test]
    fn file_systems_are_told_from_what_else_is_in_their_group() {
        let of = |symbol: &str| {
            REQUIREMENTS.iter().find(|row| row.symbol == symbol).unwrap().is_of_a_file_system()
        };
        assert!(of("EXT4_FS") && of("VFAT_FS") && of("ISO9660_FS"));
        assert!(!of("SATA_AHCI") && !of("XFS_FS") && !of("SQUASHFS"));
    }

    #[test]
    fn reasons_are_one_sentence() {
        for row in REQUIREMENTS.iter() {
            assert!(
                !row.why.is_empty() && !row.why.ends_with('.') && !row.why.contains('\n'),
                "{}",
                row.symbol
            );
        }
    }
}
