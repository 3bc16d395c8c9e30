//! `lamina kernel`: get a kernel, and see whether a kernel can boot stacks.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use cli::numbers::human_size;
use kernel_config::{Finding, Severity, Subject, raise};
use serde_json::json;

use super::kernel_build::BuildKernel;
use super::kernel_import::Import;
use super::kernel_named;
use super::kernel_remove::Remove;
use super::profile_named;
use super::{print, print_json};
use crate::command::context::Context;
use crate::disk::contents;
use crate::error::{Error, Result};
use crate::fetch::{self, Console, Fetcher};
use crate::kernel::listed::{self, ListedKernel};
use crate::kernel::needs::{self, Needs};
use crate::store::KernelRecord;

/// Get and make kernels, and check what they lack.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "kernel",
    example = "lamina kernel list\nlamina kernel import 6.12\nlamina kernel build\nlamina kernel check /boot/config-$(uname -r)\nlamina kernel remove linux-6.12"
)]
pub struct KernelCommand {
    #[argh(subcommand)]
    action: Action,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum Action {
    Build(BuildKernel),
    Check(Check),
    Fetch(Fetch),
    Import(Import),
    List(List),
    Remove(Remove),
}

/// Say in sentences what a kernel lacks, and which symbol of its configuration to set; exit status 1 when no stack, or not the profile, would
/// boot on it.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "check",
    example = "lamina kernel check\nlamina kernel check linux-image.deb --profile web\nlamina kernel check .config --json"
)]
struct Check {
    /// a kernel package, the folder of an unpacked one, or a configuration (also /proc/config.gz); default: the kernel that runs
    #[argh(positional)]
    kernel: Option<String>,
    /// what this locked profile cannot do without counts as missing: dm-verity, EROFS, the file system of its state
    #[argh(option, arg_name = "name")]
    profile: Option<String>,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

/// Get the package of a listed kernel and print where it is.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "fetch",
    example = "lamina kernel fetch 6.1\nlamina kernel fetch 6.12 --output kernel.deb"
)]
struct Fetch {
    /// a name that `lamina kernel list` shows
    #[argh(positional)]
    name: String,
    /// put it here too (default: it stays in the cache)
    #[argh(option, short = 'o', arg_name = "file")]
    output: Option<String>,
}

/// List the kernels that can be fetched and those that were imported, which profiles can name: name, release, size, where from; exit
/// status 1 when the record of one cannot be read.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "list", example = "lamina kernel list --json")]
struct List {
    /// write JSON
    #[argh(switch)]
    json: bool,
}

impl KernelCommand {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        match self.action {
            Action::Build(build) => build.run(context),
            Action::Check(check) => check.run(context),
            Action::Fetch(fetch) => fetch.run(context),
            Action::Import(import) => import.run(context),
            Action::List(list) => list.run(context),
            Action::Remove(remove) => remove.run(context),
        }
    }
}

impl List {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let kernels = kernel_named::list(context)?;
        let store = context.store()?;
        let (imported, damaged): (Vec<_>, Vec<_>) = store.kernels()?.into_iter().partition(Result::is_ok);
        let imported: Vec<KernelRecord> = imported.into_iter().flatten().collect();
        if self.json {
            let rows = kernels.iter().map(as_json);
            let rows = rows.chain(imported.iter().map(|record| kernel_named::as_json(&store, record)));
            print_json(&rows.collect::<Vec<_>>())?;
        } else {
            let line = |name: &str, release: &str, size: u64, what: &str| {
                print(format_args!("{name:<16} {release:<28} {:>10}  {what}", human_size(size)))
            };
            for ListedKernel { name, release, description, package } in &kernels {
                line(name, release, package.size, description)?;
            }
            for KernelRecord { pin, .. } in &imported {
                line(pin.name.as_str(), pin.release.as_str(), pin.size, "imported")?;
            }
        }
        let damaged: Vec<Error> = damaged.into_iter().filter_map(Result::err).collect();
        damaged.iter().for_each(|finding| context.report.line(format_args!("lamina: {finding}")));
        Ok(if damaged.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn as_json(kernel: &ListedKernel) -> serde_json::Value {
    json!({
        "name": kernel.name,
        "release": kernel.release,
        "description": kernel.description,
        "file": kernel.package.file,
        "sha256": kernel.package.sha256.hex(),
        "size": kernel.package.size,
        "imported": false,
    })
}

impl Fetch {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let kernels = kernel_named::list(context)?;
        let kernel = listed::find(&kernels, &self.name)?;
        let cached = Fetcher::of_cache()?.fetch(&kernel.package, Path::new("."), &Console::new())?;
        let path = match self.output {
            Some(output) => {
                let output = PathBuf::from(output);
                fetch::replace(&cached, &output)?;
                output
            }
            None => cached,
        };
        print(path.display())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Check {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let (subject, kernel) = match &self.kernel {
            Some(kernel) => (Subject::open(kernel.as_ref())?, kernel.clone()),
            None => {
                let running = rustix::system::uname();
                let running = running.release().to_string_lossy();
                let (subject, place) = Subject::running(Path::new("/"), &running)?;
                (subject, format!("{running}, which runs here ({})", place.display()))
            }
        };
        let mut findings = subject.check()?;
        if let Some(profile) = &self.profile {
            let needs = needs_of(context, profile)?;
            raise(&mut findings, |symbol| needs.get(symbol).map(|why| format!("profile {profile}, {why}")));
        }
        let boots = findings.iter().all(|finding| finding.severity != Severity::Missing);
        if self.json {
            let list: Vec<_> = findings.iter().map(finding_as_json).collect();
            print_json(&json!({ "boots": boots, "findings": list }))?;
        } else {
            for finding in &findings {
                let of_profile =
                    finding.of_profile.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
                print(format_args!("{}{of_profile}: {finding}", word(finding.severity)))?;
            }
            print(verdict(&kernel, self.profile.as_deref(), &findings))?;
        }
        Ok(if boots { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn needs_of(context: &Context, profile: &str) -> Result<Needs> {
    let (name, store) = (profile_named::name(profile)?, context.store()?);
    needs::of(&contents::newest(&store, &name, &context.report)?.contents, &store)
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Missing => "missing",
        Severity::Limited => "limited",
    }
}

fn verdict(kernel: &str, profile: Option<&str>, findings: &[Finding]) -> String {
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let boot = profile.map_or_else(|| "stacks boot".to_owned(), |name| format!("the profile {name} boots"));
    let none = profile
        .map_or_else(|| "no stack boots".to_owned(), |name| format!("the profile {name} does not boot"));
    match (count(Severity::Missing), count(Severity::Limited)) {
        (0, 0) => format!("{kernel}: {boot} on this kernel, and it lacks nothing"),
        (0, limits) => format!("{kernel}: {boot} on this kernel, within the limits above ({limits})"),
        (missing, _) => {
            format!("{kernel}: {none} on this kernel: it lacks what is missing above ({missing})")
        }
    }
}

fn finding_as_json(finding: &Finding) -> serde_json::Value {
    json!({
        "severity": word(finding.severity),
        "symbol": finding.requirement.symbol,
        "group": finding.requirement.group.name(),
        "of_profile": finding.of_profile,
        "text": finding.to_string(),
    })
}
