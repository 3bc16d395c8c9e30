//! `lamina build --check`: builds once more, in a world that is as different as it may be, and compares every bit.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use cli::numbers::count;

use crate::build::watch::failed_by_itself;
use crate::build::{Builder, Circumstances, Records};
use crate::error::{Error, Result};
use crate::graph::{Graph, Package};
use crate::image::differences::differences;
use crate::sandbox::Variation;
use crate::scratch::Scratch;
use crate::store::{BuildLog, BuildRecord, Store};

/// So many differences are shown; the file has them all.
const MOST_SHOWN: usize = 50;
/// In a kept result.
const LIST: &str = "differences.txt";

impl Builder<'_> {
    /// Builds each of `roots` a second time and compares the images, bit for bit. Where they are the same, nothing is kept of the
    /// second; else both stay in `checks/ID/` with a list of all differences, and the other roots are checked nevertheless.
    pub fn check(&self, graph: &Graph, roots: &[usize], records: &Records) -> Result<()> {
        let mut failed: Vec<Error> = Vec::new();
        for root in roots {
            let (package, Some(first)) = (&graph.packages()[*root], records.get(root)) else { continue };
            match self.check_one(package, first)? {
                None => self
                    .report
                    .line(format_args!("same bits {} {}: {}", first.name, first.version, first.digest)),
                Some(error) => failed.push(error),
            }
        }
        match (failed.pop(), failed.len()) {
            (None, _) => Ok(()),
            (Some(only), 0) => Err(only),
            (Some(last), others) => {
                failed
                    .iter()
                    .chain([&last])
                    .for_each(|error| self.report.line(format_args!("lamina: {error}")));
                Err(Error::new("--check", format!("{} gave other bits", count(others + 1, "package"))))
            }
        }
    }

    /// A build whose folders list their entries in another order, with another number of jobs. One that fails that way is tried with
    /// `/build` in the store, as the first was: not every build fits into memory, or can do with a tmpfs.
    fn second_build(
        &self,
        package: &Package,
        first: &BuildRecord,
        log: &mut BuildLog,
    ) -> Result<(BuildRecord, Scratch)> {
        let jobs = other_jobs(self.jobs);
        let mut build = |variation| {
            self.store.begin_log(log)?;
            let scratch = self.store.scratch("check")?;
            let circumstances = Circumstances { jobs, variation };
            let record = self.make(package, &first.build_root, &scratch, circumstances, log)?;
            Ok((record, scratch))
        };
        match build(VARIED) {
            Err(error) if failed_by_itself(&error) => {
                let built = build(Variation { build_in_memory: false, ..VARIED })?;
                self.report.line(format_args!(
                    "{}: with /build in memory the build failed; the order of the entries there was not varied",
                    first.name
                ));
                Ok(built)
            }
            outcome => outcome,
        }
    }

    fn check_one(&self, package: &Package, first: &BuildRecord) -> Result<Option<Error>> {
        let mut log = self.store.take_log(&self.store.check_log_path(&package.id), || {
            self.report.line(format_args!("wait for another process, which checks {}", first.name));
        })?;
        let (second, scratch) = self.second_build(package, first, &mut log)?;
        let kept = self.store.check_path(&package.id);
        fs::remove_dir_all(&kept).or_else(missing_is_fine).map_err(Error::on(kept.display()))?;
        if second.digest == first.digest {
            return Ok(None);
        }
        let images = [self.store.image_path(&first.digest), scratch.path().join("image")];
        let found = differences(&images[0], &images[1])?;
        keep(self.store, &scratch, &images, &found, &kept)?;
        let cause = match found.len() {
            0 => "two builds gave the same files, stored in another way".to_owned(),
            number => {
                format!("two builds gave different images, in {}:\n{}", count(number, "place"), shown(&found))
            }
        };
        let remedy = format!(
            "both images and the list are in {}; look for the time of day, the order of a folder, the number of jobs, or random names in the build",
            kept.display()
        );
        Ok(Some(Error::new(format!("package {} {}", first.name, first.version), cause).remedy(remedy)))
    }
}

/// As much is different as is cheap.
const VARIED: Variation = Variation { other_order: true, build_in_memory: true };

/// A number of jobs that the first build did not have: what depends on it shows.
fn other_jobs(jobs: NonZero<usize>) -> NonZero<usize> {
    jobs.saturating_add(1)
}

fn shown(found: &[String]) -> String {
    let mut lines: Vec<String> = found.iter().take(MOST_SHOWN).map(|line| format!("    {line}")).collect();
    if let Some(more) = found.len().checked_sub(MOST_SHOWN).filter(|more| *more > 0) {
        lines.push(format!("    and {more} more, which {LIST} has"));
    }
    lines.join("\n")
}

/// Puts both images and the list into the folder `kept`.
fn keep(
    store: &Store,
    scratch: &Scratch,
    images: &[PathBuf; 2],
    found: &[String],
    kept: &Path,
) -> Result<()> {
    let [first, list] = ["first", "list"].map(|name| scratch.path().join(name));
    // Another name for the same bytes, where the file system has such.
    fs::hard_link(&images[0], &first)
        .or_else(|_| fs::copy(&images[0], &first).map(|_| ()))
        .map_err(Error::on(images[0].display()))?;
    let text: String = found.iter().map(|line| format!("{line}\n")).collect();
    fs::write(&list, text).map_err(Error::on(list.display()))?;
    for (made, name) in [(&first, "first.sqfs"), (&images[1], "second.sqfs"), (&list, LIST)] {
        store.publish(made, &kept.join(name))?;
    }
    Ok(())
}

fn missing_is_fine(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
