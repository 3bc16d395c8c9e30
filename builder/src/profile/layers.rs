//! The layers of a profile: from the packages that it asks for to the order in which they are stacked.

use profiles::Choice;
use profiles::written::{self, Composition};

use crate::choice::name::VARIANT;
use crate::choice::{Asker, Wishes};
use crate::error::{Error, Result};
use crate::graph::{Graph, Request};
use crate::stacking::check_layers;

/// The packages that a profile asks for, bottom first, and behind them those that can be added.
pub fn requests(composition: &Composition) -> Vec<Request> {
    let wishes = composition.packages.iter().chain(&composition.optional);
    wishes.map(|package| Request { preferred: composition.of_each.clone(), ..request(package) }).collect()
}

/// The layers of a profile, as indices into the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layers {
    /// The stack, bottom first. What an optional package needs is always in it, so that adding one line is enough.
    pub stack: Vec<usize>,
    /// What can be added, in written order.
    pub optional: Vec<usize>,
}

impl Layers {
    /// Sorts what `graph` resolved: `roots` are the indices of [`requests`].
    ///
    /// # Errors
    /// A package that needs an optional one: without it, it would not run. More layers than the kernel joins.
    pub fn of(graph: &Graph, composition: &Composition, roots: &[usize]) -> Result<Layers> {
        let optional = roots.get(composition.packages.len()..).unwrap_or_default();
        let (all, package) = (graph.stack(roots)?, |index: usize| &graph.packages()[index]);
        for index in &all {
            for needed in &package(*index).depends {
                let name = &package(*needed).recipe.name;
                if optional.iter().any(|optional| package(*optional).recipe.name == *name) {
                    let cause = format!("{} needs {name}, which is optional", package(*index).recipe.name);
                    return Err(Error::new(format!("profile {}", composition.name), cause)
                        .remedy(format!("move {name} from 'optional' to 'packages'")));
                }
            }
        }
        let stack: Vec<usize> = all.into_iter().filter(|index| !optional.contains(index)).collect();
        let object = || format!("profile {}", composition.name);
        let own = usize::from(!composition.settings.is_empty());
        check_layers(object(), "it", stack.len() + own)?;
        check_layers(object(), "what can be added to it", optional.len())?;
        Ok(Layers { stack, optional: optional.to_vec() })
    }

    /// All of them, bottom first.
    pub fn all(&self) -> Vec<usize> {
        [self.stack.as_slice(), &self.optional].concat()
    }
}

fn request(package: &written::Package) -> Request {
    let features = package.features.iter().map(|(name, choice)| (name.as_str().to_owned(), choice.clone()));
    let variant = package.variant.iter().map(|name| (VARIANT.to_owned(), Choice::Of(name.clone())));
    let by = Asker::Profile(package.span.clone());
    Request {
        wishes: Wishes { choices: features.chain(variant).collect(), by },
        condition: package.version.clone(),
        ..Request::plain(package.name.clone())
    }
}
