//! What becomes of the top that was found: pure, from what lies in the folder of the state file system to a list of steps.
//!
//! The rules: a top is used only over the stack that its stamp names, nothing is ever deleted, and a power cut between any
//! two steps leaves what the next boot takes or sets aside. A new top is made under another name and renamed when it is
//! whole. Two tops change places in one step (RENAME_EXCHANGE of renameat2(2)).

use std::fmt;

use profiles::{Digest, Name, WhenChanged};

use super::stamp::Stamp;
use crate::error::Failure;

/// The folder of the state file system that holds the tops.
pub const FOLDER: &str = "lamina";
const HALF_MADE: &str = ".new";
const ASIDE: &str = ".aside-";

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// The profile; its top has this name.
    pub profile: &'a Name,
    /// The stack that is going to be below the top.
    pub stack: Digest,
    /// What to do with a top of another stack.
    pub changed: WhenChanged,
}

impl Wish<'_> {
    /// The name under which a new top is made.
    pub fn half_made(&self) -> String {
        format!("{}{HALF_MADE}", self.profile)
    }

    /// The number of a folder of this profile that was set aside.
    pub fn aside_number(&self, name: &str) -> Option<u64> {
        let number = name.strip_prefix(self.profile.as_str())?.strip_prefix(ASIDE)?;
        // `007` is not a name of ours.
        number.parse().ok().filter(|parsed: &u64| parsed.to_string() == number)
    }

    fn aside(&self, number: u64) -> String {
        format!("{}{ASIDE}{number}", self.profile)
    }
}

/// What lies in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Under the name of the profile.
    pub top: FoundTop,
    /// Whether a making was interrupted.
    pub half_made: bool,
    /// Those that were set aside.
    pub asides: Vec<Aside>,
}

/// A top under the name of its profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundTop {
    /// Nothing is there.
    Absent,
    /// Not one of ours, or torn: the reason, in words that follow "lamina/NAME".
    Foreign(String),
    /// One of ours.
    Ours {
        /// From its stamp.
        stack: Digest,
        /// Why it may not be put over another stack; looked for only when that is asked.
        tied: Option<String>,
        /// Whether the scratch folder of overlayfs is missing.
        lacks_work: bool,
    },
}

/// A top that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// The number in its name.
    pub number: u64,
    /// From its stamp, when that can be read.
    pub stack: Option<Digest>,
}

/// One thing to do below [`FOLDER`]. Each is durable before the next begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FolderStep {
    /// Remove what an interrupted making left; set it aside when it is not empty.
    Clear {
        /// The half-made folder.
        name: String,
        /// Its name if it holds anything.
        aside: String,
    },
    /// Make a folder with empty folders `upper` and `work`.
    Make(String),
    /// Make the scratch folder.
    MakeWork(String),
    /// Write the stamp in the folder, in place of another one at once.
    Stamp {
        /// Below [`FOLDER`].
        name: String,
        /// What it says.
        stamp: Stamp,
    },
    /// Rename a folder to a name that is free.
    Rename {
        /// Old name.
        from: String,
        /// New name.
        to: String,
    },
    /// Two folders change names.
    Exchange(String, String),
}

impl fmt::Display for FolderStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clear { name, aside } => {
                write!(f, "remove {FOLDER}/{name}, or set it aside as {FOLDER}/{aside} if it holds anything")
            }
            Self::Make(name) => write!(f, "make {FOLDER}/{name}"),
            Self::MakeWork(name) => write!(f, "make {FOLDER}/{name}/work"),
            Self::Stamp { name, stamp } => write!(f, "stamp {FOLDER}/{name} with {}", stamp.stack),
            Self::Rename { from, to } => write!(f, "rename {FOLDER}/{from} to {FOLDER}/{to}"),
            Self::Exchange(one, other) => write!(f, "exchange {FOLDER}/{one} and {FOLDER}/{other}"),
        }
    }
}

/// What the report calls the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// There was none.
    Created,
    /// The stack is the same.
    Reused,
    /// The stack changed, and the top was kept.
    Kept,
    /// The one that was there was set aside, and an empty one begins.
    SetAside,
    /// The one that was there changed places with one that was set aside when this stack was replaced.
    TakenBack,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Reused => "reused",
            Self::Kept => "kept",
            Self::SetAside => "set aside",
            Self::TakenBack => "taken back",
        })
    }
}

/// What will be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// In a word.
    pub action: Action,
    /// Where the top that was there is now.
    pub aside: Option<String>,
    /// A line for people, when something changed that they should know.
    pub say: Option<String>,
    /// In order.
    pub steps: Vec<FolderStep>,
}

/// Decides.
///
/// # Errors
/// The stack changed, or the stamp cannot be read, and the profile says `changed="refuse"`.
pub fn decide(observed: &Observed, wish: &Wish) -> Result<Decision, Failure> {
    let name = wish.profile.to_string();
    let changed = format!("the stack of {name} changed");
    let mut numbers = Numbers::after(observed);
    match &observed.top {
        FoundTop::Absent => Ok(Decision {
            action: Action::Created,
            aside: None,
            say: None,
            steps: make(observed, wish, &mut numbers, Vec::new()),
        }),
        FoundTop::Ours { stack, lacks_work, .. } if *stack == wish.stack => {
            let steps = if *lacks_work { vec![FolderStep::MakeWork(name)] } else { Vec::new() };
            Ok(Decision { action: Action::Reused, aside: None, say: None, steps })
        }
        FoundTop::Ours { stack, tied: None, lacks_work } if wish.changed == WhenChanged::Keep => {
            let mut steps = if *lacks_work { vec![FolderStep::MakeWork(name.clone())] } else { Vec::new() };
            steps.push(FolderStep::Stamp { name, stamp: Stamp::of(wish.profile, wish.stack) });
            let say = format!("{changed} (from {stack}): its top is kept");
            Ok(Decision { action: Action::Kept, aside: None, say: Some(say), steps })
        }
        FoundTop::Ours { stack, .. } if wish.changed == WhenChanged::Refuse => Err(refuse(
            format!(
                "{changed}: its top in {FOLDER}/{name} belongs to {stack}, and this stack is {}",
                wish.stack
            ),
            &name,
        )),
        FoundTop::Foreign(why) if wish.changed == WhenChanged::Refuse => {
            Err(refuse(format!("{FOLDER}/{name} cannot be trusted: {why}"), &name))
        }
        FoundTop::Ours { tied: Some(why), .. } if wish.changed == WhenChanged::Keep => {
            Ok(replace(observed, wish, &mut numbers, &format!("{changed} and its top cannot be kept: {why}")))
        }
        FoundTop::Ours { .. } => Ok(replace(observed, wish, &mut numbers, &changed)),
        FoundTop::Foreign(why) => {
            Ok(replace(observed, wish, &mut numbers, &format!("{FOLDER}/{name} is not usable: {why}")))
        }
    }
}

/// The top that is there gives its place to the one that was set aside when this stack was left, or to an empty one.
fn replace(observed: &Observed, wish: &Wish, numbers: &mut Numbers, because: &str) -> Decision {
    let name = wish.profile.to_string();
    let earlier = observed.asides.iter().filter(|aside| aside.stack == Some(wish.stack));
    if let Some(earlier) = earlier.max_by_key(|aside| aside.number) {
        let aside = wish.aside(earlier.number);
        let say = format!(
            "{because}: the top that was set aside for this stack is in use again, and the other is {FOLDER}/{aside}"
        );
        let steps = vec![FolderStep::Exchange(name, aside.clone())];
        return Decision { action: Action::TakenBack, aside: Some(aside), say: Some(say), steps };
    }
    let aside = wish.aside(numbers.next());
    let say = format!("{because}: the top is set aside as {FOLDER}/{aside}, and an empty one begins");
    // The old one leaves when the new one is whole: with no room for a new one, it stays where it was.
    let leave = FolderStep::Rename { from: name, to: aside.clone() };
    let steps = make(observed, wish, numbers, vec![leave]);
    Decision { action: Action::SetAside, aside: Some(aside), say: Some(say), steps }
}

/// Makes an empty top; `before` is done when it is whole and not yet in its place.
fn make(observed: &Observed, wish: &Wish, numbers: &mut Numbers, before: Vec<FolderStep>) -> Vec<FolderStep> {
    let half_made = wish.half_made();
    let mut steps = Vec::new();
    if observed.half_made {
        steps.push(FolderStep::Clear { name: half_made.clone(), aside: wish.aside(numbers.next()) });
    }
    steps.push(FolderStep::Make(half_made.clone()));
    steps.push(FolderStep::Stamp { name: half_made.clone(), stamp: Stamp::of(wish.profile, wish.stack) });
    steps.extend(before);
    steps.push(FolderStep::Rename { from: half_made, to: wish.profile.to_string() });
    steps
}

/// The numbers that no folder has.
struct Numbers(u64);

impl Numbers {
    fn after(observed: &Observed) -> Self {
        Self(observed.asides.iter().map(|aside| aside.number).max().unwrap_or(0))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.saturating_add(1);
        self.0
    }
}

fn refuse(why: String, name: &str) -> Failure {
    Failure::new(why)
        .try_this(format!("boot the generation of {name} that the top belongs to: lamina.profile={name}@sha256:HEX"))
        .try_this("boot once without it: lamina.state=tmpfs")
        .try_this("or say what becomes of it, as in lamina.state=LABEL=state,changed=reset (sets it aside) or changed=keep")
}

/// Whether the name of a profile would be taken for a folder that is half made or set aside.
pub fn is_reserved(profile: &Name) -> bool {
    let text = profile.as_str();
    let aside =
        text.rsplit_once(ASIDE).is_some_and(|(_, number)| number.bytes().all(|byte| byte.is_ascii_digit()));
    text.ends_with(HALF_MADE) || aside
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
