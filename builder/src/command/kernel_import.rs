//! `lamina kernel import`: a kernel that profiles can name.

use std::num::NonZero;
use std::path::Path;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use cli::numbers::{count, human_size};
use kernel_package::KernelPackage;
use profiles::Name;
use profiles::resolved::KernelPin;
use serde_json::{Value, json};

use super::{kernel, print_json};
use crate::command::context::{Context, jobs_or_processors};
use crate::disk::kernel::KernelSource;
use crate::error::{Error, Result};
use crate::fetch::{Console, Fetcher};
use crate::kernel::import::Imported;
use crate::kernels;
use crate::store::{BuildRecord, KernelRecord, Store};

/// Put a kernel into the store, with an image of its modules and firmware: `kernel "NAME"` in a profile means it from then on.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "import",
    example = "lamina kernel import 6.12\nlamina kernel import linux-image-6.12.95.deb --name linux-site",
    note = "The same package gives the same bytes. The indexes of the modules are made by depmod (Debian's kmod). Links are left out.",
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
        let before = imported.publish(&store)?;
        if self.json {
            print_json(&as_json(&store, &imported.record))?;
            return Ok(ExitCode::SUCCESS);
        }
        let (pin, modules) = (&imported.record.pin, &imported.modules);
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
        Ok(ExitCode::SUCCESS)
    }
}

fn parse(text: &str) -> Result<Name> {
    Name::parse(text).map_err(|error| {
        Error::caused(format!("'{}'", text.escape_debug()), error)
            .remedy("give what profiles call it by `--name NAME`")
    })
}

/// A path that is there, else a listed kernel, which is fetched when it is not in the cache. Says the name of a listed one.
pub(super) fn source(context: &Context, kernel: &str) -> Result<(KernelSource, Option<String>)> {
    let path = Path::new(kernel);
    if path.exists() {
        return Ok((KernelSource { path: path.to_owned(), digest: None }, None));
    }
    if kernel.contains('/') {
        let remedy =
            "give a kernel package, the folder of an unpacked one, or a name of `lamina kernel list`";
        return Err(Error::new(kernel, "does not exist").remedy(remedy));
    }
    let listed = kernel::listed(context)?;
    let pinned = kernels::find(&listed, kernel)?;
    let fetcher = Fetcher::new(Fetcher::default_cache()?);
    let path = fetcher.fetch(&pinned.package, Path::new("."), &Console::new())?;
    Ok((KernelSource { path, digest: Some(pinned.package.sha256) }, Some(pinned.name.clone())))
}

/// The kernel that a profile is for, for programs.
pub(super) fn pin_json(pin: &KernelPin) -> Value {
    json!({
        "name": pin.name.as_str(), "release": pin.release.as_str(), "digest": pin.digest.to_string(), "size": pin.size,
    })
}

/// An imported kernel, for programs.
pub(super) fn as_json(store: &Store, record: &KernelRecord) -> Value {
    let image = |it: BuildRecord| json!({ "name": it.name.as_str(), "digest": it.digest.to_string(), "size": it.size });
    let pin = &record.pin;
    json!({
        "name": pin.name.as_str(), "release": pin.release.as_str(), "digest": pin.digest.to_string(), "size": pin.size,
        "imported": true, "modules": store.modules_of(record).ok().map(image),
    })
}
