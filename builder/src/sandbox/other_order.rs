//! Folders whose entries come in another order, for `--check`.
//!
//! No file system promises an order, and a machine shows its builds one alone. When overlayfs joins folders, the entries of the
//! lowest come first, in the order in which that one gives them (`ovl_fill_lowest` in the kernel's fs/overlayfs/readdir.c). So
//! a layer below all others that has all their names, each hidden by the thing itself, decides the order of every folder and
//! changes nothing else. It is a tmpfs, which gives entries in the order of their making, or in the reverse of it.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::folders::mount_tmpfs;
use crate::error::{Error, Result};

/// Deeper folders keep their order.
const DEEPEST: usize = 64;
/// So many names have their order changed; the memory for more is not worth it.
const MOST_NAMES: usize = 1 << 20;

/// Makes the folder `place`, which has the names of all that is in `layers`, bottom first, in another order than these give. A
/// folder that cannot be read keeps its order.
pub(super) fn names_below(layers: &[PathBuf], place: &Path) -> Result<()> {
    fs::create_dir(place).map_err(Error::on(place.display()))?;
    // Inodes are counted for names too, and 0 is no limit: the names have one of their own.
    mount_tmpfs(place, "mode=0755,nr_inodes=0")?;
    let [names, file] = ["names", "file"].map(|name| place.join(name));
    // One inode for all: another name is cheaper than another inode.
    File::create(&file).map_err(Error::on(file.display()))?;
    let mut work = Work { newest_first: newest_first(place)?, file, left: MOST_NAMES };
    fs::create_dir(&names).map_err(Error::on(names.display()))?;
    work.add(layers, &names, 0)
}

/// The folder in `place` that the names are in.
pub(super) fn names_in(place: &Path) -> PathBuf {
    place.join("names")
}

/// Linux up to 6.5 and from 6.14 on lists what was made last first, those between in the order of making (fs/libfs.c).
fn newest_first(place: &Path) -> Result<bool> {
    let probe = place.join("probe");
    let look = || {
        fs::create_dir(&probe)?;
        File::create(probe.join("first"))?;
        File::create(probe.join("second"))?;
        let name = fs::read_dir(&probe)?.next().transpose()?.map(|entry| entry.file_name());
        Ok(name.is_some_and(|name| name == "second"))
    };
    look().map_err(|error: std::io::Error| Error::caused(probe.display(), error))
}

struct Work {
    newest_first: bool,
    file: PathBuf,
    left: usize,
}

impl Work {
    /// Makes in `names` what the folders have together, which are one folder of several layers, bottom first.
    fn add(&mut self, folders: &[PathBuf], names: &Path, depth: usize) -> Result<()> {
        let mut entries = joined(folders);
        self.left = self.left.saturating_sub(entries.len());
        if depth > DEEPEST || self.left == 0 {
            return Ok(());
        }
        // What is made in the order of the layers comes out reversed, or is reversed before.
        if !self.newest_first {
            entries.reverse();
        }
        for (name, below) in entries {
            let path = names.join(&name);
            match below.as_slice() {
                [] => fs::hard_link(&self.file, &path).map_err(Error::on(path.display()))?,
                below => {
                    fs::create_dir(&path).map_err(Error::on(path.display()))?;
                    self.add(below, &path, depth + 1)?;
                }
            }
        }
        Ok(())
    }
}

/// The entries of several folders in the order in which overlayfs gives them: those of the lowest, then from the top down. With
/// each, the folders of this name.
fn joined(folders: &[PathBuf]) -> Vec<(OsString, Vec<PathBuf>)> {
    let mut order: Vec<OsString> = Vec::new();
    let mut below: HashMap<OsString, BTreeMap<usize, PathBuf>> = HashMap::new();
    let lowest_then_top_down = (0..folders.len().min(1)).chain((1..folders.len()).rev());
    for index in lowest_then_top_down {
        for entry in fs::read_dir(&folders[index]).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let known = below.entry(name.clone()).or_insert_with(|| {
                order.push(name);
                BTreeMap::new()
            });
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                known.insert(index, entry.path());
            }
        }
    }
    order
        .into_iter()
        .map(|name| {
            let folders = below.remove(&name).unwrap_or_default().into_values().collect();
            (name, folders)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_several_layers_are_one() {
        let folder = tempfile::tempdir().unwrap();
        let layer = |number: u32| folder.path().join(number.to_string());
        for path in ["1/usr/lib", "2/usr/bin", "3/usr"] {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        for path in ["1/usr/lib/a", "2/usr/bin/b", "2/usr/lib", "3/top"] {
            File::create(folder.path().join(path)).unwrap();
        }
        let names = |folders: &[PathBuf]| {
            let mut names: Vec<String> = joined(folders)
                .into_iter()
                .map(|(name, below)| format!("{}:{}", name.display(), below.len()))
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(&[layer(1), layer(2), layer(3)]), ["top:0", "usr:3"]);
        assert_eq!(names(&[layer(1).join("usr"), layer(2).join("usr")]), ["bin:1", "lib:1"]);
        assert_eq!(names(&[layer(4)]), [] as [String; 0]);
    }
}
