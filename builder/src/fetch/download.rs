//! One attempt at one place: the bytes go into a file without a name, and are hashed on their way.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use profiles::Digest;
use sha2::{Digest as _, Sha256};
use unnamed_file::UnnamedFile;

use super::events::{Event, Progress};
use super::source::Source;
use crate::error::{Error, Result};

const BUFFER_BYTES: usize = 128 << 10;

/// A file that has no name yet, and what it must become.
pub(super) struct Download<'a> {
    source: &'a Source,
    file: UnnamedFile,
}

impl<'a> Download<'a> {
    /// The file will appear at `target`.
    pub fn begin(source: &'a Source, target: &Path) -> Result<Download<'a>> {
        Ok(Download { source, file: UnnamedFile::beside(target)? })
    }

    pub fn read_file(self, path: &Path, progress: &dyn Progress) -> Result<UnnamedFile> {
        let file = File::open(path).map_err(Error::on("cannot be opened"))?;
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Err(Error::new("", "is not a regular file"));
        }
        self.take(file, progress)
    }

    pub fn read_url(self, url: &str, proxy: Option<&str>, progress: &dyn Progress) -> Result<UnnamedFile> {
        let mut curl = start_curl(url, proxy)?;
        let body = curl.stdout.take().ok_or_else(|| Error::new("curl", "has no output"))?;
        let taken = self.take(body, progress);
        // The pipe is closed by now: a curl that still has something to say ends by itself.
        let said = curl.wait_with_output().map_err(Error::on("curl"))?;
        // What curl says comes first: a connection that broke is the reason for a short file. A curl that was not let
        // finish (23: cannot write) has nothing to say.
        if !said.status.success() && said.status.code() != Some(23) {
            return Err(Error::new("", curl_message(&said.stderr, said.status)));
        }
        taken
    }

    /// Copies and hashes; stops as soon as there are more bytes than there should be.
    fn take(self, mut bytes: impl Read, progress: &dyn Progress) -> Result<UnnamedFile> {
        let (mut hasher, mut buffer, mut length) = (Sha256::new(), vec![0; BUFFER_BYTES], 0u64);
        let mut file = self.file.handle()?;
        loop {
            let count = match bytes.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::new("reading", error)),
            };
            length += count as u64;
            if length > self.source.size {
                return Err(Error::new(
                    "",
                    format!("gives more than the expected {} bytes", self.source.size),
                ));
            }
            hasher.update(&buffer[..count]);
            file.write_all(&buffer[..count]).map_err(Error::on("writing to the cache"))?;
            progress.report(&self.source.file, Event::Bytes { done: length, of: self.source.size });
        }
        let found = Digest::from_bytes(hasher.finalize().into());
        if found != self.source.sha256 {
            let expected = self.source.sha256.hex();
            return Err(Error::new(
                "",
                format!(
                    "gives other bytes: expected sha256 {expected}, found {} ({length} bytes)",
                    found.hex()
                ),
            ));
        }
        Ok(self.file)
    }
}

/// curl dies with this process, however that dies (setpriv(1), PR_SET_PDEATHSIG): one that waits for a slow mirror would
/// stay for a while otherwise.
pub(super) fn start_curl(url: &str, proxy: Option<&str>) -> Result<Child> {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "curl"]);
    // -q first: a personal .curlrc must not change what is fetched.
    command.args(["-q", "--silent", "--show-error", "--fail", "--location", "--proto", "=http,https"]);
    command.args(["--connect-timeout", "30", "--speed-limit", "1000", "--speed-time", "30"]);
    if let Some(proxy) = proxy {
        command.args(["--proxy", proxy]);
    }
    command.args(["--output", "-", "--url", url]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().map_err(|error| {
        Error::new("setpriv", format!("cannot be started: {error}"))
            .remedy("install it: apt-get install util-linux")
    })
}

fn curl_message(stderr: &[u8], status: std::process::ExitStatus) -> String {
    match String::from_utf8_lossy(stderr).trim() {
        // What setpriv says when there is no such program.
        _ if status.code() == Some(127) => {
            "curl cannot be started\nhelp: install it: apt-get install curl".to_owned()
        }
        "" => format!("curl ended with {status}"),
        text => text.to_owned(),
    }
}
