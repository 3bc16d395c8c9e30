//! The command line: what it says, and what may not stand in it together.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use cli::command_line::{Program, Stop};
use cli::progress::Progress;
use kernel_config::Group;
use mkinitramfs::{AllowedProfile, FileSystemMaker, LEVELS, Request, Task as Use};
use profiles::{Name, StateFileSystem, suggest};

use crate::commands::Other;

/// The zstd level when none is given.
const LEVEL: i32 = 15;

/// Makes an initramfs with Lamina's init and the kernel modules it needs; lists, compares and explains those of anybody.
#[derive(FromArgs, ArgsInfo)]
#[argh(
    example = "mkinitramfs --kernel linux-image-6.1.0-50-cloud-amd64.deb --init out/init --output out/initramfs.img",
    example = "mkinitramfs --kernel out/kernels/6.1.deb --init out/init --busybox busybox --store STORE --profile rescue --output rescue.img",
    example = "mkinitramfs --kernel kernel.deb --init out/init --microcode /lib/firmware/intel-ucode --output initramfs.img",
    example = "mkinitramfs list out/initramfs.img",
    example = "mkinitramfs diff /boot/initrd.img-6.1.0-50-amd64 out/initramfs.img",
    example = "mkinitramfs why virtio_blk out/initramfs.img",
    note = "--level=3 works as --level 3. `mkinitramfs completions SHELL` and `mkinitramfs man DIR` write completions and the manual \
pages; `make install` puts them in place.",
    note = "Environment: NO_COLOR, no colours on a terminal; TERM=dumb, none and no lines that move.",
    note = "Older names that still work: --key for --public-key; --list, --why, --man and --completions for the commands.",
    error_code(1, "The command failed; standard error says what, why, and what to do."),
    error_code(2, "The command line was not understood.")
)]
pub struct Arguments {
    /// a Debian kernel package, or the folder where one was unpacked
    #[argh(option, arg_name = "file-or-folder")]
    pub kernel: Option<PathBuf>,

    /// the static program that becomes /init
    #[argh(option, arg_name = "file")]
    pub init: Option<PathBuf>,

    /// where to write the initramfs; a FIFO, a character device and `-` (standard output) are written through
    #[argh(option, short = 'o', arg_name = "file")]
    pub output: Option<PathBuf>,

    /// a group of modules: core, media, keyboard, vm, network, verity, state, console; may be repeated. Without it: all but state
    #[argh(option, from_str_fn(group))]
    pub group: Vec<Group>,

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

    /// a store whose profiles and images are packed, for lamina.store=initramfs
    #[argh(option, arg_name = "folder")]
    pub store: Option<PathBuf>,

    /// a profile of the store to pack; may be repeated. Without it: all
    #[argh(option, arg_name = "name", from_str_fn(profile))]
    pub profile: Vec<Name>,

    /// the zstd level, 1 to 19; 15 when not given
    #[argh(option, arg_name = "n")]
    pub level: Option<i32>,

    /// decide and print what would go in, and write nothing
    #[argh(switch, short = 'n')]
    pub dry_run: bool,

    /// say also what was decided where nothing was given: groups, level
    #[argh(switch, short = 'v')]
    pub verbose: bool,

    /// print JSON
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
};

fn group(word: &str) -> Result<Group, String> {
    let names = Group::ALL.map(Group::name);
    let found = Group::ALL.into_iter().find(|group| group.name() == word);
    found.ok_or_else(|| format!("there is no group of modules '{word}': {}", suggest::remedy(word, &names)))
}

fn state_file_system(word: &str) -> Result<StateFileSystem, String> {
    StateFileSystem::parse(word).map_err(|_| {
        let known: Vec<&str> = StateFileSystem::all().map(StateFileSystem::driver).collect();
        let remedy = suggest::remedy(word, &known);
        format!("changes cannot be kept on '{}': {remedy}", word.escape_debug())
    })
}

fn file_system_maker(word: &str) -> Result<FileSystemMaker, String> {
    file_system_program(word, Use::Make)
}

fn file_system_checker(word: &str) -> Result<FileSystemMaker, String> {
    file_system_program(word, Use::Check)
}

fn file_system_program(word: &str, task: Use) -> Result<FileSystemMaker, String> {
    let (kind, program) = match word.split_once('=') {
        Some((_, "")) => return Err(format!("'{}' names no file after the =", word.escape_debug())),
        Some((kind, program)) => (kind, Some(PathBuf::from(program))),
        None => (word, None),
    };
    Ok(FileSystemMaker { task, kind: state_file_system(kind)?, program })
}

fn allowed_profile(word: &str) -> Result<AllowedProfile, String> {
    word.parse()
}

fn profile(word: &str) -> Result<Name, String> {
    Name::parse(word).map_err(|error| format!("'{}': {error}", word.escape_debug()))
}

/// The command line, or the exit status: 0 after --help, 2 when it was not understood.
pub fn arguments() -> Result<Arguments, ExitCode> {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if words.is_empty() {
        let message = "mkinitramfs: --kernel, --init and --output are missing\nhelp: `mkinitramfs --help` shows examples";
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
            ("--group", !self.group.is_empty()),
            ("--module", !self.module.is_empty()),
            ("--state-file-system", !self.state_file_system.is_empty()),
            ("--make-file-system", !self.make_file_system.is_empty()),
            ("--check-file-system", !self.check_file_system.is_empty()),
            ("--busybox", self.busybox.is_some()),
            ("--public-key", !self.public_key.is_empty()),
            ("--require-signatures", self.require_signatures),
            ("--allow-profile", !self.allow_profile.is_empty()),
            ("--allow-shell", self.allow_shell),
            ("--microcode", !self.microcode.is_empty()),
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

/// What is asked for.
pub fn request(arguments: &Arguments) -> Result<Request, String> {
    let missing = |what: &str| format!("{what} is missing\nhelp: 'mkinitramfs --help' shows an example");
    let kernel = arguments.kernel.clone().ok_or_else(|| missing("--kernel"))?;
    let init = arguments.init.clone().ok_or_else(|| missing("--init"))?;
    if arguments.output.is_none() && !arguments.dry_run {
        return Err(
            "--output is missing\nhelp: say where to write, or --dry-run to see what would go in".to_owned()
        );
    }
    if arguments.store.is_none() && !arguments.profile.is_empty() {
        return Err("--profile needs --store\nhelp: name the store that has the profile".to_owned());
    }
    let plain = Request::new(kernel, init);
    let groups = if arguments.group.is_empty() { plain.groups.clone() } else { arguments.group.clone() };
    Ok(Request {
        groups,
        modules: arguments.module.clone(),
        state_file_systems: arguments.state_file_system.clone(),
        busybox: arguments.busybox.clone(),
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
