//! The folder `files` of a drop-in, which goes into the initramfs as it is. No link is followed.

use std::fs::{self, FileType};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{check_free, links};
use crate::contents::{Contents, Source};
use fault::Error;

/// Adds all that is below `folder/files`, with its modes. Returns how many things that are.
///
/// # Errors
/// Something is neither file nor folder nor link, has a name that the archive cannot have, is there already, or is init's own.
pub(super) fn add(folder: &Path, contents: &mut Contents) -> Result<usize, Error> {
    let mut count = 0;
    let mut open = vec![(folder.join("files"), String::new())];
    while let Some((host, above)) = open.pop() {
        for entry in fs::read_dir(&host).map_err(Error::on(host.display()))? {
            let host = entry.map_err(Error::on(host.display()))?.path();
            let path = format!("{above}{}", name(&host)?);
            if is_folder(&host)? {
                open.push((host.clone(), format!("{path}/")));
            }
            add_one(&host, &path, contents).map_err(|error| error.about(host.display()))?;
            count += 1;
        }
    }
    Ok(count)
}

/// The links below `folder/files`: their paths in the initramfs, and where they lie.
pub(super) fn links(folder: &Path) -> Vec<(String, PathBuf)> {
    let root = folder.join("files");
    let (mut links, mut open) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(kind) if kind.is_symlink() => {
                    let path = entry.path();
                    let inside = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().into_owned();
                    links.push((inside, path));
                }
                _ => {}
            }
        }
    }
    links.sort();
    links
}

/// What a folder has, by name.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let on = || Error::on(folder.display());
    let entries = fs::read_dir(folder).map_err(on())?.map(|entry| entry.map(|entry| entry.path()));
    let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(on())?;
    entries.sort();
    Ok(entries)
}

pub(super) fn is_folder(host: &Path) -> Result<bool, Error> {
    Ok(fs::symlink_metadata(host).map_err(Error::on(host.display()))?.is_dir())
}

pub(super) fn name(host: &Path) -> Result<&str, Error> {
    let name = host.file_name().and_then(|name| name.to_str());
    name.filter(|name| !name.contains(char::is_control)).ok_or_else(|| {
        let shown = host.to_string_lossy().escape_debug().to_string();
        Error::new(shown, "has a name with bytes that are no text").remedy("give it a name in UTF-8")
    })
}

fn add_one(host: &Path, path: &str, contents: &mut Contents) -> Result<(), Error> {
    let found = fs::symlink_metadata(host).map_err(Error::on(""))?;
    let (kind, mode) = (found.file_type(), found.permissions().mode() & 0o7777);
    if !kind.is_dir() || contents.get(path).is_none() {
        check_free(path)?;
    }
    if kind.is_dir() {
        contents.add_folder(path, mode)
    } else if kind.is_file() {
        contents.add(path, mode, Source::HostFile(host.to_owned(), found.len()))
    } else if kind.is_symlink() {
        let target = fs::read_link(host).map_err(Error::on(""))?;
        let target = target.to_str().ok_or_else(|| Error::new("", "points to a name that is no text"))?;
        links::check_target(path, target)?;
        contents.add(path, 0o777, Source::Link(target.to_owned()))
    } else {
        let cause = format!("is {}, which a drop-in cannot bring", called(kind));
        Err(Error::new("", cause)
            .remedy("leave it out: init makes what is in /dev, and programs make the others"))
    }
}

fn called(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_fifo() => "a FIFO",
        kind if kind.is_socket() => "a socket",
        _ => "a device node",
    }
}
