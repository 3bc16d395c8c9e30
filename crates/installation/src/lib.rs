//! What is installed beside a program: the other programs of Lamina, and those for guests and initramfs that belong to them. `make` puts
//! them all into one folder, and an installation (`.ci/put`) has `bin/` for the former and `lib/lamina/` for the latter.

use std::fs;
use std::path::{Path, PathBuf};

/// A file that is called so in the folder of this program, whether it is there or not.
pub fn beside(name: &str) -> Option<PathBuf> {
    folder().map(|folder| folder.join(name))
}

/// Why [`own_part`] has none, for people.
pub const NOT_FOUND: &str = "lies neither in ../lib/lamina nor beside this program";

/// The init that belongs to this program.
pub fn own_init() -> Option<PathBuf> {
    own_part("init")
}

/// A program for guests that belongs to this one: an installation has it in `../lib/lamina`, and `make` puts it beside.
pub fn own_part(name: &str) -> Option<PathBuf> {
    part_of(&folder()?, name)
}

fn folder() -> Option<PathBuf> {
    fs::canonicalize("/proc/self/exe").ok()?.parent().map(Path::to_owned)
}

fn part_of(folder: &Path, name: &str) -> Option<PathBuf> {
    [folder.join("../lib/lamina").join(name), folder.join(name)].into_iter().find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_init_of_an_installation_goes_before_one_that_lies_beside() {
        let prefix = tempfile::tempdir().unwrap();
        let (bin, lib) = (prefix.path().join("bin"), prefix.path().join("lib/lamina"));
        [&bin, &lib].iter().for_each(|folder| fs::create_dir_all(folder).unwrap());
        assert_eq!(part_of(&bin, "init"), None);
        fs::write(bin.join("init"), "").unwrap();
        assert_eq!(part_of(&bin, "init"), Some(bin.join("init")));
        fs::write(lib.join("init"), "").unwrap();
        assert_eq!(part_of(&bin, "init"), Some(bin.join("../lib/lamina/init")));
        fs::remove_file(lib.join("init")).unwrap();
        fs::create_dir(lib.join("init")).unwrap();
        assert_eq!(part_of(&bin, "init"), Some(bin.join("init")), "a folder is no init");
    }
}
