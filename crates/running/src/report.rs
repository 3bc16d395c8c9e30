//! The report that init left about the boot, found and read.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use boot_report::BootReport;
use boot_report::paths::REPORT;

use crate::error::{failure, refusal};
use crate::{Result, System};

/// The longest report that is read, in bytes: one of 500 layers has 0.5 MB.
const LONGEST: u64 = 1 << 25;

/// Reads the report of the running system.
///
/// # Errors
/// There is none, because Lamina did not boot this system, or it is no report.
pub fn read(system: &System) -> Result<BootReport> {
    parse(REPORT, &read_all(REPORT, open(system)?)?)
}

/// Whether init left one: Lamina booted this system. One that cannot be looked at is one: [`read`] says why.
pub fn is_there(system: &System) -> bool {
    system.path(REPORT).try_exists().unwrap_or(true)
}

/// Reads the report in a file.
///
/// # Errors
/// The file cannot be read, or is no report.
pub fn in_file(path: &Path) -> Result<BootReport> {
    parse(&path.display().to_string(), &read_file(path)?)
}

/// Reads the text of a report; `name` is what messages call it.
///
/// # Errors
/// The text is no JSON, or no report.
pub fn parse(name: &str, text: &[u8]) -> Result<BootReport> {
    BootReport::parse(text).map_err(|error| {
        failure(name, error).remedy(format!("give a report that init left, such as {REPORT}"))
    })
}

/// The text of a report as it stands, for `--json`.
///
/// # Errors
/// It cannot be read.
pub fn text(system: &System, file: Option<&Path>) -> Result<Vec<u8>> {
    file.map_or_else(|| read_all(REPORT, open(system)?), read_file)
}

/// Reads a file that somebody names: a FIFO would wait for a writer.
fn read_file(path: &Path) -> Result<Vec<u8>> {
    let name = path.display().to_string();
    let remedy = format!("give a report that init left, such as {REPORT}");
    let failed = |error: std::io::Error| failure(&name, error).remedy(&remedy);
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(refusal(&name, "is not a regular file").remedy(&remedy));
    }
    read_all(&name, File::open(path).map_err(failed)?)
}

/// Opens the report of the running system.
fn open(system: &System) -> Result<File> {
    File::open(system.path(REPORT)).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => refusal(REPORT, "is not there: this system was not booted by Lamina")
            .remedy("run this in a system that Lamina's init started, or give the file of a report"),
        _ => failure(REPORT, error),
    })
}

fn read_all(name: &str, file: File) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut text).map_err(|error| failure(name, error))?;
    if text.len() as u64 > LONGEST {
        return Err(refusal(name, "is too long for a report: more than 32 MiB"));
    }
    Ok(text)
}
