//! Programs of the distribution: found, or named with their package; run, and heard.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::TIME;
use crate::plan::Content;
use fault::{Error, Result};

/// A program on PATH, or in the folders for administrators, which ordinary users do not have there on Debian.
///
/// # Errors
/// It is missing; `package` is the Debian package that has it.
pub fn find_program(program: &str, package: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    let found = folders.map(|folder| folder.join(program)).find(|path| path.is_file());
    found.ok_or_else(|| {
        Error::new(program, "is missing").remedy(format!("install the Debian package {package}"))
    })
}

/// The command of a program, with a fixed time in its place, and without the settings of whoever calls it.
pub(crate) fn command(program: &str, package: &str) -> Result<Command> {
    let mut command = Command::new(find_program(program, package)?);
    command.env("SOURCE_DATE_EPOCH", TIME.to_string()).env("TZ", "UTC").env("LC_ALL", "C");
    Ok(command)
}

/// An open file as a path for another program, also while it has no name.
pub(crate) fn path_of(disk: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), disk.as_raw_fd())
}

/// Runs a program, and returns what it said on standard error.
pub(crate) fn run(command: &mut Command, input: &str) -> Result<String> {
    started(command.stdout(Stdio::null()), input).map(|(_, said)| said)
}

/// The same, with what it said on standard output in front.
pub(crate) fn asked(command: &mut Command, input: &str) -> Result<(String, String)> {
    started(command.stdout(Stdio::piped()), input)
}

fn started(command: &mut Command, input: &str) -> Result<(String, String)> {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().display().to_string();
    let child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(Error::on(&program))?;
    // A program that ended early has said why.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().map_err(Error::on(&program))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.success() {
        true => Ok((String::from_utf8_lossy(&output.stdout).into_owned(), said)),
        false => {
            let words = said.lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("; ");
            Err(Error::new(program, format!("ended with {}: {words}", output.status)))
        }
    }
}

/// Files without a name for bytes that these programs read from files: also a killed process leaves none.
#[derive(Default)]
pub(crate) struct Scratch(Vec<File>);

impl Scratch {
    /// A path of a file with this content, as text, as long as this value lives.
    pub(crate) fn path(&mut self, content: &Content) -> Result<String> {
        let path = match content {
            Content::File(path, _) => std::path::absolute(path).map_err(Error::on(path.display()))?,
            Content::Bytes(bytes) => {
                let filled = tempfile::tempfile().and_then(|mut file| file.write_all(bytes).map(|()| file));
                let file = filled.map_err(Error::on(std::env::temp_dir().display()))?;
                let path = PathBuf::from(path_of(&file));
                self.0.push(file);
                path
            }
        };
        path.into_os_string().into_string().map_err(|path| {
            Error::new(path.display(), "is no UTF-8").remedy("move it to a folder with a plain name")
        })
    }
}
