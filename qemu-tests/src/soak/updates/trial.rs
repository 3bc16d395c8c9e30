//! A state is started until a system comes up: the loader chooses an entry as its documents say, and user-mode Linux starts the
//! initramfs and the command line of that entry on that disk. What dies is started again, as a person would.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::loader::{Entry, Loader, Menu};
use super::made_disk::MadeDisk;
use super::patience::{self, Unmet};
use super::recording::Recording;
use super::state::State;
use super::verdict::Verdict;
use crate::failure::Failure;
use crate::uml::{NOT_SOUND, Uml};

/// A boot takes a second or two.
const PATIENCE: Duration = Duration::from_secs(90);
/// init and the kernel give up on some things after a few seconds. A guest that was kept from them for longer may be none the worse.
const MOST_KEPT: Duration = Duration::from_secs(1);
/// A generation has three tries of the loader and three of init, and there are the one before and the rescue: who has switched it on
/// so often gives up.
pub const MOST_STARTS: u32 = 9;

/// How one start ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// A whole system: what it is, and the digest of its profile.
    Up(String, String),
    /// Without one, for this reason.
    Died(String),
    /// It was not given the time for it.
    TooSlow,
    /// In whatever way, after its kernel could not do what each other can.
    NotSound,
}

/// What a guest prints that has come to an end.
pub const ENDS: [&str; 4] = ["soak: whole: ", "soak: damaged: ", "[p] power off", "reboot: "];

impl Ended {
    /// Reads what a guest printed; the last line is complete.
    pub fn read(text: &str) -> Self {
        // Whatever came up is what init takes in the place of what it could not open.
        if text.contains(NOT_SOUND) {
            return Self::NotSound;
        }
        let line =
            |mark: &str| text.split_once(mark).and_then(|(_, rest)| rest.lines().next()).map(str::trim);
        if let Some(found) = line("soak: whole: ").and_then(|line| line.strip_suffix('.')) {
            let (name, digest) = found.rsplit_once(' ').unwrap_or((found, ""));
            return Self::Up(name.to_owned(), digest.to_owned());
        }
        Self::Died(line("soak: damaged: ").unwrap_or("no system came up").to_owned())
    }

    /// What a guest that printed no end has come to.
    pub fn without_end(unmet: &Unmet) -> Self {
        match unmet {
            Unmet::TooSlow => Self::TooSlow,
            Unmet::Hangs => Self::Died("hangs".to_owned()),
            Unmet::Ended(missed) => Self::Died(format!("{missed:?}")),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up(name, _) => write!(f, "{name} came up"),
            Self::Died(why) => f.write_str(why),
            Self::TooSlow => f.write_str("was kept waiting for a processor"),
            Self::NotSound => f.write_str("its kernel had no sound SHA-256"),
        }
    }
}

/// One start of the disk.
#[derive(Debug, Clone)]
pub struct Start {
    /// The id of the entry.
    pub entry: String,
    /// How it ended.
    pub ended: Ended,
    /// In so much time, of which it was kept waiting for a processor for the second one.
    pub took: (Duration, Duration),
    /// All that it printed; there is no such file where nothing was started.
    pub log: PathBuf,
}

impl Start {
    /// Whether it died, and clocks of its own may have run out while it could do nothing.
    fn died_waiting(&self) -> bool {
        matches!(self.ended, Ended::Died(_)) && self.took.1 > MOST_KEPT
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [took, kept] = [self.took.0, self.took.1].map(|it| it.as_secs_f32());
        write!(f, "{}: {} ({took:.1} s, {kept:.1} s of them without a processor)", self.entry, self.ended)
    }
}

/// What came of a state, and how.
#[derive(Debug, Clone)]
pub struct Trial {
    /// What came of it.
    pub verdict: Verdict,
    /// The starts that it took.
    pub starts: Vec<Start>,
}

impl Trial {
    /// Starts a disk, as often as it takes: `next` says which entry it is, and how that ends.
    pub fn of(
        made: &MadeDisk,
        mut next: impl FnMut(u32) -> Result<Option<(Entry, Start, bool)>, Failure>,
    ) -> Result<Self, Failure> {
        let (mut starts, mut by_hand) = (Vec::<Start>::new(), false);
        for number in 1..=MOST_STARTS {
            let Some((entry, start, chosen)) = next(number)? else {
                return Ok(Self::bad("the menu has nothing that boots by itself", starts));
            };
            by_hand |= chosen;
            let ended = start.ended.clone();
            starts.push(start);
            match ended {
                Ended::Up(name, digest) => {
                    return Ok(Self { verdict: judge(made, &entry, name, &digest, number, by_hand), starts });
                }
                // What the loader would choose next was not this disk's doing.
                Ended::TooSlow | Ended::NotSound => {
                    return Ok(Self { verdict: Verdict::Unjudged(told("not judged", &starts)), starts });
                }
                Ended::Died(_) => {}
            }
        }
        Ok(Self::bad("nothing came up", starts))
    }

    fn bad(what: &str, starts: Vec<Start>) -> Self {
        Self { verdict: Verdict::Bad(told(what, &starts)), starts }
    }
}

impl Trial {
    /// What comes of a state. Where a guest died that had to wait for a processor, that another entry was chosen says nothing bad of it.
    #[must_use]
    pub fn of_state(mut self, state: &State, recordings: &[Recording]) -> Self {
        self.verdict = match self.verdict.of_state(state, recordings) {
            Verdict::Bad(why) if self.starts.iter().any(Start::died_waiting) => {
                Verdict::Unjudged(told(&why, &self.starts))
            }
            verdict => verdict,
        };
        self
    }
}

/// What happened, in one line.
fn told(what: &str, starts: &[Start]) -> String {
    let starts: Vec<String> = starts.iter().map(Start::to_string).collect();
    format!("{what}: {}", starts.join("; "))
}

/// Starts `disk`, which may change, until something comes up. `folder` is for copies and for what the guests print.
pub fn start(made: &MadeDisk, loader: Loader, disk: &Path, folder: &Path) -> Result<Trial, Failure> {
    let mut menu = Menu::read(loader, disk, made.esp, &folder.join("esp"))?;
    Trial::of(made, |number| {
        let Some(started) = menu.start() else { return Ok(None) };
        let (entry, log) = (started.entry, log_of(folder, number));
        let (ended, took) = match menu.is_whole(&entry) {
            true => boot(&menu, &entry, disk, &log)?,
            false => {
                (Ended::Died("kernel or initramfs is not whole".to_owned()), (Duration::ZERO, Duration::ZERO))
            }
        };
        let start = Start { entry: entry.id.clone(), ended, took, log };
        Ok(Some((entry, start, started.by_hand)))
    })
}

/// What the start with this number printed.
pub fn log_of(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("boot-{number}.log"))
}

/// What came up is what its profile is, and was bound by the entry.
fn judge(made: &MadeDisk, entry: &Entry, name: String, digest: &str, starts: u32, by_hand: bool) -> Verdict {
    if !entry.bound().iter().any(|bound| bound == digest) {
        return Verdict::Bad(format!("{} has booted {name} ({digest}), which it does not bind", entry.id));
    }
    match made.generation(digest) {
        Some(generation) if generation.name == name => Verdict::Up { name, starts, by_hand },
        other => Verdict::Bad(format!("{name} came up with the profile of {other:?}")),
    }
}

/// The time does not count the wait for other guests to end.
fn boot(
    menu: &Menu,
    entry: &Entry,
    disk: &Path,
    log: &Path,
) -> Result<(Ended, (Duration, Duration)), Failure> {
    let files: Vec<PathBuf> = entry.initrd.iter().map(|path| menu.file(path)).collect();
    let [initramfs] = files.as_slice() else {
        return Ok((
            Ended::Died(format!("{} initramfs files", files.len())),
            (Duration::ZERO, Duration::ZERO),
        ));
    };
    let mut guest = Uml::new(initramfs).disk(disk).parameters(&entry.options).boot(log)?;
    let began = Instant::now();
    let (found, kept) = patience::wait_for(guest.id(), PATIENCE, |slice| guest.wait_for_any(&ENDS, slice));
    let ended = match found {
        Ok(0 | 1) => {
            let _ = guest.wait_for_any(&["\n"], PATIENCE);
            let ended = Ended::read(guest.text());
            // The disk is looked at and started again: what it has written must be there.
            let _ = guest.wait_for_end(PATIENCE);
            ended
        }
        Ok(_) if guest.text().contains(NOT_SOUND) => Ended::NotSound,
        Ok(at) => Ended::Died(format!("{:?} was printed", ENDS[at])),
        Err(unmet) => Ended::without_end(&unmet),
    };
    Ok((ended, (began.elapsed(), kept)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_up_in_place_of_what_an_unsound_kernel_could_not_open_says_nothing() {
        let whole = "\nsoak: whole: web 3 00ff.\n";
        assert_eq!(Ended::read(whole), Ended::Up("web 3".to_owned(), "00ff".to_owned()));
        let line = "device-mapper: table: 254:0: verity: Cannot initialize hash function (-ELIBBAD)";
        assert_eq!(Ended::read(&format!("{line}{whole}")), Ended::NotSound);
    }
}
