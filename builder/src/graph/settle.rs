//! One build of each package: which of several is meant, where layers come together in one root.
//!
//! Who has said nothing of a choice takes what others have said. What two have said that exclude each other is an error with both places.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use profiles::linkage::LIBC;
use profiles::version::Condition;
use profiles::{Choice, Name};

use super::{Graph, Package, Place};
use crate::choice::{Asker, shown};
use crate::error::{Error, Result};
use crate::recipe::{Dependency, Recipe};

/// That a package is wanted below another one, or in a system.
#[derive(Debug, Clone)]
pub(super) struct Need {
    /// The build that this need alone comes to.
    pub(super) place: Place,
    /// What was said of its version.
    pub(super) condition: Condition,
    /// What was said of its choices.
    pub(super) choices: BTreeMap<String, Choice>,
    /// Who has said so.
    pub(super) by: Asker,
}

/// Which build a name stands for in one root.
#[derive(Debug, Default)]
pub(super) struct OneOfEach {
    /// Those that are given, such as the packages of a profile.
    fixed: BTreeMap<Name, usize>,
    chosen: BTreeMap<Name, usize>,
}

impl OneOfEach {
    /// Decides for `needs` and all that they need to run; those in `fixed` are given.
    ///
    /// # Errors
    /// No build of a package has all that is asked of it.
    pub(super) fn decide(graph: &Graph, needs: &[Need], fixed: &[usize]) -> Result<Self> {
        let fixed: BTreeMap<Name, usize> =
            fixed.iter().map(|index| (graph.packages[*index].recipe.name.clone(), *index)).collect();
        let mut one = OneOfEach { chosen: fixed.clone(), fixed };
        if one.is_plain(graph, needs) {
            return Ok(one);
        }
        // What a build asks for that is not taken in the end does not count: so each round asks again, and nothing is refused before the
        // answers stay the same. A round decides of one name more at least, or is the last.
        for _ in 0..=graph.packages.len() {
            let all = one.all_needs(graph, needs);
            let answers: BTreeMap<&Name, Option<usize>> =
                all.iter().map(|(name, needs)| (name, one.choose(graph, name, needs))).collect();
            let chosen: BTreeMap<Name, usize> =
                answers.iter().filter_map(|(name, index)| Some(((*name).clone(), (*index)?))).collect();
            let is_settled = chosen == one.chosen;
            if is_settled && let Some((name, _)) = answers.iter().find(|(_, index)| index.is_none()) {
                return Err(one.refusal(graph, name, &all[*name]));
            }
            if is_settled {
                return Ok(one);
            }
            one.chosen = chosen;
        }
        Err(Error::new("packages", "ask for each other's builds in a circle, and none of them is the last")
            .remedy("say in the profile, or on the command line, which choices are meant"))
    }

    /// Whether there is one build of each name anyway, which then has all that was asked of it. It is so nearly always, and found without
    /// looking at what anybody has said.
    fn is_plain(&self, graph: &Graph, needs: &[Need]) -> bool {
        let (mut builds, mut seen) = (BTreeMap::new(), BTreeSet::new());
        let mut waiting: Vec<Place> = needs.iter().map(|need| need.place).collect();
        while let Some(place) = waiting.pop() {
            if !seen.insert(place) {
                continue;
            }
            let package = &graph.packages[place.index];
            if *builds.entry(&package.recipe.name).or_insert_with(|| self.of(graph, place).index)
                != place.index
            {
                return false;
            }
            waiting.extend(package.below(graph, place.linked));
        }
        true
    }

    /// The build that stands for that at `place`, at the same place.
    pub(super) fn of(&self, graph: &Graph, place: Place) -> Place {
        let chosen = self.chosen.get(&graph.packages[place.index].recipe.name).copied();
        Place { index: chosen.unwrap_or(place.index), ..place }
    }

    /// Everything that is needed, by name, as far as is decided.
    fn all_needs(&self, graph: &Graph, needs: &[Need]) -> BTreeMap<Name, Vec<Need>> {
        let mut by_name: BTreeMap<Name, Vec<Need>> = BTreeMap::new();
        let (mut waiting, mut seen) = (needs.to_vec(), BTreeSet::new());
        while let Some(need) = waiting.pop() {
            let place = self.of(graph, need.place);
            let package = &graph.packages[place.index];
            if seen.insert(place) {
                waiting.extend(package.needs_below(graph, place.linked));
            }
            by_name.entry(package.recipe.name.clone()).or_default().push(need);
        }
        by_name
    }

    /// Of the builds that are asked for, the one that all are content with.
    fn choose(&self, graph: &Graph, name: &Name, needs: &[Need]) -> Option<usize> {
        let mut builds: Vec<usize> = match self.fixed.get(name) {
            Some(given) => vec![*given],
            None => {
                needs.iter().map(|need| need.place.index).collect::<BTreeSet<usize>>().into_iter().collect()
            }
        };
        builds.sort_by(|a, b| graph.packages[*a].before(&graph.packages[*b]));
        builds.into_iter().find(|index| needs.iter().all(|need| graph.packages[*index].meets(need)))
    }

    /// The same error in whatever order the needs come.
    fn refusal(&self, graph: &Graph, name: &Name, needs: &[Need]) -> Error {
        let asking = needs.iter().filter(|need| !need.choices.is_empty() || !need.condition.is_any());
        let words = |need: &Need| {
            let version = (!need.condition.is_any()).then(|| need.condition.to_string());
            let choices = need.choices.iter().map(|(name, choice)| shown(name, choice));
            version.into_iter().chain(choices).collect::<Vec<_>>().join(" ")
        };
        let mut said: Vec<(String, &Asker)> =
            asking.map(|need| (format!("{} {}", words(need), need.by), &need.by)).collect();
        said.sort_by(|a, b| a.0.cmp(&b.0));
        said.dedup_by(|a, b| a.0 == b.0);
        let mut sentences: Vec<String> = said.iter().map(|(sentence, _)| sentence.clone()).collect();
        if let Some(index) = self.fixed.get(name) {
            let has = graph.packages[*index].selection.features().map(|(name, choice)| shown(name, choice));
            let version = graph.packages[*index].recipe.version.to_string();
            let has: Vec<String> = [version].into_iter().chain(has).collect();
            sentences.push(format!("the one that is there has {}", has.join(" ")));
        }
        let cause = format!("no build of it has all that is asked for: {}", sentences.join("; "));
        let error = Error::new(format!("package {name}"), cause)
            .remedy(format!("ask for the same everywhere; in a profile, say it once, behind {name}"));
        match said.first() {
            Some((_, by)) => by.point(error),
            None => error,
        }
    }
}

impl Package {
    /// Whether this build is what is asked for.
    fn meets(&self, need: &Need) -> bool {
        let feature = |name: &str| self.recipe.features.iter().find(|feature| feature.name == name);
        let is_chosen = |(name, wish): (&String, &Choice)| {
            let wanted = feature(name).and_then(|it| it.accept(wish).ok());
            wanted.is_some_and(|choice| choice == *self.selection.get(name))
        };
        self.versions.admits(&self.recipe.version, &need.condition) && need.choices.iter().all(is_chosen)
    }

    /// The order in which builds of one package are tried: the newest first, whoever was asked first.
    fn before(&self, other: &Package) -> Ordering {
        let newer = other.recipe.version.partial_cmp(&self.recipe.version).unwrap_or(Ordering::Equal);
        newer.then_with(|| self.selection.cmp(&other.selection))
    }

    /// What is said of all that comes with it. An archive is content with any linkage of what it needs itself: whoever links it in decides.
    fn needs_below(&self, graph: &Graph, linked: bool) -> Vec<Need> {
        let libraries = self.libraries.iter().map(|index| &graph.packages[*index]);
        let come_along = libraries.zip(&self.instructions.libraries).filter(|it| self.leaves_to_others(it.0));
        let to_link = come_along
            .map(|(below, library)| library.asking(|name| name == LIBC && below.recipe.leaves_open(name)));
        let said: Vec<Dependency> = self.run_depends.iter().cloned().chain(to_link).collect();
        needs(&self.recipe, self.below(graph, linked), &said)
    }
}

/// What a recipe says of its dependencies, each of which came to the build of that index.
pub(super) fn needs(
    recipe: &Recipe,
    places: impl Iterator<Item = Place>,
    dependencies: &[Dependency],
) -> Vec<Need> {
    let need = |(place, dependency): (Place, &Dependency)| Need {
        place,
        condition: dependency.condition.clone(),
        choices: dependency.choices.clone(),
        by: Asker::Dependent(recipe.name.clone(), dependency.span.clone()),
    };
    places.zip(dependencies).map(need).collect()
}
