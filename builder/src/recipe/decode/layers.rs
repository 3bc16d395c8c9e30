//! The layers of a recipe, as they are written: what holds for all versions, for ranges of them, and for one.

use package_version::{Constraint, Relation, Scheme, Version};
use profiles::decode::{Block, Node, Shape};
use profiles::version;

use crate::recipe::versions;

/// What may stand in the block of a version or a range of versions.
const PART: [&str; 8] =
    ["source", "patch", "file", "libraries", "build-depends", "depends", "step", "arguments"];
const VERSION: Shape = Shape::argument("version").block(&PART);
const RANGE: Shape = Shape::argument("condition").block(&PART);
const SCHEME: Shape = Shape::argument("name");

/// One version of a recipe, and the blocks that say something of it: the common one first, the nearest last.
pub(super) struct Layered<'a> {
    pub(super) version: Version,
    pub(super) blocks: Vec<Block<'a>>,
}

struct Range<'a> {
    constraint: Constraint,
    node: Node<'a>,
}

/// All versions of the recipe whose block `common` is; `None` when errors were noted.
pub(super) fn of<'a>(node: Node<'a>) -> Option<(Scheme, Vec<Layered<'a>>)> {
    let common = node.block();
    let scheme = common.at_most_one("version-scheme", scheme)?.unwrap_or_default();
    let Some(_) = common.all("version").next() else {
        common.required("version")?;
        return None;
    };
    let versions = versions_of(&common, scheme);
    let ranges = common.each("versions", |node| range(node, scheme));
    let (versions, ranges) = (versions?, ranges?);
    if !ranges_are_sound(&ranges, &versions) {
        return None;
    }
    let ranges = nearest_last(ranges);
    let layered = versions.into_iter().map(|(version, own)| {
        let matching = ranges.iter().filter(|range| range.constraint.admits(&version) == Ok(true));
        let matching = matching.map(|range| range.node.block());
        let blocks = [node.block()].into_iter().chain(matching).chain([own.block()]).collect();
        Layered { version, blocks }
    });
    Some((scheme, layered.collect()))
}

fn scheme(node: Node<'_>) -> Option<Scheme> {
    let word: String = node.shape(&SCHEME)?.argument("name")?;
    match versions::scheme(&word) {
        Ok(scheme) => Some(scheme),
        Err((message, help)) => node.refuse(message, help),
    }
}

fn versions_of<'a>(common: &Block<'a>, scheme: Scheme) -> Option<Vec<(Version, Node<'a>)>> {
    let mut found: Vec<(Version, Node<'a>)> = Vec::new();
    let mut sound = true;
    for node in common.all("version") {
        let Some(version) = one_version(node, scheme) else {
            sound = false;
            continue;
        };
        if let Some((_, first)) = found.iter().find(|(other, _)| *other == version) {
            let help = format!("keep one; the first stands on line {}", first.span().line());
            node.error(format!("the version '{version}' stands twice"), help);
            sound = false;
            continue;
        }
        found.push((version, node));
    }
    sound.then_some(found)
}

fn one_version(node: Node<'_>, scheme: Scheme) -> Option<Version> {
    let text = node.shape(&VERSION)?.argument::<version::Version>("version")?;
    match Version::parse(text.as_str(), scheme) {
        Ok(version) => Some(version),
        Err(error) => {
            let message = format!("'{text}' is no version ({scheme}): {}", error.cause());
            let help = format!("{}; `version-scheme` names another", error.remedy());
            node.refuse(message, help)
        }
    }
}

fn range(node: Node<'_>, scheme: Scheme) -> Option<Range<'_>> {
    let condition: version::Condition = node.shape(&RANGE)?.argument("condition")?;
    match versions::constraint(&condition, scheme) {
        Ok(constraint) => Some(Range { constraint, node }),
        Err(error) => node
            .refuse(format!("'{condition}' is no condition ({scheme}): {}", error.cause()), error.remedy()),
    }
}

/// Of two ranges one lies within the other, or they have nothing in common; and each has a version.
fn ranges_are_sound(ranges: &[Range<'_>], versions: &[(Version, Node<'_>)]) -> bool {
    let mut sound = true;
    for (at, range) in ranges.iter().enumerate() {
        for before in &ranges[..at] {
            let relation = range.constraint.range().relation(before.constraint.range());
            if matches!(relation, Ok(Relation::Same | Relation::Crossing)) {
                let message = format!(
                    "'{}' and '{}' (line {}) overlap, and neither is nearer",
                    range.constraint.as_str(),
                    before.constraint.as_str(),
                    before.node.span().line()
                );
                range.node.error(message, "let one lie within the other, or beside it");
                sound = false;
            }
        }
        if !versions.iter().any(|(version, _)| range.constraint.admits(version) == Ok(true)) {
            let message = format!("no version of this recipe is {}", range.constraint.as_str());
            range.node.error(message, "add one, or remove this block");
            sound = false;
        }
    }
    sound
}

/// The widest first: of those that have a version in common each lies within another, so the more there are around one, the nearer it is.
fn nearest_last(ranges: Vec<Range<'_>>) -> Vec<Range<'_>> {
    let around = |range: &Range<'_>| {
        let is_within = |other: &&Range<'_>| {
            range.constraint.range().relation(other.constraint.range()) == Ok(Relation::Within)
        };
        ranges.iter().filter(is_within).count()
    };
    let around: Vec<usize> = ranges.iter().map(around).collect();
    let mut sorted: Vec<(usize, Range<'_>)> = around.into_iter().zip(ranges).collect();
    sorted.sort_by_key(|(around, _)| *around);
    sorted.into_iter().map(|(_, range)| range).collect()
}
