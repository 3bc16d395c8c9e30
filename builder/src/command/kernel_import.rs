//! `lamina kernel import`: a kernel that profiles can name.

use std::num::NonZero;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use cli::numbers::{count, human_size};
use kernel_package::KernelPackage;
use profiles::Name;

use super::kernel_named::{as_json, source};
use super::print_json;
use crate::command::context::{Context, jobs_or_processors};
use crate::error::{Error, Result};
use crate::kernel::import::Imported;
use crate::store::Store;

/// Put a kernel into the store, with an image of its modules and firmware: `kernel "NAME"` in a profile means it from then on.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "import",
    example = "lamina kernel import 6.12\nlamina kernel import linux-image-6.12.95.deb --name linux-site",
    note = "The same package gives the same bytes. The indexes of the modules are made by depmod (Debian's kmod). Links \
within the firmware stay links, any other link to a file is that file, and none is followed out of the folder.",
    note = "A name that is there already means the new kernel from then on; profiles that were locked keep the old one until they are locked \
again, and so does the store."
)]
pub(super) struct Import {
    /// a kernel package, the folder of an unpacked one, or a name of `lamina kernel list`
    #[argh(positional, arg_name = "kernel")]
    kernel: String,
    /// what profiles call it (default: linux-NAME of a listed one, else linux-RELEASE)
    #[argh(option, arg_name = "name")]
    name: Option<String>,
    /// processors to use (default: all)
    #[argh(option, short = 'j', arg_name = "n")]
    jobs: Option<NonZero<usize>>,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

impl Import {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let name = self.name.as_deref().map(parse).transpose()?;
        let (source, listed) = source(context, &self.kernel)?;
        let store = context.store()?;
        let meter = context.report.progress().work(format_args!("reading {}", source.path.display()));
        let package = KernelPackage::open(&source.path)?;
        let usual = || parse(&format!("linux-{}", listed.as_deref().unwrap_or(package.release())));
        let name = name.map_or_else(usual, Ok)?;
        let imported = Imported::read(&package, &name, &store, jobs_or_processors(self.jobs))?;
        drop(meter);
        publish(context, &store, &imported)?;
        if self.json {
            print_json(&as_json(&store, &imported.record))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Puts a kernel into the store, and says what it is.
pub(super) fn publish(context: &Context, store: &Store, imported: &Imported) -> Result<()> {
    let before = imported.publish(store)?;
    let (pin, modules) = (&imported.record.pin, &imported.modules);
    let name = &pin.name;
    tell_missing(context, name, &imported.missing);
    let what = count(imported.count, "module");
    context.report.line(format_args!(
        "kernel {name}: {}, {}; {} {}, {what}, {}",
        pin.release,
        human_size(pin.size),
        modules.name,
        modules.version,
        human_size(modules.size)
    ));
    if let Some(before) = before.filter(|it| *it != imported.record) {
        context.report.line(format_args!("kernel {name}: was {} before", before.pin.release));
    }
    Ok(())
}

/// As many as a person reads; all of them would hide what is said after.
const MOST_TOLD: usize = 8;

fn tell_missing(context: &Context, name: &Name, missing: &[String]) {
    let told = |text: &str| context.report.line(format_args!("kernel {name}: left out: {text}"));
    missing.iter().take(MOST_TOLD).for_each(|it| told(it));
    if missing.len() > MOST_TOLD {
        told(&format!("{} more", missing.len() - MOST_TOLD));
    }
}

pub(super) fn parse(text: &str) -> Result<Name> {
    Name::parse(text).map_err(|error| {
        Error::caused(format!("'{}'", text.escape_debug()), error)
            .remedy("give what profiles call it by `--name NAME`")
    })
}
