//! Carries out a build plan: sources, sandbox, image, record; packages that do not need each other at the same time.

mod check;
pub mod plan;
mod root;
pub mod schedule;
pub mod source_plan;
mod static_output;
pub mod watch;

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use cli::numbers::human_size;
use cli::progress::Works;
use profiles::{Choice, Digest, Name};
use squashfs::Tree;

use crate::bootstrap::Bootstrap;
use crate::build::plan::Plan;
use crate::choice::name;
use crate::error::{Error, Result};
use crate::fetch::{Console, Fetcher};
use crate::graph::package_id::TARGET;
use crate::graph::{Graph, Package};
use crate::image::attributes::Attributes;
use crate::image::format::SOURCE_DATE_EPOCH;
use crate::image::output;
use crate::limits::{self, LimitWishes, Limits};
use crate::new_folder::{self, Rule};
use crate::recipe::{Making, STEP_NAMES, StepWork};
use crate::report::Report;
use crate::sandbox::{self, Bind, Policy, Spec, Step, Variation, Work};
use crate::scratch::Scratch;
use crate::store::{BuildLog, BuildRecord, Dependency, SourceRecord, Store, write_with_record};

/// What the executor works with.
#[derive(Debug)]
pub struct Builder<'a> {
    /// Where everything is put.
    pub store: &'a Store,
    /// Processors to use.
    pub jobs: NonZero<usize>,
    /// Where sources come from.
    pub fetcher: &'a Fetcher,
    /// Where progress goes.
    pub report: &'a Report,
    /// The builds that run.
    pub works: Works,
    /// What the command line says of limits.
    pub limits: LimitWishes,
}

/// Keeps the texts of ids that an earlier version has not kept, of builds that are up to date: they are known as long as the recipes give
/// them. A store that cannot be written to is read all the same.
pub fn keep_id_texts(plan: &Plan, store: &Store, report: &Report) {
    let kept = plan.kept().into_keys().map(|index| &plan.graph.packages()[index]);
    if let Some(error) = kept.filter_map(|it| store.keep_id_text(&it.id, &it.canonical).err()).next() {
        report.detail(format_args!("texts of ids are not kept: {error}"));
    }
}

/// What may differ between two builds of one id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    pub jobs: NonZero<usize>,
    pub variation: Variation,
}

impl Circumstances {
    fn first(jobs: NonZero<usize>) -> Self {
        Circumstances { jobs, variation: Variation::default() }
    }
}

/// The records of finished builds, by index into the graph.
pub type Records = BTreeMap<usize, BuildRecord>;

impl Builder<'_> {
    /// Builds what the plan says, in parallel, and stops at the first failure. Returns the records of all its packages.
    pub fn carry_out(&self, plan: &Plan) -> Result<Records> {
        let mut records = plan.kept();
        let threads = schedule::Threads::share(self.jobs);
        let needs = |index: usize| plan.graph.packages()[index].build_root.clone();
        schedule::run(&plan.to_build(), needs, threads.at_once, &mut records, |index, known| {
            self.build(plan.graph, index, known, threads.each)
        })?;
        Ok(records)
    }

    /// Builds one package and puts image and record into the store.
    fn build(
        &self,
        graph: &Graph,
        index: usize,
        known: &Records,
        jobs: NonZero<usize>,
    ) -> Result<BuildRecord> {
        let package = &graph.packages()[index];
        let started = Instant::now();
        let (name, version) = (&package.recipe.name, &package.recipe.version);
        // Who has the log makes the build, and the next one finds it made.
        let mut log = self.store.take_log(&self.store.log_path(&package.id), || {
            self.report.line(format_args!("wait for another process, which builds {name} {version}"));
        })?;
        if let Some(record) = self.store.finished_build(&package.id)? {
            self.report.line(format_args!("use {name} {version}: another process has built it"));
            return Ok(record);
        }
        self.store.begin_log(&mut log)?;
        self.report.line(format_args!("build {name} {version}"));
        let scratch = self.store.scratch(name.as_str())?;
        let record = self.make(
            package,
            &layers_of(graph, package, known)?,
            &scratch,
            Circumstances::first(jobs),
            &mut log,
        )?;
        self.store.keep_id_text(&package.id, &package.canonical)?;
        self.store.publish_build(&scratch.path().join("image"), &record)?;
        self.report.line(format_args!(
            "built {name} {version}: {} in {:.1} s",
            human_size(record.size),
            started.elapsed().as_secs_f64()
        ));
        Ok(record)
    }

    /// Makes the image in `scratch/image` and returns its record.
    pub(crate) fn make(
        &self,
        package: &Package,
        layers: &[Dependency],
        scratch: &Scratch,
        circumstances: Circumstances,
        log: &mut BuildLog,
    ) -> Result<BuildRecord> {
        let mut record = record_of(package, layers)?;
        let mut tree = match package.recipe.making {
            Making::Steps(_) => {
                let output = self.run_steps(package, layers, scratch, circumstances, log)?;
                self.packed(package, &output)?
            }
            Making::Debian => self.debian_tree(package, scratch)?,
        };
        let work = self.works.begin(format_args!("pack {}", package.recipe.name));
        work.says(String::new);
        let how = (package.format, circumstances.jobs);
        let image = scratch.path().join("image");
        write_with_record(&mut tree, &package.recipe.metadata, &mut record, how, &image)
            .map_err(Error::on(format!("package {}", package.recipe.name)))?;
        static_output::check(package, &image)?;
        Ok(record)
    }

    /// The tree of what the steps left, and a word on the attributes that they set and the recipe does not allow.
    fn packed(&self, package: &Package, output: &Path) -> Result<Tree> {
        let name = &package.recipe.name;
        let kept = Attributes::of_package(&package.recipe.attributes);
        let (tree, left_out) =
            output::tree_of(output, &kept).map_err(Error::on(format!("package {name}")))?;
        for (attribute, line) in left_out.lines() {
            // Others than these come from the machine.
            if attribute.starts_with("user.") {
                let remedy = format!("`attribute \"{attribute}\"` in its recipe keeps it");
                self.report.line(format_args!("package {name}: {line}; {remedy}"));
            } else {
                self.report.detail(format_args!("package {name}: {line}"));
            }
        }
        Ok(tree)
    }

    /// The contents of a layer made from Debian packages.
    fn debian_tree(&self, package: &Package, scratch: &Scratch) -> Result<Tree> {
        let copies = make_folder(scratch, "recipe")?;
        copy_recipe_files(package, &copies)?;
        let layer = Bootstrap::load(&copies)?;
        let found = self.fetcher.fetch_all(&layer.sources(), &package.recipe.folder, &Console::new())?;
        layer.tree(&found, scratch.path())
    }

    /// Runs the steps in a sandbox and returns the folder that they filled.
    fn run_steps(
        &self,
        package: &Package,
        layers: &[Dependency],
        scratch: &Scratch,
        circumstances: Circumstances,
        log: &mut BuildLog,
    ) -> Result<PathBuf> {
        let folder = |name: &str| make_folder(scratch, name);
        let (output, build, mounts) = (folder("out")?, folder("build")?, folder("mounts")?);
        let recipe_files = folder("recipe")?;
        copy_recipe_files(package, &recipe_files)?;
        let sources = folder("sources")?;
        self.bring_sources(package, &sources)?;
        let binds = vec![
            bind(&output, "/out", true),
            bind(&build, "/build", true),
            bind(&recipe_files, "/recipe", false),
            bind(&sources, "/sources", false),
        ];
        let limits = self.limits.or(package.recipe.limits).on(limits::machine_memory());
        let spec = Spec {
            layers: self.layers(package, layers)?,
            mounts,
            binds,
            environment: environment(package, circumstances.jobs),
            steps: steps(package),
            bounds: limits.bounds(),
            variation: circumstances.variation,
            policy: Policy::Step,
        };
        self.run_sandbox(package, &spec, scratch, &limits, log)?;
        Ok(output)
    }

    /// Puts the sources into `folder` under their names. They are links where the store's file system allows and they are ours: what
    /// belongs to somebody else he could change meanwhile, and the build might not be allowed to read. The sandbox sees the folder
    /// read-only.
    fn bring_sources(&self, package: &Package, folder: &Path) -> Result<()> {
        let sources = &package.instructions.sources;
        let found = self.fetcher.fetch_all(sources, &package.recipe.folder, &Console::new())?;
        for (source, path) in sources.iter().zip(found) {
            let name = folder.join(&source.file);
            let ours = fs::metadata(&path).is_ok_and(|found| found.uid() == nix::unistd::geteuid().as_raw());
            if !ours || fs::hard_link(&path, &name).is_err() {
                fs::copy(&path, &name).map_err(Error::on(name.display()))?;
            }
        }
        Ok(())
    }

    fn run_sandbox(
        &self,
        package: &Package,
        spec: &Spec,
        scratch: &Scratch,
        limits: &Limits,
        log: &mut BuildLog,
    ) -> Result<()> {
        let object = format!("package {} {}", package.recipe.name, package.recipe.version);
        self.report.detail(format_args!("limits of {object}: {limits}"));
        let work = self.works.begin(format_args!("build {}", package.recipe.name));
        let build = sandbox::start(spec, scratch.path(), Stdio::null())?;
        let end = watch::watch(build, limits, log, |last| {
            work.says(|| last.to_string());
        })?;
        watch::failure(object, &end, limits, log.path())
    }

    /// The images of `dependencies`, which may be stacked, unpacked.
    fn layers(&self, package: &Package, dependencies: &[Dependency]) -> Result<Vec<PathBuf>> {
        root::check(&package.recipe, dependencies, self.store, self.report)?;
        dependencies.iter().map(|dependency| self.store.unpacked(dependency, self.report)).collect()
    }
}

/// Of the folders of a build: neither the umask counts, nor what the store's folder hands down.
const SAME_EVERYWHERE: Rule = Rule::NothingInherited(0o755);

/// A folder for the sandbox.
fn make_folder(scratch: &Scratch, name: &str) -> Result<PathBuf> {
    let path = scratch.path().join(name);
    new_folder::fresh(&path, SAME_EVERYWHERE).map_err(Error::on(path.display()))?;
    Ok(path)
}

fn bind(source: &Path, target: &str, writable: bool) -> Bind {
    Bind { source: source.to_path_buf(), target: PathBuf::from(target), writable }
}

/// The layers under a build with the digests of their images, which are known by now.
fn layers_of(graph: &Graph, package: &Package, known: &Records) -> Result<Vec<Dependency>> {
    let layer = |index: &usize| {
        let record = known.get(index).ok_or_else(|| {
            Error::new(
                format!("package {}", graph.packages()[*index].recipe.name),
                "is needed before it was built",
            )
        })?;
        Ok(Dependency {
            name: record.name.clone(),
            version: record.version.clone(),
            id: record.id,
            digest: record.digest,
        })
    };
    package.build_root.iter().map(layer).collect()
}

/// The record of a build whose image is not written yet.
fn record_of(package: &Package, layers: &[Dependency]) -> Result<BuildRecord> {
    let recipe = &package.recipe;
    Ok(BuildRecord {
        name: recipe.name.clone(),
        version: recipe.version.as_str().to_owned(),
        id: package.id,
        digest: Digest::from_bytes([0; 32]),
        size: 0,
        verity: None,
        license: recipe.license.clone(),
        target: TARGET.to_owned(),
        variant: package.selection.variant().map(str::to_owned),
        features: package
            .selection
            .features()
            .map(|(name, choice)| (name.to_owned(), choice.clone()))
            .collect(),
        build_root: layers.to_vec(),
        depends: package.run_depends.iter().map(|needed| needed.name.clone()).collect(),
        sources: package
            .sources()?
            .into_iter()
            .map(|source| SourceRecord { file: source.file, sha256: source.sha256 })
            .collect(),
    })
}

/// Copies patches and files, so that an editor at work does not change a build, and checks that they are what the id says.
fn copy_recipe_files(package: &Package, target: &Path) -> Result<()> {
    for (file, digest) in &package.inputs {
        let (from, to) = (package.recipe.path_of(file)?, target.join(file));
        if let Some(parent) = to.parent() {
            new_folder::beneath(target, parent, SAME_EVERYWHERE).map_err(Error::on(parent.display()))?;
        }
        fs::copy(&from, &to).map_err(Error::on(from.display()))?;
        // The mode on this machine depends on the umask of whoever checked the recipes out; the id does not know it.
        fs::set_permissions(&to, fs::Permissions::from_mode(0o644)).map_err(Error::on(to.display()))?;
        if crate::digest::digest_file(&to)?.0 != *digest {
            return Err(Error::new(from.display(), "changed while the build began").remedy("build again"));
        }
    }
    Ok(())
}

fn environment(package: &Package, jobs: NonZero<usize>) -> Vec<(String, String)> {
    let recipe = &package.recipe;
    let mut variables: Vec<(String, String)> = [
        ("PATH", "/usr/bin:/usr/sbin:/bin:/sbin"),
        ("HOME", "/build"),
        ("LC_ALL", "C"),
        ("TZ", "UTC"),
        ("OUT", "/out"),
        ("SRC", "/build/src"),
        ("NAME", recipe.name.as_str()),
        ("VERSION", recipe.version.as_str()),
        ("VARIANT", package.selection.variant().unwrap_or_default()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    variables.push(("JOBS".to_owned(), jobs.to_string()));
    variables.push(("SOURCE_DATE_EPOCH".to_owned(), SOURCE_DATE_EPOCH.to_string()));
    let shared: Vec<&str> = package.instructions.shared().into_iter().map(Name::as_str).collect();
    if !shared.is_empty() {
        variables.push(("SHARED".to_owned(), shared.join(" ")));
    }
    for (feature, choice) in package.selection.features() {
        let value = match choice {
            Choice::Off => continue,
            Choice::On => "1",
            Choice::Of(value) => value.as_str(),
        };
        variables.push((name::variable(feature), value.to_owned()));
    }
    variables
}

fn steps(package: &Package) -> Vec<Step> {
    let step = |name: &&str| {
        let step = package.instructions.steps.get(*name)?;
        let work = match &step.work {
            StepWork::Unpack(file) => {
                Work::Unpack { source: Path::new("/sources").join(file), target: PathBuf::from("/build/src") }
            }
            StepWork::Script(text) => {
                let folder = PathBuf::from(if *name == "unpack" { "/build" } else { "/build/src" });
                Work::Script { text: text.clone(), arguments: step.arguments.clone(), folder }
            }
        };
        Some(Step { name: (*name).to_owned(), work })
    };
    STEP_NAMES.iter().filter_map(step).collect()
}
