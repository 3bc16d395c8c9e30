//! The path of `--output`, with a place for the release of the kernel.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// The place of the release, as in the configuration of the hooks: a word by itself, with neither a letter nor a digit beside it.
pub const PLACE: &str = "RELEASE";

/// Whether the path has a place for the release.
pub fn has_place(output: &Path) -> bool {
    output.as_os_str().as_bytes().windows(PLACE.len()).enumerate().any(|(at, _)| is_place(output, at))
}

/// The path with the release in each of its places.
pub fn placed(output: &Path, release: &str) -> PathBuf {
    let bytes = output.as_os_str().as_bytes();
    let (mut placed, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        if is_place(output, at) {
            placed.extend_from_slice(release.as_bytes());
            at += PLACE.len();
        } else {
            placed.push(bytes[at]);
            at += 1;
        }
    }
    OsString::from_vec(placed).into()
}

fn is_place(output: &Path, at: usize) -> bool {
    let bytes = output.as_os_str().as_bytes();
    let (before, from) = bytes.split_at(at);
    let Some(behind) = from.strip_prefix(PLACE.as_bytes()) else { return false };
    // A letter beyond ASCII has bytes of 128 and more.
    let is_of_a_word = |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
    !before.last().is_some_and(is_of_a_word) && !behind.first().is_some_and(is_of_a_word)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn a_place_is_a_word_by_itself() {
        for (output, expected) in [
            ("/boot/lamina-RELEASE.img", "/boot/lamina-6.1.img"),
            ("/boot/RELEASE/RELEASE", "/boot/6.1/6.1"),
            ("RELEASE-RELEASE_RELEASE", "6.1-6.1_6.1"),
            ("/srv/MYRELEASES/RELEASE.img", "/srv/MYRELEASES/6.1.img"),
            ("RELEASE1/2RELEASE/RELEASERELEASE", "RELEASE1/2RELEASE/RELEASERELEASE"),
            ("éRELEASE/RELEASEé", "éRELEASE/RELEASEé"),
            ("release.img", "release.img"),
            ("-", "-"),
        ] {
            assert_eq!(placed(Path::new(output), "6.1"), Path::new(expected));
            assert_eq!(has_place(Path::new(output)), output != expected, "{output}");
        }
        // The release is no place again.
        assert_eq!(placed(Path::new("a-RELEASE"), "6.1-RELEASE"), Path::new("a-6.1-RELEASE"));
        let no_text = Path::new(OsStr::from_bytes(b"\xff/RELEASE"));
        assert_eq!(placed(no_text, "6.1"), Path::new(OsStr::from_bytes(b"\xff/6.1")));
    }
}
