//! Small text files that people write: recipes, profiles and what lies beside them.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use atomic_file::{Form, Output};
use nix::fcntl::OFlag;
use profiles::LARGEST;

use crate::error::{Error, Result};

/// Reads a regular file of at most 1 MiB, which is what the language allows.
///
/// # Errors
/// It cannot be read, is too long, or is something that may never end (a FIFO, a device).
pub fn read(path: &Path) -> Result<Vec<u8>> {
    // O_NONBLOCK: opening a FIFO must not wait for a writer (fifo(7)).
    let file = File::options()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)
        .map_err(Error::on(path.display()))?;
    let found = file.metadata().map_err(Error::on(path.display()))?;
    if !found.is_file() {
        return Err(Error::new(path.display(), "is not a regular file").remedy("put a text file there"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST as u64 + 1).read_to_end(&mut bytes).map_err(Error::on(path.display()))?;
    if bytes.len() > LARGEST {
        let cause = format!("has {} bytes, and the limit is {LARGEST}", found.len());
        return Err(Error::new(path.display(), cause).remedy("is this the right file?"));
    }
    Ok(bytes)
}

/// The same, for a file that must lie below `folder` after all links were followed.
pub fn read_below(folder: &Path, path: &Path) -> Result<Vec<u8>> {
    let real = |path: &Path| fs::canonicalize(path).map_err(Error::on(path.display()));
    if !real(path)?.starts_with(real(folder)?) {
        return Err(Error::new(path.display(), format!("is a link that leads out of {}", folder.display()))
            .remedy("put the file itself there"));
    }
    read(path)
}

/// Puts a text in the place of what a file has, whole or not at all. A link stays one, and a file keeps its mode.
///
/// # Errors
/// The file cannot be written.
pub fn replace(path: &Path, text: &str) -> Result<()> {
    let mode = fs::metadata(path).ok().map(|found| found.permissions());
    let output = Output::create(path, Form::Text)?;
    let mut handle = output.handle()?;
    handle.write_all(text.as_bytes()).map_err(Error::on(path.display()))?;
    mode.map_or(Ok(()), |mode| handle.set_permissions(mode)).map_err(Error::on(path.display()))?;
    output.publish()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_no_text_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        symlink("/dev/zero", path("zero")).unwrap();
        File::create(path("large")).unwrap().set_len(5 << 30).unwrap();
        for (name, part) in [
            ("fifo", "is not a regular file"),
            ("zero", "is not a regular file"),
            (".", "is not a regular file"),
            ("large", "has 5368709120 bytes, and the limit is 1048576"),
            ("missing", "No such file"),
        ] {
            let message = read(&path(name)).unwrap_err().to_string();
            assert!(message.contains(part), "{name}: {message}");
        }
    }

    #[test]
    fn a_link_out_of_the_folder_is_refused_and_one_inside_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("in")).unwrap();
        fs::write(path("secret"), "secret").unwrap();
        fs::write(path("in/text"), "text").unwrap();
        symlink("../secret", path("in/out")).unwrap();
        symlink("text", path("in/link")).unwrap();
        let message = read_below(&path("in"), &path("in/out")).unwrap_err().to_string();
        assert!(message.contains("in/out: is a link that leads out of"), "{message}");
        assert_eq!(read_below(&path("in"), &path("in/link")).unwrap(), b"text");
    }
}
