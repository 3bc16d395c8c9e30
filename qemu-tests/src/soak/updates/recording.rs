//! An update that was lived through in user-mode Linux on a disk that logs every write, by `lamina system install` itself.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use vm::machine::{Firmware, Machine};

use super::contents::{contents, fill, write_sparse};
use super::made_disk::{FIRST, LAST, MadeDisk, PROFILE, Place};
use crate::artifacts;
use crate::failure::Failure;
use crate::guest::Guest;
use crate::soak::log_folder;
use crate::soak::log_writes::{self, Cut, Entry, Torn};
use crate::uml::{Archive, Uml};

const MODULES: [&str; 9] =
    ["loop", "fat", "vfat", "nls_cp437", "nls_ascii", "nls_iso8859_1", "dm_mod", "dm_bufio", "dm_log_writes"];
const PATIENCE: Duration = Duration::from_secs(240);
const LOG_BYTES: u64 = 512 << 20;
/// Where ext4 has its superblock, and what a disk writes whole, in bytes.
const SUPERBLOCK: usize = 1024;
const SECTOR: usize = 512;
/// Among so many random cuts at one moment is one that tears what it should, or there is none.
const MOST_SEEDS: u64 = 24;

/// How the command reaches the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Both partitions are mounted: `--medium` and `--esp`.
    Mounted,
    /// `--disk`.
    Unmounted,
    /// No command: systemd-boot itself counts a try.
    Loader,
}

impl Way {
    /// For titles and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mounted => "mounted",
            Self::Unmounted => "unmounted",
            Self::Loader => "counted by the loader",
        }
    }

    fn arguments(self, made: &MadeDisk) -> Vec<String> {
        let text = |inside: &str| made.path(inside).display().to_string();
        match self {
            Self::Mounted => vec!["--medium".to_owned(), text("medium"), "--esp".to_owned(), text("esp")],
            Self::Unmounted => vec!["--disk".to_owned(), "/dev/dm-0".to_owned()],
            Self::Loader => Vec::new(),
        }
    }
}

/// One command of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    name: String,
    store: u64,
    words: Vec<String>,
    /// The generation that boots by itself from then on.
    gives: u64,
}

impl Step {
    /// Brings a generation, with a kernel and an initramfs of its own, and lets the newest two stay.
    pub fn install(made: &MadeDisk, number: u64) -> Result<Self, Failure> {
        let [kernel, initramfs] = made.boot_files(number)?.map(|path| path.display().to_string());
        let words = ["install", PROFILE, "--keep", "2", "--kernel", &kernel, "--initramfs", &initramfs];
        let words = words.map(str::to_owned).to_vec();
        Ok(Self { name: number.to_string(), store: number, words, gives: number })
    }

    /// Another command of `lamina system`, which brings nothing.
    pub fn of(name: &str, words: &[&str]) -> Self {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Self { name: name.to_owned(), store: FIRST, words, gives: FIRST }
    }

    /// Goes back from a generation.
    pub fn rollback(from: u64) -> Self {
        let words = vec!["rollback".to_owned()];
        Self { name: "back".to_owned(), store: from, words, gives: from - 1 }
    }

    fn line(&self, made: &MadeDisk, way: Way) -> Result<String, Failure> {
        let lamina = artifacts::lamina()?.canonicalize().map_err(Failure::about("lamina"))?;
        let mut words = vec![self.name.clone(), made.store_with(self.store).display().to_string()];
        words.extend([lamina.display().to_string(), "system".to_owned()]);
        words.extend(self.words.iter().cloned().chain(way.arguments(made)));
        Ok(format!("{}\n", words.join("\t")))
    }
}

/// How much the EFI system partition holds before the update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Little.
    Enough,
    /// So much that only this many bytes are free.
    Free(u64),
}

/// What the kernel does with what is dirty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As it is: it is written back when somebody syncs, or half a minute later.
    Usual,
    /// After each command everything is synced, and a mark says so.
    Settled,
    /// The same, and meanwhile all is written back at once: what a command changes and syncs, somebody else is just writing.
    SettledEagerly,
}

impl Pace {
    fn parameters(self) -> &'static str {
        match self {
            Self::Usual => "soak.settles=no soak.writeback=usual",
            Self::Settled => "soak.settles=yes soak.writeback=usual",
            Self::SettledEagerly => "soak.settles=yes soak.writeback=eager",
        }
    }
}

/// A life, and its log.
#[derive(Debug)]
pub struct Recording {
    /// How the command reached the disk.
    pub way: Way,
    /// How full the EFI system partition was.
    pub room: Room,
    base: Vec<u8>,
    newest: u64,
    steps: Vec<Step>,
    /// What was done to the disk.
    pub entries: Vec<Entry>,
    first: usize,
}

impl Recording {
    /// The life of a disk: new generations up to `last`, and before that one a step back. Where more than two come, kernels and
    /// initramfs files go.
    pub fn make(made: &MadeDisk, way: Way, last: u64) -> Result<Self, Failure> {
        let mut steps = Vec::new();
        for number in FIRST + 1..=last {
            if number == last && number > FIRST + 1 {
                steps.push(Step::rollback(last - 1));
            }
            steps.push(Step::install(made, number)?);
        }
        Self::of_steps(made, way, steps, Pace::Usual)
    }

    /// These commands, on the disk as it was made.
    pub fn of_steps(made: &MadeDisk, way: Way, steps: Vec<Step>, pace: Pace) -> Result<Self, Failure> {
        let base = fs::read(made.image()).map_err(Failure::about("the disk"))?;
        let lived = Self::live(made, (way, pace), Room::Enough, base, FIRST, steps)?;
        match lived.is_refused() {
            true => {
                Err(Failure::new(format!("a command was refused: {}", log_of(way, Room::Enough)?.display())))
            }
            false => Ok(lived),
        }
    }

    /// One more generation on the disk that this life leaves, where so much is free on the EFI system partition.
    ///
    /// # Errors
    /// The command was refused, and has changed something nevertheless.
    pub fn one_more(&self, made: &MadeDisk, free: u64) -> Result<Self, Failure> {
        let path = made.path("full.img");
        write_sparse(&path, &self.disk(&self.end()))?;
        fill(&path, made, free)?;
        let base = fs::read(&path).map_err(Failure::at(&path))?;
        let step = Step::install(made, LAST)?;
        let way = (self.way, Pace::Usual);
        let lived = Self::live(made, way, Room::Free(free), base, self.newest(), vec![step])?;
        if lived.is_refused() {
            let after = made.path("refused.img");
            write_sparse(&after, &lived.disk(&lived.end()))?;
            let (before, after) = (contents(&path, made)?, contents(&after, made)?);
            if before != after {
                return Err(Failure::new(format!("a refused command has changed {before:?} to {after:?}")));
            }
        }
        Ok(lived)
    }

    /// What the firmware writes when systemd-boot counts a try of the newest generation: it renames the file of its entry. The kernel that
    /// it starts then is none.
    pub fn of_loader(&self, made: &MadeDisk) -> Result<Self, Failure> {
        let (newest, base) = (self.newest(), self.disk(&self.end()));
        let (disk, log) = (made.path("lived.img"), made.path("log.img"));
        write_sparse(&disk, &base)?;
        File::create(&log).map_err(Failure::at(&log))?;
        let machine = Machine::from_firmware("update-loader", Firmware::Uefi).logged_disk(&disk, &log);
        let mut guest = Guest::boot(&machine)?;
        guest.expect("Boot in ")?;
        guest.expect(KERNEL_IS_NONE)?;
        drop(guest);
        let entries = log_writes::parse(&fs::read(&log).map_err(Failure::at(&log))?)?;
        let (room, steps) = (Room::Enough, Vec::new());
        Ok(Self { way: Way::Loader, room, base, newest, steps, entries, first: 0 })
    }

    /// Each moment of the log, with each way to lose what was not flushed.
    pub fn every_cut(&self) -> Vec<Cut> {
        let after = self.first + 1..=self.entries.len();
        let torn = [Torn::Nothing, Torn::All, Torn::Writes, Torn::Sectors];
        after.flat_map(|after| torn.map(|torn| Cut { after, torn, seed: after as u64 })).collect()
    }

    fn live(
        made: &MadeDisk,
        (way, pace): (Way, Pace),
        room: Room,
        base: Vec<u8>,
        newest: u64,
        steps: Vec<Step>,
    ) -> Result<Self, Failure> {
        let (disk, log) = (made.path("lived.img"), made.path("log.img"));
        write_sparse(&disk, &base)?;
        File::create(&log).and_then(|file| file.set_len(LOG_BYTES)).map_err(Failure::at(&log))?;
        let lines = steps.iter().map(|step| step.line(made, way)).collect::<Result<String, _>>()?;
        let path = made.path("steps");
        fs::write(&path, lines).map_err(Failure::at(&path))?;
        record(made, (way, pace), [&disk, &log], &log_of(way, room)?)?;
        let entries = log_writes::parse(&fs::read(&log).map_err(Failure::at(&log))?)?;
        let first = entries.iter().position(|entry| *entry == Entry::Mark("mounted".to_owned())).unwrap_or(0);
        Ok(Self { way, room, base, newest, steps, entries, first })
    }

    /// Writes, flushes and marks of the log.
    pub fn length(&self) -> usize {
        self.entries.len() - self.first
    }

    /// Whether the EFI system partition had little room.
    pub fn is_full(&self) -> bool {
        self.room != Room::Enough
    }

    /// Where cuts begin.
    pub fn first(&self) -> usize {
        self.first
    }

    /// The moment behind everything.
    pub fn end(&self) -> Cut {
        self.whole(self.entries.len())
    }

    /// The moments behind each command that has brought a generation.
    pub fn ends(&self) -> Vec<Cut> {
        let installs =
            |name: &str| self.steps.iter().any(|step| step.name == name && step.store == step.gives);
        let is_end = |entry: &Entry| matches!(entry, Entry::Mark(mark) if mark.strip_prefix("done-").is_some_and(installs));
        let ends = self.entries.iter().enumerate().filter(|(_, entry)| is_end(entry));
        ends.map(|(at, _)| self.whole(at + 1)).collect()
    }

    fn whole(&self, after: usize) -> Cut {
        Cut { after, torn: Torn::All, seed: 0 }
    }

    /// Whether at this moment a command had said that it is done, and no other had begun.
    pub fn is_behind_an_end(&self, cut: &Cut) -> bool {
        let mut marks = self.entries[..cut.after].iter().rev().filter_map(|entry| match entry {
            Entry::Mark(name) => Some(name.as_str()),
            _ => None,
        });
        // The last one stands behind the end of everything.
        marks.find(|name| *name != "end").is_some_and(|name| name.starts_with("done-"))
    }

    /// Whether a command was refused.
    pub fn is_refused(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry, Entry::Mark(name) if name.starts_with("refused-")))
    }

    /// The generation that boots by itself in the end.
    fn newest(&self) -> u64 {
        self.allowed(&self.end()).into_iter().max().unwrap_or(FIRST)
    }

    /// The disk that a power cut leaves.
    pub fn disk(&self, cut: &Cut) -> Vec<u8> {
        let mut disk = self.base.clone();
        cut.apply(&self.entries, &mut disk);
        disk
    }

    /// Power cuts in the middle of writes of the store's superblock, of which one of the two sectors is new and the other old: at most
    /// `most`. A write that changes one of them alone cannot be torn.
    pub fn torn_superblocks(&self, made: &MadeDisk, most: usize) -> Vec<Cut> {
        let place = made.store.start as usize + SUPERBLOCK;
        let writes_it = |entry: &Entry| match entry {
            Entry::Write { offset, data, .. } => (*offset..offset + data.len()).contains(&place),
            _ => false,
        };
        let ends = (self.first..self.entries.len()).filter(|at| writes_it(&self.entries[*at]));
        let torn = ends.filter_map(|at| {
            let halves = |cut: &Cut| {
                let disk = self.disk(cut);
                [0, 1].map(|half| disk[place + half * SECTOR..][..SECTOR].to_vec())
            };
            let (old, new) = (halves(&self.whole(at)), halves(&self.whole(at + 1)));
            let torn = [[&old[0], &new[1]], [&new[0], &old[1]]];
            let can_be_torn = old[0] != new[0] && old[1] != new[1];
            let seeds = 0..if can_be_torn { MOST_SEEDS } else { 0 };
            let mut cuts = seeds.map(|seed| Cut { after: at + 1, torn: Torn::Sectors, seed });
            cuts.find(|cut| torn.contains(&halves(cut).each_ref()))
        });
        torn.take(most).collect()
    }

    /// The generations that may boot by themselves after this cut: that of before, and while a command runs the one that it brings.
    pub fn allowed(&self, cut: &Cut) -> Vec<u64> {
        let (mut now, mut next) = (self.newest, None);
        for entry in &self.entries[..cut.after] {
            let Entry::Mark(mark) = entry else { continue };
            let gives = |name: &str| self.steps.iter().find(|step| step.name == name).map(|step| step.gives);
            match mark.split_once('-') {
                Some(("begun", name)) => next = gives(name),
                Some(("done", name)) => (now, next) = (gives(name).unwrap_or(now), None),
                Some(("refused", _)) => next = None,
                _ => {}
            }
        }
        [now].into_iter().chain(next).collect()
    }
}

/// What systemd-boot says of a kernel that is no program of UEFI.
const KERNEL_IS_NONE: &str = "Error loading";

/// What the commands said.
fn log_of(way: Way, room: Room) -> Result<PathBuf, Failure> {
    let room = match room {
        Room::Enough => String::new(),
        Room::Free(bytes) => format!("-{bytes}-free"),
    };
    Ok(log_folder()?.join(format!("update-{}{room}.log", way.name())))
}

/// One boot that logs and ends by itself.
fn record(made: &MadeDisk, (way, pace): (Way, Pace), disks: [&Path; 2], text: &Path) -> Result<(), Failure> {
    let initramfs = made.path("recorder");
    let guest = artifacts::soak_guest()?;
    let guest = fs::read(&guest).map_err(Failure::at(&guest))?;
    Archive::new().program("soak-guest", guest).folders(&["host"]).modules(&MODULES)?.write(&initramfs)?;

    let sectors = |it: Place| format!("{},{}", it.start / 512, it.size / 512);
    let machine = Uml::new(&initramfs)
        .memory(384)
        .disk(disks[0])
        .disk(disks[1])
        .parameters(pace.parameters())
        .parameters("rdinit=/soak-guest soak_role=update soak.disk=ubda soak.log=ubdb panic=2")
        .parameters(
            &format!("soak.work={} soak.way={}", made.path("").display(), way.name()).replace("/ ", " "),
        )
        .parameters(&format!("soak.esp={} soak.medium={}", sectors(made.esp), sectors(made.store)));
    let mut guest = machine.boot(text)?;
    match guest.wait_for_any(&["soak: steps done", " failed: "], PATIENCE) {
        Ok(0) => guest.wait_for_any(&["reboot: "], PATIENCE).map(drop).map_err(|missed| {
            Failure::new(format!("the update did not end: {missed:?}: {}", text.display()))
        }),
        other => {
            let _ = guest.wait_for_end(Duration::from_secs(3));
            Err(Failure::new(format!("the update was not recorded: {other:?}: {}", text.display())))
        }
    }
}
