//! `lamina build` and `lamina fetch`: targets to requests, requests to a plan, the plan carried out.

use std::num::NonZero;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use cli::numbers::count;
use cli::progress::Works;
use profiles::{Choice, Name};
use serde_json::json;

use super::wanted::{Wanted, wanted};
use super::{at_most_one, print, print_json};
use crate::build::plan::{Action, Plan};
use crate::build::source_plan;
use crate::build::{self, Builder, Records};
use crate::choice::name::VARIANT;
use crate::choice::shown;
use crate::command::context::{Context, jobs_or_processors};
use crate::error::{Error, Result};
use crate::fetch::Console;
use crate::graph::Graph;
use crate::limits::{LimitWishes, MemoryLimit, ProcessLimit, TimeLimit};
use crate::profile::named::Meaning;
use crate::recipe::RecipeFolder;
use crate::sandbox::{Facts, choose_user};
use crate::store::{BuildRecord, Store};

/// Build packages, or all packages of a profile and then lock it.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "build",
    example = "lamina build console\nlamina build dropbear --dry-run",
    example = "lamina build nano +syntax --jobs 4",
    example = "lamina build curl +http2 -ldap tls=libressl",
    note = "Behind a package stand choices of it: +NAME switches a feature on, -NAME off, NAME=VALUE takes one of its values."
)]
pub struct Build {
    /// packages and profiles
    #[argh(positional)]
    target: Vec<String>,
    /// every package of the tree, but those whose recipe says `apart`
    #[argh(switch)]
    all: bool,
    /// targets are packages
    #[argh(switch)]
    package: bool,
    /// targets are profiles
    #[argh(switch)]
    profile: bool,
    /// switch a feature of the targets on
    #[argh(option, arg_name = "feature")]
    with: Vec<String>,
    /// switch a feature of the targets off
    #[argh(option, arg_name = "feature")]
    without: Vec<String>,
    /// build this variant of the targets
    #[argh(option, arg_name = "name")]
    variant: Option<String>,
    /// processors to use (default: all)
    #[argh(option, short = 'j', arg_name = "n")]
    jobs: Option<NonZero<usize>>,
    /// end a build after so long: 2h, 90min, none (default: what its recipe says, else none)
    #[argh(option, arg_name = "time")]
    timeout: Option<TimeLimit>,
    /// end a build that writes nothing for so long (default: what its recipe says, else none)
    #[argh(option, arg_name = "time")]
    silence: Option<TimeLimit>,
    /// memory that a build may use: 4G, 50% (default: what its recipe says, else 90%)
    #[argh(option, arg_name = "size")]
    memory: Option<MemoryLimit>,
    /// processes and threads that a build may have (default: what its recipe says, else 4096)
    #[argh(option, arg_name = "n")]
    processes: Option<ProcessLimit>,
    /// what /tmp, /dev/shm and changes of the build's root may each hold in memory (default: what its recipe says, else 25%)
    #[argh(option, arg_name = "size")]
    tmpfs: Option<MemoryLimit>,
    /// say what would be built and why, and do nothing
    #[argh(switch, short = 'n')]
    dry_run: bool,
    /// build the targets once more and compare every bit
    #[argh(switch)]
    check: bool,
    /// print the text that each target's id is the hash of, and do nothing
    #[argh(switch)]
    explain_id: bool,
    /// write the plan, or the result, as JSON
    #[argh(switch)]
    json: bool,
}

/// Fetch the sources of packages and of all that their builds need.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "fetch", example = "lamina fetch console\nlamina fetch --all")]
pub struct Fetch {
    /// packages and profiles
    #[argh(positional)]
    target: Vec<String>,
    /// every package of the tree, but those whose recipe says `apart`
    #[argh(switch)]
    all: bool,
}

impl Build {
    /// `lamina build --profile NAME...`.
    pub(super) fn of_profiles(target: Vec<String>, dry_run: bool) -> Build {
        Build {
            target,
            profile: true,
            dry_run,
            all: false,
            package: false,
            with: Vec::new(),
            without: Vec::new(),
            variant: None,
            jobs: None,
            timeout: None,
            silence: None,
            memory: None,
            processes: None,
            tmpfs: None,
            check: false,
            explain_id: false,
            json: false,
        }
    }

    /// `lamina build --package NAME --variant NAME`.
    pub(super) fn of_package(
        name: &str,
        variant: &str,
        jobs: Option<NonZero<usize>>,
        dry_run: bool,
    ) -> Build {
        let variant = Some(variant.to_owned());
        let package = Build::of_profiles(vec![name.to_owned()], dry_run);
        Build { package: true, profile: false, variant, jobs, ..package }
    }

    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        self.check_options()?;
        let recipes = context.recipes()?;
        let wanted = self.wanted(context, &recipes)?;
        let (graph, roots) = Graph::resolve(&recipes, &wanted.requests)?;
        if self.explain_id {
            for root in &roots {
                let package = &graph.packages()[*root];
                print(format_args!("{}{}", package.canonical, package.id))?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        let store = context.store()?;
        wanted.check_profiles(&graph, &roots, &store)?;
        let images = wanted.images(&graph, &roots)?;
        let plan = Plan::make(&graph, &images, &store)?;
        if self.dry_run {
            self.print_plan(&plan)?;
            return Ok(ExitCode::SUCCESS);
        }
        let records = self.carry_out(context, &store, &plan, &roots)?;
        wanted.lock(context, &store, &graph, &roots, (&records, jobs_or_processors(self.jobs)))?;
        if self.json {
            let found: Vec<&BuildRecord> = images.iter().filter_map(|index| records.get(index)).collect();
            print_json(&found.iter().map(|record| super::store::as_json(record)).collect::<Vec<_>>())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn check_options(&self) -> Result<()> {
        at_most_one(&[("--package", self.package), ("--profile", self.profile)])?;
        // --all means packages.
        at_most_one(&[("--all", self.all), ("--profile", self.profile)])?;
        at_most_one(&[
            ("--dry-run", self.dry_run),
            ("--check", self.check),
            ("--explain-id", self.explain_id),
        ])?;
        at_most_one(&[("--explain-id", self.explain_id), ("--json", self.json)])?;
        match self.with.iter().find(|feature| self.without.contains(feature)) {
            Some(both) => {
                let cause = format!("and --without {both} exclude each other");
                Err(Error::new(format!("--with {both}"), cause).remedy("give one of them"))
            }
            None => Ok(()),
        }
    }

    fn wanted(&self, context: &Context, recipes: &RecipeFolder) -> Result<Wanted> {
        let meaning = match (self.package, self.profile) {
            (true, _) => Meaning::Package,
            (_, true) => Meaning::Profile,
            _ => Meaning::Any,
        };
        let mut wanted = wanted(context, recipes, &self.target, self.all, meaning)?;
        let switches = self.with.iter().map(|name| (name.clone(), Choice::On));
        let switches = switches.chain(self.without.iter().map(|name| (name.clone(), Choice::Off)));
        let variant = self.variant.as_deref().map(|name| Name::parse(name).map_err(Error::on("--variant")));
        let variant = variant.transpose()?.map(|name| (VARIANT.to_owned(), Choice::Of(name)));
        for (name, choice) in switches.chain(variant) {
            for request in &mut wanted.requests {
                let before = request.wishes.choices.insert(name.clone(), choice.clone());
                if let Some(before) = before.filter(|before| *before != choice) {
                    let cause =
                        format!("and {} behind {} exclude each other", shown(&name, &before), request.name);
                    return Err(
                        Error::new(format!("{name} {choice} for all"), cause).remedy("give one of them")
                    );
                }
            }
        }
        let wishes_given = !self.with.is_empty() || !self.without.is_empty() || self.variant.is_some();
        if wishes_given && !wanted.profiles.is_empty() {
            return Err(Error::new(
                "--with, --without and --variant",
                "are for packages, and a target is a profile",
            )
            .remedy("write the choice into the profile"));
        }
        Ok(wanted)
    }

    fn limits(&self) -> LimitWishes {
        LimitWishes {
            timeout: self.timeout,
            silence: self.silence,
            memory: self.memory,
            processes: self.processes,
            tmpfs: self.tmpfs,
        }
    }

    fn print_plan(&self, plan: &Plan) -> Result<()> {
        if !self.json {
            return print(format!("{plan}").trim_end());
        }
        let packages = plan.graph.packages().iter().zip(&plan.actions);
        let steps: Vec<serde_json::Value> = packages
            .filter_map(|(package, action)| {
                let (action, reason) = match action.as_ref()? {
                    Action::Build(reason) => ("build", Some(reason.as_str())),
                    Action::Keep(_) => ("keep", None),
                };
                Some(json!({
                    "name": package.recipe.name.as_str(),
                    "version": package.recipe.version.as_str(),
                    "id": package.id.hex(),
                    "action": action,
                    "reason": reason,
                }))
            })
            .collect();
        print_json(&steps)
    }

    fn carry_out(&self, context: &Context, store: &Store, plan: &Plan, roots: &[usize]) -> Result<Records> {
        build::keep_id_texts(plan, store, &context.report);
        if plan.to_build().is_empty() && !self.check {
            context
                .report
                .line(format_args!("nothing to build; up to date: {}", count(plan.kept().len(), "package")));
            return Ok(plan.kept());
        }
        let user = choose_user(&Facts::observe())?;
        context.report.detail(format_args!("sandbox: {user}"));
        let fetcher = context.fetcher(store)?;
        let checked = if self.check { roots } else { &[] };
        source_plan::bring(plan.graph, &[&plan.to_build(), checked].concat(), &fetcher, &Console::new())?;
        let builder = Builder {
            store,
            jobs: jobs_or_processors(self.jobs),
            fetcher: &fetcher,
            report: &context.report,
            works: Works::new(context.report.progress()),
            limits: self.limits(),
        };
        let records = builder.carry_out(plan)?;
        if self.check {
            builder.check(plan.graph, roots, &records)?;
        }
        Ok(records)
    }
}

impl Fetch {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let recipes = context.recipes()?;
        let wanted = wanted(context, &recipes, &self.target, self.all, Meaning::Any)?;
        let (graph, _) = Graph::resolve(&recipes, &wanted.requests)?;
        let store = context.store()?;
        let fetcher = context.fetcher(&store)?;
        let mut fetched = 0;
        for package in graph.packages() {
            let sources = package.sources()?;
            fetched += fetcher.fetch_all(&sources, &package.recipe.folder, &Console::new())?.len();
        }
        let folder = store.sources();
        context.report.line(format_args!("{}: {}", folder.display(), count(fetched, "source")));
        Ok(ExitCode::SUCCESS)
    }
}
