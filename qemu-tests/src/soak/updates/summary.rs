//! What came of all states, as Markdown.

use std::collections::{BTreeMap, BTreeSet};

use super::recording::Recording;
use super::state::State;
use super::verdict::{Judged, Verdict, place};

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
    /// Those that say nothing: a guest was not given its time, or its kernel was not sound.
    pub unjudged: Vec<(State, String)>,
    /// What came of a disk when it was started once, and not when it was started again.
    pub once: Vec<(State, String)>,
}

impl Summary {
    /// Adds one state.
    pub fn add(&mut self, recordings: &[Recording], state: &State, judged: Judged) {
        self.disks.insert(judged.disk);
        *self.loaders.entry(state.loader.name()).or_default() += 1;
        self.count += 1;
        self.once.extend(judged.once.map(|why| (state.clone(), why)));
        let column = match judged.verdict {
            Verdict::Unjudged(why) => return self.unjudged.push((state.clone(), why)),
            Verdict::Bad(why) => {
                self.bad.push((state.clone(), why));
                None
            }
            Verdict::Up { name, starts, by_hand } => {
                self.by_hand += usize::from(by_hand);
                self.again += usize::from(starts > 1 && !by_hand);
                place(&name, state, recordings)
            }
        };
        self.rows.entry(state.kind(recordings)).or_default()[column.unwrap_or(3)] += 1;
    }

    /// Whether each state was judged, and none is bad.
    pub fn is_good(&self) -> bool {
        self.bad.is_empty() && self.unjudged.is_empty()
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
        if !self.unjudged.is_empty() {
            text += &format!(
                "Not judged, since a guest was kept waiting for a processor or its kernel was not sound: **{}**.\n",
                self.unjudged.len()
            );
        }
        if !self.once.is_empty() {
            text += &format!(
                "Of the same disk came another end when it was started anew: {}.\n",
                self.once.len()
            );
        }
        for (state, why) in self.bad.iter().chain(&self.unjudged).chain(&self.once) {
            text += &format!("- `{}`: {state:?}: {why}\n", repeat(state));
        }
        text
    }
}
