//! The text of a resolved profile: written and read here from ARCHITECTURE.md, without a KDL parser.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

pub(super) const BLOCK: u64 = 4096;
const HASHES_PER_BLOCK: u64 = 128;

/// An image as a resolved profile names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageLine {
    /// The package's name.
    pub name: String,
    /// SHA-256 of the file, 64 hex digits.
    pub digest: String,
    /// Length of the file, in bytes.
    pub size: u64,
    /// Its hash tree, when it has one.
    pub tree: Option<HashTree>,
}

impl ImageLine {
    fn to_kdl(&self) -> String {
        let tree = self.tree.as_ref().map_or_else(String::new, HashTree::to_kdl);
        let Self { name, digest, size, .. } = self;
        format!("image \"{name}\" version=\"1\" digest=\"sha256:{digest}\" size={size}{tree}")
    }
}

/// What a resolved profile says of an image with a hash tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashTree {
    /// 64 hex digits.
    pub root_hash: String,
    /// 64 hex digits.
    pub salt: String,
    /// Blocks of 4096 bytes.
    pub data_blocks: u64,
    /// Parity bytes for each codeword.
    pub fec_roots: Option<u8>,
}

impl HashTree {
    /// The properties of the `image` node, with a blank before each.
    pub fn to_kdl(&self) -> String {
        let Self { root_hash, salt, data_blocks, fec_roots } = self;
        let roots = fec_roots.map_or_else(String::new, |roots| format!(" fec-roots={roots}"));
        format!(" root-hash=\"{root_hash}\" salt=\"{salt}\" data-blocks={data_blocks}{roots}")
    }

    /// Where superblock and tree begin, in bytes.
    pub fn hash_offset(&self) -> u64 {
        self.data_blocks * BLOCK
    }

    /// Where the error correction begins, in bytes: behind the superblock and all levels of the tree.
    pub fn fec_offset(&self) -> u64 {
        let (mut level, mut blocks) = (self.data_blocks, 0);
        while level > 1 {
            level = level.div_ceil(HASHES_PER_BLOCK);
            blocks += level;
        }
        self.hash_offset() + (1 + blocks) * BLOCK
    }

    /// The options by which `veritysetup` finds everything in the one file at `image`.
    pub fn options(&self, image: &str) -> Vec<String> {
        let mut options = vec![format!("--hash-offset={}", self.hash_offset())];
        if let Some(roots) = self.fec_roots {
            options.push(format!("--fec-device={image}"));
            options.push(format!("--fec-offset={}", self.fec_offset()));
            options.push(format!("--fec-roots={roots}"));
        }
        options
    }
}

/// A resolved profile that is not written yet. Images stand bottom first.
#[derive(Debug)]
pub struct ProfileText {
    pub(super) name: String,
    images: Vec<ImageLine>,
    root: String,
    verify: String,
    init: String,
    more: Vec<String>,
    kernel: Option<String>,
}

impl ProfileText {
    /// A profile with a small writable tmpfs on top, images checked by digest, and `/sbin/init`.
    pub fn new(name: &str, images: &[ImageLine]) -> Self {
        Self {
            name: name.to_owned(),
            images: images.to_vec(),
            root: "root writable=\"tmpfs\" size=\"50%\"".to_owned(),
            verify: "digest".to_owned(),
            init: "/sbin/init".to_owned(),
            more: Vec::new(),
            kernel: None,
        }
    }

    /// The whole node `kernel`, which makes it a profile of format 2.
    #[must_use]
    pub fn kernel(mut self, node: &str) -> Self {
        self.kernel = Some(node.to_owned());
        self
    }

    /// Names the program that the system starts with.
    #[must_use]
    pub fn init(mut self, init: &str) -> Self {
        init.clone_into(&mut self.init);
        self
    }

    /// The whole node `root`, such as `root writable="LABEL=state"`.
    #[must_use]
    pub fn root(mut self, node: &str) -> Self {
        node.clone_into(&mut self.root);
        self
    }

    /// One more line, such as `sealed`.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.more.push(line.to_owned());
        self
    }

    /// An image that the profile offers and does not stack.
    #[must_use]
    pub fn optional(self, image: &ImageLine) -> Self {
        let line = image.to_kdl().replacen("image", "optional", 1);
        self.line(&line)
    }

    /// `verity`, `digest` or `none`.
    #[must_use]
    pub fn verify(mut self, verify: &str) -> Self {
        verify.clone_into(&mut self.verify);
        self
    }

    /// Leaves out the writable top.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        "root writable=\"no\"".clone_into(&mut self.root);
        self
    }

    pub(super) fn to_kdl(&self) -> String {
        let images: String = self.images.iter().map(|image| format!("    {}\n", image.to_kdl())).collect();
        let more: String = self.more.iter().map(|line| format!("    {line}\n")).collect();
        let Self { name, root, verify, init, .. } = self;
        let (format, kernel) = match &self.kernel {
            Some(node) => (2, format!("    {node}\n")),
            None => (1, String::new()),
        };
        format!(
            "profile \"{name}\" format={format} {{\n{kernel}{images}{more}    {root}\n    verify \"{verify}\"\n    init \"{init}\"\n}}\n"
        )
    }
}

/// The newest generation of the profile `name` in the store at `folder`: its file and its images, bottom first.
pub fn newest_profile(folder: &Path, name: &str) -> Result<(PathBuf, Vec<ImageLine>), Failure> {
    let generations = folder.join("profiles").join(name);
    let entries = fs::read_dir(&generations).map_err(Failure::at(&generations))?;
    let newest = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".kdl")?.parse::<u64>().ok())
        .max()
        .ok_or_else(|| Failure::new(format!("{}: no generation of the profile", generations.display())))?;
    let path = generations.join(format!("{newest}.kdl"));
    let text = fs::read_to_string(&path).map_err(Failure::at(&path))?;
    Ok((path, text.lines().filter_map(image_line).collect()))
}

/// Reads one `image` line as `lamina profile lock` writes it, without a KDL parser: the harness drives programs.
fn image_line(line: &str) -> Option<ImageLine> {
    let rest = line.trim_start().strip_prefix("image ")?;
    let name = rest.split_whitespace().next()?.trim_matches('"').to_owned();
    let property = |name: &str| {
        let value = rest.split_once(&format!(" {name}="))?.1;
        value.split_whitespace().next().map(|value| value.trim_matches('"'))
    };
    let digest = property("digest")?.trim_start_matches("sha256:").to_owned();
    let number = |name| property(name).and_then(|value| value.parse().ok());
    let tree = property("root-hash").and_then(|root_hash| {
        Some(HashTree {
            root_hash: root_hash.to_owned(),
            salt: property("salt")?.to_owned(),
            data_blocks: number("data-blocks")?,
            fec_roots: property("fec-roots").and_then(|roots| roots.parse().ok()),
        })
    });
    Some(ImageLine { name, digest, size: number("size")?, tree })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_line_survives_writing_and_reading() {
        let tree = HashTree {
            root_hash: "cd".repeat(32),
            salt: "ef".repeat(32),
            data_blocks: 1,
            fec_roots: Some(2),
        };
        for tree in [None, Some(HashTree { fec_roots: None, ..tree.clone() }), Some(tree)] {
            let line = ImageLine { name: "busybox".to_owned(), digest: "ab".repeat(32), size: 4096, tree };
            let read = image_line(&format!("    {}", line.to_kdl())).expect("it is an image line");
            assert_eq!(read, line);
        }
    }

    #[test]
    fn other_lines_are_no_images() {
        assert!(image_line("    init \"/sbin/init\"").is_none());
    }
}
