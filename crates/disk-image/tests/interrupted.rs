//! What an interruption between any two writes of a sector leaves of a FAT, as mtools and fsck.vfat see it.

mod fat_judge;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use disk_image::{FatVolume, MIB, SECTOR, Storage};
use fat_judge::{LOST_CLUSTERS, fsck};

const LENGTH: u64 = 40 * MIB;

/// What came to the disk.
#[derive(Debug, Clone)]
enum Event {
    /// A sector, by the byte where it begins.
    Sector(u64, Vec<u8>),
    Sync,
}

impl Event {
    fn sector(&self) -> Option<(u64, &[u8])> {
        match self {
            Event::Sector(at, bytes) => Some((*at, bytes)),
            Event::Sync => None,
        }
    }
}

/// A disk that notes what is written to it.
#[derive(Debug, Clone)]
struct Recorder {
    disk: Arc<File>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Storage for Recorder {
    fn fill(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.disk.read_exact_at(buffer, at)
    }

    /// A disk writes sectors, whole and one after the other.
    fn put(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.disk.write_all_at(bytes, at)?;
        assert_eq!((at % SECTOR, bytes.len() as u64 % SECTOR), (0, 0), "no part of a sector");
        for (number, sector) in (0..).zip(bytes.chunks(SECTOR as usize)) {
            self.events.lock().unwrap().push(Event::Sector(at + number * SECTOR, sector.to_vec()));
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.events.lock().unwrap().push(Event::Sync);
        Ok(())
    }
}

fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let program = disk_image::programs::find_program(program, "dosfstools or mtools").unwrap();
    let mut command = Command::new(program);
    command.env("MTOOLSRC", "/dev/null").env("MTOOLS_SKIP_CHECK", "1").args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn opened(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

/// A FAT with two files in `loader`, and how many of other names are in front of them.
struct Trial {
    folder: tempfile::TempDir,
}

impl Trial {
    fn new(others: usize) -> Trial {
        let trial = Trial { folder: tempfile::tempdir().unwrap() };
        let base = trial.path("base");
        File::create(&base).unwrap().set_len(LENGTH).unwrap();
        run("mkfs.vfat", &["-F", "32", "-s", "1", base.to_str().unwrap()]);
        let volume = FatVolume::open(opened(&base), 0, LENGTH).unwrap();
        for number in 0..others {
            volume.write_new(&format!("loader/other-{number}"), &mut [].as_slice(), 0).unwrap();
        }
        volume.write_new("loader/loader.conf", &mut { OLD }, OLD.len() as u64).unwrap();
        volume.write_new("loader/stays", &mut b"stays".as_slice(), 5).unwrap();
        fsck(&base, &[], "base");
        trial
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A copy of the file system as it was.
    fn copy(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        run("cp", &["--sparse=always", self.path("base").to_str().unwrap(), path.to_str().unwrap()]);
        path
    }

    /// Stops after every write of a sector: in the order in which they came, as a kill leaves them, and between two syncs in the opposite one,
    /// as a power cut may. What is in the file is always one of the states.
    fn every_moment(&self, change: impl Fn(&FatVolume) -> io::Result<()>, states: &[Option<&[u8]>]) {
        let recorder = Recorder {
            disk: Arc::new(opened(&self.copy("whole"))),
            events: Arc::new(Mutex::new(Vec::new())),
        };
        let volume = FatVolume::on(Box::new(recorder.clone()), 0, LENGTH).unwrap();
        change(&volume).unwrap();
        let events = recorder.events.lock().unwrap().clone();
        fsck(&self.path("whole"), &[], "whole");
        assert_eq!(file(&self.path("whole")).as_deref(), states[states.len() - 1]);
        let epochs: Vec<Vec<(u64, &[u8])>> =
            events.split(|it| matches!(it, Event::Sync)).map(sectors).collect();
        for reversed in [false, true] {
            let path = self.copy("cut");
            let disk = opened(&path);
            let (mut written, mut seen) = (0, Vec::new());
            for epoch in &epochs {
                let mut epoch = epoch.clone();
                if reversed {
                    epoch.reverse();
                }
                for (at, sector) in epoch {
                    disk.write_all_at(sector, at).unwrap();
                    written += 1;
                    let when = format!("after {written} writes, reversed: {reversed}");
                    fsck(&path, LOST_CLUSTERS, &when);
                    let now = file(&path);
                    assert!(states.contains(&now.as_deref()), "{when}: {now:?}");
                    assert_eq!(
                        run("mtype", &["-i", path.to_str().unwrap(), "::loader/stays"]),
                        b"stays",
                        "{when}"
                    );
                    seen.push(now);
                }
            }
            seen.dedup();
            assert!(seen.len() <= states.len() && written > 2, "{seen:?}");
            assert_eq!(fs::read(&path).unwrap(), fs::read(self.path("whole")).unwrap());
        }
    }
}

fn sectors(events: &[Event]) -> Vec<(u64, &[u8])> {
    events.iter().filter_map(Event::sector).collect()
}

/// What mtools reads of `loader/loader.conf`.
fn file(disk: &Path) -> Option<Vec<u8>> {
    let disk = disk.to_str().unwrap();
    let listed = String::from_utf8(run("mdir", &["-b", "-i", disk, "::loader"])).unwrap();
    listed.contains("loader.conf").then(|| run("mtype", &["-i", disk, "::loader/loader.conf"]))
}

const OLD: &[u8] = &[b'o'; 1500];
const NEW: &[u8] = &[b'n'; 2700];

#[test]
fn a_file_that_is_replaced_is_the_old_or_the_new_one() {
    let trial = Trial::new(0);
    let replace = |bytes: &'static [u8]| {
        move |volume: &FatVolume| volume.replace("loader/loader.conf", &mut { bytes }, bytes.len() as u64)
    };
    trial.every_moment(replace(NEW), &[Some(OLD), Some(NEW)]);
    trial.every_moment(replace(b""), &[Some(OLD), Some(b"")]);
    trial.every_moment(replace(&NEW[..1500]), &[Some(OLD), Some(&NEW[..1500])]);
}

#[test]
fn a_file_that_comes_or_goes_is_whole_or_not_there() {
    // With nine others, the entries of the name come into a sector behind the one in which the folder ends, and with ten into another cluster.
    for others in [0, 9, 10] {
        let trial = Trial::new(others);
        trial.every_moment(|volume| volume.remove("loader/loader.conf"), &[Some(OLD), None]);
        let volume = FatVolume::open(opened(&trial.path("base")), 0, LENGTH).unwrap();
        volume.remove("loader/loader.conf").unwrap();
        drop(volume);
        let come = |volume: &FatVolume| volume.write_new("loader/loader.conf", &mut { NEW }, 2700);
        trial.every_moment(come, &[None, Some(NEW)]);
    }
    let trial = Trial::new(5);
    let long = "new/folder/with-a-name-that-takes-eleven-entries-of-a-folder-or-more-by-its-many-letters-and-even-more-of-these.conf";
    trial.every_moment(|volume| volume.write_new(long, &mut { NEW }, 2700), &[Some(OLD)]);
}

/// mtools lets a name lie over two sectors.
#[test]
fn a_name_over_two_sectors_goes_short_entry_first() {
    let trial = Trial::new(0);
    let base = trial.path("base");
    let (text, source) = (base.to_str().unwrap(), trial.path("source"));
    fs::write(&source, NEW).unwrap();
    let long = "another-name-with-so-many-letters-that-it-takes-nine-or-ten-entries-of-the-folder-that-it-is-in-or-more.conf";
    for name in ["1", "2"] {
        run("mcopy", &["-i", text, source.to_str().unwrap(), &format!("::loader/{name}-{}", &long[..20])]);
    }
    run("mcopy", &["-i", text, source.to_str().unwrap(), &format!("::loader/{long}")]);
    fsck(&base, &[], "base");
    let recorder =
        Recorder { disk: Arc::new(opened(&trial.copy("whole"))), events: Arc::new(Mutex::new(Vec::new())) };
    let volume = FatVolume::on(Box::new(recorder.clone()), 0, LENGTH).unwrap();
    let mut read = Vec::new();
    volume.open_file(&format!("loader/{long}")).unwrap().read_to_end(&mut read).unwrap();
    assert!(read == NEW);
    volume.remove(&format!("loader/{long}")).unwrap();
    fsck(&trial.path("whole"), &[], "whole");
    let events = recorder.events.lock().unwrap().clone();
    let first: Vec<(u64, &[u8])> = sectors(&events).into_iter().take(2).collect();
    // The folder has two clusters, behind both copies of the table.
    assert!(first[0].0 > first[1].0 && first[1].0 > 32 * SECTOR + 2 * 300_000, "{:?}", first[1].0);
    let cut = trial.copy("cut");
    opened(&cut).write_all_at(first[0].1, first[0].0).unwrap();
    let listed = String::from_utf8(run("mdir", &["-b", "-i", cut.to_str().unwrap(), "::loader"])).unwrap();
    assert!(!listed.contains("::loader/another") && listed.contains("loader.conf"), "{listed}");
}

#[test]
fn what_fails_takes_no_clusters() {
    let trial = Trial::new(0);
    let base = trial.path("base");
    let volume = FatVolume::open(opened(&base), 0, LENGTH).unwrap();
    let free = volume.room().unwrap();
    let failed = |path: &str, length: u64, kind: io::ErrorKind| {
        let written = volume.write_new(path, &mut io::repeat(1), length);
        assert_eq!(written.unwrap_err().kind(), kind, "{path}");
        assert_eq!(volume.room().unwrap(), free, "{path}");
        fsck(&base, &[], path);
    };
    let long = "x".repeat(200);
    failed(&long, 4000, io::ErrorKind::InvalidData);
    failed(&format!("new/{long}/x"), 4000, io::ErrorKind::InvalidData);
    for name in ["new/a:b", "new/..", "a\n", "new/ends."] {
        failed(name, 4000, io::ErrorKind::InvalidData);
    }
    failed("new/folders/x", free.0 - 1000, io::ErrorKind::StorageFull);
    failed("loader/x", free.0 + 1, io::ErrorKind::StorageFull);
    failed("loader/loader.conf/x", 1, io::ErrorKind::InvalidData);
    let short = volume.write_new("short", &mut [7; 100].as_slice(), 4000);
    assert_eq!(short.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    let short = volume.replace("loader/loader.conf", &mut [7; 100].as_slice(), 4000);
    assert_eq!(short.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(volume.room().unwrap(), free);
    // What has no room beside the old one leaves that.
    let large = volume.replace("loader/loader.conf", &mut io::repeat(1), free.0 + 1);
    assert_eq!(large.unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(file(&base).as_deref(), Some(OLD));
    // The folder would have to grow, and has taken the last cluster.
    volume.write_new("full", &mut io::repeat(1), free.0).unwrap();
    let mut written = 0;
    while volume.write_new(&format!("loader/{written}"), &mut [].as_slice(), 0).is_ok() {
        written += 1;
    }
    assert!(written < 16 && volume.room().unwrap().0 == 0, "{written}");
    fsck(&base, &[], "full");
}

/// 65,536 entries, and no more: a folder that grew beyond could not be read any more.
#[test]
fn a_folder_that_is_full_stays_one() {
    let trial = Trial::new(0);
    let base = trial.path("base");
    let disk = opened(&base);
    let volume = FatVolume::open(disk.try_clone().unwrap(), 0, LENGTH).unwrap();
    // Such a folder by hand: 4096 clusters of one sector, and each entry one that counts.
    let (mut boot, mut entry) = ([0; 512], [b' '; 32]);
    disk.read_exact_at(&mut boot, 0).unwrap();
    let word =
        |at: usize| u64::from(u32::from_le_bytes([boot[at], boot[at + 1], boot[at + 2], boot[at + 3]]));
    let (table, per_table) = (u64::from(boot[14]), word(36));
    let data = (table + 2 * per_table) * SECTOR;
    let begin = 1000_u64;
    for copy in [table, table + per_table] {
        for number in 0..4096 {
            let next = if number == 4095 { 0x0fff_ffff } else { (begin + number + 1) as u32 };
            disk.write_all_at(&next.to_le_bytes(), copy * SECTOR + (begin + number) * 4).unwrap();
        }
    }
    entry[..11].copy_from_slice(b"FULL       ");
    entry[11..].fill(0);
    entry[11] = 0x10;
    entry[26..28].copy_from_slice(&(begin as u16).to_le_bytes());
    disk.write_all_at(&entry, data + 512 - 32).unwrap();
    let mut bytes = Vec::new();
    for number in 0..65_536 {
        let mut entry = [0; 32];
        entry[..11].copy_from_slice(format!("{number:<11}").as_bytes());
        bytes.extend(entry);
    }
    disk.write_all_at(&bytes, data + (begin - 2) * SECTOR).unwrap();
    // The root folder ends before the entry: all in front of it counts as removed.
    let mut root = [0; 512];
    disk.read_exact_at(&mut root, data).unwrap();
    let free = volume.room().unwrap();
    for at in (0..480).step_by(32) {
        if root[at] == 0 {
            root[at] = 0xe5;
        }
    }
    disk.write_all_at(&root, data).unwrap();
    assert_eq!(volume.length("full/65535").unwrap(), Some(0));
    let error = volume.write_new("full/x", &mut [7; 9].as_slice(), 9).unwrap_err();
    assert!(error.to_string().contains("can have no more entries"), "{error}");
    assert_eq!(volume.room().unwrap(), free);
    assert_eq!(volume.length("full/65535").unwrap(), Some(0));
}

/// A chain that runs on, into another file or in a circle, is followed as far as the length goes, and never let go.
#[test]
fn a_chain_that_does_not_fit_is_left_to_fsck() {
    let trial = Trial::new(0);
    let base = trial.path("base");
    let disk = opened(&base);
    let volume = FatVolume::open(disk.try_clone().unwrap(), 0, LENGTH).unwrap();
    let mut table = vec![0; 512];
    disk.read_exact_at(&mut table, 32 * SECTOR).unwrap();
    let value = |at: usize| u32::from_le_bytes([table[at], table[at + 1], table[at + 2], table[at + 3]]);
    // loader.conf has three clusters, of which the last one now leads back to the first.
    let last = (3..100).find(|it| value(it * 4) == 0x0fff_ffff && value(it * 4 - 4) == *it as u32).unwrap();
    disk.write_all_at(&(last as u32 - 2).to_le_bytes(), 32 * SECTOR + last as u64 * 4).unwrap();
    let free = volume.room().unwrap();
    let mut read = Vec::new();
    volume.open_file("loader/loader.conf").unwrap().read_to_end(&mut read).unwrap();
    assert!(read == OLD);
    volume.replace("loader/loader.conf", &mut { NEW }, NEW.len() as u64).unwrap();
    assert_eq!(file(&base).as_deref(), Some(NEW));
    assert_eq!(volume.room().unwrap().0, free.0 - 6 * 512, "the clusters of the damaged chain stay taken");
    // The folder itself without an end.
    let entry = (3..100).find(|it| value(it * 4) == 0x0fff_ffff).unwrap();
    disk.write_all_at(&(entry as u32).to_le_bytes(), 32 * SECTOR + entry as u64 * 4).unwrap();
    let error = volume.length("loader/stays").unwrap_err();
    assert!(error.to_string().contains("longer than it can be"), "{error}");
}
