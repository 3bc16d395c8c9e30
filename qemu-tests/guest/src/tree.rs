//! One digest for a whole tree, so that two trees can be compared over any distance.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sha2::{Digest, Sha256};

/// SHA-256 over the names, kinds, permissions, sizes and contents of all that lies below `folder`, in the order of the names'
/// bytes. Owners and times are left out: the folder that an image was made from has others.
///
/// # Errors
/// The first thing that cannot be read.
pub fn digest(folder: &Path) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    add(folder, &mut hash)?;
    Ok(hash.finalize().into())
}

fn add(folder: &Path, hash: &mut Sha256) -> io::Result<()> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        let metadata = fs::symlink_metadata(&path)?;
        let name = path.file_name().unwrap_or_default().as_bytes();
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update(metadata.mode().to_le_bytes());
        if metadata.is_dir() {
            add(&path, hash)?;
            // Else a file could move to the folder above without a difference.
            hash.update(b"end of the folder");
        } else if metadata.is_symlink() {
            hash.update(fs::read_link(&path)?.as_os_str().as_bytes());
        } else if metadata.is_file() {
            hash.update(metadata.len().to_le_bytes());
            add_content(&path, hash)?;
        }
    }
    Ok(())
}

fn add_content(path: &Path, hash: &mut Sha256) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            count => hash.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_difference_shows() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("sub")).unwrap();
        fs::write(at("sub/file"), b"text").unwrap();
        let before = digest(folder.path()).unwrap();
        assert_eq!(digest(folder.path()).unwrap(), before);
        fs::write(at("sub/file"), b"tex!").unwrap();
        let changed = digest(folder.path()).unwrap();
        fs::write(at("sub/file"), b"text").unwrap();
        fs::rename(at("sub/file"), at("zile")).unwrap();
        let moved = digest(folder.path()).unwrap();
        fs::rename(at("zile"), at("sub/file")).unwrap();
        assert!(before != changed && before != moved);
        assert_eq!(digest(folder.path()).unwrap(), before);
    }
}
