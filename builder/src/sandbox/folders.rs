//! Folders that the sandbox puts into its own root, and the tmpfs over some of them.

use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};

use crate::error::{Error, Result};
use crate::new_folder::{self, NoFolder, Rule};

pub(super) fn mount_tmpfs(target: &Path, options: &str) -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("lamina"), target, Some("tmpfs"), flags, Some(options)).map_err(Error::on(target.display()))
}

/// Makes a folder of the sandbox, component by component: a symbolic link in a layer would lead out of the root.
pub(super) fn make_folder(root: &Path, path: &str) -> Result<PathBuf> {
    let folder = root.join(path.trim_start_matches('/'));
    match new_folder::beneath(root, &folder, Rule::Ordinary) {
        Ok(_) => Ok(folder),
        Err(NoFolder::Link(at) | NoFolder::Other(at)) => {
            let seen = at.strip_prefix(root).unwrap_or(&at).display();
            Err(Error::new(format!("/{seen}"), "is not a folder in the layers of this build")
                .remedy("a layer has a file or a link there; the sandbox needs the place for itself"))
        }
        Err(NoFolder::System(error)) => Err(Error::caused(path, error)),
    }
}
