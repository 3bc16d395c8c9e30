//! What is needed of a store, each with a reason in words.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use boot_store::layout;
use cli::numbers::count;
use profiles::resolved::BootProfile;
use profiles::{Digest, Name};

use crate::error::{Error, Result};
use crate::graph::{Graph, Request};
use crate::profile::folder::ProfileFolder;
use crate::profile::layers::requests;
use crate::recipe::RecipeFolder;
use crate::store::generations::{self, GenerationFile};
use crate::store::{KernelRecord, Store};
use crate::text_file;

/// Everything that is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roots {
    /// By the digest of the image.
    pub images: BTreeMap<Digest, String>,
    /// By the id of the build.
    pub builds: BTreeMap<Digest, String>,
    /// By the digest of the source.
    pub sources: BTreeMap<Digest, String>,
    /// By the digest of the bootable file.
    pub kernels: BTreeMap<Digest, String>,
    /// By the file of the profile, below the store.
    pub generations: BTreeMap<PathBuf, String>,
}

/// All that the recipes and the written profiles of a tree can ask for.
///
/// # Errors
/// A recipe or a profile cannot be read: then nobody knows what is needed.
pub fn graph_of_tree(recipes: &RecipeFolder, profiles: &ProfileFolder) -> Result<Graph> {
    Ok(Graph::resolve(recipes, &requests_of_tree(recipes, profiles)?)?.0)
}

/// The same, as requests.
///
/// # Errors
/// A name or a profile cannot be read.
pub fn requests_of_tree(recipes: &RecipeFolder, profiles: &ProfileFolder) -> Result<Vec<Request>> {
    let mut wanted = Vec::new();
    for package in recipes.names()? {
        wanted.push(Request::plain(Name::parse(&package).map_err(Error::on(&package))?));
    }
    for profile in profiles.compositions()? {
        wanted.extend(requests(&profile));
    }
    Ok(wanted)
}

fn is_younger(path: &Path, grace: Duration) -> Result<bool> {
    let written = path.metadata().and_then(|found| found.modified()).map_err(Error::on(path.display()))?;
    // Written in the future: nobody knows how old it is.
    Ok(written.elapsed().map_or(true, |age| age < grace))
}

/// As people read it.
pub(super) fn in_words(time: Duration) -> String {
    count(time.as_secs() / 3600, "hour")
}

impl Roots {
    /// Of a store: the newest `keep` generations of each profile, those that are marked or younger than `grace`, what this machine runs, and
    /// the builds and sources of the tree, and the kernels that profiles can name.
    ///
    /// # Errors
    /// A generation that stays, or the record of a kernel, cannot be read.
    pub fn of(
        store: &Store,
        graph: &Graph,
        running: Option<Digest>,
        (keep, grace): (NonZero<usize>, Duration),
    ) -> Result<Roots> {
        let mut roots = Roots::default();
        for GenerationFile { place, number, kept, path } in generations::everything(store)? {
            let bytes = text_file::read(&path)?;
            let digest = Digest::of_bytes(&bytes);
            let why = match place {
                0 => "the newest generation".to_owned(),
                _ if place < keep.get() => format!("one of the newest {keep} generations"),
                _ if running == Some(digest) => "this machine runs it".to_owned(),
                _ if kept => "it is kept".to_owned(),
                // It stays, and so must what it names.
                _ if is_younger(&path, grace)? => format!("is younger than {}", in_words(grace)),
                _ => continue,
            };
            let profile = BootProfile::parse(&path.display().to_string(), &bytes).map_err(Error::on(""))?;
            roots.add_generation(&profile, number, why);
        }
        roots.add_tree(store, graph)?;
        for record in store.kernels()? {
            roots.add_kernel(store, &record?);
        }
        Ok(roots)
    }

    fn add_generation(&mut self, profile: &BootProfile, number: u64, why: String) {
        let label = format!("{}/{number}", profile.name);
        for image in profile.all_images() {
            self.images.entry(image.digest).or_insert_with(|| format!("profile {label} stacks it"));
            if let Some(id) = image.id {
                self.builds.entry(id).or_insert_with(|| format!("made an image of profile {label}"));
            }
        }
        if let Some(kernel) = &profile.kernel {
            self.kernels.entry(kernel.digest).or_insert_with(|| format!("profile {label} boots on it"));
        }
        self.generations.insert(layout::profile(&profile.name, number), why);
    }

    fn add_kernel(&mut self, store: &Store, kernel: &KernelRecord) {
        let why = format!("it is of the kernel {}, which profiles can name", kernel.pin.name);
        self.kernels.entry(kernel.pin.digest).or_insert_with(|| why.clone());
        // As with builds of the tree: a record that cannot be read is as good as none.
        if let Ok(Some(record)) = store.record(&kernel.modules) {
            self.images.entry(record.digest).or_insert_with(|| why.clone());
        }
        self.builds.entry(kernel.modules).or_insert(why);
    }

    fn add_tree(&mut self, store: &Store, graph: &Graph) -> Result<()> {
        for package in graph.packages() {
            let recipe = &package.recipe;
            let why = format!("the tree builds {} {}", recipe.name, recipe.version);
            // A record that cannot be read is as good as none: the build makes it anew.
            if let Ok(Some(record)) = store.record(&package.id) {
                self.images.entry(record.digest).or_insert_with(|| why.clone());
            }
            for source in package.sources()? {
                self.sources.entry(source.sha256).or_insert_with(|| why.clone());
            }
            self.builds.entry(package.id).or_insert(why);
        }
        Ok(())
    }
}
