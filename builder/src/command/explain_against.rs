//! `lamina explain PACKAGE --against ID`: what the recipes give now beside a build of the store, as the lines of two texts.

use std::process::ExitCode;

use cli::numbers::count;
use cli::safe_text::clean;
use profiles::Name;
use serde_json::{Value, json};

use super::context::Context;
use super::{print, print_json};
use crate::error::Result;
use crate::graph::{Graph, Package};
use crate::records::cause;
use crate::records::difference::{Change, Difference, Group};
use crate::records::known_text::{KnownText, KnownTexts, Origin, layer_of};
use crate::records::named_build::{label, of_package};
use crate::store::BuildRecord;

/// A package as the recipes give it now, beside a build of the store.
struct Beside<'a> {
    graph: &'a Graph,
    package: &'a Package,
    texts: &'a KnownTexts<'a>,
    record: &'a BuildRecord,
    known: KnownText,
    difference: Difference,
}

/// Tells of the packages `places` of a graph, which are builds of `name`, how they differ from the build whose id begins with `word`.
///
/// # Errors
/// There is no such build, or more than one; the text of its id is damaged.
pub(super) fn tell(
    context: &Context,
    graph: &Graph,
    places: &[usize],
    (name, word): (&Name, &str),
    as_json: bool,
) -> Result<ExitCode> {
    let store = context.store()?;
    let records = store.records()?.sound;
    let record = of_package(&records, name, word)?;
    let texts = KnownTexts::new(&store, &records);
    let mut beside = Vec::new();
    for index in places {
        let package = &graph.packages()[*index];
        // The record is there, and so is something of the text.
        if let Some(known) = texts.of(&record.id, &package.canonical)? {
            let difference = known.against(&package.canonical);
            beside.push(Beside { graph, package, texts: &texts, record, known, difference });
        }
    }
    if as_json {
        print_json(&beside.iter().map(Beside::as_json).collect::<Vec<_>>())?;
    } else {
        beside.iter().flat_map(Beside::lines).try_for_each(|line| print(clean(&line)))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Beside<'_> {
    fn lines(&self) -> Vec<String> {
        let recipe = &self.package.recipe;
        let now = format!("{} {} (id {})", recipe.name, recipe.version, &self.package.id.hex()[..12]);
        let before = format!("{} {}{}", label(self.record), self.record.version, self.record.choices());
        let mut lines = vec![format!("{now} against {before}: {}", self.known.origin.in_words())];
        lines.extend(self.difference.groups.iter().flat_map(|group| self.group(group)));
        let is_same = self.package.id == self.record.id;
        if self.difference.groups.is_empty() && !is_same {
            lines.push("  what the record says is the same; steps, patches or files differ".to_owned());
        }
        let same = count(self.difference.same, "line");
        lines.push(match is_same {
            true => format!("  it is this build: all {same} are the same"),
            false => format!("  {same} the same"),
        });
        lines
    }

    fn group(&self, group: &Group) -> Vec<String> {
        if group.changes.is_empty() {
            return vec![format!("  {}: the same lines in another order", group.word)];
        }
        let mut lines = vec![format!("  {}", group.word)];
        for change in &group.changes {
            lines.extend(change.before().map(|line| format!("    - {line}")));
            lines.extend(change.after().map(|line| format!("    + {line}")));
            lines.extend(self.deeper(change).map(|words| format!("      {words}")));
        }
        lines
    }

    /// Where to look next, when a layer is there before and after.
    fn deeper(&self, change: &Change) -> Option<String> {
        let (_, before) = layer_of(change.before()?)?;
        let (name, _) = layer_of(change.after()?)?;
        if self.texts.record(&before).is_none() {
            return Some("of the earlier one the store has no record".to_owned());
        }
        let layer = &self.graph.packages()[cause::layer(self.graph, self.package, name)?];
        let version = (layer.versions.all().len() > 1).then(|| format!(" version={}", layer.recipe.version));
        let choices: String = layer.chosen().map(|word| format!(" {word}")).collect();
        let (name, before) = (&layer.recipe.name, &before.hex()[..12]);
        Some(format!(
            "`lamina explain {name}{}{choices} --against {before}` says why",
            version.unwrap_or_default()
        ))
    }

    fn as_json(&self) -> Value {
        let change = |change: &Change| json!({ "before": change.before(), "after": change.after(), "deeper": self.deeper(change) });
        let group = |group: &Group| {
            json!({
                "word": group.word,
                "order_only": group.changes.is_empty(),
                "changes": group.changes.iter().map(change).collect::<Vec<_>>(),
            })
        };
        json!({
            "name": self.package.recipe.name.as_str(),
            "version": self.package.recipe.version.as_str(),
            "id": self.package.id.hex(),
            "against": self.record.id.hex(),
            "text": self.known.origin.as_str(),
            "complete": self.known.origin != Origin::RecordAlone,
            "same": self.difference.same,
            "groups": self.difference.groups.iter().map(group).collect::<Vec<_>>(),
        })
    }
}
