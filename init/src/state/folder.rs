//! The folder of the tops, on the state file system: looked at, and changed one step at a time.
//!
//! Everything is reached from one open descriptor by plain names that are never followed when they are links, so that
//! nothing outside of the file system can be touched whatever lies on it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use block_probe::superblock::folds_case;
use file_systems::with_top;
use profiles::WhenChanged;
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, fstatvfs, fsync, mkdirat, openat, renameat_with,
    statat, unlinkat,
};
use rustix::io::Errno;
use stack::upper::Lack;

use super::decide::{Aside, FOLDER, FolderStep, FoundTop, Observed, Wish};
use super::free_space::FreeSpace;
use super::fresh;
use super::overlay_marks;
use super::stamp::{self, Stamp};
use crate::error::Failure;
use stack::overlay::{UPPER, WORK};

/// overlayfs leaves it in the scratch folder when it was mounted with `volatile`, and mounts no more while it is there.
const VOLATILE: &str = "work/work/incompat";

/// More tops of one profile are not looked at: each is one stack that it once had.
const MOST_ASIDES: usize = 1_024;

/// The folder `lamina` of the state file system.
#[derive(Debug)]
pub struct Tops {
    /// The root of the state file system.
    root: OwnedFd,
    folder: OwnedFd,
}

impl Tops {
    /// Opens it below the mount point of the state file system, and makes it at first use.
    pub fn open(mount: &Path) -> Result<Self, Failure> {
        let failure = |errno| cannot("open", "", errno);
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = rustix::fs::open(mount, flags, Mode::empty()).map_err(failure)?;
        match mkdirat(&root, FOLDER, Mode::RWXU) {
            Ok(()) => fsync(&root).map_err(failure)?,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(cannot_change(&root, &format!("make {FOLDER}"), errno)),
        }
        let folder = directory(&root, FOLDER).map_err(failure)?;
        // The kernel would mount over it all the same, and only warn.
        if let Some(lack) = stack::upper::lack(root.as_fd(), FOLDER).map_err(failure)? {
            // Not while anything is in it.
            let _ = unlinkat(&root, FOLDER, AtFlags::REMOVEDIR);
            return Err(unfit(lack));
        }
        Ok(Self { folder, root })
    }

    /// An open top, for a mount that must not depend on names.
    pub fn top(&self, name: &str) -> Result<OwnedFd, Failure> {
        directory(&self.folder, name).map_err(|errno| cannot("open", name, errno))
    }

    /// Looks at what lies there. What cannot be read for another reason than that it is not ours is a failure: a disk that
    /// gives errors must not lead to new folders.
    pub fn observe(&self, wish: &Wish) -> Result<Observed, Failure> {
        let unreadable = |errno| cannot("read", "", errno);
        let (mut asides, mut half_made) = (Vec::new(), false);
        // Name by name: whoever wrote to the disk may have left a million.
        for entry in Dir::read_from(&self.folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            half_made |= name == wish.half_made();
            let Some(number) = wish.aside_number(name) else { continue };
            if asides.len() == MOST_ASIDES {
                return Err(too_many_asides(wish));
            }
            // One that cannot be read now keeps its number, and is not taken back.
            let stamp = directory(&self.folder, name).ok().and_then(|top| stamp(&top, name).ok()?.ok());
            let stack = stamp.filter(|stamp| stamp.profile == *wish.profile).map(|stamp| stamp.stack);
            asides.push(Aside { number, stack });
        }
        Ok(Observed { top: self.observe_top(wish)?, half_made, asides })
    }

    fn observe_top(&self, wish: &Wish) -> Result<FoundTop, Failure> {
        let name = wish.profile.as_str();
        let foreign = |why: &str| Ok(FoundTop::Foreign(why.to_owned()));
        let top = match directory(&self.folder, name) {
            Ok(top) => top,
            Err(Errno::NOENT) => return Ok(FoundTop::Absent),
            Err(Errno::NOTDIR | Errno::LOOP) => return foreign("it is not a folder"),
            Err(errno) => return Err(cannot("open", name, errno)),
        };
        let stamp = match stamp(&top, name)? {
            Ok(stamp) if stamp.profile == *wish.profile => stamp,
            Ok(stamp) => return foreign(&format!("its stamp says that it belongs to {}", stamp.profile)),
            Err(why) => return foreign(&why),
        };
        let kind =
            |part| kind(&top, part).map_err(|errno| cannot("look at", &format!("{name}/{part}"), errno));
        if kind(UPPER)? != Some(FileType::Directory) {
            return foreign("it has no folder upper");
        }
        let lacks_work = match kind(WORK)? {
            None => true,
            Some(FileType::Directory) => false,
            Some(_) => return foreign("its work is not a folder"),
        };
        if !lacks_work && kind(VOLATILE)?.is_some() {
            return foreign("it was mounted with `volatile`, and overlayfs will not mount it again");
        }
        let tied = match stamp.stack != wish.stack && wish.changed == WhenChanged::Keep {
            true if stamp.features_off => overlay_marks::look(&through(&top)),
            true => Some("its stamp says that overlayfs features tie it to its stack".to_owned()),
            false => None,
        };
        Ok(FoundTop::Ours { stack: stamp.stack, tied, lacks_work })
    }

    /// Carries out all steps. Where one fails, the folders get back the names that they had, and what was begun for `wish` is removed:
    /// on a disk that is full, nothing is there that was not there before.
    pub fn carry_out_all(&self, steps: &[FolderStep], wish: &Wish) -> Result<(), Failure> {
        for (done, step) in steps.iter().enumerate() {
            let Err(failure) = self.carry_out(step) else { continue };
            for step in steps.iter().take(done).rev() {
                if let FolderStep::Rename { from, to } = step {
                    let _ = self.rename(to, from, RenameFlags::NOREPLACE);
                }
            }
            let _ = self.clear(&wish.half_made());
            // Not while anything is in it.
            let _ = unlinkat(&self.root, FOLDER, AtFlags::REMOVEDIR);
            return Err(failure);
        }
        Ok(())
    }

    /// Carries out one step; it is on the disk when this returns.
    fn carry_out(&self, step: &FolderStep) -> Result<(), Failure> {
        let done = match step {
            FolderStep::Clear { name, aside } => match self.clear(name) {
                Err(_) => self.rename(name, aside, RenameFlags::NOREPLACE),
                cleared => cleared,
            },
            FolderStep::Make(name) => self.make(name),
            FolderStep::MakeWork(name) => directory(&self.folder, name).and_then(|top| {
                mkdirat(&top, WORK, Mode::RWXU)?;
                fsync(&top)
            }),
            FolderStep::Stamp { name, stamp } => self.write_stamp(name, stamp),
            FolderStep::Rename { from, to } => self.rename(from, to, RenameFlags::NOREPLACE),
            FolderStep::Exchange(one, other) => self.rename(one, other, RenameFlags::EXCHANGE),
        };
        done.map_err(|errno| cannot_change(&self.folder, &step.to_string(), errno))
    }

    /// Only what [`Tops::make`] makes is removed: a folder that holds anything else stays.
    fn clear(&self, name: &str) -> Result<(), Errno> {
        let top = directory(&self.folder, name)?;
        let absent = |result| if result == Err(Errno::NOENT) { Ok(()) } else { result };
        absent(unlinkat(&top, UPPER, AtFlags::REMOVEDIR))?;
        absent(unlinkat(&top, WORK, AtFlags::REMOVEDIR))?;
        absent(unlinkat(&top, fresh::FILE, AtFlags::empty()))?;
        absent(unlinkat(&top, stamp::FILE, AtFlags::empty()))?;
        absent(unlinkat(&top, NEW_STAMP, AtFlags::empty()))?;
        unlinkat(&self.folder, name, AtFlags::REMOVEDIR)?;
        fsync(&self.folder)
    }

    fn make(&self, name: &str) -> Result<(), Errno> {
        // For root alone: what lies there belongs to the system that uses it, not to those who log in to it.
        mkdirat(&self.folder, name, Mode::RWXU)?;
        let top = directory(&self.folder, name)?;
        mkdirat(&top, UPPER, Mode::RWXU)?;
        // The merged root has the mode of this folder. The layers say which it is, when they are mounted; this one is for an
        // older init that comes between.
        rustix::fs::fchmod(directory(&top, UPPER)?, Mode::from_raw_mode(0o755))?;
        mkdirat(&top, WORK, Mode::RWXU)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&top, fresh::FILE, flags, Mode::RUSR | Mode::WUSR)?;
        fsync(&top)
    }

    fn write_stamp(&self, name: &str, stamp: &Stamp) -> Result<(), Errno> {
        let top = directory(&self.folder, name)?;
        // What a power cut has left, or somebody has put there, is removed and not opened: a FIFO would hold up PID 1 for ever.
        match unlinkat(&top, NEW_STAMP, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&top, NEW_STAMP, flags, Mode::RUSR | Mode::WUSR)?);
        let written = file.write_all(stamp.to_kdl().as_bytes()).and_then(|()| file.sync_all());
        let written = written
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
            .and_then(|()| renameat_with(&top, NEW_STAMP, &top, stamp::FILE, RenameFlags::empty()));
        if written.is_err() {
            let _ = unlinkat(&top, NEW_STAMP, AtFlags::empty());
        }
        written?;
        fsync(&top)
    }

    fn rename(&self, from: &str, to: &str, flags: RenameFlags) -> Result<(), Errno> {
        renameat_with(&self.folder, from, &self.folder, to, flags)?;
        fsync(&self.folder)
    }
}

const NEW_STAMP: &str = "stamp.kdl.new";

/// A path that leads through an open descriptor.
pub fn through(descriptor: &OwnedFd) -> PathBuf {
    Path::new("/proc/self/fd").join(descriptor.as_raw_fd().to_string())
}

/// What lies under the name, when anything does; a link is a link.
fn kind(folder: &OwnedFd, name: &str) -> Result<Option<FileType>, Errno> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(FileType::from_raw_mode(found.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// The stamp in the open folder `top`, or why it has none.
fn stamp(top: &OwnedFd, name: &str) -> Result<Result<Stamp, String>, Failure> {
    let failure = |error: io::Error| cannot("read", &format!("{name}/{}", stamp::FILE), error);
    match kind(top, stamp::FILE).map_err(|errno| failure(errno.into()))? {
        Some(FileType::RegularFile) => {}
        Some(_) => return Ok(Err(format!("its {} is not a file", stamp::FILE))),
        None => return Ok(Err(format!("it has no {}", stamp::FILE))),
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(top, stamp::FILE, flags, Mode::empty()).map_err(|errno| failure(errno.into()))?;
    let mut bytes = Vec::new();
    File::from(file).take(stamp::LONGEST + 1).read_to_end(&mut bytes).map_err(failure)?;
    if bytes.len() as u64 > stamp::LONGEST {
        return Ok(Err(format!("its {} is longer than {} bytes", stamp::FILE, stamp::LONGEST)));
    }
    Ok(Stamp::parse(&bytes))
}

/// Opens a folder, not a link to one.
fn directory(parent: impl AsFd, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

/// overlayfs cannot keep changes on this file system.
fn unfit(lack: Lack) -> Failure {
    let failure = Failure::new(format!("it cannot hold a writable top: {lack}"));
    match lack {
        Lack::EntryTypes => {
            let rows = with_top().filter(|(_, top)| top.types_by_format);
            let makers: Vec<String> = rows.map(|(row, _)| format!("mkfs.{}", row.driver)).collect();
            failure.try_this(format!(
                "make the file system anew, as {} do it today, and copy its files back: types cannot be added to files that are there",
                makers.join(" and ")
            ))
        }
        Lack::Attributes => {
            let rows = with_top().filter_map(|(row, top)| Some((row.title, top.attributes_by?)));
            let by: String =
                rows.map(|(title, symbol)| format!("for {title} with CONFIG_{symbol}, ")).collect();
            failure.try_this(format!("use a kernel that has them, {by}or another file system"))
        }
        Lack::CaseFolding => failure.try_this(format!(
            "take the flag from the root of the file system while {FOLDER} is not there: chattr -F"
        )),
    }
}

/// A refusal of overlayfs, with a cause of which the kernel speaks in its log only.
pub fn explained(failure: Failure, device: &Path) -> Failure {
    if !File::open(device).is_ok_and(|source| folds_case(&source)) {
        return failure;
    }
    let why = format!(
        "the file system was made for folders that do not tell capitals from small letters (casefold), which overlayfs takes since Linux 6.17 only: {}",
        failure.why
    );
    Failure { why, ..failure }.try_this("make the file system anew without casefold, and copy its files back")
}

/// A change that was refused; `folder` is on the file system.
fn cannot_change(folder: &OwnedFd, what: &str, errno: Errno) -> Failure {
    if matches!(errno, Errno::NOSPC | Errno::DQUOT) {
        return FreeSpace::of(fstatvfs(folder)).failure(what, errno.into());
    }
    let failure = Failure::new(format!("cannot {what}: {errno}"));
    failure.try_this(match errno {
        Errno::ROFS => "the state file system turned read-only: check it with fsck",
        _ => "check the state file system with fsck",
    })
}

fn too_many_asides(wish: &Wish) -> Failure {
    let name = wish.profile;
    Failure::new(format!(
        "{FOLDER} on the state file system has more than {MOST_ASIDES} tops of `{name}` set aside"
    ))
    .try_this(format!("remove those that nobody needs: {FOLDER}/{name}.aside-NUMBER"))
}

fn cannot(action: &str, name: &str, error: impl Into<io::Error>) -> Failure {
    let path = Path::new(FOLDER).join(name);
    Failure::new(format!("cannot {action} {} on the state file system: {}", path.display(), error.into()))
        .try_this("check the state file system with fsck")
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
