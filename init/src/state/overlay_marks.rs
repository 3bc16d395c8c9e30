//! Whether a top is tied to the inodes of the stack that it was written over.
//!
//! overlayfs finds files of the layers again by what it noted in the top when it ran with `redirect_dir`, `metacopy` or
//! `index`: "Offline changes to the lower tree are only allowed if the metacopy, inode index, xino and redirect_dir features
//! have not been used" (`Documentation/filesystems/overlayfs.rst`). Lamina mounts with all of them off and says so in the
//! stamp. This looks for the traces of somebody else's mount.

use std::fs;
use std::path::{Path, PathBuf};

use stack::overlay::{UPPER, WORK};

/// What overlayfs notes at a file or a folder, and the feature that does it.
const MARKS: [(&str, &str); 2] =
    [("trusted.overlay.redirect", "redirect_dir"), ("trusted.overlay.metacopy", "metacopy")];
/// Files and folders that are looked at: a hundred milliseconds or so on a cold disk. The stamp is the promise, and this is
/// a second look.
const MOST: usize = 20_000;

/// Why the top may not be put over another stack; `None` when nothing speaks against it.
pub fn look(top: &Path) -> Option<String> {
    if fs::symlink_metadata(top.join(WORK).join("index")).is_ok() {
        return Some("overlayfs was mounted over it with index=on".to_owned());
    }
    let mut folders = vec![top.join(UPPER)];
    let mut left = MOST;
    while let Some(folder) = folders.pop() {
        if let Some(feature) = mark(&folder) {
            return Some(format!("overlayfs was mounted over it with {feature}"));
        }
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if left == 0 {
                return None;
            }
            left -= 1;
            let path: PathBuf = entry.path();
            // The kind of the entry itself: links are not followed.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_file() => {
                    if let Some(feature) = mark(&path) {
                        return Some(format!("overlayfs was mounted over it with {feature}"));
                    }
                }
                _ => {}
            }
        }
    }
    None
}

fn mark(path: &Path) -> Option<&'static str> {
    let has = |name: &str| rustix::fs::lgetxattr(path, name, &mut [0u8; 0][..]).is_ok();
    MARKS.iter().find(|(name, _)| has(name)).map(|(_, feature)| *feature)
}
