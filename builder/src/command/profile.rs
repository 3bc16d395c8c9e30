//! `lamina profile`: check what was written, and lock it into what init boots.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use cli::numbers::count;
use profiles::Name;
use profiles::resolved::{BootProfile, ImageRef, KernelPin};
use profiles::written::Composition;
use serde_json::json;

use super::kernel_named::pin_json as kernel_json;
use super::profile_named::{self, compose, what_works};
use super::wanted::builds;
use super::{locked, print, print_json, profile_list};
use crate::build::plan::Plan;
use crate::command::context::{Context, jobs_or_processors};
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::profile::kernel::ProfileKernel;
use crate::profile::layers::{Layers, requests};
use crate::profile::lock::{self, Locked};
use crate::profile::replacing::{self, Replacement};
use crate::profile::signature::{self, Signed};
use crate::records::named_build;
use crate::settings;
use crate::store::Store;

/// Check profiles, lock them for booting, and sign them.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "profile",
    example = "lamina profile check profiles/web.kdl\nlamina profile lock web --dry-run\nlamina profile list"
)]
pub struct ProfileCommand {
    #[argh(subcommand)]
    action: Action,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum Action {
    Check(Check),
    List(profile_list::List),
    Lock(Lock),
    Sign(Sign),
    Verify(Verify),
}

/// Read profiles with all they include, and resolve their packages; nothing is built.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "check",
    example = "lamina profile check web\nlamina profile check ./site.kdl --json"
)]
struct Check {
    /// names of profiles, or files
    #[argh(positional)]
    profile: Vec<String>,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

/// Resolve profiles into exact images; a path that two layers have must be allowed by `override`.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "lock",
    example = "lamina profile lock console web\nlamina profile lock web --dry-run",
    example = "lamina profile lock web --replace libressl=0123456789ab",
    note = "The packages must have been built: `lamina build NAME` builds and locks.",
    note = "What a program is linked with must lie in its layer or below, or be allowed by `unresolved`.",
    note = "Prints the word for the kernel command line that boots this very profile: lamina.profile=NAME@sha256:HEX."
)]
struct Lock {
    /// names of profiles
    #[argh(positional)]
    name: Vec<String>,
    /// put this build of the store in the place of a layer: its libraries have the same names and at least the same symbols
    #[argh(option, arg_name = "layer=build")]
    replace: Vec<String>,
    /// print the resolved profile instead of putting it into the store
    #[argh(switch, short = 'n')]
    dry_run: bool,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

/// Sign the newest generation of profiles with a minisign key, for an initramfs that has the public one.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "sign",
    example = "lamina profile sign web --key site.key",
    note = "The password of the key is asked for, or taken from MINISIGN_PASSWORD. `minisign -V` checks the signature too."
)]
struct Sign {
    /// names of profiles
    #[argh(positional)]
    name: Vec<String>,
    /// the secret key, of `lamina key create` or `minisign -G`
    #[argh(option, arg_name = "file")]
    key: PathBuf,
}

/// Check the signature of the newest generation of profiles, as init does.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "verify", example = "lamina profile verify web --public-key site.key.pub")]
struct Verify {
    /// names of profiles
    #[argh(positional)]
    name: Vec<String>,
    /// the public key
    #[argh(option, arg_name = "file")]
    public_key: PathBuf,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

impl ProfileCommand {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        match self.action {
            Action::Check(check) => check.run(context),
            Action::List(list) => list.run(context),
            Action::Lock(lock) => lock.run(context),
            Action::Sign(sign) => sign.run(context),
            Action::Verify(verify) => verify.run(context),
        }
    }
}

impl Check {
    fn run(self, context: &Context) -> Result<ExitCode> {
        require(&self.profile)?;
        let (checked, status) = what_works(context, self.profile.iter().map(|name| check(context, name)));
        if self.json {
            print_json(&checked.iter().map(Checked::as_json).collect::<Vec<_>>())?;
        } else {
            checked.iter().try_for_each(Checked::print)?;
        }
        Ok(status)
    }
}

/// What a profile comes to.
struct Checked {
    name: Name,
    /// Those that are stacked.
    layers: usize,
    /// Name, version, and why it is there.
    packages: Vec<(Name, String, Origin)>,
    /// What it boots on, where it says so.
    kernel: Option<KernelPin>,
    /// Of a resolved profile: the word of the kernel command line that boots it.
    boots: Option<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Origin {
    Named,
    Needed,
    Optional,
}

fn check(context: &Context, name: &str) -> Result<Checked> {
    let is_file = name.contains('/') || name.ends_with(".kdl");
    if is_file && let Some(resolved) = resolved(Path::new(name))? {
        return Ok(resolved);
    }
    let composition =
        if is_file { context.profiles()?.compose_file(Path::new(name))? } else { compose(context, name)? };
    settings::check_files(&composition.settings)?;
    let kernel = ProfileKernel::of(&composition, &context.store()?)?;
    let (graph, roots) = resolve(context, &composition)?;
    let layers = Layers::of(&graph, &composition, &roots)?;
    let package = |index: usize| {
        let recipe = &graph.packages()[index].recipe;
        let origin = match () {
            () if layers.optional.contains(&index) => Origin::Optional,
            () if roots.contains(&index) => Origin::Named,
            () => Origin::Needed,
        };
        (recipe.name.clone(), recipe.version.to_string(), origin)
    };
    let packages = layers.all().into_iter().map(package).collect();
    let kernel = kernel.map(|kernel| kernel.record.pin);
    Ok(Checked { name: composition.name.clone(), layers: layers.stack.len(), packages, kernel, boots: None })
}

/// What a file that `lamina profile lock` wrote comes to; `None` for one that a person wrote. Those have a format.
fn resolved(file: &Path) -> Result<Option<Checked>> {
    let bytes = crate::text_file::read(file)?;
    let first =
        String::from_utf8_lossy(&bytes).lines().find(|line| !line.trim().is_empty()).map(str::to_owned);
    if !first.is_some_and(|line| line.starts_with("profile ") && line.contains(" format=")) {
        return Ok(None);
    }
    let profile = BootProfile::parse(&file.display().to_string(), &bytes).map_err(Error::on(""))?;
    let package = |origin| move |image: &ImageRef| (image.name.clone(), image.version.clone(), origin);
    let stacked = profile.images.iter().map(package(Origin::Named));
    let packages = stacked.chain(profile.optional.iter().map(package(Origin::Optional))).collect();
    Ok(Some(Checked {
        layers: profile.images.len(),
        packages,
        boots: Some(lock::boot_parameter(&profile)),
        kernel: profile.kernel,
        name: profile.name,
    }))
}

impl Checked {
    fn print(&self) -> Result<()> {
        match &self.boots {
            None => print(format_args!("{}: {}", self.name, count(self.layers, "package")))?,
            Some(word) => {
                let layers = count(self.layers, "layer");
                print(format_args!(
                    "{}: a resolved profile, which init can read: {layers}; {word}",
                    self.name
                ))?;
            }
        }
        if let Some(pin) = &self.kernel {
            print(format_args!("  kernel {} ({})", pin.name, pin.release))?;
        }
        self.packages.iter().try_for_each(|(name, version, origin)| {
            let origin = match origin {
                Origin::Named => "",
                Origin::Needed => " (needed by another)",
                Origin::Optional => " (optional)",
            };
            print(format_args!("  {name} {version}{origin}"))
        })
    }

    fn as_json(&self) -> serde_json::Value {
        let package = |(name, version, origin): &(Name, String, Origin)| {
            json!({
                "name": name.as_str(), "version": version,
                "named": *origin != Origin::Needed, "optional": *origin == Origin::Optional,
            })
        };
        json!({
            "name": self.name.as_str(), "resolved": self.boots.is_some(), "boot_parameter": self.boots,
            "kernel": self.kernel.as_ref().map(kernel_json),
            "packages": self.packages.iter().map(package).collect::<Vec<_>>(),
        })
    }
}

impl Lock {
    fn run(self, context: &Context) -> Result<ExitCode> {
        require(&self.name)?;
        let store = context.store()?;
        let replacements = replacements(&self.replace, &store)?;
        let mut done = Vec::new();
        for name in &self.name {
            let composition = compose(context, name)?;
            let locked = lock_built(context, &store, &composition, &replacements)?;
            let published =
                if self.dry_run { None } else { Some(locked::publish(context, &store, &locked)?) };
            if self.json {
                done.push(locked::as_json(&locked, published));
            } else if self.dry_run {
                locked::tell_settings(context, &locked);
                print(locked.profile.to_kdl().trim_end())?;
            } else {
                print(lock::boot_parameter(&locked.profile))?;
            }
        }
        if self.json {
            print_json(&done)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Sign {
    fn run(self, context: &Context) -> Result<ExitCode> {
        require(&self.name)?;
        let store = context.store()?;
        if let Some(warning) = signature::exposure(&self.key) {
            context.report.line(format_args!("warning: {warning}"));
        }
        for name in &self.name {
            let signed =
                signature::sign(&store, &profile_named::name(name)?, &self.key, super::key::password())?;
            context.report.line(format_args!("{}: {}", signed.path.display(), signed.comment));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Verify {
    fn run(self, context: &Context) -> Result<ExitCode> {
        require(&self.name)?;
        let store = context.store()?;
        let verify = |name: &String| {
            signature::verify(&store, &profile_named::name(name)?, &self.public_key)
                .map(|signed| (name.clone(), signed))
        };
        let (signed, status) = what_works(context, self.name.iter().map(verify));
        if self.json {
            let as_json = |(name, signed): &(String, Signed)| {
                json!({
                    "name": name, "generation": signed.generation, "comment": signed.comment,
                    "signature": signed.path,
                })
            };
            print_json(&signed.iter().map(as_json).collect::<Vec<_>>())?;
            return Ok(status);
        }
        for (name, Signed { generation, comment, .. }) in &signed {
            print(format_args!("profile {name} generation {generation}: signed, and says \"{comment}\""))?;
        }
        Ok(status)
    }
}

fn require(names: &[String]) -> Result<()> {
    match names {
        [] => {
            Err(Error::new("profiles", "none is named").remedy("`lamina profile list` says which there are"))
        }
        _ => Ok(()),
    }
}

fn resolve(context: &Context, composition: &Composition) -> Result<(Graph, Vec<usize>)> {
    Graph::resolve(&context.recipes()?, &requests(composition))
}

/// Locks a profile whose packages are all in the store.
fn lock_built(
    context: &Context,
    store: &Store,
    composition: &Composition,
    replacements: &[Replacement],
) -> Result<Locked> {
    let (graph, roots) = resolve(context, composition)?;
    let layers = Layers::of(&graph, composition, &roots)?;
    let all = layers.all();
    let plan = Plan::make(&graph, &all, store)?;
    let records = plan.kept();
    let missing = all.iter().filter(|index| !records.contains_key(index));
    let missing: Vec<&str> = missing.map(|index| graph.packages()[*index].recipe.name.as_str()).collect();
    if !missing.is_empty() {
        let cause = format!("not built as it asks: {}", missing.join(", "));
        return Err(Error::new(format!("profile {}", composition.name), cause)
            .remedy(format!("`lamina build {}` builds and locks", composition.name)));
    }
    let builds = replacing::replace(&composition.name, builds(&layers, &records), replacements, store)?;
    lock::lock(composition, &builds, store, jobs_or_processors(None))
}

/// Reads `LAYER=BUILD`, each with a build of the store.
fn replacements(words: &[String], store: &Store) -> Result<Vec<Replacement>> {
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let records = store.records()?.sound;
    let replacement = |word: &String| {
        let (layer, build) = word.split_once('=').ok_or_else(|| {
            Error::new(format!("--replace {word}"), "lacks the build")
                .remedy("write LAYER=BUILD, with the beginning of its id: libressl=0123456789ab")
        })?;
        let of = Name::parse(layer).map_err(Error::on(format!("--replace {word}")))?;
        Ok(Replacement { by: named_build::of_package(&records, &of, build)?.clone(), of })
    };
    words.iter().map(replacement).collect()
}
