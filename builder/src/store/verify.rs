//! Hashes every image of the store and compares it, and its hash tree, with its name and its record.

use std::fmt;
use std::fs::File;
use std::io::{self, Seek};
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use profiles::Digest;
use profiles::resolved::VerityRef;
use progress::{Meter, Progress, count};
use serde::Serialize;
use verity::Work;

use super::{BuildRecord, Records, Store};
use crate::error::{Error, Result};
use crate::{file_system, protection};

/// Something wrong in the store. Its Display is object, cause and remedy, as of an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file, as a path below the store.
    pub object: String,
    /// What is wrong with it.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}\nhelp: {}", self.object, self.cause, self.remedy)
    }
}

/// What `verify` saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct VerifyReport {
    /// Images hashed.
    pub images: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// Records read.
    pub records: usize,
    /// Everything wrong; empty when the store is sound.
    pub findings: Vec<Finding>,
}

impl Store {
    /// Hashes every image, checks its hash tree and error correction against its record, and checks every record; `jobs`
    /// images at a time. An error is only for what keeps the check itself from running.
    pub fn verify(&self, jobs: NonZero<usize>, progress: Progress) -> Result<VerifyReport> {
        let Records { sound, damaged } = self.records()?;
        let images = super::files_in(&self.root.join("images"))?;
        let looks: Vec<Look> = images.iter().map(|path| Look::plan(path, &sound)).collect();
        let bytes = looks.iter().map(|look| look.size).sum();
        let work = looks.iter().map(Look::work).sum();
        let meter = progress.passes(format_args!("checking {}", count(images.len(), "image")), bytes, work);
        let mut report = VerifyReport { records: sound.len() + damaged.len(), ..VerifyReport::default() };
        for (size, finding) in each(&looks, jobs, |look| look.carry_out(&meter)) {
            report.images += 1;
            report.bytes += size;
            report.findings.extend(finding);
        }
        report.findings.extend(damaged);
        for record in sound.iter().filter(|record| !self.image_path(&record.digest).exists()) {
            report.findings.push(Finding {
                object: format!("builds/{}.kdl", record.id.hex()),
                cause: format!("the image of {} {} is missing", record.name, record.version),
                remedy: format!("`lamina build {}` makes it again", record.name),
            });
        }
        Ok(report)
    }
}

/// One image to look at.
struct Look<'a> {
    path: &'a Path,
    /// Its length, 0 where it cannot be asked.
    size: u64,
    /// The record of the build that made it.
    maker: Option<&'a BuildRecord>,
}

/// What `work` makes of each item, in their order, on up to `jobs` threads.
fn each<I: Sync, T: Send>(items: &[I], jobs: NonZero<usize>, work: impl Fn(&I) -> T + Sync) -> Vec<T> {
    let (next, work) = (AtomicUsize::new(0), &work);
    let worker = || {
        let mut done = Vec::new();
        while let Some((index, item)) = Some(next.fetch_add(1, Ordering::Relaxed))
            .and_then(|index| items.get(index).map(|item| (index, item)))
        {
            done.push((index, work(item)));
        }
        done
    };
    let mut done: Vec<(usize, T)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs.get().min(items.len())).map(|_| scope.spawn(worker)).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Vec<(usize, T)>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().flat_map(join).collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

impl<'a> Look<'a> {
    fn plan(path: &'a Path, records: &'a [BuildRecord]) -> Self {
        let size = std::fs::metadata(path).map_or(0, |found| found.len());
        let stem = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".sqfs"));
        let maker = records.iter().find(|record| stem == Some(record.digest.hex().as_str()));
        Look { path, size, maker }
    }

    fn verity(&self) -> Option<VerityRef> {
        self.maker.and_then(|record| record.verity)
    }

    /// How many bytes it goes over.
    fn work(&self) -> u64 {
        let verity = self.verity().and_then(|verity| protection::whole(&verity).ok());
        self.size + verity.map_or(0, |verity| Work::bytes(&verity.layout))
    }

    /// The size of the image and what is wrong with it.
    fn carry_out(&self, meter: &Meter) -> (u64, Option<Finding>) {
        let object = format!("images/{}", self.path.file_name().unwrap_or_default().to_string_lossy());
        let unreadable = |cause: String| {
            let remedy = "make it a file that can be read, or remove it".to_owned();
            (0, Some(Finding { object: object.clone(), cause, remedy }))
        };
        let mut file = match file_system::open(self.path) {
            Ok(file) => file,
            Err(error) => return unreadable(error.cause().to_owned()),
        };
        let (digest, size) = match digest_of(&mut file, meter) {
            Ok(found) => found,
            Err(error) => return unreadable(error.to_string()),
        };
        let cause = if object == format!("images/{}.sqfs", digest.hex()) {
            let work = Work { jobs: NonZero::<usize>::MIN, progress: &|bytes| meter.advance(bytes) };
            let bad = self.verity().and_then(|verity| protection::check(&file, &verity, work).err());
            bad.map(|error| format!("{error}: it is not what its record says"))
        } else {
            Some(format!("its SHA-256 is {}: the file was changed or damaged", digest.hex()))
        };
        let remedy = match self.maker {
            Some(record) => format!("remove it, then `lamina build {}` makes it again", record.name),
            None => "remove it; no build record names it".to_owned(),
        };
        (size, cause.map(|cause| Finding { object, cause, remedy }))
    }
}

/// The SHA-256 and the length of a file.
pub fn digest_file(path: &Path) -> Result<(Digest, u64)> {
    File::open(path).and_then(Digest::of).map_err(Error::on(path.display()))
}

/// The SHA-256 and the length of an open file, from its start; what is read advances the meter.
pub fn digest_of(file: &mut File, meter: &Meter) -> io::Result<(Digest, u64)> {
    file.rewind()?;
    Digest::of(meter.reader(file))
}
