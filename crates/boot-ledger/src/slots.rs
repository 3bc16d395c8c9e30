//! The two files.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::stat::Mode;

use crate::codec::Damage;
use crate::ledger::{Ledger, SLOT_BYTES};

/// The folder of the slots, below the store's.
const FOLDER: &str = "boot";

/// The two files, below the store's folder.
pub const FILES: [&str; 2] = ["boot/a", "boot/b"];

/// One of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// `boot/a`
    A,
    /// `boot/b`
    B,
}

impl Slot {
    /// `a` or `b`.
    pub fn file_name(self) -> &'static str {
        match self {
            Slot::A => "a",
            Slot::B => "b",
        }
    }

    /// The same error with the slot's name in front.
    fn error(self, error: io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{FOLDER}/{}: {error}", self.file_name()))
    }
}

/// What the two slots hold together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Of the newer slot that is sound; empty when none is.
    pub ledger: Ledger,
    /// The slots that are not, and why.
    pub damaged: Vec<(Slot, Damage)>,
    /// Of the ledger; 0 when no slot is sound.
    sequence: u64,
    /// The slot that does not hold the ledger.
    older: Slot,
}

/// The slots of a medium. No file stays open between two calls, so that the medium can be made read-only.
#[derive(Debug)]
pub struct Slots {
    folder: PathBuf,
    links: Links,
}

/// Whose the symbolic links on the way to the slots are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Links {
    /// Of whoever has made the medium: none is followed, so that root reads and writes nowhere else.
    OfTheMedium,
    /// Of whoever makes the medium now.
    OfTheUser,
}

impl Slots {
    /// The slots below the folder of a store; `None` when there are none: an older medium, or a store that is packed
    /// into the initramfs.
    ///
    /// # Errors
    /// The folder is there and cannot be opened, or it is a link.
    pub fn open(store: &Path) -> io::Result<Option<Slots>> {
        let slots = Slots { folder: store.join(FOLDER), links: Links::OfTheMedium };
        match slots.open_folder() {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        let missing = |slot| slots.load(slot) == Err(Damage::Missing);
        Ok((!missing(Slot::A) || !missing(Slot::B)).then_some(slots))
    }

    /// Makes the slots that are missing or have a wrong length, with an empty ledger, and syncs them. Slots that are right
    /// stay as they are. Not meant for a medium that somebody boots from at this moment.
    ///
    /// # Errors
    /// The store cannot be written to; a slot is a link or no regular file.
    pub fn create(store: &Path) -> io::Result<()> {
        let slots = Slots { folder: store.join(FOLDER), links: Links::OfTheUser };
        std::fs::create_dir_all(&slots.folder)?;
        let folder = File::from(slots.open_folder()?);
        for slot in [Slot::A, Slot::B] {
            if matches!(slots.load(slot), Ok(_) | Err(Damage::Broken | Damage::Newer(_))) {
                continue;
            }
            make_empty(&folder, slot).map_err(|error| slot.error(error))?;
        }
        folder.sync_all()?;
        // The name of the folder itself.
        File::open(store)?.sync_all()
    }

    /// Reads both slots. A slot that cannot be read is a damaged one: this never fails.
    pub fn read(&self) -> Reading {
        let (a, b) = (self.load(Slot::A), self.load(Slot::B));
        let damaged = [(Slot::A, &a), (Slot::B, &b)]
            .into_iter()
            .filter_map(|(slot, found)| Some((slot, found.as_ref().err()?.clone())))
            .collect();
        let (newer, older) = match (a, b) {
            (Ok(a), Ok(b)) if b.0 > a.0 => (Some(b), Slot::A),
            (Err(_), Ok(b)) => (Some(b), Slot::A),
            (Ok(a), _) => (Some(a), Slot::B),
            (Err(_), Err(_)) => (None, Slot::A),
        };
        let (sequence, ledger) = newer.unwrap_or_default();
        Reading { ledger, damaged, sequence, older }
    }

    /// Writes the ledger into the older slot, and returns when it is on the medium (fdatasync(2)). The other slot is not
    /// touched: whatever happens meanwhile, one of the two can be read.
    ///
    /// # Errors
    /// The medium is read-only or fails; the older slot is missing, no regular file, or has another length than 4096
    /// bytes; a newer Lamina wrote to it.
    pub fn write(&self, ledger: &Ledger) -> io::Result<()> {
        let Reading { sequence, older, damaged, .. } = self.read();
        if let Some((slot, newer @ Damage::Newer(_))) =
            damaged.iter().find(|(_, damage)| matches!(damage, Damage::Newer(_)))
        {
            return Err(slot.error(io::Error::new(ErrorKind::Unsupported, newer.to_string())));
        }
        let sequence = sequence.checked_add(1).ok_or_else(|| {
            io::Error::new(ErrorKind::InvalidData, "the sequence number of the slots is used up")
        })?;
        let write = || {
            let file = open_slot(&self.open_folder()?, older, OFlag::O_WRONLY)?;
            file.write_all_at(&ledger.encode(sequence), 0)?;
            file.sync_data()
        };
        write().map_err(|error| older.error(error))
    }

    fn open_folder(&self) -> io::Result<OwnedFd> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        if self.links == Links::OfTheUser {
            return Ok(open(&self.folder, flags, Mode::empty())?);
        }
        let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
        Ok(openat2(AT_FDCWD, &self.folder, how)?)
    }

    fn load(&self, slot: Slot) -> Result<(u64, Ledger), Damage> {
        let read = || {
            let file = open_slot(&self.open_folder()?, slot, OFlag::O_RDONLY)?;
            let mut bytes = [0; SLOT_BYTES];
            file.read_exact_at(&mut bytes, 0).map(|()| bytes)
        };
        match read() {
            Ok(bytes) => Ledger::decode(&bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Damage::Missing),
            Err(error) => Err(Damage::Unreadable(error.to_string())),
        }
    }
}

/// A slot with an empty ledger, on the disk.
fn make_empty(folder: &File, slot: Slot) -> io::Result<()> {
    let file = make_slot(folder, slot)?;
    file.set_len(0)?;
    file.write_all_at(&Ledger::default().encode(0), 0)?;
    file.sync_all()
}

/// A slot of the right length. It is looked at (O_PATH) before it is opened: to open a device node can already do something.
fn open_slot(folder: &OwnedFd, slot: Slot, access: OFlag) -> io::Result<File> {
    let (seen, metadata) = look(folder, slot)?;
    if metadata.len() != SLOT_BYTES as u64 {
        let why = format!("has {} bytes, and a slot has {SLOT_BYTES}", metadata.len());
        return Err(io::Error::new(ErrorKind::InvalidData, why));
    }
    reopen(&seen, access)
}

/// A new slot, or the one that is there; neither behind a link nor anything else than a regular file.
fn make_slot(folder: &File, slot: Slot) -> io::Result<File> {
    let new = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    match openat(folder, slot.file_name(), new, Mode::from_bits_truncate(0o644)) {
        Err(Errno::EEXIST) => reopen(&look(folder, slot)?.0, OFlag::O_RDWR),
        made => Ok(File::from(made?)),
    }
}

/// A regular file, not yet opened for reading or writing.
fn look(folder: impl AsFd, slot: Slot) -> io::Result<(File, Metadata)> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let seen = File::from(openat(folder, slot.file_name(), flags, Mode::empty())?);
    let metadata = seen.metadata()?;
    let why = match metadata.file_type() {
        kind if kind.is_file() => return Ok((seen, metadata)),
        kind if kind.is_symlink() => "is a symbolic link",
        _ => "is no regular file",
    };
    Err(io::Error::new(ErrorKind::InvalidData, why))
}

/// What was looked at, by its descriptor: the name may mean something else by now.
fn reopen(seen: &File, access: OFlag) -> io::Result<File> {
    let same = format!("/proc/self/fd/{}", seen.as_raw_fd());
    Ok(File::from(open(same.as_str(), access | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC, Mode::empty())?))
}
