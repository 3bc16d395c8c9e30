//! Takes away what an attempt has mounted, so that another one finds the machine as the first did.

use std::fs;
use std::path::PathBuf;

use crate::paths;

/// Everything above the medium: the new root, the writable top, the layers. Loop and device-mapper devices end with them.
pub fn root() {
    let layers = fs::read_dir(paths::LAYERS).into_iter().flatten().flatten().map(|entry| entry.path());
    let mounts = [paths::NEW_ROOT, paths::TOP, paths::STATE].map(PathBuf::from);
    for mount in mounts.into_iter().chain(layers) {
        // What was not mounted cannot be unmounted, and need not be. What was mounted twice is unmounted twice.
        while stack::mount::detach(&mount).is_ok() {}
    }
}

/// The medium too: init begins anew.
pub fn everything() {
    root();
    while stack::mount::detach(&PathBuf::from(paths::MEDIUM)).is_ok() {}
}
