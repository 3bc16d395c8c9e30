//! Damaged images under dm-verity: bits and blocks are changed at random, the image is opened as init opens it, and the whole
//! tree is read. What comes out must be right, or an error; never something else.
//!
//! User-mode Linux does it by the thousand, without error correction. Debian's 6.12 in QEMU, which has it, shows how much is
//! healed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::num::NonZero;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use soak_guest::{hex, tree};
use squashfs::{Owners, ScanOptions, Times, Tree, WriteOptions, Xattrs, write_image};
use tempfile::TempDir;
use verity::{BLOCK, Verity};
use vm::machine::Machine;

use crate::artifacts::{self, Kernel};
use crate::failure::Failure;
use crate::guest::Guest;
use crate::initramfs::Initramfs;
use crate::soak::log_folder;
use crate::soak::random::Random;
use crate::uml::{Archive, Uml};

const MODULES: [&str; 5] = ["loop", "squashfs", "dm_mod", "dm_bufio", "dm_verity"];
/// No more than this between two answers of the guest; it sends them by fifties.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where a damage is. The regions of the file, in order: `crates/verity` says how long each is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Region {
    /// The squashfs.
    Data,
    /// veritysetup's superblock, which nobody reads.
    Superblock,
    /// The hash tree.
    Tree,
    /// The error correction.
    Parity,
}

/// What came of one damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// All that was read is right.
    Right,
    /// The image was not opened or not mounted.
    Refused,
    /// Reading ended with an error.
    Unreadable,
    /// Something else was read, without an error.
    Wrong,
}

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flip {
    /// Where, in bytes from the start of the file.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
    /// Each byte is XORed with it.
    pub mask: u8,
}

/// More flips than this are shared out over several boots.
const MOST_IN_ONE_BOOT: usize = 2_500;

/// What the guest says when its kernel has no sound SHA-256 ([`NOT_SOUND`](crate::uml::NOT_SOUND) on its own console).
const ELIBBAD: &str = "(os error 80)";
/// More boots of that kind in a row are no accident.
const MOST_UNSOUND_BOOTS: u32 = 4;

/// How images are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Through dm-verity.
    Verity,
    /// As they are: the control, which shows that the harness sees wrong data.
    Plain,
}

/// An image with hash tree and error correction, and what is known about it.
#[derive(Debug)]
pub struct FlipTarget {
    image: Vec<u8>,
    verity: Verity,
    tree: String,
    data: String,
    folder: TempDir,
}

impl FlipTarget {
    /// Some hundred KiB of files of every kind and size, from `seed`.
    pub fn make(seed: u64) -> Result<Self, Failure> {
        let folder = tempfile::tempdir().map_err(Failure::about("a temporary folder"))?;
        let root = folder.path().join("root");
        fill(&root, &mut Random::new(seed)).map_err(Failure::at(&root))?;
        let digest = tree::digest(&root).map_err(Failure::at(&root))?;
        let options = ScanOptions { owners: Owners::AllRoot, times: Times::Set(0), xattrs: Xattrs::Drop };
        let tree = Tree::from_directory(&root, &options).map_err(Failure::at(&root))?;
        let path = folder.path().join("image");
        let file = File::options().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(Failure::at(&path))?;
        let written = file.try_clone().map_err(Failure::at(&path))?;
        let summary = write_image(&tree, &WriteOptions::default(), written, &mut |_| ());
        let size = summary.map_err(Failure::at(&path))?.size;
        let mut salt = [0; 32];
        let mut random = Random::new(seed);
        salt.iter_mut().for_each(|byte| *byte = random.bits() as u8);
        let verity = verity::append(&file, size, &verity::Format::new(salt), NonZero::<usize>::MIN);
        let verity = verity.map_err(Failure::at(&path))?;
        let image = fs::read(&path).map_err(Failure::at(&path))?;
        let data = Sha256::digest(&image[..usize::try_from(verity.layout.hash_offset).unwrap_or(0)]);
        Ok(Self { image, verity, tree: hex(&digest), data: hex(&data), folder })
    }

    /// The length of the file, in bytes.
    pub fn size(&self) -> u64 {
        self.image.len() as u64
    }

    /// The region that a byte belongs to.
    pub fn region(&self, offset: u64) -> Region {
        let layout = &self.verity.layout;
        match offset {
            _ if offset < layout.hash_offset => Region::Data,
            _ if offset < layout.hash_offset + BLOCK => Region::Superblock,
            _ if layout.fec.is_some_and(|fec| offset >= fec.offset) => Region::Parity,
            _ => Region::Tree,
        }
    }

    /// `count` single bits anywhere in the file.
    pub fn bits(&self, seed: u64, count: u32) -> Vec<Flip> {
        let mut random = Random::new(seed);
        let mut flip = |_| Flip { offset: random.below(self.size()), length: 1, mask: 1 << random.below(8) };
        (0..count).map(&mut flip).collect()
    }

    /// `count` bursts of 4 KiB anywhere in data and hash tree, not aligned to blocks.
    pub fn bursts(&self, seed: u64, count: u32) -> Vec<Flip> {
        let mut random = Random::new(seed);
        let end = self.verity.layout.fec.map_or(self.size(), |fec| fec.offset) - BLOCK;
        (0..count).map(|_| Flip { offset: random.below(end), length: BLOCK, mask: 0xff }).collect()
    }

    /// The files of the guest: the image, what is known about it, and what to do.
    fn archive(&self, opening: Opening, flips: &[Flip]) -> Result<Archive, Failure> {
        let guest = artifacts::soak_guest()?;
        let guest = fs::read(&guest).map_err(Failure::at(&guest))?;
        let protection = match opening {
            Opening::Plain => String::new(),
            Opening::Verity => {
                let Verity { root_hash, salt, layout } = &self.verity;
                let roots = layout.fec.map_or(0, |fec| fec.roots);
                format!("{} {} {} {roots}", hex(root_hash), hex(salt), layout.data_blocks)
            }
        };
        let lines = flips.iter().map(|flip| format!("{} {} {}\n", flip.offset, flip.length, flip.mask));
        Ok(Archive::new()
            .program("soak-guest", guest)
            .file("soak/image", self.image.clone())
            .file("soak/protection", protection.into_bytes())
            .file("soak/tree", self.tree.clone().into_bytes())
            .file("soak/data", self.data.clone().into_bytes())
            .file("soak/flips", lines.collect::<String>().into_bytes()))
    }

    /// Does `flips` in user-mode Linux, some thousands in each boot: its 6.1 ran out of something at 6,700 opened devices.
    pub fn run_in_uml(&self, opening: Opening, flips: &[Flip]) -> Result<Vec<Outcome>, Failure> {
        let boots = flips.chunks(MOST_IN_ONE_BOOT).map(|flips| self.run_in_a_sound_boot(opening, flips));
        Ok(boots.collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// Nothing was judged in a boot whose kernel is not sound, so it is done again.
    fn run_in_a_sound_boot(&self, opening: Opening, flips: &[Flip]) -> Result<Vec<Outcome>, Failure> {
        let mut unsound = 0;
        loop {
            match self.run_in_one_boot(opening, flips) {
                Err(failure) if unsound < MOST_UNSOUND_BOOTS && failure.to_string().contains(ELIBBAD) => {
                    unsound += 1;
                }
                other => return other,
            }
        }
    }

    fn run_in_one_boot(&self, opening: Opening, flips: &[Flip]) -> Result<Vec<Outcome>, Failure> {
        let initramfs = self.folder.path().join("initramfs");
        self.archive(opening, flips)?.modules(&MODULES)?.write(&initramfs)?;
        let log = log_folder()?.join(format!("flips-{opening:?}.log"));
        let machine = Uml::new(&initramfs).parameters("rdinit=/soak-guest soak_role=flips loglevel=5");
        let mut guest = machine.boot(&log)?;
        let mut text_seen = 0;
        // Each answer is waited for on its own, so that a guest that hangs is noticed.
        loop {
            match guest.wait_for_any(
                &["soak: flips done", "soak: flips failed", "0 right", "0 unreadable"],
                PATIENCE,
            ) {
                Ok(0) => break,
                Ok(1) => {
                    // The reason follows on the same line.
                    let _ = guest.wait_for_end(Duration::from_secs(5));
                    return Err(Failure::new(format!("{}: {}", log.display(), last_lines(guest.text()))));
                }
                Ok(_) => text_seen = guest.text().len(),
                Err(missed) => {
                    return Err(Failure::new(format!(
                        "{missed:?} after {text_seen} bytes of answers: {}",
                        log.display()
                    )));
                }
            }
        }
        answers(guest.text(), flips.len())
    }

    /// Does `flips` in one boot of `kernel` in QEMU. Says also whether its dm-verity corrects errors.
    pub fn run_in_qemu(&self, kernel: &Kernel, flips: &[Flip]) -> Result<(Vec<Outcome>, bool), Failure> {
        let ours = self.folder.path().join("ours");
        self.archive(Opening::Verity, flips)?.write(&ours)?;
        let base = Initramfs::new(kernel).write()?;
        let initramfs = self.folder.path().join("both");
        join(&[&base, &ours], &initramfs)?;
        let machine = Machine::new("soak-flips", &kernel.vmlinuz, &initramfs)
            .parameters("rdinit=/soak-guest soak_role=flips loglevel=5");
        let mut guest = Guest::boot(&machine)?;
        guest.expect_within("soak: undamaged right", PATIENCE)?;
        // Emulated, an image takes a tenth of a second.
        let patience = PATIENCE + Duration::from_millis(300) * u32::try_from(flips.len()).unwrap_or(u32::MAX);
        guest.expect_within("soak: flips done", patience)?;
        let corrects = guest.text().contains("soak: corrects errors");
        Ok((answers(guest.text(), flips.len())?, corrects))
    }
}

/// Concatenates archives. Each begins at a multiple of four bytes (kernel:
/// `Documentation/driver-api/early-userspace/buffer-format.rst`).
fn join(parts: &[&Path], target: &PathBuf) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend(fs::read(part).map_err(Failure::at(part))?);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    fs::write(target, bytes).map_err(Failure::at(target))
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join(" | ")
}

/// Reads `soak: flip NUMBER WORD` for every number from 1 to `count`.
fn answers(text: &str, count: usize) -> Result<Vec<Outcome>, Failure> {
    let mut outcomes = Vec::with_capacity(count);
    for line in text.lines().filter_map(|line| line.strip_prefix("soak: flip ")) {
        let outcome = match line.split_once(' ') {
            Some((_, "right")) => Outcome::Right,
            Some((_, "refused")) => Outcome::Refused,
            Some((_, "unreadable")) => Outcome::Unreadable,
            Some((_, "wrong")) => Outcome::Wrong,
            _ => return Err(Failure::new(format!("not understood: soak: flip {line}"))),
        };
        outcomes.push(outcome);
    }
    if outcomes.len() != count {
        return Err(Failure::new(format!("{count} damages and {} answers", outcomes.len())));
    }
    Ok(outcomes)
}

/// Counts by region and outcome.
#[derive(Debug, Default)]
pub struct Table(BTreeMap<Region, BTreeMap<Outcome, usize>>);

impl Table {
    /// Adds the outcomes of `flips`. A burst belongs to the region that it begins in.
    pub fn add(&mut self, target: &FlipTarget, flips: &[Flip], outcomes: &[Outcome]) {
        for (flip, outcome) in flips.iter().zip(outcomes) {
            *self.0.entry(target.region(flip.offset)).or_default().entry(*outcome).or_default() += 1;
        }
    }

    /// How many had that outcome, anywhere.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.0.values().filter_map(|outcomes| outcomes.get(&outcome)).sum()
    }

    /// How many were done in these regions, and how many of them were right.
    pub fn right_of(&self, regions: &[Region]) -> (usize, usize) {
        let of = |region| self.0.get(region).into_iter().flatten();
        let right = regions.iter().flat_map(of).filter(|(outcome, _)| **outcome == Outcome::Right);
        (regions.iter().flat_map(of).map(|(_, count)| count).sum(), right.map(|(_, count)| count).sum())
    }

    /// A Markdown table.
    pub fn to_markdown(&self) -> String {
        let outcomes = [Outcome::Refused, Outcome::Unreadable, Outcome::Right, Outcome::Wrong];
        let mut text =
            "| where | damages | refused at the mount | error when read | all right | **wrong data** |\n\
                        |---|---|---|---|---|---|\n"
                .to_owned();
        for (region, counts) in &self.0 {
            text +=
                &format!("| {} | {} |", format!("{region:?}").to_lowercase(), counts.values().sum::<usize>());
            for outcome in outcomes {
                text += &format!(" {} |", counts.get(&outcome).unwrap_or(&0));
            }
            text += "\n";
        }
        text
    }
}

/// Files that compress and files that do not, small and large, links, deep folders, an empty file.
fn fill(root: &Path, random: &mut Random) -> std::io::Result<()> {
    fs::create_dir(root)?;
    for number in 0..40_u64 {
        let folder = root.join(format!("folder-{}/{}", number % 7, number % 3));
        fs::create_dir_all(&folder)?;
        let length = if number % 5 == 0 { random.below(60_000) } else { random.below(3_000) };
        let text = number % 2 == 0;
        let bytes: Vec<u8> = (0..length)
            .map(|_| if text { b'a' + random.below(4) as u8 } else { random.bits() as u8 })
            .collect();
        fs::write(folder.join(format!("file-{number}")), bytes)?;
        symlink(format!("file-{number}"), folder.join(format!("link-{number}")))?;
    }
    fs::write(root.join("empty"), b"")
}
