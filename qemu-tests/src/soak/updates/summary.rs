//! What came of all states, as Markdown.

use std::collections::{BTreeMap, BTreeSet};

use super::made_disk::{PROFILE, RESCUE};
use super::recording::{Recording, Way};
use super::state::State;
use super::trial::Verdict;

/// What came up, in the columns of the table.
const COLUMNS: [&str; 4] = ["newest", "the one before", "rescue", "nothing, or what should not"];

/// Counts, and what was bad.
#[derive(Debug, Default)]
pub struct Summary {
    rows: BTreeMap<String, [usize; 4]>,
    loaders: BTreeMap<&'static str, usize>,
    count: usize,
    disks: BTreeSet<u64>,
    by_hand: usize,
    again: usize,
    /// The states in which nothing came up, or something that should not.
    pub bad: Vec<(State, String)>,
}

impl Summary {
    /// Adds one state; `disk` is the number of its disk.
    pub fn add(&mut self, recordings: &[Recording], state: &State, disk: u64, verdict: Verdict) {
        self.disks.insert(disk);
        let lived = &recordings[state.recording];
        let allowed = lived.allowed(&state.cut);
        // The firmware may lose an entry while it renames it.
        let lies = state.damage.is_some() || lived.way == Way::Loader;
        let column = match &verdict {
            Verdict::Up { name, .. } => column(name, &allowed, lies),
            Verdict::Bad(_) => None,
        };
        self.rows.entry(state.kind(recordings)).or_default()[column.unwrap_or(3)] += 1;
        *self.loaders.entry(state.loader.name()).or_default() += 1;
        self.count += 1;
        match verdict {
            Verdict::Up { starts, by_hand, .. } if column.is_some() => {
                self.by_hand += usize::from(by_hand);
                self.again += usize::from(starts > 1 && !by_hand);
            }
            Verdict::Up { name, .. } => {
                self.bad.push((state.clone(), format!("{name} came up, and not one of {allowed:?}")));
            }
            Verdict::Bad(why) => self.bad.push((state.clone(), why)),
        }
    }

    /// A Markdown section. `repeat` is the command that comes to a state again.
    pub fn to_markdown(
        &self,
        recordings: &[Recording],
        seed: u64,
        repeat: &dyn Fn(&State) -> String,
    ) -> String {
        let writes: Vec<String> = recordings.iter().map(|it| it.length().to_string()).collect();
        let loaders: Vec<String> =
            self.loaders.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let mut text = format!(
            "{} states, {} different disks, seed {seed}, out of {} recorded updates of {} writes and flushes. Started by: {}.\n\n\
             | what happened | {} |\n|---|{}\n",
            self.count,
            self.disks.len(),
            recordings.len(),
            writes.join(", "),
            loaders.join(", "),
            COLUMNS.join(" | "),
            "---:|".repeat(COLUMNS.len())
        );
        for (kind, counts) in &self.rows {
            let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
            text += &format!("| {kind} | {} |\n", counts.join(" | "));
        }
        text += &format!(
            "\nNothing came up, or something that should not have: **{}**. Switched on again until another one was chosen: {}. \
             Chosen by hand in the menu: {}.\n",
            self.bad.len(),
            self.again,
            self.by_hand
        );
        for (state, why) in &self.bad {
            text += &format!("- `{}`: {state:?}: {why}\n", repeat(state));
        }
        text
    }
}

/// Where nothing lies, the generation of before the command or the one that it brings comes up, and no other.
fn column(name: &str, allowed: &[u64], lies: bool) -> Option<usize> {
    if name.starts_with(RESCUE) {
        return lies.then_some(2);
    }
    let number: u64 = name.strip_prefix(PROFILE)?.trim().parse().ok()?;
    let newest = allowed.iter().max().copied().unwrap_or_default();
    match number == newest {
        true => Some(0),
        false => (lies || allowed.contains(&number)).then_some(1),
    }
}
