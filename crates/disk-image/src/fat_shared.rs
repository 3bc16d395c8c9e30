//! Files of a FAT32 whose chains of clusters meet: what is written into one of them appears in the other, and one of them has lost what it
//! had. Lengths and chains look whole then; only a look at all of them tells.

use std::io;

use crate::fat_folder::FatFolder;
use crate::fat_volume::FatVolume;
use fault::Error;

/// Two paths that have a cluster in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedClusters {
    /// That which was found first.
    pub first: String,
    /// The other one. Each path is that in one pair at most.
    pub second: String,
}

impl SharedClusters {
    /// That as damage of the second one.
    pub fn damage(&self) -> Error {
        let cause = format!(
            "shares clusters with {}: what is written into one is in the other, and one of both has lost what it had",
            self.first
        );
        Error::new(&self.second, cause).remedy(
            "`fsck.vfat` gives each of them its own; then put both files there again, or make the disk anew",
        )
    }
}

/// Which chain each cluster is part of, as far as the volume was looked through.
struct Look<'a> {
    volume: &'a FatVolume,
    /// Files and folders, in the order in which they were found.
    paths: Vec<String>,
    /// By cluster: one more than a place in `paths`; 0 of those that nothing was found to have.
    owners: Vec<u32>,
    shared: Vec<SharedClusters>,
}

impl FatVolume {
    /// All files and folders that share clusters, in the order of their folders. A chain that ends early, and a folder that cannot be read, are
    /// told where they are read.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn shared_clusters(&self) -> io::Result<Vec<SharedClusters>> {
        let root = self.clusters.root;
        let owners = vec![0; self.clusters.table.clusters as usize];
        let mut look = Look { volume: self, paths: Vec::new(), owners, shared: Vec::new() };
        let mut folders = vec![(String::new(), root)];
        look.take("the root folder".to_owned(), root)?;
        while let Some((path, cluster)) = folders.pop() {
            let folder = match FatFolder::read(&self.clusters, cluster) {
                Err(error) if error.kind() == io::ErrorKind::InvalidData => continue,
                folder => folder?,
            };
            for found in folder.all().into_iter().filter(|it| !matches!(it.name.as_str(), "." | "..")) {
                let inside =
                    if path.is_empty() { found.name.clone() } else { format!("{path}/{}", found.name) };
                // An empty file has no cluster.
                let is_alone = found.cluster != 0 && look.take(inside.clone(), found.cluster)?;
                if is_alone && found.is_folder() {
                    folders.push((inside, found.cluster));
                }
            }
        }
        Ok(look.shared)
    }
}

impl Look<'_> {
    /// Follows a chain to where it ends or meets another one; whether it is the first that was found there.
    fn take(&mut self, path: String, first: u32) -> io::Result<bool> {
        self.paths.push(path);
        let (own, mut other) = (self.paths.len() as u32, None);
        let owners = &mut self.owners;
        let followed = self.volume.clusters.table.visit(first, |cluster| {
            let owner = std::mem::replace(&mut owners[cluster as usize], own);
            if owner != 0 {
                owners[cluster as usize] = owner;
                // A chain that comes back to itself has no end, which is told where it is read.
                other = Some(owner).filter(|owner| *owner != own);
            }
            owner == 0
        });
        followed.map(drop).or_else(|error| match error.kind() {
            io::ErrorKind::InvalidData => Ok(()),
            _ => Err(error),
        })?;
        if let Some(other) = other {
            let path = |number: u32| self.paths[number as usize - 1].clone();
            self.shared.push(SharedClusters { first: path(other), second: path(own) });
        }
        Ok(other.is_none())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::fat_names;

    /// A volume with three files and a folder.
    fn volume(folder: &std::path::Path) -> FatVolume {
        let image = folder.join("image");
        File::create(&image).unwrap().set_len(40 << 20).unwrap();
        let mut make = Command::new(crate::programs::find_program("mkfs.vfat", "dosfstools").unwrap());
        let made = make.args(["-F", "32", "-s", "1"]).arg(&image).stdout(Stdio::null()).status();
        assert!(made.unwrap().success());
        let disk = File::options().read(true).write(true).open(&image).unwrap();
        let volume = FatVolume::open(disk, 0, 40 << 20).unwrap();
        for (path, length) in [("a", 5000), ("inner/b", 3000), ("inner/c", 0), ("d", 700)] {
            volume.write_new(path, &mut vec![7; length].as_slice(), length as u64).unwrap();
        }
        volume
    }

    fn first_of(volume: &FatVolume, folder: u32, name: &str) -> u32 {
        let folder = FatFolder::read(&volume.clusters, folder).unwrap();
        folder.all().into_iter().find(|it| it.is_called(name)).unwrap().cluster
    }

    #[test]
    fn chains_that_meet_are_told_with_both_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let volume = volume(folder.path());
        assert_eq!(volume.shared_clusters().unwrap(), []);
        let root = volume.clusters.root;
        let [a, inner, d] = ["a", "inner", "d"].map(|name| first_of(&volume, root, name));
        let b = first_of(&volume, inner, "b");
        let table = &volume.clusters.table;
        let pair = |first: &str, second: &str| SharedClusters { first: first.into(), second: second.into() };
        // In their middle; a chain that is a circle; one that is the folder's.
        let saved = table.chain(d, 100).unwrap();
        table.change([(saved[0], a + 2)].into_iter()).unwrap();
        assert_eq!(volume.shared_clusters().unwrap(), [pair("a", "d")]);
        table.change([(saved[0], saved[0])].into_iter()).unwrap();
        assert_eq!(volume.shared_clusters().unwrap(), []);
        table.change([(saved[0], inner)].into_iter()).unwrap();
        assert_eq!(volume.shared_clusters().unwrap(), [pair("inner", "d")]);
        table.change([(saved[0], saved[1])].into_iter()).unwrap();
        table.change([(b, root)].into_iter()).unwrap();
        assert_eq!(volume.shared_clusters().unwrap(), [pair("the root folder", "inner/b")]);
        // Two names for one folder, which is entered once.
        let mut all = FatFolder::read(&volume.clusters, root).unwrap();
        let at = all.room_for("again", 1).unwrap();
        all.add(at, "again", fat_names::FOLDER, inner, 0).unwrap();
        let found = volume.shared_clusters().unwrap();
        assert!(found.contains(&pair("inner", "again")) && found.len() == 2, "{found:?}");
    }
}
