//! Files that the command line names, and that may be large: opened as nothing else than regular files, and never larger than a limit.
//! A FIFO would wait for a writer, and a device such as /dev/zero has no end.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use cli::numbers::human_size;

use crate::error::{Error, Result};

/// Opens one for reading; links are followed.
///
/// # Errors
/// It is not there, may not be read, or is no regular file.
pub fn open(path: &Path) -> Result<File> {
    stack::beneath::regular_file(path).map_err(|error| {
        let is_other = error.raw_os_error().is_none();
        let error = Error::caused(path.display(), error);
        match is_other {
            true => error.remedy("give the path of a file; what a program writes can be saved in one first"),
            false => error,
        }
    })
}

/// Opens one that has at least a byte, and at most so many; its length is the second.
///
/// # Errors
/// As [`open`]; it is empty, or larger.
pub fn open_bounded(path: &Path, most: u64) -> Result<(File, u64)> {
    let file = open(path)?;
    let length = file.metadata().map_err(Error::on(path.display()))?.len();
    let cause = match length {
        0 => "is empty".to_owned(),
        length if length > most => {
            format!("has {}, and the limit is {}", human_size(length), human_size(most))
        }
        length => return Ok((file, length)),
    };
    Err(Error::new(path.display(), cause).remedy("is this the right file?"))
}

/// The bytes of one.
///
/// # Errors
/// As [`open_bounded`].
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let (file, _) = open_bounded(path, most)?;
    file.take(most).read_to_end(&mut bytes).map_err(Error::on(path.display()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_or_too_large_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::fs::write(path("empty"), "").unwrap();
        std::fs::write(path("text"), "text").unwrap();
        File::create(path("large")).unwrap().set_len(5 << 30).unwrap();
        for (name, part) in [
            ("fifo", "fifo: is a FIFO, and no file\nhelp: give the path of a file"),
            (".", ": is a folder, and no file\nhelp: give the path of a file"),
            ("empty", "empty: is empty\nhelp: "),
            ("large", "large: has 5.0 GiB, and the limit is 1.0 GiB\nhelp: "),
            ("missing", "missing: No such file"),
        ] {
            let message = read(&path(name), 1 << 30).unwrap_err().to_string();
            assert!(message.contains(part), "{name}: {message}");
        }
        assert_eq!(read(&path("text"), 4).unwrap(), b"text");
    }
}
