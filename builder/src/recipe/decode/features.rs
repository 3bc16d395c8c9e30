//! What a recipe leaves open, as it is written: `feature` and `variant`.

use std::collections::{BTreeMap, BTreeSet};

use profiles::decode::{Block, Node, Shape};
use profiles::linkage::{LIBC, LINKAGE};
use profiles::{Choice, Name, suggest};

use super::values::{Line, PlainName, one_of};
use super::{linkage, optional};
use crate::choice::name::{self, VARIANT};
use crate::choice::{Feature, FeatureValue, RESERVED, Rule, When};

const FEATURE: Shape = Shape::arguments("name").properties(&["default"]).block(&[
    "description",
    "value",
    "only-with",
    "requires",
    "conflicts",
]);
const VALUE: Shape = Shape::arguments("name").block(&["requires", "conflicts"]);
const VARIANTS: Shape = Shape::arguments("name").properties(&["default"]);
const CONDITION: Shape = Shape::argument("condition");

/// All of them, sorted by name; `None` when errors were noted.
pub(super) fn of(block: &Block<'_>) -> Option<Vec<Feature>> {
    let features = block.each("feature", feature);
    block.distinct("feature");
    let variants = block.at_most_one(VARIANT, variants);
    let axes = linkage::axes(block);
    let mut features = features?;
    features.extend(variants?);
    features.extend(axes?);
    if !have_own_variables(block, &features) || !only_with_holds(block, &features) {
        return None;
    }
    features.sort_by(|a, b| a.name.cmp(&b.name));
    Some(features)
}

/// Whether all that a condition names is there.
///
/// # Errors
/// The word that is not, and the remedy.
pub(super) fn check(when: &When, features: &[Feature]) -> Result<(), (String, String)> {
    let find = |name: &str| features.iter().find(|feature| feature.name == name);
    for name in when.features() {
        if find(name).is_none() {
            let known: Vec<&str> = features.iter().map(|feature| feature.name.as_str()).collect();
            return Err((format!("this recipe has no feature '{name}'"), suggest::remedy(name, &known)));
        }
    }
    for (name, value) in when.values() {
        let feature = find(name).map(|feature| feature.accept(&Choice::Of(value.clone())));
        if let Some(Err((message, help))) = feature {
            return Err((format!("feature {message}"), help));
        }
    }
    Ok(())
}

fn feature(node: Node<'_>) -> Option<Feature> {
    let node = node.shape(&FEATURE)?;
    let mut names = node.arguments::<PlainName>("name")?.into_iter().map(|name| name.0);
    let name = names.next()?;
    if [VARIANT, LINKAGE, LIBC].contains(&name.as_str()) {
        return node.refuse(
            format!("a feature cannot be called '{name}'"),
            format!("write a node {name} of its own: see docs/recipes.md"),
        );
    }
    if RESERVED.contains(&name.as_str()) {
        return node.refuse(
            format!("a feature cannot be called '{name}'"),
            "the word means something else: choose another",
        );
    }
    let values = values(node, names.collect())?;
    // Who asks for a value of it writes a property, and a slip in one of these words must not choose anything.
    if let Some(near) = suggest::nearest(&name, RESERVED).filter(|_| !values.is_empty()) {
        return node.refuse(
            format!("a feature with values cannot be called '{name}': that is one slip away from '{near}'"),
            "choose another name",
        );
    }
    let block = node.block();
    let description = optional::<Line>(&block, "description");
    let only_with = block.at_most_one("only-with", condition);
    let mut rules = rules(&block, None)?;
    for value in block.all("value") {
        let of = value.key().and_then(|name| Name::parse(name).ok());
        rules.extend(self::rules(&value.block(), of.as_ref())?);
    }
    let default = default(node, &values)?;
    Some(Feature {
        name,
        values,
        default,
        description: description?.map(|line| line.0),
        only_with: only_with?.unwrap_or_default(),
        rules,
        cannot: Vec::new(),
        span: node.span(),
    })
}

/// The values of a feature, with what the nodes `value` say of them.
fn values(node: Node<'_>, names: Vec<String>) -> Option<Vec<FeatureValue>> {
    let mut described: BTreeMap<String, String> = BTreeMap::new();
    let block = node.block();
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    for value in block.all("value") {
        let mut words = value.shape(&VALUE)?.arguments::<Line>("name")?.into_iter().map(|word| word.0);
        let name = words.next()?;
        if !known.contains(&name.as_str()) {
            return value
                .refuse(format!("'{name}' is no value of this feature"), suggest::remedy(&name, &known));
        }
        if let Some(description) = words.next() {
            described.insert(name, description);
        }
        if let Some(third) = words.next() {
            return value.refuse(
                format!("'{third}' is one word too many"),
                "write the value and one description: value \"none\" \"no HTTPS\"",
            );
        }
    }
    block.distinct("value");
    let mut seen = BTreeSet::new();
    for name in &names {
        if ["on", "off", "true", "false"].contains(&name.as_str()) {
            return node.refuse(
                format!("a value cannot be called '{name}'"),
                "a feature without values is a switch",
            );
        }
        if !seen.insert(name) {
            return node.refuse(format!("the value '{name}' stands twice"), "keep one");
        }
    }
    if names.len() == 1 {
        return node.refuse(
            "a feature with one value leaves nothing open",
            "write a switch, without values, or add another",
        );
    }
    let value = |name: &String| {
        Some(FeatureValue { name: Name::parse(name).ok()?, description: described.get(name).cloned() })
    };
    names.iter().map(value).collect()
}

/// `#true` or `#false` of a switch, else one of the values.
fn default(node: Node<'_>, values: &[FeatureValue]) -> Option<Choice> {
    if values.is_empty() {
        return node.property::<bool>("default").map(|on| if on { Choice::On } else { Choice::Off });
    }
    one_of(node, values, "values")
}

fn rules(block: &Block<'_>, of: Option<&Name>) -> Option<Vec<Rule>> {
    let kind = |word: &str, must_hold: bool| {
        block.each(word, |node| {
            Some(Rule { of: of.cloned(), must_hold, when: condition(node)?, span: node.span() })
        })
    };
    let (requires, conflicts) = (kind("requires", true), kind("conflicts", false));
    Some([requires?, conflicts?].concat())
}

fn condition(node: Node<'_>) -> Option<When> {
    node.shape(&CONDITION)?.argument("condition")
}

fn variants(node: Node<'_>) -> Option<Feature> {
    let node = node.shape(&VARIANTS)?;
    let names = node.arguments::<PlainName>("name")?;
    let value = |name: PlainName| Some(FeatureValue { name: Name::parse(&name.0).ok()?, description: None });
    let values = names.into_iter().map(value).collect::<Option<Vec<_>>>()?;
    Some(Feature {
        name: VARIANT.to_owned(),
        default: one_of(node, &values, "variants")?,
        values,
        description: None,
        only_with: When::default(),
        rules: Vec::new(),
        cannot: Vec::new(),
        span: node.span(),
    })
}

/// Notes a feature whose variable another one has.
fn have_own_variables(block: &Block<'_>, features: &[Feature]) -> bool {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for (node, feature) in block.all("feature").zip(features) {
        let variable = name::variable(&feature.name);
        if let Some(first) = seen.get(&variable) {
            node.error(
                format!("the features '{first}' and '{}' have one variable, {variable}", feature.name),
                "rename one of them",
            );
            return false;
        }
        seen.insert(variable, &feature.name);
    }
    true
}

/// Notes what a feature says of features that are not there, and those that are there only with each other.
fn only_with_holds(block: &Block<'_>, features: &[Feature]) -> bool {
    let mut sound = true;
    for (node, feature) in block.all("feature").zip(features) {
        let asked = feature.rules.iter().map(|rule| &rule.when).chain([&feature.only_with]);
        for when in asked {
            if let Err((message, help)) = check(when, features) {
                node.error(message, help);
                sound = false;
            }
        }
        if let Some(circle) = circle(features, &feature.name) {
            let message = format!("features are there only with each other: {circle}");
            node.error(message, "remove `only-with` from one of them");
            return false;
        }
    }
    sound
}

/// The way along `only-with` from a feature back to it.
fn circle(features: &[Feature], start: &str) -> Option<String> {
    let (mut waiting, mut seen) = (vec![vec![start]], BTreeSet::new());
    while let Some(way) = waiting.pop() {
        let last = way.last().copied()?;
        let Some(feature) = features.iter().find(|feature| feature.name == last) else { continue };
        for next in feature.only_with.features() {
            let way: Vec<&str> = way.iter().copied().chain([next]).collect();
            if next == start {
                return Some(way.join(" -> "));
            }
            if seen.insert(next) {
                waiting.push(way);
            }
        }
    }
    None
}
