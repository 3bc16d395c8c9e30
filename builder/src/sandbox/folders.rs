//! Folders that the sandbox puts into its own root, and the tmpfs over some of them.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};

use crate::error::{Error, Result};

pub(super) fn mount_tmpfs(target: &Path, options: &str) -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("lamina"), target, Some("tmpfs"), flags, Some(options)).map_err(Error::on(target.display()))
}

/// Makes a folder of the sandbox, component by component: a symbolic link in a layer would lead out of the root.
pub(super) fn make_folder(root: &Path, path: &str) -> Result<PathBuf> {
    let mut folder = root.to_path_buf();
    for name in path.split('/').filter(|name| !name.is_empty()) {
        folder.push(name);
        match fs::symlink_metadata(&folder) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => {
                let seen = folder.strip_prefix(root).unwrap_or(&folder).display();
                return Err(Error::new(format!("/{seen}"), "is not a folder in the layers of this build")
                    .remedy("a layer has a file or a link there; the sandbox needs the place for itself"));
            }
            Err(_) => fs::create_dir(&folder).map_err(Error::on(path))?,
        }
    }
    Ok(folder)
}
