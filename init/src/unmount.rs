//! Takes away what an attempt has mounted, so that another one finds the machine as the first did.

use std::path::{Path, PathBuf};

use crate::mounts::{self, Mounted};
use crate::paths;

/// Everything above the medium: the new root, the writable top, the layers. Loop and device-mapper devices end with them.
pub fn root() {
    detach(|mount| mount != Path::new(paths::MEDIUM));
}

/// The medium too: init begins anew.
pub fn everything() {
    detach(|_| true);
}

fn detach(wanted: impl Fn(&Path) -> bool) {
    for mount in ours(mounts::table()) {
        if wanted(&mount) {
            // What cannot be unmounted keeps its memory, and the next attempt mounts over it.
            let _ = stack::mount::detach(&mount);
        }
    }
}

/// The mounts of a boot that was not finished, the last one first.
fn ours(table: Vec<Mounted>) -> Vec<PathBuf> {
    let ours = |mount: &Mounted| [paths::NEW_ROOT, paths::RUN].iter().any(|it| mount.target.starts_with(it));
    table.into_iter().rev().filter(ours).map(|mount| mount.target).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_boot_has_mounted_is_taken_away_in_reverse_order() {
        let mountinfo = b"22 1 0:21 / /proc rw shared:1 - proc proc rw
30 1 0:26 / /run rw - tmpfs tmpfs rw
31 30 254:0 / /run/lamina/medium ro - ext4 /dev/vda ro
32 30 7:0 / /run/lamina/layers/a\\040b ro - squashfs /dev/loop0 ro
33 1 0:30 / /newroot rw - overlay overlay rw
34 1 0:31 / /newroots rw - tmpfs tmpfs rw
35 1";
        let expected = ["/newroot", "/run/lamina/layers/a b", "/run/lamina/medium"].map(PathBuf::from);
        assert_eq!(ours(mounts::parse(mountinfo)), expected);
    }
}
