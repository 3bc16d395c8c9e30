//! `mkinitramfs`: the command.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use argh::{EarlyExit, FromArgs};
use kernel_config::Group;
use mkinitramfs::{Error, FileSystemMaker, LEVELS, Plan, Request, Written, list};
use profiles::{Name, StateFileSystem, suggest};
use serde_json::json;

/// Makes an initramfs with Lamina's init and the kernel modules it needs, or lists one.
#[derive(FromArgs)]
#[argh(
    example = "mkinitramfs --kernel linux-image-6.1.0-50-cloud-amd64.deb --init out/init --output out/initramfs.img",
    example = "mkinitramfs --kernel out/kernels/6.1 --init out/init --busybox busybox --store STORE --profile rescue --output rescue.img",
    example = "mkinitramfs --list out/initramfs.img"
)]
struct Arguments {
    /// a Debian kernel package, or the folder where one was unpacked
    #[argh(option, arg_name = "file-or-folder")]
    kernel: Option<PathBuf>,

    /// the static program that becomes /init
    #[argh(option, arg_name = "file")]
    init: Option<PathBuf>,

    /// where to write the initramfs
    #[argh(option, arg_name = "file")]
    output: Option<PathBuf>,

    /// a group of modules: core, media, keyboard, vm, network, verity, state, console; may be repeated. Without it: all but state
    #[argh(option, from_str_fn(group))]
    group: Vec<Group>,

    /// one more kernel module with all that it needs; may be repeated
    #[argh(option, arg_name = "name")]
    module: Vec<String>,

    /// a file system besides ext4 to keep changes on: xfs, btrfs, f2fs; may be repeated
    #[argh(option, arg_name = "name", from_str_fn(state_file_system))]
    state_file_system: Vec<StateFileSystem>,

    /// a file system that init makes on an empty partition when a profile says create="NAME": ext4, xfs, btrfs, f2fs; its kernel
    /// module goes in too, and this machine's mkfs.NAME or the program FILE, with its shared libraries; may be repeated
    #[argh(option, arg_name = "name[=file]", from_str_fn(file_system_maker))]
    make_file_system: Vec<FileSystemMaker>,

    /// a static busybox, for the rescue shell
    #[argh(option, arg_name = "file")]
    busybox: Option<PathBuf>,

    /// a public key of minisign, whose signatures of profiles init accepts; may be repeated
    #[argh(option, arg_name = "file")]
    key: Vec<PathBuf>,

    /// let init refuse every profile without a valid signature, whatever the kernel command line says; needs --key
    #[argh(switch)]
    require_signatures: bool,

    /// a store whose profiles and images are packed, for lamina.store=initramfs
    #[argh(option, arg_name = "folder")]
    store: Option<PathBuf>,

    /// a profile of the store to pack; may be repeated. Without it: all
    #[argh(option, arg_name = "name", from_str_fn(profile))]
    profile: Vec<Name>,

    /// the zstd level, 1 to 19; 15 when not given
    #[argh(option, default = "15")]
    level: i32,

    /// decide and print what would go in, and write nothing
    #[argh(switch)]
    dry_run: bool,

    /// list what is in an initramfs
    #[argh(option, arg_name = "file")]
    list: Option<PathBuf>,

    /// print JSON
    #[argh(switch)]
    json: bool,
}

fn group(word: &str) -> Result<Group, String> {
    let names = Group::ALL.map(Group::name);
    let found = Group::ALL.into_iter().find(|group| group.name() == word);
    found.ok_or_else(|| format!("there is no group of modules '{word}': {}", suggest::remedy(word, &names)))
}

fn state_file_system(word: &str) -> Result<StateFileSystem, String> {
    StateFileSystem::parse(word).map_err(|_| {
        let remedy = suggest::remedy(word, &["ext4", "xfs", "btrfs", "f2fs"]);
        format!("changes cannot be kept on '{}': {remedy}", word.escape_debug())
    })
}

fn file_system_maker(word: &str) -> Result<FileSystemMaker, String> {
    let (kind, program) = match word.split_once('=') {
        Some((_, "")) => return Err(format!("'{}' names no file after the =", word.escape_debug())),
        Some((kind, program)) => (kind, Some(PathBuf::from(program))),
        None => (word, None),
    };
    Ok(FileSystemMaker { kind: state_file_system(kind)?, program })
}

fn profile(word: &str) -> Result<Name, String> {
    Name::parse(word).map_err(|error| format!("'{}': {error}", word.escape_debug()))
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let result = match &arguments.list {
        Some(path) => show_list(path, arguments.json),
        None => make(&arguments),
    };
    match result.and_then(|text| print(&text)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mkinitramfs: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The command line, or the exit status: 0 after --help, 2 when it was not understood.
fn arguments() -> Result<Arguments, ExitCode> {
    let not_understood = |message: &str| {
        eprintln!("{}\nRun `mkinitramfs --help` for the options.", message.trim_end());
        ExitCode::from(2)
    };
    let words: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|word| word.into_string())
        .collect::<Result<_, _>>()
        .map_err(|word| not_understood(&format!("mkinitramfs: the argument {word:?} is not UTF-8")))?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if words.is_empty() {
        return Err(not_understood("mkinitramfs: --kernel, --init and --output are missing"));
    }
    Arguments::from_args(&["mkinitramfs"], &words).map_err(|EarlyExit { output, status }| match status {
        Ok(()) => {
            let _ = writeln!(std::io::stdout(), "{}", output.trim_end());
            ExitCode::SUCCESS
        }
        Err(()) => not_understood(&output),
    })
}

/// A reader that had enough, such as `head`, is no error.
fn print(text: &str) -> Result<(), String> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("standard output: {error}"))
        }
        _ => Ok(()),
    }
}

fn show_list(path: &Path, as_json: bool) -> Result<String, String> {
    let listed = list(path).map_err(|error| error.to_string())?;
    if as_json {
        return Ok(format!("{:#}\n", json!(listed)));
    }
    Ok(listed.iter().map(|entry| format!("{entry}\n")).collect())
}

fn make(arguments: &Arguments) -> Result<String, String> {
    let plan = request(arguments)?.plan().map_err(|error| error.to_string())?;
    if !LEVELS.contains(&arguments.level) {
        return Err(format!(
            "--level {}: zstd levels here are {} to {}",
            arguments.level,
            LEVELS.start(),
            LEVELS.end()
        ));
    }
    let written = match &arguments.output {
        _ if arguments.dry_run => None,
        Some(output) => Some(plan.write(arguments.level, output).map_err(|error: Error| error.to_string())?),
        None => {
            return Err(
                "--output is missing\nhelp: say where to write, or --dry-run to see what would go in"
                    .to_owned(),
            );
        }
    };
    Ok(if arguments.json { to_json(&plan, written) } else { to_text(&plan, written, arguments) })
}

fn request(arguments: &Arguments) -> Result<Request, String> {
    let missing = |what: &str| format!("{what} is missing\nhelp: 'mkinitramfs --help' shows an example");
    let kernel = arguments.kernel.clone().ok_or_else(|| missing("--kernel"))?;
    let init = arguments.init.clone().ok_or_else(|| missing("--init"))?;
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
        make_file_systems: arguments.make_file_system.clone(),
        keys: arguments.key.clone(),
        require_signatures: arguments.require_signatures,
        store: arguments.store.clone(),
        profiles: arguments.profile.clone(),
        ..plain
    })
}

fn to_text(plan: &Plan, written: Option<Written>, arguments: &Arguments) -> String {
    let path = arguments.output.as_deref().unwrap_or(Path::new("")).display();
    match written {
        Some(written) => format!("{plan}{path}: {written}\n"),
        None => format!("{plan}nothing was written: --dry-run\n"),
    }
}

fn to_json(plan: &Plan, written: Option<Written>) -> String {
    let files: Vec<_> = plan
        .contents
        .iter()
        .map(|(path, entry)| json!({"path": path, "mode": entry.mode, "size": entry.source.size()}))
        .collect();
    let written = written.map(
        |written| json!({"entries": written.entries, "unpacked": written.unpacked, "packed": written.packed}),
    );
    let report = json!({
        "kernel": plan.release,
        "modules": plan.modules.picked,
        "absent": plan.modules.absent,
        "profiles": plan.profiles,
        "files": files,
        "written": written,
    });
    format!("{report:#}\n")
}
