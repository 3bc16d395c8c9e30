//! The tree that becomes an archive.

use std::collections::BTreeMap;
use std::path::PathBuf;

use fault::Error;
use verified_store::SoundFile;

/// Files by their path, without a leading slash. A folder sorts before what lies in it.
#[derive(Debug, Default)]
pub struct Contents {
    entries: BTreeMap<String, Entry>,
}

/// One file of the archive.
#[derive(Debug)]
pub struct Entry {
    /// Permission bits.
    pub mode: u32,
    /// What it is.
    pub source: Source,
}

/// What an entry is and where its bytes come from.
#[derive(Debug)]
pub enum Source {
    /// A folder.
    Folder,
    /// A file with these bytes.
    Bytes(Vec<u8>),
    /// A file with the bytes of a file of this machine, which must have this length when it is read.
    HostFile(PathBuf, u64),
    /// An image of the store, which must be the same when it is read.
    Image(SoundFile),
    /// A symbolic link to this path.
    Link(String),
    /// A character device: major and minor number.
    CharDevice(u32, u32),
}

impl Source {
    /// The length of the data that stands in the archive, in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Source::Folder | Source::CharDevice(..) => 0,
            Source::Bytes(bytes) => bytes.len() as u64,
            Source::HostFile(_, size) => *size,
            Source::Image(image) => image.size(),
            Source::Link(target) => target.len() as u64,
        }
    }
}

impl Contents {
    /// Adds a file and the folders above it.
    pub(crate) fn add(&mut self, path: impl Into<String>, mode: u32, source: Source) -> Result<(), Error> {
        let path = path.into();
        for (slash, _) in path.match_indices('/') {
            let above = || Entry { mode: 0o755, source: Source::Folder };
            let folder = self.entries.entry(path[..slash].to_owned()).or_insert_with(above);
            if !matches!(folder.source, Source::Folder) {
                return Err(Error::new(
                    &path,
                    format!("{} of the initramfs is a file already", &path[..slash]),
                ));
            }
        }
        if self.entries.contains_key(&path) {
            return Err(Error::new(&path, "would be in the initramfs twice")
                .remedy("name it once; of two keys with one name, give one file another name"));
        }
        self.entries.insert(path, Entry { mode, source });
        Ok(())
    }

    /// Adds a folder, unless there is one already.
    pub(crate) fn add_folder(&mut self, path: &str, mode: u32) -> Result<(), Error> {
        match self.get(path).map(|entry| &entry.source) {
            Some(Source::Folder) => Ok(()),
            _ => self.add(path, mode, Source::Folder),
        }
    }

    /// All entries, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// The entry at `path`.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_by_themselves_and_first() {
        let mut contents = Contents::default();
        contents.add("a/b/c", 0o644, Source::Bytes(vec![1])).expect("a file");
        contents.add("a-z", 0o644, Source::Bytes(vec![1])).expect("another");
        assert_eq!(contents.iter().map(|(path, _)| path).collect::<Vec<_>>(), ["a", "a-z", "a/b", "a/b/c"]);
    }

    #[test]
    fn nothing_is_replaced() {
        let mut contents = Contents::default();
        contents.add("a", 0o644, Source::Bytes(vec![])).expect("a file");
        let again = contents.add("a", 0o644, Source::Folder).expect_err("twice");
        assert_eq!(
            again.to_string(),
            "a: would be in the initramfs twice\nhelp: name it once; of two keys with one name, give one file another name"
        );
        let below = contents.add("a/b", 0o644, Source::Folder).expect_err("below a file");
        assert_eq!(below.to_string(), "a/b: a of the initramfs is a file already");
    }
}
