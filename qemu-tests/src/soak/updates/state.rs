//! One state that an update leaves: which update, cut off when, with what damaged, and which loader meets it.

use std::path::Path;

use super::contents::write_sparse;
use super::damage::Damage;
use super::loader::Loader;
use super::made_disk::MadeDisk;
use super::recording::{Recording, Room, Way};
use crate::failure::Failure;
use crate::soak::log_writes::Cut;
use crate::soak::random::Random;

/// A state, drawn before anything is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Its place in the series.
    pub number: u64,
    /// Of the recordings.
    pub recording: usize,
    /// The moment.
    pub cut: Cut,
    /// What lies.
    pub damage: Option<Damage>,
    /// What is started.
    pub loader: Loader,
    seed: u64,
}

/// Of so many states in a row, each damage is one, and the rest are power cuts.
const ROUND: u64 = 20;

impl State {
    /// The state with this number: it follows from that and from the seed.
    pub fn draw(recordings: &[Recording], seed: u64, number: u64) -> Self {
        let mut random = Random::new(seed ^ number.wrapping_mul(0x0100_0000_01b3));
        let damage = Damage::ALL.get((number % ROUND) as usize).copied();
        // Three in twenty meet a partition that is nearly full.
        let wants_full = damage.is_none()
            && recordings.iter().any(Recording::is_full)
            && number % ROUND < Damage::ALL.len() as u64 + 3;
        let of_kind =
            |at: &usize| recordings[*at].is_full() == wants_full && recordings[*at].way != Way::Loader;
        let choices: Vec<usize> = (0..recordings.len()).filter(of_kind).collect();
        let recording = choices[random.below(choices.len() as u64) as usize];
        let lived = &recordings[recording];
        let ends = lived.ends();
        let cut = match damage {
            Some(_) if !ends.is_empty() => ends[random.below(ends.len() as u64) as usize],
            _ => Cut::random(&mut random, lived.first(), lived.entries.len()),
        };
        let loader = match damage {
            // GRUB reads no files of entries.
            Some(Damage::EntryTorn) => Loader::SystemdBoot,
            _ => [Loader::SystemdBoot, Loader::Grub][random.below(2) as usize],
        };
        Self { number, recording, cut, damage, loader, seed: random.bits() }
    }

    /// At most `most` power cuts of each recording that tear the superblock of the store.
    pub fn of_torn_superblocks(
        recordings: &[Recording],
        made: &MadeDisk,
        first: u64,
        most: usize,
    ) -> Vec<Self> {
        let all = recordings.iter().enumerate();
        let cuts =
            all.flat_map(|(at, it)| it.torn_superblocks(made, most).into_iter().map(move |cut| (at, cut)));
        Self::of_cuts(cuts, first)
    }

    /// Each moment at which systemd-boot counts a try, with the numbers from `first` on.
    pub fn of_loader(recordings: &[Recording], first: u64) -> Vec<Self> {
        let of_loader = recordings.iter().enumerate().filter(|(_, it)| it.way == Way::Loader);
        Self::of_cuts(
            of_loader.flat_map(|(at, it)| it.every_cut().into_iter().map(move |cut| (at, cut))),
            first,
        )
    }

    fn of_cuts(cuts: impl Iterator<Item = (usize, Cut)>, first: u64) -> Vec<Self> {
        let loader = Loader::SystemdBoot;
        let state =
            |((recording, cut), number)| Self { number, recording, cut, damage: None, loader, seed: 0 };
        cuts.zip(first..).map(state).collect()
    }

    /// For the table: what was done to the disk.
    pub fn kind(&self, recordings: &[Recording]) -> String {
        let lived = &recordings[self.recording];
        let full = match lived.room {
            Room::Enough => "",
            Room::Free(_) if lived.is_refused() => ", ESP too full: refused",
            Room::Free(_) => ", ESP full: old entries go first",
        };
        match self.damage {
            Some(damage) => damage.name().to_owned(),
            None if lived.is_behind_an_end(&self.cut) => {
                format!("power cut behind the end, {}{full}", lived.way.name())
            }
            None => format!("power cut, {}{full}", lived.way.name()),
        }
    }

    /// Writes the disk, and gives a number that another one has not.
    pub fn write(&self, recordings: &[Recording], made: &MadeDisk, disk: &Path) -> Result<u64, Failure> {
        let lived = &recordings[self.recording];
        let number = write_sparse(disk, &lived.disk(&self.cut))?;
        let Some(damage) = self.damage else { return Ok(number) };
        let newest = lived.allowed(&self.cut).into_iter().max().unwrap_or_default();
        let newest = made.number(newest).ok_or_else(|| Failure::new("a generation that nobody made"))?;
        damage.apply(disk, made, newest, &mut Random::new(self.seed))?;
        Ok(number ^ self.seed)
    }
}
