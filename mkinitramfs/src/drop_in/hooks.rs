//! The folder `hooks` of a drop-in: programs that init starts at points of a boot. No link is followed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use initramfs_format::hook::{HOOKS, Point};
use initramfs_format::paths::entry;
use profiles::suggest;

use super::{interpreters, tree};
use crate::contents::{Contents, Source};
use crate::elf::Linked;
use crate::host_file;
use crate::programs::Libraries;
use fault::Error;

/// A program of a drop-in, and when it runs.
pub(super) struct Hook {
    host: PathBuf,
    /// Its path in the initramfs.
    path: String,
}

/// The hooks below `folder/hooks`, in the order in which they run.
///
/// # Errors
/// A folder that is no point of a boot, or something in one that is no program.
pub(super) fn read(folder: &Path) -> Result<Vec<Hook>, Error> {
    let mut hooks = Vec::new();
    for point in tree::entries(&folder.join("hooks"))? {
        let name = tree::name(&point)?;
        let known = Point::ALL.map(Point::name);
        if !known.contains(&name) {
            return Err(Error::new(point.display(), "is no point of a boot at which init runs hooks")
                .remedy(suggest::remedy(name, &known)));
        }
        if !tree::is_folder(&point)? {
            return Err(Error::new(point.display(), "is no folder")
                .remedy("it is a folder with the programs of this point"));
        }
        for host in tree::entries(&point)? {
            let path = entry(&format!("{HOOKS}/{name}/{}", tree::name(&host)?)).to_owned();
            check_file(&host)?;
            hooks.push(Hook { host, path });
        }
    }
    Ok(hooks)
}

fn check_file(host: &Path) -> Result<(), Error> {
    let found = fs::symlink_metadata(host).map_err(Error::on(host.display()))?;
    if !found.is_file() {
        return Err(Error::new(host.display(), "is no regular file")
            .remedy("a hook is a program; no link is followed"));
    }
    match found.permissions().mode() & 0o111 {
        0 => Err(Error::new(host.display(), "may not be executed").remedy("make it a program: chmod +x")),
        _ => Ok(()),
    }
}

/// Adds them with the libraries that they need.
///
/// # Errors
/// One is neither a script nor a program, a library is missing, or another drop-in has a hook of this name.
pub(super) fn add(
    hooks: &[Hook],
    contents: &mut Contents,
    libraries: &mut Libraries,
) -> Result<Vec<String>, Error> {
    let mut added = Vec::new();
    for Hook { host, path } in hooks {
        if contents.get(path).is_some() {
            return Err(Error::new(host.display(), "another drop-in has a hook of this name at this point")
                .remedy("give one of the two another name: hooks run in the order of their names"));
        }
        let bytes = host_file::read(host).map_err(Error::on(host.display()))?;
        if !bytes.starts_with(b"#!") {
            let remedy = "a hook is a program of this machine, or a script that begins with #!";
            let linked =
                Linked::read(&bytes).map_err(|cause| Error::new(host.display(), cause).remedy(remedy))?;
            libraries.add(host, &linked, "install it with all that it needs, or take the hook away")?;
        }
        contents.add(path, 0o755, Source::Bytes(bytes)).map_err(|error| error.about(host.display()))?;
        added.push(path.clone());
    }
    Ok(added)
}

/// Whether what scripts are read by is in the initramfs; to be asked when everything is in it.
///
/// # Errors
/// It is not.
pub(super) fn check_interpreters(hooks: &[Hook], contents: &Contents) -> Result<(), Error> {
    let check = |hook: &Hook| {
        interpreters::check(contents, &hook.path).map_err(|error| error.about(hook.host.display()))
    };
    hooks.iter().try_for_each(check)
}
