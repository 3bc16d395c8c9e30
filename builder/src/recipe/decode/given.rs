//! What stands in a recipe for some choices and some versions only.

use std::collections::BTreeMap;

use profiles::decode::{Block, Node, Shape};
use profiles::version::Condition;
use profiles::{Choice, Name, suggest};

use super::values::Line;
use super::{features, step_name};
use crate::choice::{Feature, When, name};
use crate::recipe::{Conditional, Dependency, StepArguments};

const DEPENDENCY: Shape = Shape::BARE.any_property();
const ARGUMENTS: Shape = Shape::arguments("step and words").properties(&["when"]);

/// What stands in the recipe, for some choices only or for all.
pub(super) struct Given<'a, 'b> {
    /// Those of the recipe, of ranges and of its version: what a nearer one says of a name stands in place of what others say, for the
    /// choices for which it says it.
    pub(super) blocks: &'a [Block<'b>],
    /// `None` where they cannot be read: conditions are not held against them then.
    pub(super) features: Option<&'a [Feature]>,
}

impl Given<'_, '_> {
    /// All nodes called `name`; two that have one key need different conditions.
    pub(super) fn all<T>(
        &self,
        name: &str,
        decode: impl Fn(Node<'_>) -> Option<T>,
        key: impl Fn(&T) -> String,
    ) -> Option<Vec<Conditional<T>>> {
        self.layered(|block| self.of(name, block.all(name), &decode, &key), &key)
    }

    fn layered<T>(
        &self,
        decode: impl Fn(&Block<'_>) -> Option<Vec<Conditional<T>>>,
        key: impl Fn(&T) -> String,
    ) -> Option<Vec<Conditional<T>>> {
        let layers: Vec<Option<Vec<Conditional<T>>>> = self.blocks.iter().map(decode).collect();
        let layers = layers.into_iter().collect::<Option<Vec<_>>>()?;
        let (mut said, mut left) = (BTreeMap::<String, Vec<When>>::new(), Vec::new());
        for mut layer in layers.into_iter().rev() {
            layer.retain_mut(|it| {
                it.unless = said.get(&key(&it.item)).cloned().unwrap_or_default();
                !it.unless.iter().any(When::is_empty)
            });
            for it in &layer {
                said.entry(key(&it.item)).or_default().push(it.when.clone());
            }
            left.push(layer);
        }
        Some(left.into_iter().rev().flatten().collect())
    }

    fn of<'n, T>(
        &self,
        name: &str,
        nodes: impl Iterator<Item = Node<'n>>,
        decode: impl Fn(Node<'_>) -> Option<T>,
        key: impl Fn(&T) -> String,
    ) -> Option<Vec<Conditional<T>>> {
        let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
        let given: Vec<Option<Conditional<T>>> = nodes
            .map(|node| {
                let item = decode(node)?;
                let when = self.when(node)?;
                let (key, line) = (key(&item), node.span().line());
                match seen.insert((key.clone(), when.to_string()), line) {
                    Some(first) => node.refuse(
                        format!("{name} '{key}' stands twice"),
                        format!("keep one; the first stands on line {first}"),
                    ),
                    None => Some(Conditional { when, unless: Vec::new(), span: node.span(), item }),
                }
            })
            .collect();
        given.into_iter().collect()
    }

    /// The condition of a node, held against the features that there are.
    fn when(&self, node: Node<'_>) -> Option<When> {
        if !node.has("when") {
            return Some(When::default());
        }
        let when: When = node.property("when")?;
        match self.features.map_or(Ok(()), |features| features::check(&when, features)) {
            Ok(()) => Some(when),
            Err((message, help)) => node.refuse_property("when", message, help),
        }
    }

    pub(super) fn dependencies(&self, name: &str) -> Option<Vec<Conditional<Dependency>>> {
        let key = |it: &Dependency| it.name.as_str().to_owned();
        let of_block = |block: &Block<'_>| {
            let Some(node) = block.one(name) else { return Some(Vec::new()) };
            let block = node.shape(&Shape::BARE.any_block())?.block();
            self.of(name, block.nodes(), dependency, key)
        };
        self.layered(of_block, key)
    }

    /// The words of steps: a step may have several such lines.
    pub(super) fn arguments(&self) -> Option<Vec<Conditional<StepArguments>>> {
        let of_block = |block: &Block<'_>| block.each("arguments", |node| self.words(node));
        let all: Vec<Option<Vec<Conditional<StepArguments>>>> = self.blocks.iter().map(of_block).collect();
        Some(all.into_iter().collect::<Option<Vec<_>>>()?.concat())
    }

    fn words(&self, node: Node<'_>) -> Option<Conditional<StepArguments>> {
        let words = node.shape(&ARGUMENTS)?.arguments::<Line>("step and words")?;
        let mut words = words.into_iter().map(|word| word.0);
        let step = step_name(node, &words.next()?)?;
        let words: Vec<String> = words.collect();
        if words.is_empty() {
            let help = "write: arguments \"configure\" \"--with-x\"";
            return node.refuse("there are no words behind the step", help);
        }
        let item = StepArguments { step, words };
        Some(Conditional { when: self.when(node)?, unless: Vec::new(), span: node.span(), item })
    }
}

/// The properties of a dependency that ask for no feature.
const OF_DEPENDENCY: [&str; 2] = ["version", "when"];

fn dependency(node: Node<'_>) -> Option<Dependency> {
    let node = node.shape(&DEPENDENCY)?;
    let Ok(name) = Name::parse(node.name()) else {
        return node
            .refuse(format!("'{}' is not the name of a package", node.name()), "write a package's name");
    };
    let condition = if node.has("version") { node.property("version")? } else { Condition::default() };
    let properties = node.property_names().filter(|property| !OF_DEPENDENCY.contains(property));
    let choices: Vec<Option<(String, Choice)>> = properties.map(|property| asked(node, property)).collect();
    let choices = choices.into_iter().collect::<Option<BTreeMap<_, _>>>()?;
    Some(Dependency { name, condition, choices, span: node.span() })
}

/// A property of a dependency that asks for a feature of it.
fn asked(node: Node<'_>, property: &str) -> Option<(String, Choice)> {
    if property == "feature" {
        let help = "write when=\"NAME\"; any other property asks for a feature of the dependency";
        return node.refuse_property(property, "'feature' is no property of a dependency", help);
    }
    // Neither word is a switch.
    if let Some(near) = suggest::nearest(property, OF_DEPENDENCY).filter(|_| !node.is_switch(property)) {
        let message = format!("'{property}' is no good name for a feature");
        return node.refuse_property(property, message, format!("did you mean '{near}'?"));
    }
    match name::parse(property) {
        Ok(name) => Some((name, node.property(property)?)),
        Err(message) => node.refuse_property(property, message, name::HELP),
    }
}
