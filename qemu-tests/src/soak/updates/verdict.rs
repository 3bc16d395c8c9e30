//! What comes of a state, and what may.

use super::made_disk::{PROFILE, RESCUE};
use super::recording::{Recording, Way};
use super::state::State;

/// What came of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A system came up.
    Up {
        /// What its own layer says that it is: `web 3`.
        name: String,
        /// How often the disk was started for that.
        starts: u32,
        /// Whether somebody had to choose another entry in the menu.
        by_hand: bool,
    },
    /// It should not have come to this.
    Bad(String),
    /// A guest was not given its time, or its kernel was not sound, which says nothing of the disk.
    Unjudged(String),
}

/// A state that was judged.
#[derive(Debug)]
pub struct Judged {
    /// The number of its disk: another disk has another one.
    pub disk: u64,
    /// What came of it.
    pub verdict: Verdict,
    /// What had come of the same disk before, where that was not good.
    pub once: Option<String>,
}

impl Verdict {
    /// What should not come up is bad.
    #[must_use]
    pub fn of_state(self, state: &State, recordings: &[Recording]) -> Self {
        match self {
            Self::Up { name, starts, .. } if place(&name, state, recordings).is_none() => {
                let allowed = recordings[state.recording].allowed(&state.cut);
                Self::Bad(format!("{name} came up at start {starts}, and not one of {allowed:?}"))
            }
            verdict => verdict,
        }
    }

    /// Why it says nothing good of the state.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Up { .. } => None,
            Self::Bad(why) | Self::Unjudged(why) => Some(why),
        }
    }
}

/// Which of the systems that may come up it is: the newest one, the one before, or the rescue.
pub fn place(name: &str, state: &State, recordings: &[Recording]) -> Option<usize> {
    let lived = &recordings[state.recording];
    // The firmware may lose an entry while it renames it.
    let lies = state.damage.is_some() || lived.way == Way::Loader;
    place_among(name, &lived.allowed(&state.cut), lies)
}

/// Where nothing lies, the generation of before the command or the one that it brings comes up, and no other.
fn place_among(name: &str, allowed: &[u64], lies: bool) -> Option<usize> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_lies_no_other_system_may_come_up() {
        assert_eq!(place_among("web 4", &[4], false), Some(0));
        assert_eq!(place_among("web 3", &[4, 3], false), Some(1));
        assert_eq!(place_among("web 3", &[4], false), None);
        assert_eq!(place_among("web 3", &[4], true), Some(1));
        assert_eq!(["rescue 1", "other"].map(|it| place_among(it, &[4], true)), [Some(2), None]);
        assert_eq!(place_among("rescue 1", &[4], false), None);
    }
}
