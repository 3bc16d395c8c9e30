//! How a package can be linked, as it is written: `linkage`, `libc`, `mixed`.

use std::collections::BTreeSet;

use profiles::decode::{Block, Node, Shape};
use profiles::linkage::{LIBC, LIBCS, LINKAGE, LINKAGES};
use profiles::{Choice, Name, suggest};

use super::values::{Line, one_of};
use crate::choice::{Feature, FeatureValue, When};
use crate::recipe::{Conditional, Dependency};

const AXIS: Shape = Shape::arguments("value").properties(&["default"]).block(&["cannot"]);
const CANNOT: Shape = Shape::arguments("value and reason");
const MIXED: Shape = Shape::BARE.block(&["shared"]);
const SHARED: Shape = Shape::arguments("name");

/// The two choices that libraries inherit, as far as the recipe has them; `None` when errors were noted.
pub(super) fn axes(block: &Block<'_>) -> Option<Vec<Feature>> {
    let linkage = block.at_most_one(LINKAGE, |node| axis(node, LINKAGE, &LINKAGES));
    let libc = block.at_most_one(LIBC, |node| axis(node, LIBC, &LIBCS));
    Some([linkage?, libc?].into_iter().flatten().collect())
}

fn axis(node: Node<'_>, name: &str, known: &[&str]) -> Option<Feature> {
    let node = node.shape(&AXIS)?;
    let words = node.arguments::<Line>("value")?.into_iter().map(|word| word.0).collect::<Vec<_>>();
    let mut seen = BTreeSet::new();
    for word in &words {
        if !known.contains(&word.as_str()) {
            return node.refuse(format!("there is no {name} '{word}'"), suggest::remedy(word, known));
        }
        if !seen.insert(word) {
            return node.refuse(format!("'{word}' stands twice"), "keep one");
        }
    }
    let cannot = node.block().each("cannot", |node| cannot(node, &words, known));
    node.block().distinct("cannot");
    let value = |word: &String| Some(FeatureValue { name: Name::parse(word).ok()?, description: None });
    let values = words.iter().map(value).collect::<Option<Vec<_>>>()?;
    let default = match values.as_slice() {
        [only] if !node.has("default") => Choice::Of(only.name.clone()),
        _ => one_of(node, &values, "values")?,
    };
    Some(Feature {
        name: name.to_owned(),
        values,
        default,
        description: None,
        only_with: When::default(),
        rules: Vec::new(),
        cannot: cannot?,
        span: node.span(),
    })
}

/// A value that the package cannot have, with the reason as its description.
fn cannot(node: Node<'_>, values: &[String], known: &[&str]) -> Option<FeatureValue> {
    let words = node.shape(&CANNOT)?.arguments::<Line>("value and reason")?;
    let words: Vec<String> = words.into_iter().map(|word| word.0).collect();
    let [value, reason] = words.as_slice() else {
        return node
            .refuse("here stand a value and the reason", "write: cannot \"static\" \"it loads modules\"");
    };
    if values.contains(value) {
        let help = "remove it from the values, or remove this";
        return node.refuse(format!("'{value}' is one of the values that it can have"), help);
    }
    match Name::parse(value).ok().filter(|_| known.contains(&value.as_str())) {
        Some(name) => Some(FeatureValue { name, description: Some(reason.clone()) }),
        None => node.refuse(format!("there is no value '{value}'"), suggest::remedy(value, known)),
    }
}

/// What stays shared in a mixed package: names of libraries, and of features that choose some. `None` when errors were noted.
pub(super) fn shared(
    recipe: Node<'_>,
    features: &[Feature],
    libraries: &[Conditional<Dependency>],
) -> Option<Vec<Name>> {
    let block = recipe.block();
    let feature = |name: &str| features.iter().find(|feature| feature.name == name);
    let can_be_mixed =
        feature(LINKAGE).is_some_and(|it| it.values.iter().any(|value| value.name.as_str() == "mixed"));
    if !libraries.is_empty() && feature(LINKAGE).is_none() {
        return recipe
            .refuse("a package that has libraries says how it is linked", "add: linkage \"static\"");
    }
    if can_be_mixed && feature(LIBC).is_none() {
        let cause = "a package that can be mixed says which C library it has";
        return recipe.refuse(cause, "add: libc \"musl\"");
    }
    let Some(node) = block.one("mixed") else {
        return match can_be_mixed {
            false => Some(Vec::new()),
            true => recipe.refuse(
                "nothing says which libraries a mixed package shares",
                "add: mixed { shared \"NAME\"; }, with names of `libraries`, or of a feature that chooses one",
            ),
        };
    };
    if !can_be_mixed {
        return node.refuse("this package cannot be mixed", "add \"mixed\" to `linkage`, or remove this");
    }
    let node = node.shape(&MIXED)?;
    let names = node.block().required("shared")?.shape(&SHARED)?.arguments::<Name>("name")?;
    if let Some(again) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        return node.refuse(format!("'{}' stands twice", again.1), "keep one");
    }
    let is_one = |name: &Name| libraries.iter().any(|it| it.is_meant_by(name));
    match names.iter().find(|name| !is_one(name)) {
        None => Some(names),
        Some(name) => {
            let chooses = libraries.iter().flat_map(|it| it.when.features());
            let known: Vec<&str> = libraries.iter().map(|it| it.item.name.as_str()).chain(chooses).collect();
            let message = format!("'{name}' is no library of this package, and no feature that chooses one");
            node.refuse(message, suggest::remedy(name.as_str(), &known))
        }
    }
}
