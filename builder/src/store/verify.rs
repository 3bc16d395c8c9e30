//! Hashes every image of the store and compares it, and its hash tree, with its name and its record.

use std::fs::File;
use std::io::{self, Seek};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use profiles::Digest;
use serde::Serialize;

use super::{BuildRecord, Store};
use crate::error::{Error, Result};
use crate::{file_system, protection};

/// Something wrong in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file, as a path below the store.
    pub object: String,
    /// What is wrong with it.
    pub cause: String,
    /// What to do.
    pub remedy: String,
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
    pub fn verify(&self, jobs: NonZero<usize>) -> Result<VerifyReport> {
        let mut report = VerifyReport::default();
        let records = self.records()?;
        let images = super::files_in(&self.root.join("images"))?;
        for seen in each(&images, jobs, |path| look(path, &records)) {
            let (size, finding) = seen?;
            report.images += 1;
            report.bytes += size;
            report.findings.extend(finding);
        }
        for record in &records {
            report.records += 1;
            if !self.image_path(&record.digest).exists() {
                report.findings.push(Finding {
                    object: format!("builds/{}.kdl", record.id.hex()),
                    cause: format!("the image of {} {} is missing", record.name, record.version),
                    remedy: format!("`lamina build {}` makes it again", record.name),
                });
            }
        }
        Ok(report)
    }
}

/// What `work` makes of each path, in their order, on up to `jobs` threads.
fn each<T: Send>(paths: &[PathBuf], jobs: NonZero<usize>, work: impl Fn(&Path) -> T + Sync) -> Vec<T> {
    let (next, work) = (AtomicUsize::new(0), &work);
    let worker = || {
        let mut done = Vec::new();
        while let Some((index, path)) = Some(next.fetch_add(1, Ordering::Relaxed))
            .and_then(|index| paths.get(index).map(|path| (index, path)))
        {
            done.push((index, work(path)));
        }
        done
    };
    let mut done: Vec<(usize, T)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs.get().min(paths.len())).map(|_| scope.spawn(worker)).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Vec<(usize, T)>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().flat_map(join).collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The size of an image and what is wrong with it.
fn look(path: &Path, records: &[BuildRecord]) -> Result<(u64, Option<Finding>)> {
    let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut file = match file_system::open(path) {
        Ok(file) => file,
        Err(error) => {
            let (object, cause) = (format!("images/{file_name}"), error.cause().to_owned());
            let remedy = "make it a file that can be read, or remove it".to_owned();
            return Ok((0, Some(Finding { object, cause, remedy })));
        }
    };
    let (digest, size) = digest_of(&mut file).map_err(Error::on(path.display()))?;
    let maker = records.iter().find(|record| file_name == format!("{}.sqfs", record.digest.hex()));
    let cause = if file_name == format!("{}.sqfs", digest.hex()) {
        let verity = maker.and_then(|record| record.verity);
        let bad = verity.and_then(|verity| protection::check(&file, &verity, NonZero::<usize>::MIN).err());
        bad.map(|error| format!("{error}: it is not what its record says"))
    } else {
        Some(format!("its SHA-256 is {}: the file was changed or damaged", digest.hex()))
    };
    let remedy = match maker {
        Some(record) => format!("remove it, then `lamina build {}` makes it again", record.name),
        None => "remove it; no build record names it".to_owned(),
    };
    let object = format!("images/{file_name}");
    Ok((size, cause.map(|cause| Finding { object, cause, remedy })))
}

/// The SHA-256 and the length of a file.
pub fn digest_file(path: &Path) -> Result<(Digest, u64)> {
    File::open(path).and_then(|mut file| digest_of(&mut file)).map_err(Error::on(path.display()))
}

/// The SHA-256 and the length of an open file, from its start.
pub fn digest_of(file: &mut File) -> io::Result<(Digest, u64)> {
    file.rewind()?;
    Digest::of(file)
}
