//! Images with a dm-verity hash tree, written by Debian's `veritysetup`, and images that are EROFS, written by `mkfs.erofs`: a
//! store whose images were not made by Lamina's own writers.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};
use soak_guest::hex;

use super::profile_text::{BLOCK, HashTree, ImageLine};
use super::{Layer, TestStore};
use crate::failure::Failure;

const SALT: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

impl TestStore {
    /// Puts a copy of the image `line` with a hash tree behind it into the store, and gives the line for a profile.
    pub fn protect(&self, line: &ImageLine, fec_roots: Option<u8>) -> Result<ImageLine, Failure> {
        let source = self.image_path(line);
        let copy = source.with_extension("part");
        fs::copy(&source, &copy).map_err(Failure::at(&source))?;
        let data_blocks = line.size.div_ceil(BLOCK);
        let file = fs::OpenOptions::new().write(true).open(&copy).map_err(Failure::at(&copy))?;
        file.set_len(data_blocks * BLOCK).map_err(Failure::at(&copy))?;
        let mut tree = HashTree { root_hash: String::new(), salt: SALT.to_owned(), data_blocks, fec_roots };
        let path = copy.to_string_lossy();
        let mut command = Command::new("/usr/sbin/veritysetup");
        command.arg("format").args([&*copy, &*copy]).args(tree.options(&path));
        command.arg(format!("--data-blocks={data_blocks}")).arg(format!("--salt={SALT}"));
        let said = output(&mut command)?;
        let root_hash = said.lines().find_map(|line| line.strip_prefix("Root hash:")).map(str::trim);
        root_hash
            .ok_or_else(|| Failure::new("veritysetup gave no root hash"))?
            .clone_into(&mut tree.root_hash);
        Ok(ImageLine { tree: Some(tree), ..self.adopt(&line.name, &copy)? })
    }

    /// Writes `layer` as an EROFS image, compressed with lz4.
    pub fn add_erofs(&self, layer: &Layer) -> Result<ImageLine, Failure> {
        let line = self.add(layer)?;
        let squashfs = self.image_path(&line);
        let (folder, image) = (squashfs.with_extension("tree"), squashfs.with_extension("part"));
        // fakeroot(1): unsquashfs makes device nodes, such as the whiteouts of overlayfs, only for root.
        let both = "unsquashfs -no-progress -d \"$1\" \"$2\" && mkfs.erofs --quiet --all-root -T0 -zlz4hc \"$3\" \"$1\"";
        let mut command = Command::new("fakeroot");
        output(command.args(["--", "sh", "-c", both, "sh"]).args([&*folder, &*squashfs, &*image]))?;
        fs::remove_dir_all(&folder).map_err(Failure::at(&folder))?;
        fs::remove_file(&squashfs).map_err(Failure::at(&squashfs))?;
        self.adopt(&line.name, &image)
    }

    /// Moves a file of the same disk into `images/`, under the name of its digest.
    pub fn adopt(&self, name: &str, file: &Path) -> Result<ImageLine, Failure> {
        let mut hasher = Sha256::new();
        let mut open = fs::File::open(file).map_err(Failure::at(file))?;
        let size = io::copy(&mut open, &mut HashWriter(&mut hasher)).map_err(Failure::at(file))?;
        let digest = hex(&hasher.finalize());
        let line = ImageLine { name: name.to_owned(), digest, size, tree: None };
        fs::rename(file, self.image_path(&line)).map_err(Failure::at(file))?;
        Ok(line)
    }
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a program printed; a failure with what it said when it did not succeed.
fn output(command: &mut Command) -> Result<String, Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| Failure::new(format!("{program}: {error}; run `make deps-test`")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(format!("{program} ended with {}: {said}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
