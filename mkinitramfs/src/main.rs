//! `mkinitramfs`: the command.

mod arguments;
mod choice;
mod commands;
mod kernels;
mod output;
mod values;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use argh::ArgsInfo;
use mkinitramfs::{Plan, Request, Written, diff, list, why};
use profiles::suggest;
use serde_json::{Value, json};

use arguments::{Arguments, Task};
use kernels::Kernel;

fn main() -> ExitCode {
    let arguments = match arguments::arguments() {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let result = arguments.task().and_then(|task| match task {
        Task::Make => make(&arguments).map(|()| good(String::new())),
        Task::List(path, json) => show_list(path, json).map(good),
        Task::Diff(first, second, json) => show_difference(first, second, json),
        Task::Why(module, path, json) => show_why(module, path, json).map(good),
        Task::Completions(shell) => completions(shell).map(good),
        Task::Manual(folder) => manual(folder).map(good),
    });
    match result.and_then(|(text, status)| print(&text).map(|()| status)) {
        Ok(status) => status,
        Err(error) => {
            cli::progress::line(format_args!("mkinitramfs: {error}"));
            arguments.failure().into()
        }
    }
}

/// What a command prints, and that all is well.
fn good(text: String) -> (String, ExitCode) {
    (text, ExitCode::SUCCESS)
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
        return Ok(format!("{:#}\n", json!(listed.entries)));
    }
    Ok(listed.to_string())
}

fn show_difference(first: &Path, second: &Path, as_json: bool) -> Result<(String, ExitCode), String> {
    let difference = diff(first, second).map_err(|error| error.to_string())?;
    let status = if difference.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    let text = if as_json { format!("{:#}\n", json!(difference)) } else { difference.to_string() };
    Ok((text, status))
}

fn show_why(module: &str, path: &Path, as_json: bool) -> Result<String, String> {
    let why = why(module, path).map_err(|error| error.to_string())?;
    Ok(if as_json { format!("{:#}\n", json!(why)) } else { why.to_string() })
}

/// All is decided before the first is written, and each that is made is told, also when a later one fails.
fn make(arguments: &Arguments) -> Result<(), String> {
    // What costs nothing to find out comes before kernels are looked for.
    let (level, request) = (arguments.level()?, arguments::request(arguments)?);
    let named = arguments::kernels(arguments);
    let kernels = named.kernels()?;
    if arguments.verbose {
        let groups = request.groups.iter().map(|group| group.name()).collect::<Vec<_>>().join(", ");
        cli::progress::line(format_args!("groups of modules: {groups}; zstd level {level}"));
    }
    let mut told =
        Told { as_json: arguments.json, is_plural: named.is_plural(), reports: Vec::new(), aside: false };
    let mut decided = decide(&request, &kernels)?;
    let made = kernels.iter().try_for_each(|kernel| {
        let plan = decided.take().map_or_else(|| plan(&request, kernel), Ok)?;
        let output = named.output_for(&plan.release);
        let written = output.as_deref().map(|output| plan.write(level, output)).transpose();
        told.one(&plan, written.map_err(|error| error.to_string())?, output.as_deref())
    });
    told.all().and(made)
}

/// The plan of the first kernel, when there is one for each. A plan holds all that goes in, tens of megabytes: that of a later kernel is let
/// go and made again when its turn comes, so that no two are held at once. Hence the last kernel is the first to be asked.
fn decide(request: &Request, kernels: &[Kernel]) -> Result<Option<Plan>, String> {
    let mut decided = None;
    for kernel in kernels.iter().rev() {
        drop(decided.take());
        decided = Some(plan(request, kernel)?);
    }
    Ok(decided)
}

fn plan(request: &Request, kernel: &Kernel) -> Result<Plan, String> {
    let Kernel { path, release } = kernel.clone();
    Request { kernel: path, release, ..request.clone() }.plan().map_err(|error| error.to_string())
}

/// What is said of the initramfs that were made: to people at once, as JSON in the end.
struct Told {
    as_json: bool,
    /// Several may be meant, which are an array.
    is_plural: bool,
    reports: Vec<Value>,
    /// The initramfs itself takes standard output.
    aside: bool,
}

impl Told {
    fn one(&mut self, plan: &Plan, written: Option<Written>, output: Option<&Path>) -> Result<(), String> {
        self.aside = written.is_some_and(|written| written.to_standard_output);
        if self.as_json {
            self.reports.push(to_json(plan, written, output));
            return Ok(());
        }
        tell(&to_text(plan, written, output), self.aside)
    }

    /// Nothing where none was made.
    fn all(mut self) -> Result<(), String> {
        let Some(last) = self.reports.pop() else { return Ok(()) };
        let value = match self.is_plural {
            true => self.reports.into_iter().chain([last]).collect(),
            false => last,
        };
        tell(&format!("{value:#}\n"), self.aside)
    }
}

/// Where the initramfs itself takes standard output, it is told on standard error.
fn tell(text: &str, aside: bool) -> Result<(), String> {
    if aside {
        eprint!("{text}");
        return Ok(());
    }
    print(text)
}

fn completions(shell: &str) -> Result<String, String> {
    cli::help::completions(shell, "mkinitramfs", &Arguments::get_args_info()).ok_or_else(|| {
        let remedy = suggest::remedy(shell, &cli::help::SHELLS);
        format!("shell '{shell}': there are no completions for this shell\nhelp: {remedy}")
    })
}

fn manual(folder: &Path) -> Result<String, String> {
    cli::help::write_pages(folder, "mkinitramfs", &Arguments::get_args_info())
        .map(|()| String::new())
        .map_err(|error| error.to_string())
}

fn to_text(plan: &Plan, written: Option<Written>, output: Option<&Path>) -> String {
    let path = output.unwrap_or(Path::new("")).display();
    match written {
        Some(written) => format!("{plan}{path}: {written}\n"),
        None => format!("{plan}nothing was written: --dry-run\n"),
    }
}

fn to_json(plan: &Plan, written: Option<Written>, output: Option<&Path>) -> Value {
    let files: Vec<_> = plan
        .contents
        .iter()
        .map(|(path, entry)| json!({"path": path, "mode": entry.mode, "size": entry.source.size()}))
        .collect();
    let path = output.map(|output| output.display().to_string());
    let written = written.map(|Written { entries, unpacked, packed, .. }| {
        json!({"path": path, "entries": entries, "unpacked": unpacked, "packed": packed})
    });
    json!({
        "kernel": plan.release,
        "modules": plan.modules.picked,
        "not_for_a_boot": plan.modules.not_for_a_boot.iter().map(|(_, module)| module).collect::<Vec<_>>(),
        "firmware": plan.firmware.iter().map(|(path, _)| path).collect::<Vec<_>>(),
        "absent": plan.modules.absent,
        "profiles": plan.profiles,
        "microcode": plan.early.as_ref().map(|early| &early.files),
        "drop_ins": plan.drop_ins,
        "warnings": plan.warnings,
        "files": files,
        "written": written,
    })
}
