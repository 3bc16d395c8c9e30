//! The command line: what it says, and what may not stand in it together.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use cli::command_line::{Program, Stop};
use cli::progress::Progress;
use kernel_config::Group;
use mkinitramfs::{AllowedProfile, FileSystemMaker, LEVELS, Request};
use profiles::{Name, StateFileSystem};

use crate::choice::{self, Asked};
use crate::commands::Other;
use crate::kernels::Named;
use crate::values::{
    allowed_profile, file_system_checker, file_system_maker, named_group, profile, state_file_system,
};

/// The zstd level when none is given. Of the modules of Debian's cloud kernel 6.1 and init it makes 1,738 KB in 0.15 s of one processor,
/// where 3 makes 1,960 in 0.03 s, 12 makes 1,733 in 0.24 s, 15 makes 1,729 in 0.68 s, and 19 makes 1,575 in 2.3 s.
const LEVEL: i32 = 10;

/// Makes an initramfs with Lamina's init and the kernel modules it needs; lists, compares and explains those of anybody.
#[derive(FromArgs, ArgsInfo)]
#[argh(
    example = "mkinitramfs --kernel linux-image-6.1.0-50-cloud-amd64.deb --init out/init --output out/initramfs.img",
    example = "mkinitramfs --kernel out/kernels/6.1.deb --init out/init --busybox busybox --store STORE --profile rescue --output rescue.img",
    example = "mkinitramfs --generic --output initramfs.img",
    example = "mkinitramfs --host --release all --output /boot/lamina-RELEASE.img",
    example = "mkinitramfs --kernel kernel.deb --init out/init --microcode /lib/firmware/intel-ucode --output initramfs.img",
    example = "mkinitramfs --kernel kernel.deb --init out/init --drop-in site/serial-tools --output initramfs.img",
    example = "mkinitramfs --generic --keymap de-nodeadkeys --font Lat15-Terminus32x16 --output initramfs.img",
    example = "mkinitramfs list out/initramfs.img",
    example = "mkinitramfs diff /boot/initrd.img-6.1.0-50-amd64 out/initramfs.img",
    example = "mkinitramfs why virtio_blk out/initramfs.img",
    note = "--level=3 works as --level 3. `mkinitramfs completions SHELL` and `mkinitramfs man DIR` write completions and the manual \
pages; `make install` puts them in place.",
    note = "What was read of a kernel package is kept in $LAMINA_CACHE/kernels, else ~/.cache/lamina/kernels, of the last four packages.",
    note = "Environment: NO_COLOR, no colours on a terminal; TERM=dumb, none and no lines that move.",
    note = "Older names that still work: --key for --public-key; --list, --why, --man and --completions for the commands.",
    error_code(1, "The command failed; standard error says what, why, and what to do."),
    error_code(2, "The command line was not understood.")
)]
pub struct Arguments {
    /// a Debian kernel package, the folder where one was unpacked, /lib/modules/RELEASE, or the root of a system (default: the kernel
    /// that is running)
    #[argh(option, arg_name = "file-or-folder")]
    pub kernel: Option<PathBuf>,

    /// which kernel is meant, where there are several, as `uname -r` prints it, or `all`; may be repeated: --output then has the word
    /// RELEASE
    #[argh(option, arg_name = "name")]
    pub release: Vec<String>,

    /// the static program that becomes /init (default: that of this installation, ../lib/lamina/init, or init beside this program)
    #[argh(option, arg_name = "file")]
    pub init: Option<PathBuf>,

    /// where to write the initramfs; the word RELEASE becomes the release of the kernel wherever it stands, with neither a letter nor a
    /// digit beside it; a FIFO, a character device and `-` (standard output) are written through
    #[argh(option, short = 'o', arg_name = "file")]
    pub output: Option<PathBuf>,

    /// write to --output as it is: the word RELEASE is a name like any other
    #[argh(switch)]
    pub output_as_is: bool,

    /// a group of modules: core, media, keyboard, vm, network, verity, state, console, drives, input, display, cards, graphics; may be
    /// repeated. Without it: what virtual machines and most computers have, that is the first eight but state
    #[argh(option, from_str_fn(named_group))]
    pub group: Vec<Group>,

    /// one more group of modules beside those that go in anyway; may be repeated
    #[argh(option, arg_name = "group", from_str_fn(named_group))]
    pub add_group: Vec<Group>,

    /// what any machine and hypervisor may need: all groups but cards and graphics
    #[argh(switch)]
    pub generic: bool,

    /// what the devices of this machine ask for, and what every boot needs
    #[argh(switch)]
    pub host: bool,

    /// with --host: where sysfs describes the machine (default: /sys), such as a copy of another machine's
    #[argh(option, arg_name = "folder")]
    pub sysfs: Option<PathBuf>,

    /// the folder with the firmware that modules name (default: for --generic, --host, --add-group, --module and --drop-in that of the system where
    /// the kernel lies, /lib/firmware for a package; else none)
    #[argh(option, arg_name = "folder")]
    pub firmware: Option<PathBuf>,

    /// one more kernel module with all that it needs; may be repeated
    #[argh(option, arg_name = "name")]
    pub module: Vec<String>,

    /// a file system besides ext4 to keep changes on: xfs, btrfs, f2fs; may be repeated
    #[argh(option, arg_name = "name", from_str_fn(state_file_system))]
    pub state_file_system: Vec<StateFileSystem>,

    /// a file system that init makes on an empty partition when a profile says create="NAME": ext4, xfs, btrfs, f2fs; its kernel
    /// module goes in too, and this machine's mkfs.NAME or the program FILE, with its shared libraries; may be repeated
    #[argh(option, arg_name = "name[=file]", from_str_fn(file_system_maker))]
    pub make_file_system: Vec<FileSystemMaker>,

    /// a file system that init checks before it mounts it when a profile says check=#true: ext4, xfs, btrfs, f2fs; as for
    /// --make-file-system, with this machine's fsck.ext4, xfs_repair, btrfs or fsck.f2fs; may be repeated
    #[argh(option, arg_name = "name[=file]", from_str_fn(file_system_checker))]
    pub check_file_system: Vec<FileSystemMaker>,

    /// a static busybox, for the rescue shell
    #[argh(option, arg_name = "file")]
    pub busybox: Option<PathBuf>,

    /// cryptsetup of this machine and the kernel's part of it, for a hook that opens an encrypted disk, and for the rescue shell
    #[argh(switch)]
    pub luks: bool,

    /// what keys do on the recovery screen and for hooks: a layout of X such as de or de-nodeadkeys, a keymap of kbd, or the file of one
    #[argh(option, arg_name = "name-or-file")]
    pub keymap: Option<String>,

    /// the letters of the screen: a PC screen font, by its name in /usr/share/consolefonts or by its file
    #[argh(option, arg_name = "name-or-file")]
    pub font: Option<String>,

    /// a public key of minisign, whose signatures of profiles init accepts; may be repeated
    #[argh(option, arg_name = "file")]
    pub public_key: Vec<PathBuf>,

    /// let init refuse every profile without a valid signature, whatever the kernel command line says; needs --public-key
    #[argh(switch)]
    pub require_signatures: bool,

    /// a profile of a medium that may boot, as NAME, NAME,key=KEY or NAME,lowest=N: signed by that key, and no older generation; no other
    /// one boots then; may be repeated
    #[argh(option, arg_name = "name[,key=name][,lowest=n]", from_str_fn(allowed_profile))]
    pub allow_profile: Vec<AllowedProfile>,

    /// let init open the rescue shell although signatures are required
    #[argh(switch)]
    pub allow_shell: bool,

    /// microcode for Intel's or AMD's processors, put in front of the initramfs, where the kernel looks for it: a file, or a folder such as
    /// /lib/firmware/intel-ucode; may be repeated
    #[argh(option, arg_name = "file-or-folder")]
    pub microcode: Vec<PathBuf>,

    /// a folder of additions: files/ goes in as it is, hooks/ has programs that init starts, modules names kernel modules, and programs
    /// those of this machine that go in with their shared libraries; may be repeated
    #[argh(option, arg_name = "folder")]
    pub drop_in: Vec<PathBuf>,

    /// a store whose profiles and images are packed, for lamina.store=initramfs
    #[argh(option, arg_name = "folder")]
    pub store: Option<PathBuf>,

    /// a profile of the store to pack; may be repeated. Without it: all
    #[argh(option, arg_name = "name", from_str_fn(profile))]
    pub profile: Vec<Name>,

    /// the zstd level, 1 to 19; 10 when not given
    #[argh(option, arg_name = "n")]
    pub level: Option<i32>,

    /// decide and print what would go in, and write nothing
    #[argh(switch, short = 'n')]
    pub dry_run: bool,

    /// say also what was decided where nothing was given: groups, level
    #[argh(switch, short = 'v')]
    pub verbose: bool,

    /// print JSON: an object; where --release is `all` or repeated, an array with one for each kernel whose initramfs was made
    #[argh(switch)]
    pub json: bool,

    #[argh(subcommand)]
    pub other: Option<Other>,
}

/// What its declaration does not say of the command.
pub const PROGRAM: Program<'static> = Program {
    name: "mkinitramfs",
    version: env!("CARGO_PKG_VERSION"),
    aliases: &[
        // Of `lamina profile sign`, --key is a secret key; here it was a public one.
        ("--key", "--public-key"),
        ("--list", "list"),
        ("--why", "why"),
        ("--man", "man"),
        ("--completions", "completions"),
    ],
    choosing: &[],
};

/// The command line, or the exit status: 0 after --help, 2 when it was not understood.
pub fn arguments() -> Result<Arguments, ExitCode> {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if words.is_empty() {
        let message = "mkinitramfs: --output is missing\nhelp: `mkinitramfs --help` shows examples";
        return Err(Stop::Misunderstood(message.to_owned()).tell(&PROGRAM));
    }
    cli::command_line::read(&PROGRAM, words).map_err(|stop| stop.tell(&PROGRAM))
}

impl Arguments {
    /// What is to be done.
    ///
    /// # Errors
    /// A command, and an option that it does not take.
    pub fn task(&self) -> Result<Task<'_>, String> {
        let (name, task) = match &self.other {
            None => return Ok(Task::Make),
            Some(Other::Completions(it)) => ("completions", Task::Completions(&it.shell)),
            Some(Other::Man(it)) => ("man", Task::Manual(&it.dir)),
            // The option may stand before the command.
            Some(Other::List(it)) => ("list", Task::List(&it.file, it.json || self.json)),
            Some(Other::Diff(it)) => ("diff", Task::Diff(&it.first, &it.second, it.json || self.json)),
            Some(Other::Why(it)) => ("why", Task::Why(&it.module, &it.file, it.json || self.json)),
        };
        let json = matches!(task, Task::List(..) | Task::Diff(..) | Task::Why(..));
        match self.options_of_making().or((self.json && !json).then_some("--json")) {
            Some(other) => Err(format!("{name}: and {other} exclude each other\nhelp: give one of them")),
            None => Ok(task),
        }
    }

    /// The first option that says what to make.
    fn options_of_making(&self) -> Option<&'static str> {
        let given = [
            ("--kernel", self.kernel.is_some()),
            ("--init", self.init.is_some()),
            ("--output", self.output.is_some()),
            ("--output-as-is", self.output_as_is),
            ("--release", !self.release.is_empty()),
            ("--group", !self.group.is_empty()),
            ("--add-group", !self.add_group.is_empty()),
            ("--generic", self.generic),
            ("--host", self.host),
            ("--sysfs", self.sysfs.is_some()),
            ("--firmware", self.firmware.is_some()),
            ("--module", !self.module.is_empty()),
            ("--state-file-system", !self.state_file_system.is_empty()),
            ("--make-file-system", !self.make_file_system.is_empty()),
            ("--check-file-system", !self.check_file_system.is_empty()),
            ("--busybox", self.busybox.is_some()),
            ("--luks", self.luks),
            ("--keymap", self.keymap.is_some()),
            ("--font", self.font.is_some()),
            ("--public-key", !self.public_key.is_empty()),
            ("--require-signatures", self.require_signatures),
            ("--allow-profile", !self.allow_profile.is_empty()),
            ("--allow-shell", self.allow_shell),
            ("--microcode", !self.microcode.is_empty()),
            ("--drop-in", !self.drop_in.is_empty()),
            ("--store", self.store.is_some()),
            ("--profile", !self.profile.is_empty()),
            ("--level", self.level.is_some()),
            ("--dry-run", self.dry_run),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }

    /// The exit status of a failure. `diff` keeps 1 for a difference, as diff(1) does.
    pub fn failure(&self) -> u8 {
        if matches!(self.other, Some(Other::Diff(_))) { 2 } else { 1 }
    }

    /// The zstd level.
    ///
    /// # Errors
    /// One that the kernel cannot unpack.
    pub fn level(&self) -> Result<i32, String> {
        let level = self.level.unwrap_or(LEVEL);
        match LEVELS.contains(&level) {
            true => Ok(level),
            false => Err(format!(
                "--level {level}: zstd levels here are {low} to {high}\nhelp: leave it out for {LEVEL}, or give one of them",
                low = LEVELS.start(),
                high = LEVELS.end()
            )),
        }
    }
}

/// What one call does.
pub enum Task<'a> {
    /// Writes an initramfs, or says what would go in.
    Make,
    /// Lists the initramfs in this file, as JSON or for people.
    List(&'a Path, bool),
    /// Compares these two.
    Diff(&'a Path, &'a Path, bool),
    /// Says why the initramfs in this file has this module.
    Why(&'a str, &'a Path, bool),
    /// Writes the completion script for this shell.
    Completions(&'a str),
    /// Writes the manual pages into this folder.
    Manual(&'a Path),
}

/// The kernels that are asked for.
pub fn kernels(arguments: &Arguments) -> Named<'_> {
    Named {
        path: arguments.kernel.as_deref(),
        releases: &arguments.release,
        output: arguments.output.as_deref().filter(|_| !arguments.dry_run),
        output_as_is: arguments.output_as_is,
    }
}

/// What is asked for with each of them: a request that names none yet. What is wrong with it is found before any of them is looked for.
pub fn request(arguments: &Arguments) -> Result<Request, String> {
    if arguments.output.is_none() && !arguments.dry_run {
        return Err(
            "--output is missing\nhelp: say where to write, or --dry-run to see what would go in".to_owned()
        );
    }
    if arguments.store.is_none() && !arguments.profile.is_empty() {
        return Err("--profile needs --store\nhelp: name the store that has the profile".to_owned());
    }
    let asked = Asked {
        generic: arguments.generic,
        host: arguments.host,
        groups: &arguments.group,
        more_groups: &arguments.add_group,
        modules: &arguments.module,
        drop_ins: &arguments.drop_in,
        sysfs: arguments.sysfs.as_deref(),
        firmware: arguments.firmware.as_deref(),
    };
    let chosen = asked.choice()?;
    let plain = Request::new(PathBuf::new(), choice::init(arguments.init.as_deref())?);
    Ok(Request {
        groups: chosen.groups,
        host: chosen.host,
        firmware: chosen.firmware,
        cache: cache_folder::of("kernels").ok(),
        modules: arguments.module.clone(),
        state_file_systems: arguments.state_file_system.clone(),
        busybox: arguments.busybox.clone(),
        luks: arguments.luks,
        keymap: arguments.keymap.clone(),
        font: arguments.font.clone(),
        make_file_systems: arguments
            .make_file_system
            .iter()
            .chain(&arguments.check_file_system)
            .cloned()
            .collect(),
        keys: arguments.public_key.clone(),
        require_signatures: arguments.require_signatures,
        allow_shell: arguments.allow_shell,
        allowed_profiles: arguments.allow_profile.clone(),
        microcode: arguments.microcode.clone(),
        drop_ins: arguments.drop_in.clone(),
        store: arguments.store.clone(),
        profiles: arguments.profile.clone(),
        progress: Progress::on_stderr(),
        ..plain
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The help is written by hand, and says what the table of file systems says.
    #[test]
    fn the_help_names_the_file_systems_of_the_table() {
        let help = Arguments::get_args_info();
        let of = |option: &str| {
            let flag = help.flags.iter().find(|flag| flag.long == option).expect(option);
            flag.description.to_owned()
        };
        let all: Vec<&str> = StateFileSystem::all().map(StateFileSystem::driver).collect();
        let programs = StateFileSystem::all().map(|known| known.top().checker.program);
        let programs = file_systems::listed(programs, " or ");
        for (option, words) in [
            (
                "--state-file-system",
                format!("besides {} to keep changes on: {};", all[0], all[1..].join(", ")),
            ),
            ("--make-file-system", format!(": {}; its", all.join(", "))),
            ("--check-file-system", format!(": {}; as", all.join(", "))),
            ("--check-file-system", format!("this machine's {programs};")),
        ] {
            let help = of(option);
            assert!(help.contains(&words), "{option}: {help:?} has no {words:?}");
        }
        let message = state_file_system("ntfs").unwrap_err();
        assert_eq!(message, format!("changes cannot be kept on 'ntfs': known here: {}", all.join(", ")));
    }
}
