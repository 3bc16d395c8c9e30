//! Recipes read by several threads before anybody walks their graph: parsing them is most of what planning takes.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use profiles::Name;

use super::{Recipe, RecipeFolder, Versions};
use crate::error::Result;

/// More threads than this would wait for one another.
const MOST_THREADS: usize = 8;

/// What the threads share.
#[derive(Default)]
struct Queue {
    waiting: Vec<Name>,
    seen: BTreeSet<Name>,
    /// How many threads are reading; each may find more names.
    busy: usize,
    read: BTreeMap<String, Result<Arc<Versions>>>,
}

impl Queue {
    fn add(&mut self, name: &Name) {
        if self.seen.insert(name.clone()) {
            self.waiting.push(name.clone());
        }
    }
}

/// The recipes of `names` and of all that they surely need, by name, each as [`RecipeFolder::load`] answers.
///
/// It is a guess that saves time: a recipe that is missing, or needed with some feature only, is left to whoever asks for it.
pub(crate) fn read_ahead<'a>(
    recipes: &RecipeFolder,
    names: impl Iterator<Item = &'a Name>,
) -> BTreeMap<String, Result<Arc<Versions>>> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS);
    if threads == 1 {
        return BTreeMap::new();
    }
    let (mut queue, changed) = (Queue::default(), Condvar::new());
    names.for_each(|name| queue.add(name));
    let queue = Mutex::new(queue);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| read(recipes, &queue, &changed));
        }
    });
    queue.into_inner().unwrap_or_else(PoisonError::into_inner).read
}

fn read(recipes: &RecipeFolder, queue: &Mutex<Queue>, changed: &Condvar) {
    let mut guard = queue.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let Some(name) = guard.waiting.pop() else {
            if guard.busy == 0 {
                return;
            }
            guard = changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        guard.busy += 1;
        drop(guard);
        // A reader that panics does so again for whoever asks: here it would leave the other threads waiting.
        let load = || recipes.has(&name).then(|| recipes.load_all(&name).map(Arc::new));
        let recipe = std::panic::catch_unwind(std::panic::AssertUnwindSafe(load)).ok().flatten();
        guard = queue.lock().unwrap_or_else(PoisonError::into_inner);
        guard.busy -= 1;
        if let Some(recipe) = recipe {
            recipe.iter().for_each(|recipe| needed(recipe.newest()).for_each(|name| guard.add(name)));
            guard.read.insert(name.as_str().to_owned(), recipe);
        }
        changed.notify_all();
    }
}

/// The names that the recipe needs whatever was chosen.
fn needed(recipe: &Recipe) -> impl Iterator<Item = &Name> {
    let dependencies = recipe.libraries.iter().chain(&recipe.build_depends).chain(&recipe.depends);
    let always = dependencies.filter(|dependency| dependency.is_always_there());
    always.map(|dependency| &dependency.item.name).chain([&recipe.bootstrap])
}
