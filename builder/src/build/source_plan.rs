//! The sources of a whole plan, brought before anything is built: a mirror that is gone is found in the first second, and not after the
//! dependencies were built.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::error::Result;
use crate::fetch::{Fetcher, Progress, Source};
use crate::graph::{Graph, Package};

/// Fetches what the builds of `packages`, indices into the graph, will ask for and is neither in the store nor in the cache. What is
/// there with the right size counts as had; the build that uses it hashes it.
///
/// # Errors
/// A source that no mirror gave, with the package that needs it.
pub fn bring(graph: &Graph, packages: &[usize], fetcher: &Fetcher, progress: &dyn Progress) -> Result<usize> {
    let wanted = missing(packages.iter().map(|index| &graph.packages()[*index]), fetcher)?;
    fetcher.fetch_each(&wanted, progress).map(|paths| paths.len())
}

/// Each source once, with the folder of a recipe that names it.
fn missing<'a>(
    packages: impl Iterator<Item = &'a Package>,
    fetcher: &Fetcher,
) -> Result<Vec<(Source, PathBuf)>> {
    let (mut wanted, mut seen) = (Vec::new(), BTreeSet::new());
    for package in packages {
        for source in package.sources()? {
            // Two recipes may give one file other mirrors, or other sizes: then both are asked.
            let key = (source.sha256.hex(), source.size, source.mirrors.clone());
            if !fetcher.seems_there(&source) && seen.insert(key) {
                wanted.push((source, package.recipe.folder.clone()));
            }
        }
    }
    Ok(wanted)
}
