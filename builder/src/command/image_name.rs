//! The image that a word of the command line means: a file, or a build of the store.

use std::path::{Path, PathBuf};

use profiles::Name;

use crate::command::context::Context;
use crate::error::{Error, Result};
use crate::graph::{Graph, Request};
use crate::store::{BuildRecord, Store};

/// More builds than this are not listed in a message.
const MOST_LISTED: usize = 8;

/// What was meant.
pub(super) enum Named {
    File(PathBuf),
    Build(Store, Box<BuildRecord>),
}

impl Named {
    /// Where the image lies.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Named::File(path) => path.clone(),
            Named::Build(store, record) => store.image_path(&record.digest),
        }
    }
}

/// Finds it.
pub(super) fn find(context: &Context, word: &str) -> Result<Named> {
    if word.contains('/') || word.ends_with(".sqfs") || word.ends_with(".erofs") {
        return Ok(Named::File(PathBuf::from(word)));
    }
    let store = context.store()?;
    let records = if store.root().exists() { store.records()?.sound } else { Vec::new() };
    let recipes = context.recipes().ok();
    let known = |name: &Name| {
        records.iter().any(|it| it.name == *name) || recipes.as_ref().is_some_and(|tree| tree.has(name))
    };
    let choice = match Choice::parse(word, known) {
        Ok(choice) => choice,
        Err(_) if Path::new(word).is_file() => return Ok(Named::File(PathBuf::from(word))),
        Err(error) => return Err(error),
    };
    let of_name: Vec<BuildRecord> = records.into_iter().filter(|record| record.name == choice.name).collect();
    if of_name.is_empty() && Path::new(word).exists() {
        return Ok(Named::File(PathBuf::from(word)));
    }
    let record = choice.pick(context, &store, of_name)?;
    Ok(Named::Build(store, Box::new(record)))
}

/// `NAME@VERSION-OR-ID+CHOICE+CHOICE`.
struct Choice {
    name: Name,
    at: Option<String>,
    with: Vec<String>,
}

impl Choice {
    fn parse(word: &str, known: impl Fn(&Name) -> bool) -> Result<Choice> {
        // Names may have a plus themselves, as in `c++`: the longest name that is known is meant.
        let head = word.split('@').next().unwrap_or(word);
        let pluses: Vec<usize> = head.match_indices('+').map(|(at, _)| at).collect();
        let ends = [head.len()].into_iter().chain(pluses.iter().rev().copied());
        let end = ends.into_iter().find(|end| Name::parse(&head[..*end]).is_ok_and(|name| known(&name)));
        let (name, rest) = word.split_at(end.or(pluses.first().copied()).unwrap_or(head.len()));
        let remedy = "give a package, or the path of an image, with a slash in it or .sqfs at its end";
        let name =
            Name::parse(name).map_err(|error| Error::caused(format!("'{word}'"), error).remedy(remedy))?;
        let (at, with) = match rest.strip_prefix('@') {
            Some(rest) => match rest.split_once('+') {
                Some((at, with)) => (Some(at), Some(with)),
                None => (Some(rest), None),
            },
            None => (None, rest.strip_prefix('+')),
        };
        let with: Vec<String> = with.map(|it| it.split('+').map(str::to_owned).collect()).unwrap_or_default();
        if at.is_some_and(str::is_empty) || with.iter().any(String::is_empty) {
            return Err(Error::new(format!("'{word}'"), "names nothing after its @ or +")
                .remedy("give NAME@VERSION, NAME@ID or NAME+FEATURE"));
        }
        Ok(Choice { name, at: at.map(str::to_owned), with })
    }

    fn fits(&self, record: &BuildRecord) -> bool {
        let at = self
            .at
            .as_ref()
            .is_none_or(|at| record.version == *at || record.id.hex().starts_with(at.as_str()));
        let has = |word: &String| {
            let feature = |name: &str| record.features.get(name);
            let value =
                word.split_once('=').and_then(|(name, value)| Some((feature(name)?.to_string(), value)));
            feature(word) == Some(&profiles::Choice::On)
                || value.is_some_and(|(chosen, value)| chosen == value)
                || record.variant.as_ref() == Some(word)
        };
        at && self.with.iter().all(has)
    }

    fn pick(&self, context: &Context, store: &Store, of_name: Vec<BuildRecord>) -> Result<BuildRecord> {
        let name = &self.name;
        let known = of_name.iter().map(label).take(MOST_LISTED).collect::<Vec<_>>().join("\n    ");
        let mut fitting: Vec<BuildRecord> = Vec::new();
        for record in of_name.into_iter().filter(|record| self.fits(record)) {
            fitting.extend(store.finished_build(&record.id)?);
        }
        if self.at.is_none()
            && self.with.is_empty()
            && let Some(id) = asked_by_tree(context, name)?
        {
            return fitting.into_iter().find(|record| record.id == id).ok_or_else(|| {
                let cause = if known.is_empty() {
                    "is not built".to_owned()
                } else {
                    format!("is not built as the tree has it now; the store has\n    {known}")
                };
                Error::new(format!("package {name}"), cause)
                    .remedy(format!("`lamina build {name}` builds it"))
            });
        }
        match (fitting.len(), fitting.pop()) {
            (1, Some(record)) => Ok(record),
            (0, _) if known.is_empty() => Err(Error::new(format!("package {name}"), "has no build in this store")
                .remedy("`lamina store list` says what there is; the path of an image has a slash in it or ends in .sqfs")),
            (0, _) => Err(Error::new(format!("package {name}"), format!("no build fits; the store has\n    {known}"))
                .remedy("name one of these, as NAME@ID")),
            (_, last) => {
                fitting.extend(last);
                let list = fitting.iter().map(label).take(MOST_LISTED).collect::<Vec<_>>().join("\n    ");
                Err(Error::new(format!("package {name}"), format!("{} builds fit\n    {list}", fitting.len()))
                    .remedy("name one of them, as NAME@ID"))
            }
        }
    }
}

/// The id of the package as the tree has it now; `None` without a tree, or when it has no such package.
fn asked_by_tree(context: &Context, name: &Name) -> Result<Option<profiles::Digest>> {
    let Ok(recipes) = context.recipes() else { return Ok(None) };
    if !recipes.has(name) {
        return Ok(None);
    }
    let (graph, roots) = Graph::resolve(&recipes, &[Request::plain(name.clone())])?;
    Ok(roots.first().map(|root| graph.packages()[*root].id))
}

/// `hello@0123456789ab 2.12 +manual`.
fn label(record: &BuildRecord) -> String {
    format!("{} {}{}", by_id(record), record.version, record.choices())
}

/// `hello@0123456789ab`: the word that means this build and no other.
pub(super) fn by_id(record: &BuildRecord) -> String {
    format!("{}@{}", record.name, &record.id.hex()[..12])
}
