//! `lamina kernel build`: a kernel of one's own, into the store.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use kernel_package::KernelPackage;
use profiles::Choice;
use serde_json::json;
use squashfs::UnpackOptions;

use super::build::Build;
use super::kernel_import::{parse, publish};
use super::kernel_named::as_json;
use super::{print, print_json};
use crate::choice::name::VARIANT;
use crate::command::context::{Context, jobs_or_processors};
use crate::error::{Error, Result};
use crate::graph::{Graph, Request};
use crate::kernel::import::Imported;
use crate::kernel::own::{self, OwnFragment};
use crate::recipe::RecipeFolder;
use crate::scratch::temporary::TemporaryFolder;
use crate::store::{BuildRecord, Store};

/// Make a small kernel of Debian's source that has all that Lamina needs built in, put it into the store, and print its name.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "build",
    example = "lamina kernel build",
    example = "lamina kernel build --fragment my.config --fragment state --name linux-site",
    example = "lamina vm console --kernel linux-vm",
    note = "A fragment has lines like CONFIG_X=y (m, n, \"text\" or a number) and `# CONFIG_X is not set`, and comments; a later one is stronger. \
Any other line is refused before anything is built. A symbol that Kconfig does not take ends the build, with what it depends on. Everything that no fragment asks for is off.",
    note = "Two processors take seven minutes for it. What was built from the same recipe and fragments is taken from the store; the same input \
gives the same bytes."
)]
pub(super) struct BuildKernel {
    /// what it is for: vm, the machines of QEMU; pc, computers and other hypervisors too (default: vm)
    #[argh(option, arg_name = "name", default = "\"vm\".to_owned()")]
    flavour: String,
    /// ask for this too: a file, or a group of the table, as state (XFS, Btrfs, F2FS); may be given several times
    #[argh(option, arg_name = "file")]
    fragment: Vec<String>,
    /// what profiles and `lamina vm --kernel` call it (default: linux-FLAVOUR)
    #[argh(option, arg_name = "name")]
    name: Option<String>,
    /// put the kernel here too, as a folder with boot/ and usr/lib/modules/
    #[argh(option, short = 'o', arg_name = "dir")]
    output: Option<PathBuf>,
    /// processors to use (default: all)
    #[argh(option, short = 'j', arg_name = "n")]
    jobs: Option<NonZero<usize>>,
    /// say what would be built and why, and do nothing
    #[argh(switch, short = 'n')]
    dry_run: bool,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

impl BuildKernel {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let name = parse(self.name.as_deref().unwrap_or(&format!("linux-{}", self.flavour)))?;
        let fragments: Vec<OwnFragment> =
            self.fragment.iter().map(|word| OwnFragment::open(word)).collect::<Result<_>>()?;
        if let Some(output) = self.output.as_deref().filter(|it| it.symlink_metadata().is_ok()) {
            return Err(Error::new(output.display(), "is there already")
                .remedy("remove it, or name another folder with `--output`"));
        }
        let scratch = TemporaryFolder::make("kernel")?;
        let packages = scratch.path().join("packages");
        own::write(&packages, tree(context)?.as_ref(), &fragments)?;
        let own = context.with_tree(scratch.path());
        Build::of_package(own::PACKAGE, &self.flavour, self.jobs, self.dry_run).run(&own)?;
        if self.dry_run {
            return Ok(ExitCode::SUCCESS);
        }
        let store = context.store()?;
        let record = built(&RecipeFolder::new(packages), &self.flavour, &store)?;
        let root = scratch.path().join("root");
        unpack(&store, &record, &root)?;
        let imported =
            Imported::read(&KernelPackage::open(&root)?, &name, &store, jobs_or_processors(self.jobs))?;
        publish(context, &store, &imported)?;
        if let Some(output) = &self.output {
            unpack(&store, &record, output)?;
        }
        if !self.json {
            print(&name)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut told = as_json(&store, &imported.record);
        told["build"] = json!(record.id.hex());
        print_json(&told)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The recipes of a tree that has the package. As with the list of kernels: without one, those of this program are meant.
fn tree(context: &Context) -> Result<Option<RecipeFolder>> {
    match context.recipes() {
        Ok(recipes) => Ok(recipes.has(&parse(own::PACKAGE)?).then_some(recipes)),
        Err(error) if context.names_a_tree() => Err(error),
        Err(_) => Ok(None),
    }
}

/// The record of what was built just now, or before.
fn built(recipes: &RecipeFolder, flavour: &str, store: &Store) -> Result<BuildRecord> {
    let mut request = Request::plain(parse(own::PACKAGE)?);
    request.wishes.choices.insert(VARIANT.to_owned(), Choice::Of(parse(flavour)?));
    let (graph, roots) = Graph::resolve(recipes, &[request])?;
    let found = roots.first().map(|root| store.finished_build(&graph.packages()[*root].id)).transpose()?;
    found.flatten().ok_or_else(|| {
        Error::new("the kernel", "has gone from the store since it was built").remedy("run the command again")
    })
}

/// Writes the files of the image into a new folder.
fn unpack(store: &Store, record: &BuildRecord, folder: &Path) -> Result<()> {
    let image = store.open_image(&record.digest, record.verity.as_ref())?;
    let failed = image.image().unpack(folder, &UnpackOptions::user()).err();
    match failed {
        None => Ok(()),
        Some(error) => {
            let _ = fs::remove_dir_all(folder);
            Err(Error::caused(folder.display(), error))
        }
    }
}
