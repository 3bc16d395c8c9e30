//! Files of the tree of profiles.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use profiles::Diagnostic;
use profiles::written::settings::OwnFile;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use super::draft::{Draft, Line, Read, owned};
use super::plan::What;

/// Most bytes of one file: settings, and no programs.
const LARGEST: u64 = 16 << 20;

/// Puts the file into the plan.
pub(super) fn draw(file: &OwnFile, draft: &mut Draft<'_>) -> Read<()> {
    let line = Line { setting: "file", span: &file.span };
    let path = file.path.as_str();
    match read(file) {
        Ok(bytes) => draft.put(line, path, What::File(bytes), owned(file.mode, (0, 0))),
        Err(error) => {
            draft.note(*error);
            Ok(())
        }
    }
}

/// The bytes of the file beside the profile.
pub(super) fn read(file: &OwnFile) -> Result<Vec<u8>, Box<Diagnostic>> {
    // The label of a profile's text is its path.
    let folder = match Path::new(file.span.label()).parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    open(folder, &file.from).map_err(|error| {
        let message = format!("cannot read {}: {error}", folder.join(&file.from).display());
        Box::new(file.span.error(message, "put a file of that name below the folder of the profile"))
    })
}

/// Beneath the folder, whatever links say.
fn open(folder: &Path, name: &str) -> io::Result<Vec<u8>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = openat(CWD, folder, flags, Mode::empty())?;
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    // NONBLOCK: opening a FIFO must not wait for a writer (fifo(7)).
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat2(&folder, name, flags, Mode::empty(), how).map_err(|errno| match errno {
        Errno::XDEV => io::Error::other("a link leads out of the folder of the profile"),
        other => other.into(),
    })?;
    let file = File::from(file);
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other("it has more than 16 MiB: make a package of it"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_but_a_file_below_the_folder_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(path("in/deep")).unwrap();
        std::fs::write(path("secret"), "secret").unwrap();
        std::fs::write(path("in/deep/text"), "text").unwrap();
        symlink("deep/text", path("in/link")).unwrap();
        symlink("../secret", path("in/out")).unwrap();
        symlink("/etc/hostname", path("in/absolute")).unwrap();
        nix::unistd::mkfifo(&path("in/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        File::create(path("in/large")).unwrap().set_len(LARGEST + 1).unwrap();
        let open = |name: &str| open(&path("in"), name).map_err(|error| error.to_string());
        assert_eq!(open("link"), Ok(b"text".to_vec()));
        for (name, part) in [
            ("out", "leads out of the folder"),
            ("absolute", "leads out of the folder"),
            ("fifo", "is not a regular file"),
            ("deep", "is not a regular file"),
            ("large", "more than 16 MiB"),
            ("none", "No such file"),
        ] {
            let message = open(name).unwrap_err();
            assert!(message.contains(part), "{name}: {message}");
        }
    }
}
