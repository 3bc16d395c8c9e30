//! Takes away what an attempt has mounted, so that another one finds the machine as the first did.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

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
    for mount in ours(&fs::read("/proc/self/mountinfo").unwrap_or_default()) {
        if wanted(&mount) {
            // What cannot be unmounted keeps its memory, and the next attempt mounts over it.
            let _ = stack::mount::detach(&mount);
        }
    }
}

/// The mounts of a boot that was not finished, the last one first. A line of /proc/self/mountinfo has the mount point as its
/// fifth field, blanks and the like as `\040` (proc_pid_mountinfo(5)).
fn ours(mountinfo: &[u8]) -> Vec<PathBuf> {
    let point = |line: &[u8]| line.split(|byte| *byte == b' ').nth(4).map(unescaped);
    let mut mounts: Vec<PathBuf> = mountinfo.split(|byte| *byte == b'\n').filter_map(point).collect();
    mounts.retain(|mount| [paths::NEW_ROOT, paths::RUN].iter().any(|folder| mount.starts_with(folder)));
    mounts.reverse();
    mounts
}

fn unescaped(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| *first == b'\\');
        let octal = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    Path::new(&OsString::from_vec(bytes)).to_owned()
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
        assert_eq!(ours(mountinfo), expected);
        assert_eq!(unescaped(br"/a\1"), Path::new(r"/a\1"));
        assert_eq!(unescaped(br"/a\999b\134"), Path::new(r"/a\999b\"));
    }
}
