//! What the targets of a command line come to: packages and profiles as requests, and the stacks that they make.

use std::num::NonZero;
use std::ops::Range;

use profiles::written::Composition;

use super::targets::{self, Target};
use crate::build::Records;
use crate::choice::{Asker, Wishes};
use crate::command::context::Context;
use crate::error::{Error, Result};
use crate::graph::{Graph, Request};
use crate::profile::kernel::ProfileKernel;
use crate::profile::layers::{Layers, requests};
use crate::profile::lock::{self, Builds};
use crate::profile::named::{self, Meaning, Named};
use crate::recipe::RecipeFolder;
use crate::store::Store;

/// What the targets of a command line come to.
pub(super) struct Wanted {
    /// All of them, each package of a profile too.
    pub(super) requests: Vec<Request>,
    /// The requests that belong together, each as one stack.
    stacks: Vec<Range<usize>>,
    /// The profiles among the targets, to be locked in the end.
    pub(super) profiles: Vec<Composition>,
}

impl Wanted {
    fn add(&mut self, requests: Vec<Request>) {
        let start = self.requests.len();
        self.requests.extend(requests);
        self.stacks.push(start..self.requests.len());
    }

    /// Everything whose image is wanted; `roots` has the index of each request in the graph.
    pub(super) fn images(&self, graph: &Graph, roots: &[usize]) -> Result<Vec<usize>> {
        let stacks: Vec<Vec<usize>> =
            self.stacks.iter().map(|stack| graph.stack(&roots[stack.clone()])).collect::<Result<_>>()?;
        Ok(stacks.concat())
    }

    /// Refuses profiles that could not be locked, before anything is built for them.
    pub(super) fn check_profiles(&self, graph: &Graph, roots: &[usize], store: &Store) -> Result<()> {
        self.profiles.iter().try_for_each(|it| ProfileKernel::of(it, store).map(drop))?;
        let stacks = self.profiles.iter().zip(&self.stacks);
        stacks
            .map(|(composition, stack)| Layers::of(graph, composition, &roots[stack.clone()]))
            .try_for_each(|layers| layers.map(|_| ()))
    }

    /// Locks the profiles among the targets, now that everything is built.
    pub(super) fn lock(
        &self,
        context: &Context,
        store: &Store,
        graph: &Graph,
        roots: &[usize],
        (records, jobs): (&Records, NonZero<usize>),
    ) -> Result<()> {
        for (composition, stack) in self.profiles.iter().zip(&self.stacks) {
            let layers = Layers::of(graph, composition, &roots[stack.clone()])?;
            let locked = lock::lock(composition, &builds(&layers, records), store, jobs)?;
            super::locked::publish(context, store, &locked)?;
        }
        Ok(())
    }
}

/// The records of a profile's layers; those that are not built are left out.
pub(super) fn builds<'a>(layers: &Layers, records: &'a Records) -> Builds<'a> {
    let of = |indices: &[usize]| indices.iter().filter_map(|index| records.get(index)).collect();
    Builds { stack: of(&layers.stack), optional: of(&layers.optional) }
}

/// Reads the targets of a command line; with `all` there are none, and every package that is not `apart` is meant.
///
/// # Errors
/// A name that is neither a package nor a profile, or not what `meaning` says; choices of a profile; both targets and `all`, or neither.
pub(super) fn wanted(
    context: &Context,
    recipes: &RecipeFolder,
    targets: &[String],
    all: bool,
    meaning: Meaning,
) -> Result<Wanted> {
    let mut wanted = Wanted { requests: Vec::new(), stacks: Vec::new(), profiles: Vec::new() };
    let mut packages = Vec::new();
    let targets = targets::targets(targets)?;
    if targets.is_empty() != all {
        return Err(Error::new("targets", "name packages or profiles, or give --all, not both")
            .remedy("for example: lamina build console"));
    }
    if all {
        packages.extend(recipes.all()?.into_iter().map(Request::plain));
    }
    for Target { name, version, choices } in targets {
        match named::find(&name, meaning, recipes, &context.profiles()?)? {
            Named::Package(name) => {
                let wishes = Wishes { choices, by: Asker::CommandLine };
                packages.push(Request { wishes, condition: version, ..Request::plain(name) });
            }
            Named::Profile(_) if !choices.is_empty() || !version.is_any() => {
                return Err(Error::new(format!("profile {name}"), "takes no choices on the command line")
                    .remedy("write them into the profile, behind the package"));
            }
            Named::Profile(composition) => {
                wanted.add(requests(&composition));
                wanted.profiles.push(*composition);
            }
        }
    }
    for package in packages {
        wanted.add(vec![package]);
    }
    Ok(wanted)
}
