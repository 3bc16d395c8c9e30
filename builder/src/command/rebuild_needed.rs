//! `lamina rebuild-needed`: which builds the recipes would make otherwise now, and what has changed.

use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use cli::numbers::count;
use cli::safe_text::clean;
use serde_json::{Value, json};

use super::context::Context;
use super::wanted::wanted;
use super::{print, print_json};
use crate::build::plan::Plan;
use crate::error::Result;
use crate::graph::Graph;
use crate::profile::layers::requests;
use crate::profile::named::Meaning;
use crate::records::cause::{Cause, Why};
use crate::records::known_text::KnownTexts;
use crate::records::rebuild::{self, Reason, Row, State};

/// The exit status that says that something is to be built.
const NEEDED: u8 = 3;

/// More changes of one package than this are counted, not listed.
const MOST_SHOWN: usize = 12;

/// Say which builds of the store are not what the recipes give now, and why: what has changed, first where it began.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "rebuild-needed",
    example = "lamina rebuild-needed\nlamina rebuild-needed console --json",
    example = "lamina rebuild-needed curl tls=libressl || lamina build curl tls=libressl",
    note = "Without targets every build of the store that a recipe has made is compared with what the same choices of the package give now; of \
several that were made from other things, one line tells. With targets it is what `lamina build` with the same words would build.",
    error_code(0, "Nothing is to be built."),
    error_code(3, "Something is to be built; standard output says what and why.")
)]
pub struct RebuildNeeded {
    /// packages and profiles (default: all builds of the store)
    #[argh(positional)]
    target: Vec<String>,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

impl RebuildNeeded {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let rows = self.rows(context)?;
        let needed = rows.iter().filter(|row| row.is_needed()).count();
        if self.json {
            print_json(&rows.iter().map(as_json).collect::<Vec<_>>())?;
        } else {
            rows.iter().flat_map(lines).try_for_each(|line| print(clean(&line)))?;
            let current = rows.iter().filter(|row| matches!(row.state, State::UpToDate)).count();
            print(format_args!("{} to rebuild, {current} up to date", count(needed, "package")))?;
        }
        Ok(if needed == 0 { ExitCode::SUCCESS } else { ExitCode::from(NEEDED) })
    }

    fn rows(&self, context: &Context) -> Result<Vec<Row>> {
        let (recipes, store) = (context.recipes()?, context.store()?);
        let records = store.records()?;
        for finding in &records.damaged {
            context.report.line(format_args!("warning: {finding}"));
        }
        if self.target.is_empty() {
            let profiles = context.profiles()?.compositions()?;
            let asked = profiles.iter().flat_map(requests).collect();
            return rebuild::of_store(&recipes, asked, &store, &records.sound);
        }
        let wanted = wanted(context, &recipes, &self.target, false, Meaning::Any)?;
        let (graph, roots) = Graph::resolve(&recipes, &wanted.requests)?;
        let plan = Plan::make(&graph, &wanted.images(&graph, &roots)?, &store)?;
        Ok(rebuild::of_plan(&plan, &KnownTexts::new(&store, &records.sound), &records.sound))
    }
}

/// The line of a build, and below it what has changed.
fn lines(row: &Row) -> Vec<String> {
    let id = row.id.or(row.before).map(|id| id.hex()).unwrap_or_default();
    let what = format!("{} {}{} ({})", row.name, row.version, row.choices, id.get(..12).unwrap_or_default());
    match &row.state {
        State::UpToDate => vec![format!("up to date  {what}")],
        State::Gone(why) => vec![format!("not made    {what}: {why}")],
        State::Needed(Reason::NeverBuilt) => vec![format!("rebuild     {what}: never built")],
        State::Needed(Reason::ImageLost) => {
            vec![format!("rebuild     {what}: its image is missing or has another size")]
        }
        State::Needed(Reason::Changed(why)) => {
            let mut lines = vec![format!("rebuild     {what}")];
            lines.extend(why.causes.iter().map(cause_line));
            if !why.through.is_empty() {
                let names: Vec<&str> = why.through.iter().map(|name| name.as_str()).collect();
                lines.push(format!("    through {}", names.join(", ")));
            }
            lines
        }
    }
}

fn cause_line(cause: &Cause) -> String {
    let mut changes: Vec<String> = cause.changes.iter().take(MOST_SHOWN).cloned().collect();
    if let Some(more) = cause.changes.len().checked_sub(MOST_SHOWN).filter(|more| *more > 0) {
        changes.push(format!("and {more} more"));
    }
    format!("    {}: {}", cause.package, changes.join("; "))
}

fn as_json(row: &Row) -> Value {
    let (state, reason, why) = match &row.state {
        State::UpToDate => ("up-to-date", None, None),
        State::Gone(why) => ("not-made", Some(why.as_str()), None),
        State::Needed(Reason::NeverBuilt) => ("rebuild", Some("never built"), None),
        State::Needed(Reason::ImageLost) => {
            ("rebuild", Some("its image is missing or has another size"), None)
        }
        State::Needed(Reason::Changed(why)) => ("rebuild", None, Some(why)),
    };
    let cause = |it: &Cause| json!({ "name": it.package.as_str(), "changes": it.changes });
    let causes = |why: &Why| why.causes.iter().map(cause).collect::<Vec<_>>();
    let through = |why: &Why| why.through.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>();
    json!({
        "name": row.name.as_str(),
        "version": row.version,
        "choices": row.choices.trim_start(),
        "id": row.id.map(|id| id.hex()),
        "compared_with": row.before.map(|id| id.hex()),
        "state": state,
        "reason": reason,
        "causes": why.map(causes).unwrap_or_default(),
        "through": why.map(through).unwrap_or_default(),
    })
}
