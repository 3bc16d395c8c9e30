//! `--share DIR[:ro]`: a folder of the host, over 9p, which QEMU serves by itself.

use std::fs;
use std::path::{Path, PathBuf};

use vm::share::Access;

use crate::error::{Error, Result};

/// A folder that the guest finds under a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedFolder {
    /// An absolute path.
    pub folder: PathBuf,
    /// What the guest calls it: the folder's own name, as far as a tag can have it.
    pub tag: String,
    /// Whether the guest may write.
    pub access: Access,
}

/// The longest tag of 9p over virtio, in bytes, that init and QEMU take (`virtio_9p.h` of QEMU has 32 with its end).
const LONGEST_TAG: usize = 31;

impl SharedFolder {
    /// Reads `DIR` or `DIR:ro`. A folder whose own name ends so is shared as `DIR:ro:ro`.
    ///
    /// # Errors
    /// It is no folder.
    pub fn parse(text: &str) -> Result<SharedFolder> {
        let (path, access) = match text.strip_suffix(":ro") {
            Some(path) => (path, Access::Read),
            None => (text, Access::Write),
        };
        let remedy = "give a folder: `--share DIR`, or `--share DIR:ro` for one that the guest only reads";
        let folder = fs::canonicalize(path)
            .map_err(|error| Error::caused(format!("--share {path}"), error).remedy(remedy))?;
        if !folder.is_dir() {
            return Err(Error::new(format!("--share {path}"), "is no folder").remedy(remedy));
        }
        Ok(SharedFolder { tag: tag(&folder), folder, access })
    }

    /// Several, each under a tag of its own.
    ///
    /// # Errors
    /// One of them is no folder.
    pub fn parse_all(texts: &[String]) -> Result<Vec<SharedFolder>> {
        let mut all: Vec<SharedFolder> = Vec::new();
        for text in texts {
            let mut one = Self::parse(text)?;
            let (plain, mut number) = (one.tag.clone(), 1);
            while all.iter().any(|it| it.tag == one.tag) {
                number += 1;
                one.tag = format!("{}-{number}", &plain[..plain.len().min(LONGEST_TAG - 4)]);
            }
            all.push(one);
        }
        Ok(all)
    }

    /// The value of `lamina.share=`.
    pub fn parameter(&self) -> String {
        format!("9p:{}{}", self.tag, self.read_only())
    }

    /// What init calls the step that mounts it (`init/src/boot/session/shares.rs`).
    pub fn step(&self) -> String {
        format!("9p:{0} at /run/host/{0}", self.tag)
    }

    fn read_only(&self) -> &'static str {
        if self.access == Access::Read { ",ro" } else { "" }
    }

    /// How a system mounts it whose command line is its own.
    pub fn how_to_mount(&self) -> String {
        let (tag, read_only) = (&self.tag, self.read_only());
        format!(
            "mkdir -p /run/host/{tag} && mount -t 9p -o trans=virtio,version=9p2000.L{read_only} {tag} /run/host/{tag}"
        )
    }
}

/// Letters and digits of ASCII, dots, dashes and underlines: it stands in QEMU's options and on command lines.
fn tag(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let plain = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => letter,
        _ => '_',
    };
    let mut tag: String = name.chars().map(plain).take(LONGEST_TAG).collect();
    if tag.starts_with(['-', '.']) {
        // mount(8) would take it for an option, and init takes no name that begins with a dot.
        tag.replace_range(..1, "_");
    }
    if name.trim_matches('.').is_empty() { "host".to_owned() } else { tag }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_get_tags_that_can_be_typed() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(&path).unwrap();
            path.display().to_string()
        };
        let texts = [
            make("work"),
            make("other/work") + ":ro",
            make("a b,c=ü"),
            make("-o"),
            make(".git"),
            "/:ro".to_owned(),
        ];
        let shared = SharedFolder::parse_all(&texts).unwrap();
        let tags: Vec<_> = shared.iter().map(|it| (it.tag.as_str(), it.access)).collect();
        assert_eq!(
            tags,
            [
                ("work", Access::Write),
                ("work-2", Access::Read),
                ("a_b_c__", Access::Write),
                ("_o", Access::Write),
                ("_git", Access::Write),
                ("host", Access::Read)
            ]
        );
        assert!(shared[1].how_to_mount().ends_with(",ro work-2 /run/host/work-2"));
    }

    #[test]
    fn what_is_no_folder_is_named() {
        let error = SharedFolder::parse("/etc/passwd:ro").unwrap_err();
        assert_eq!((error.object(), error.cause()), ("--share /etc/passwd", "is no folder"));
        assert!(SharedFolder::parse("/nowhere").unwrap_err().to_string().contains("--share /nowhere"));
    }
}
