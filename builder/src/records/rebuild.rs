//! Which builds are up to date, and why the others are not.

use std::collections::{BTreeMap, BTreeSet};

use profiles::{Choice, Digest, Name};

use super::cause::{Comparison, Why};
use super::known_text::KnownTexts;
use crate::build::plan::{Action, Plan};
use crate::choice::name::VARIANT;
use crate::choice::{Asker, Selection, Wishes, shown};
use crate::error::Result;
use crate::graph::{Graph, Package, Request};
use crate::recipe::RecipeFolder;
use crate::store::{BuildRecord, Store};

/// A build that is there, or that is wanted.
#[derive(Debug, Clone)]
pub struct Row {
    /// The package.
    pub name: Name,
    /// Its version, as the recipes give it now.
    pub version: String,
    /// Its choices, each with a blank before it.
    pub choices: String,
    /// The id that the recipes give now; `None` where they give none.
    pub id: Option<Digest>,
    /// The build of the store that it was compared with.
    pub before: Option<Digest>,
    /// Whether it is up to date.
    pub state: State,
}

/// Whether a build is up to date.
#[derive(Debug, Clone)]
pub enum State {
    /// It is there as the recipes have it.
    UpToDate,
    /// It is to be built.
    Needed(Reason),
    /// The recipes do not make it any more, in words.
    Gone(String),
}

/// Why something is to be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The store has no build of the package.
    NeverBuilt,
    /// Its record is there, and its image is missing or has another size.
    ImageLost,
    /// Something has changed.
    Changed(Why),
}

/// What `lamina build` would do, with the reasons.
pub fn of_plan(plan: &Plan, texts: &KnownTexts, records: &[BuildRecord]) -> Vec<Row> {
    let comparison = Comparison { graph: plan.graph, texts };
    let wanted: BTreeSet<Digest> = plan.graph.packages().iter().map(|package| package.id).collect();
    let actions = plan.actions.iter().enumerate();
    let rows = actions.filter_map(|(index, action)| {
        let package = &plan.graph.packages()[index];
        Some(match action.as_ref()? {
            Action::Keep(_) => Row::of(package, Some(package.id), State::UpToDate),
            Action::Build(_) => {
                // A build that something else is now was never this one.
                let earlier = records.iter().filter(|it| it.name == package.recipe.name);
                let earlier = earlier.filter(|it| it.id == package.id || !wanted.contains(&it.id));
                comparison.row(index, earlier)
            }
        })
    });
    rows.collect()
}

/// Compares each build of the store with what the recipes give now for the same package and the same choices. Of several that differ only
/// in what they were made from, one row tells: the older ones need nothing. `asked` is what profiles ask for.
///
/// # Errors
/// A recipe cannot be read, the tree contradicts itself, or the store cannot be read.
pub fn of_store(
    recipes: &RecipeFolder,
    asked: Vec<Request>,
    store: &Store,
    records: &[BuildRecord],
) -> Result<Vec<Row>> {
    // No other recipe is read, of the many that a tree may have.
    let names: BTreeSet<&Name> = records.iter().map(|it| &it.name).filter(|name| recipes.has(name)).collect();
    let plain = names.into_iter().cloned().map(Request::plain);
    let (mut rows, mut groups) = (Vec::new(), Vec::new());
    let mut requests: Vec<Request> = asked.into_iter().chain(plain).collect();
    let (graph, _) = Graph::resolve(recipes, &requests)?;
    let first = requests.len();
    for builds in alike(records) {
        match found(recipes, &graph, builds[0])? {
            Found::InTree => groups.push((builds, None)),
            Found::Asked(request) => {
                groups.push((builds, Some(requests.len() - first)));
                requests.push(*request);
            }
            Found::Gone(why) => rows.push(Row::gone(builds[0], why)),
        }
    }
    let (graph, roots) = Graph::resolve(recipes, &requests)?;
    let texts = KnownTexts::new(store, records);
    let comparison = Comparison { graph: &graph, texts: &texts };
    let mut sorted: Vec<(usize, Row)> = Vec::new();
    for (builds, root) in groups {
        let places = match root {
            Some(root) => vec![roots[first + root]],
            None => of_choices(&graph, builds[0]),
        };
        sorted.extend(comparison.rows(store, &places, &builds)?);
    }
    sorted.sort_by_key(|(index, _)| *index);
    Ok(sorted.into_iter().map(|(_, row)| row).chain(rows).collect())
}

/// The builds that recipes have made, those of one package with the same choices together.
fn alike(records: &[BuildRecord]) -> Vec<Vec<&BuildRecord>> {
    let mut groups: BTreeMap<_, Vec<&BuildRecord>> = BTreeMap::new();
    for record in records.iter().filter(|record| record.is_of_recipe()) {
        groups.entry((&record.name, &record.variant, &record.features)).or_default().push(record);
    }
    groups.into_values().collect()
}

/// What the recipes make of a package with the choices of an earlier build.
enum Found {
    /// The tree asks for it.
    InTree,
    /// It can be asked for.
    Asked(Box<Request>),
    /// They make nothing of it, in words.
    Gone(String),
}

fn found(recipes: &RecipeFolder, graph: &Graph, record: &BuildRecord) -> Result<Found> {
    if !recipes.has(&record.name) {
        return Ok(Found::Gone("this tree has no such package".to_owned()));
    }
    if !of_choices(graph, record).is_empty() {
        return Ok(Found::InTree);
    }
    let known = recipes.load(&record.name)?.features;
    let choices = choices(record).filter(|(name, _)| known.iter().any(|feature| feature.name == *name));
    let wishes = Wishes { choices: choices.collect(), by: Asker::CommandLine };
    let request = Request { wishes, ..Request::plain(record.name.clone()) };
    Ok(match Graph::resolve(recipes, std::slice::from_ref(&request)) {
        Ok(_) => Found::Asked(Box::new(request)),
        Err(error) => {
            Found::Gone(format!("it cannot be built with these choices any more: {}", error.cause()))
        }
    })
}

/// What was chosen for a build, the variant as a feature.
fn choices(record: &BuildRecord) -> impl Iterator<Item = (String, Choice)> {
    let variant = record.variant.as_deref().and_then(|it| Name::parse(it).ok());
    let variant = variant.map(|name| (VARIANT.to_owned(), Choice::Of(name)));
    record.features.clone().into_iter().chain(variant)
}

/// The packages of a graph that are that of `record` with its choices; features that the recipe has no more do not count.
fn of_choices(graph: &Graph, record: &BuildRecord) -> Vec<usize> {
    let is_alike = |package: &Package| {
        let has = |name: &str| package.recipe.features.iter().any(|feature| feature.name == name);
        package.recipe.name == record.name
            && choices(record).all(|(name, choice)| !has(&name) || *package.selection.get(&name) == choice)
    };
    let packages = graph.packages().iter().enumerate();
    packages.filter(|(_, package)| is_alike(package)).map(|(index, _)| index).collect()
}

impl Comparison<'_> {
    /// The rows of builds that are alike, which the recipes make as `places` of the graph now.
    fn rows(&self, store: &Store, places: &[usize], builds: &[&BuildRecord]) -> Result<Vec<(usize, Row)>> {
        let mut rows = Vec::new();
        for index in places {
            let package = &self.graph.packages()[*index];
            if builds.iter().any(|build| build.id == package.id)
                && store.finished_build(&package.id)?.is_some()
            {
                rows.push((*index, Row::of(package, Some(package.id), State::UpToDate)));
            }
        }
        if rows.is_empty() {
            let distance = |index: &&usize| builds.iter().map(|it| self.distance(**index, &it.id)).min();
            let nearest = places.iter().min_by_key(distance);
            rows.extend(nearest.map(|index| (*index, self.row(*index, builds.iter().copied()))));
        }
        Ok(rows)
    }

    /// The row of a package that is not there: compared with the build that is most like it.
    fn row<'r>(&self, index: usize, earlier: impl Iterator<Item = &'r BuildRecord>) -> Row {
        let package = &self.graph.packages()[index];
        let nearest = earlier.min_by_key(|record| match record.id == package.id {
            true => 0,
            false => self.distance(index, &record.id).saturating_add(1),
        });
        let reason = match nearest {
            None => Reason::NeverBuilt,
            Some(record) if record.id == package.id => Reason::ImageLost,
            Some(record) => Reason::Changed(self.why(index, &record.id)),
        };
        Row::of(package, nearest.map(|record| record.id), State::Needed(reason))
    }
}

impl Row {
    fn of(package: &Package, before: Option<Digest>, state: State) -> Row {
        Row {
            name: package.recipe.name.clone(),
            version: package.recipe.version.to_string(),
            choices: shown_choices(&package.selection),
            id: Some(package.id),
            before,
            state,
        }
    }

    fn gone(record: &BuildRecord, why: String) -> Row {
        Row {
            name: record.name.clone(),
            version: record.version.clone(),
            choices: record.choices(),
            id: None,
            before: Some(record.id),
            state: State::Gone(why),
        }
    }

    /// Whether something is to be built.
    pub fn is_needed(&self) -> bool {
        matches!(self.state, State::Needed(_))
    }
}

/// As [`BuildRecord::choices`] has them.
fn shown_choices(selection: &Selection) -> String {
    let features = selection.features().map(|(name, choice)| format!(" {}", shown(name, choice)));
    selection.variant().map(|variant| format!(" {variant}")).into_iter().chain(features).collect()
}
