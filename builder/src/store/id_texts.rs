//! The texts that the ids of builds are the hash of, `ids/HEX`: with one, two builds can be compared line by line long after the recipe
//! has changed.
//!
//! A file is named by its SHA-256, which is the id: so it needs no format of its own, is checked by its name whenever it is read, and the
//! record inside the image stays as it is. Its first line carries the format of the text. Builds of earlier versions have none.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use profiles::Digest;

use super::{Store, files_in, opening};
use crate::error::{Error, Result};

/// No longer text is kept or read, in bytes. A recipe has at most 1 MiB, and each of its lines comes to one here that is not much longer.
pub const LONGEST_ID_TEXT: u64 = 4 << 20;

const FOLDER: &str = "ids";
const REMEDY: &str = "remove it; `lamina build` writes it again while the recipes still give this id";

impl Store {
    /// `ids/HEX`.
    pub fn id_text_path(&self, id: &Digest) -> PathBuf {
        self.root.join(FOLDER).join(id.hex())
    }

    /// Keeps the text of an id, when it is not there with its length. One that is longer than [`LONGEST_ID_TEXT`] is not kept.
    ///
    /// # Errors
    /// `text` is not that of `id`; it cannot be written.
    pub fn keep_id_text(&self, id: &Digest, text: &str) -> Result<()> {
        let (path, length) = (self.id_text_path(id), text.len() as u64);
        let is_there = fs::symlink_metadata(&path).is_ok_and(|it| it.is_file() && it.len() == length);
        if is_there || length > LONGEST_ID_TEXT {
            return Ok(());
        }
        if Digest::of_bytes(text) != *id {
            return Err(Error::new(path.display(), "another text was to be kept as that of this id"));
        }
        self.write(&path, text.as_bytes())
    }

    /// The text that an id is the hash of, when it was kept.
    ///
    /// # Errors
    /// It is damaged, or cannot be read.
    pub fn id_text(&self, id: &Digest) -> Result<Option<String>> {
        let path = self.id_text_path(id);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            _ => read(&path).map(Some),
        }
    }

    /// How many texts there are, and what is wrong with them.
    pub(super) fn look_at_id_texts(&self) -> Result<(usize, Vec<Error>)> {
        let paths = files_in(&self.root.join(FOLDER))?;
        Ok((paths.len(), paths.iter().filter_map(|path| read(path).err()).collect()))
    }
}

/// Reads a text whose SHA-256 must be its name.
fn read(path: &Path) -> Result<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let damaged = |cause: String| Error::new(format!("{FOLDER}/{name}"), cause).remedy(REMEDY);
    let mut bytes = Vec::new();
    let file = opening::file(path).map_err(|error| damaged(error.to_string()))?;
    file.take(LONGEST_ID_TEXT + 1).read_to_end(&mut bytes).map_err(|error| damaged(error.to_string()))?;
    if bytes.len() as u64 > LONGEST_ID_TEXT {
        return Err(damaged(format!("is longer than {LONGEST_ID_TEXT} bytes, and no text of an id is")));
    }
    let found = Digest::of_bytes(&bytes).hex();
    if found != name {
        return Err(damaged(format!("its SHA-256 is {found}: the file was changed or damaged")));
    }
    String::from_utf8(bytes).map_err(|_| damaged("is no text".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_read_is_what_was_kept_or_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let text = "lamina build 2\nname zlib\n";
        let id = Digest::of_bytes(text);
        assert_eq!(store.id_text(&id).unwrap(), None);
        store.keep_id_text(&id, text).unwrap();
        store.keep_id_text(&id, text).unwrap();
        assert_eq!(store.id_text(&id).unwrap().as_deref(), Some(text));
        assert!(store.keep_id_text(&Digest::of_bytes("x"), text).is_err());
        let path = store.id_text_path(&id);
        fs::write(&path, text.replace("zlib", "xlib")).unwrap();
        let message = store.id_text(&id).unwrap_err().to_string();
        assert!(message.starts_with(&format!("ids/{}: its SHA-256 is ", id.hex())), "{message}");
        assert!(message.contains("help: remove it"), "{message}");
        let (count, findings) = store.look_at_id_texts().unwrap();
        assert_eq!((count, findings.len()), (1, 1));
        // Another length is seen without reading, and mended by whoever knows the text.
        fs::write(&path, "short").unwrap();
        store.keep_id_text(&id, text).unwrap();
        assert_eq!(store.id_text(&id).unwrap().as_deref(), Some(text));
        // Neither a link nor something endless is read.
        fs::remove_file(&path).unwrap();
        symlink("/dev/zero", &path).unwrap();
        assert!(store.id_text(&id).is_err());
        fs::remove_file(&path).unwrap();
        fs::File::create(&path).unwrap().set_len(5 << 30).unwrap();
        let message = store.id_text(&id).unwrap_err().to_string();
        assert!(message.contains("is longer than 4194304 bytes"), "{message}");
    }

    #[test]
    fn a_text_that_is_too_long_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let text = "x".repeat(LONGEST_ID_TEXT as usize + 1);
        let id = Digest::of_bytes(&text);
        store.keep_id_text(&id, &text).unwrap();
        assert_eq!(store.id_text(&id).unwrap(), None);
    }
}
