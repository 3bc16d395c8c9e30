//! One state that an update leaves: which update, cut off when, with what damaged, and which loader meets it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::damage::Damage;
use super::loader::Loader;
use super::made_disk::MadeDisk;
use super::recording::{Recording, Room};
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
        let full = |it: &Recording| matches!(it.room, Room::Free(_));
        // Three in twenty meet a partition that is nearly full.
        let wants_full = damage.is_none() && number % ROUND < Damage::ALL.len() as u64 + 3;
        let of_kind = |at: &usize| full(&recordings[*at]) == wants_full;
        let mut choices: Vec<usize> = (0..recordings.len()).filter(of_kind).collect();
        if choices.is_empty() {
            choices = (0..recordings.len()).collect();
        }
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

    /// For the table: what was done to the disk.
    pub fn kind(&self, recordings: &[Recording]) -> String {
        let lived = &recordings[self.recording];
        let full = if matches!(lived.room, Room::Free(_)) { ", ESP full" } else { "" };
        match self.damage {
            Some(damage) => damage.name().to_owned(),
            None => format!("power cut, {}{full}", lived.way.name()),
        }
    }

    /// Writes the disk.
    pub fn write(&self, recordings: &[Recording], made: &MadeDisk, disk: &Path) -> Result<(), Failure> {
        let lived = &recordings[self.recording];
        write_sparse(disk, &lived.disk(&self.cut))?;
        let Some(damage) = self.damage else { return Ok(()) };
        let newest = lived.allowed(&self.cut).into_iter().max().unwrap_or_default();
        let newest = made.number(newest).ok_or_else(|| Failure::new("a generation that nobody made"))?;
        damage.apply(disk, made, newest, &mut Random::new(self.seed))
    }
}

/// Leaves out what is zero: the disks are mostly empty.
pub fn write_sparse(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    const BLOCK: usize = 64 << 10;
    static ZERO: [u8; BLOCK] = [0; BLOCK];
    let write = || {
        let file = File::create(path)?;
        file.set_len(bytes.len() as u64)?;
        for (number, block) in bytes.chunks(BLOCK).enumerate() {
            if *block != ZERO[..block.len()] {
                file.write_all_at(block, (number * BLOCK) as u64)?;
            }
        }
        Ok(())
    };
    write().map_err(Failure::at::<std::io::Error>(path))
}
