//! Hashes every image of the store and compares it with its name and its record.

use std::fs::File;
use std::io::{self, Seek};
use std::path::Path;

use profiles::Digest;
use serde::Serialize;

use super::Store;
use crate::error::{Error, Result};

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
    /// Hashes every image and checks every record. An error is only for what keeps the check itself from running.
    pub fn verify(&self) -> Result<VerifyReport> {
        let mut report = VerifyReport::default();
        let records = self.records()?;
        for path in super::files_in(&self.root.join("images"))? {
            let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let object = format!("images/{file_name}");
            let (digest, size) = digest_file(&path)?;
            report.images += 1;
            report.bytes += size;
            if file_name == format!("{}.sqfs", digest.hex()) {
                continue;
            }
            let maker = records.iter().find(|record| file_name == format!("{}.sqfs", record.digest.hex()));
            let remedy = match maker {
                Some(record) => format!("remove it, then `lamina build {}` makes it again", record.name),
                None => "remove it; no build record names it".to_owned(),
            };
            let cause = format!("its SHA-256 is {}: the file was changed or damaged", digest.hex());
            report.findings.push(Finding { object, cause, remedy });
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

/// The SHA-256 and the length of a file.
pub fn digest_file(path: &Path) -> Result<(Digest, u64)> {
    File::open(path).and_then(|mut file| digest_of(&mut file)).map_err(Error::on(path.display()))
}

/// The SHA-256 and the length of an open file, from its start.
pub fn digest_of(file: &mut File) -> io::Result<(Digest, u64)> {
    file.rewind()?;
    Digest::of(file)
}
