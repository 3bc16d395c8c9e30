//! Power cuts. A system is booted in user-mode Linux on a disk that logs every write, and lives: init counts the boot, the system
//! blesses itself, new generations of its profile are put onto the medium, or init makes the state's file system and the system
//! writes files. From the log comes the disk that a power cut at a random moment would have left. Each such disk is booted by the
//! real init: whatever the moment was, a system must come up.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::artifacts;
use crate::failure::Failure;
use crate::medium::{self, FileSystem, Identity};
use crate::soak::log_folder;
use crate::soak::log_writes::{self, Cut, Entry, Torn};
use crate::soak::random::Random;
use crate::store::{Layer, ProfileText, TestStore};
use crate::uml::{Archive, Uml};

const MODULES: [&str; 12] = [
    "loop",
    "squashfs",
    "overlay",
    "fat",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "nls_iso8859_1",
    "dm_mod",
    "dm_bufio",
    "dm_verity",
    "dm_log_writes",
];
const PATIENCE: Duration = Duration::from_secs(90);
/// Generations of the profile that come during a life.
const GENERATIONS: u64 = 5;
const LOG_BYTES: u64 = 256 << 20;
const STATE_BYTES: u64 = 24 << 20;
const LABEL: &str = "LAMINA";
/// The UUID of the ext4 medium; FAT takes the last part as its serial number.
const UUIDS: [&str; 2] = ["6c616d69-6e61-4000-8000-000000000002", "6C61-6D69"];

/// What lives on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// A medium: counting, blessing, new generations.
    Medium(FileSystem),
    /// A state that init makes as ext4, and files on it.
    State,
}

impl Life {
    /// For titles and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Medium(FileSystem::Vfat) => "medium on FAT",
            Self::Medium(FileSystem::Ext4) => "medium on ext4 without a journal",
            Self::Medium(_) => "medium on ext4",
            Self::State => "state on ext4",
        }
    }
}

impl Life {
    /// Whether nothing may boot after this cut, and nobody can help it: without a journal ext4 writes a folder over itself, and a disk
    /// that tears a block leaves one whose checksum is wrong. The kernel reads nothing of it then.
    pub fn may_lose(self, cut: &Cut) -> bool {
        self == Self::Medium(FileSystem::Ext4) && cut.torn == Torn::Sectors
    }
}

/// A life that was lived, and its log.
#[derive(Debug)]
pub struct Recording {
    life: Life,
    folder: TempDir,
    initramfs: PathBuf,
    /// What the logged disk was before.
    base: Vec<u8>,
    /// The medium, for a life on the state.
    medium: PathBuf,
    entries: Vec<Entry>,
    /// The entry from which on cuts are made.
    first: usize,
}

/// How a disk booted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// With this generation, and this top.
    Booted {
        /// Of the profile.
        generation: u64,
        /// What init did with the state: `created`, `reused`, `fell back`, ...
        top: String,
        /// Why a tmpfs served in place of the state, and where the console's log and the disk are kept.
        gave_up: Option<String>,
    },
    /// Not at all.
    Unbootable,
}

impl Recording {
    /// Lives `life` once and reads its log.
    pub fn make(life: Life) -> Result<Self, Failure> {
        let folder = tempfile::tempdir().map_err(Failure::about("a temporary folder"))?;
        let at = |name: &str| folder.path().join(name);
        let initramfs = at("initramfs");
        write_initramfs(&initramfs)?;
        let medium = at("medium.img");
        let root = match life {
            Life::Medium(_) => "root writable=\"tmpfs\" size=\"50%\"",
            Life::State => "root writable=\"LABEL=soak-state\" create=\"ext4\" changed=\"reset\"",
        };
        let file_system = if let Life::Medium(file_system) = life { file_system } else { FileSystem::Ext4 };
        write_stores(folder.path(), root)?;
        let uuid = UUIDS[usize::from(file_system == FileSystem::Vfat)];
        medium::write(file_system, Identity { label: LABEL, uuid }, &at("store-1/medium"), &medium)?;
        let logged = match life {
            Life::Medium(_) => medium.clone(),
            Life::State => {
                sparse(&at("state.img"), STATE_BYTES)?;
                at("state.img")
            }
        };
        let base = fs::read(&logged).map_err(Failure::at(&logged))?;
        let log = at("log.img");
        sparse(&log, LOG_BYTES)?;
        live(life, &initramfs, &[&medium, &logged, &log], folder.path())?;
        let entries = log_writes::parse(&fs::read(&log).map_err(Failure::at(&log))?)?;
        let first = entries.iter().position(|entry| *entry == Entry::Mark("start".to_owned())).unwrap_or(0);
        Ok(Self { life, folder, initramfs, base, medium, entries, first })
    }

    /// Writes, flushes and marks of the log.
    pub fn length(&self) -> usize {
        self.entries.len() - self.first
    }

    /// A random moment, or one behind so many entries of the log.
    pub fn cut(&self, random: &mut Random, after: Option<usize>) -> Cut {
        let cut = Cut::random(random, self.first, self.entries.len());
        Cut { after: after.map_or(cut.after, |after| after.min(self.entries.len())), ..cut }
    }

    /// What had been done at that moment.
    pub fn phase(&self, cut: &Cut) -> &str {
        cut.phase(&self.entries)
    }

    /// The newest generation that was on the medium for good.
    fn expected(&self, cut: &Cut) -> u64 {
        let names = self.entries[..cut.after].iter().filter_map(|entry| match entry {
            Entry::Mark(name) => name.strip_prefix("switched-")?.parse().ok(),
            _ => None,
        });
        names.max().unwrap_or(1)
    }

    /// Boots what the power cut leaves.
    pub fn judge(&self, cut: &Cut) -> Result<Verdict, Failure> {
        let mut disk = self.base.clone();
        cut.apply(&self.entries, &mut disk);
        let path = self.folder.path().join("crashed.img");
        fs::write(&path, disk).map_err(Failure::at(&path))?;
        let mut machine = Uml::new(&self.initramfs)
            .parameters(&format!("lamina.store=LABEL={LABEL} lamina.profile=soak lamina.timeout=5 panic=2"))
            .parameters("soak_role=soak-arrived");
        if self.life == Life::State {
            let medium = self.folder.path().join("medium-copy.img");
            fs::copy(&self.medium, &medium).map_err(Failure::at(&medium))?;
            // The label is on the disk only when the file system was made: the device is named as it was then.
            machine = machine.disk(&medium).parameters(&state_parameter("ubdb"));
        }
        let name = format!("cut-{}-{}-{}.log", self.life.name().replace(' ', "-"), cut.after, cut.seed);
        let log = log_folder()?.join(name);
        let mut guest = machine.disk(&path).boot(&log)?;
        if guest.wait_for_any(&["soak: arrived", "[p] power off", "reboot: "], PATIENCE) != Ok(0) {
            return Ok(Verdict::Unbootable);
        }
        let _ = guest.wait_for_any(&["\n"], PATIENCE);
        let words = guest.text().split_once("soak: arrived generation ").map_or("", |(_, rest)| rest);
        let line = words.lines().next().unwrap_or_default();
        let (generation, top) = line.split_once(" top ").unwrap_or((line, "none"));
        let generation = generation.parse().map_err(Failure::about(log.display()))?;
        let gave_up =
            (top == FELL_BACK).then(|| format!("{}; console: {}", reason(guest.text()), log.display()));
        if gave_up.is_some() {
            let disk = log.with_extension("img");
            fs::copy(&path, &disk).map_err(Failure::at(&disk))?;
        } else {
            fs::remove_file(&log).map_err(Failure::at(&log))?;
        }
        Ok(Verdict::Booted { generation, top: top.to_owned(), gave_up })
    }
}

/// What the guest calls a top that is not the state.
const FELL_BACK: &str = "fell back";

/// Why init gave the state up, from the line that it shows in red.
fn reason(console: &str) -> &str {
    let line = console.split_once(" cannot be used: ").map_or("no reason was given", |(_, rest)| rest);
    line.split(['\n', ';']).next().unwrap_or(line)
}

fn state_parameter(device: &str) -> String {
    format!("lamina.state=/dev/{device},create=ext4,changed=reset")
}

/// One boot that logs and ends by itself. The disks: the medium, the logged one (the same for a life on the medium), the log.
fn live(life: Life, initramfs: &Path, disks: &[&Path; 3], work: &Path) -> Result<(), Failure> {
    let [medium, logged, log] = disks;
    let lamina = artifacts::lamina()?.canonicalize().map_err(Failure::about("lamina"))?;
    let text = log_folder()?.join(format!("life-{}.log", life.name().replace(' ', "-")));
    let mut machine = Uml::new(initramfs).memory(160);
    let parameters = match life {
        Life::Medium(_) => {
            machine = machine.disk(logged).disk(log);
            "soak.life=medium soak.disk=ubda soak.log=ubdb lamina.store=/dev/dm-0".to_owned()
        }
        Life::State => {
            machine = machine.disk(medium).disk(logged).disk(log);
            format!(
                "soak.life=state soak.disk=ubdb soak.log=ubdc lamina.store=LABEL={LABEL} {}",
                state_parameter("dm-0")
            )
        }
    };
    let machine = machine
        .parameters("rdinit=/soak-guest soak_role=record lamina.profile=soak lamina.timeout=5 panic=2")
        .parameters(&format!(
            "soak.work={} soak.lamina={} soak.generations={GENERATIONS}",
            work.display(),
            lamina.display()
        ))
        .parameters(&parameters);
    let mut guest = machine.boot(&text)?;
    match guest.wait_for_any(&["soak: life done", " failed: ", "[p] power off"], 2 * PATIENCE) {
        Ok(0) => guest
            .wait_for_any(&["reboot: "], PATIENCE)
            .map(drop)
            .map_err(|missed| Failure::new(format!("the life did not end: {missed:?}: {}", text.display()))),
        other => {
            let _ = guest.wait_for_end(Duration::from_secs(3));
            Err(Failure::new(format!("the life was not lived: {other:?}: {}", text.display())))
        }
    }
}

/// For each generation a store with it as the newest; the first becomes the medium.
fn write_stores(folder: &Path, root: &str) -> Result<(), Failure> {
    let guest = artifacts::soak_guest()?;
    let guest = fs::read(&guest).map_err(Failure::at(&guest))?;
    let mut system = Layer::new("soak-system").program("/sbin/soak-lives", guest)?;
    for name in ["/dev", "/host", "/proc", "/run", "/sys", "/tmp"] {
        system = system.folder(name)?;
    }
    for number in 1..=GENERATIONS {
        let base = folder.join(format!("store-{number}"));
        let store = TestStore::create(&if number == 1 { base.join("medium/lamina") } else { base })?;
        let mut images = vec![store.add(&system)?];
        let layer = Layer::new(&format!("layer-{number}"));
        images.push(store.add(&layer.file("/generation", &number.to_string().repeat(20_000))?)?);
        let profile = ProfileText::new("soak", &images).root(root).init("/sbin/soak-lives");
        store.generation(number, &profile)?;
        if number == 1 {
            store.boot_slots()?;
        }
    }
    let mount_point = folder.join("medium");
    fs::create_dir_all(&mount_point).map_err(Failure::at(&mount_point))
}

fn write_initramfs(path: &Path) -> Result<(), Failure> {
    let read = |path: PathBuf| fs::read(&path).map_err(Failure::at(&path));
    let mut archive = Archive::new()
        .program("init", read(artifacts::init()?)?)
        .program("soak-guest", read(artifacts::soak_guest()?)?)
        .folders(&["host", "sbin", "lib64", "lib/x86_64-linux-gnu"])
        .modules(&MODULES)?;
    // mke2fs with its libraries where the loader looks for them.
    let mke2fs = PathBuf::from("/usr/sbin/mke2fs");
    for library in libraries(&mke2fs)? {
        archive = archive.program(library.trim_start_matches('/'), read(PathBuf::from(&library))?);
    }
    archive.program("sbin/mkfs.ext4", read(mke2fs)?).write(path)
}

/// The files that ldd(1) names, and the loader among them.
fn libraries(program: &Path) -> Result<Vec<String>, Failure> {
    let output = Command::new("ldd").arg(program).output().map_err(Failure::about("ldd"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let paths = text.split_whitespace().filter(|word| word.starts_with("/lib")).map(str::to_owned);
    Ok(paths.collect())
}

fn sparse(path: &Path, length: u64) -> Result<(), Failure> {
    File::create(path).and_then(|file| file.set_len(length)).map_err(Failure::at(path))
}

/// All cuts of one recording.
#[derive(Debug, Default)]
pub struct Summary {
    cuts: usize,
    phases: BTreeMap<String, usize>,
    tops: BTreeMap<String, usize>,
    /// The cuts after which an older generation booted than the one that `lamina medium create` had just put there.
    older: Vec<Cut>,
    /// The cuts after which a tmpfs served in place of the state, with the reason.
    gave_up: Vec<(Cut, String)>,
    /// The cuts after which nothing booted.
    pub bad: Vec<Cut>,
}

impl Summary {
    /// Cuts the power `count` times, or until `deadline`; at random moments, or always after so many entries of the log.
    pub fn of(
        recording: &Recording,
        seed: u64,
        count: usize,
        after: Option<usize>,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        let mut random = Random::new(seed);
        let mut summary = Self::default();
        while summary.cuts < count && Instant::now() < deadline {
            let cut = recording.cut(&mut random, after);
            summary.cuts += 1;
            *summary.phases.entry(recording.phase(&cut).to_owned()).or_default() += 1;
            match recording.judge(&cut)? {
                Verdict::Unbootable => summary.bad.push(cut),
                Verdict::Booted { generation, top, gave_up } => {
                    *summary.tops.entry(top).or_default() += 1;
                    summary.gave_up.extend(gave_up.map(|why| (cut, why)));
                    if generation < recording.expected(&cut) {
                        summary.older.push(cut);
                    }
                }
            }
        }
        Ok(summary)
    }

    /// A Markdown section.
    pub fn to_markdown(&self, recording: &Recording, seed: u64) -> String {
        let list = |counts: &BTreeMap<String, usize>| {
            let words: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
            words.join(", ")
        };
        let mut text = format!(
            "### {}\n\n{} power cuts in a log of {} writes and flushes, seed {seed}. Done last before the cut: {}.\n\
             The top of the systems that came up: {}.\n\nUnbootable: **{}**. An older generation booted than the \
             one that had just been put there: **{}**.\n",
            recording.life.name(),
            self.cuts,
            recording.length(),
            list(&self.phases),
            list(&self.tops),
            self.bad.len(),
            self.older.len()
        );
        for cut in self.bad.iter().chain(&self.older) {
            text += &format!("- {cut:?}, behind `{}`\n", recording.phase(cut));
        }
        for (cut, why) in &self.gave_up {
            text += &format!("- {cut:?}, behind `{}`: the state was given up: {why}\n", recording.phase(cut));
        }
        text
    }
}
