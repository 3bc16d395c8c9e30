//! `lamina.share=9p:TAG` and `lamina.share=virtiofs:TAG`: folders of the host for the system that runs.

use std::path::{Path, PathBuf};

use super::store_spec::{Share, StoreSpec};
use crate::error::Failure;
use crate::paths;

/// The longest tag, in bytes: virtiofs has 36 (struct virtio_fs_config of `include/uapi/linux/virtio_fs.h`).
const LONGEST: usize = 36;

/// One folder of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedFolder {
    /// Which.
    pub share: Share,
    /// Whether it is written as `…,ro`.
    pub read_only: bool,
}

impl SharedFolder {
    /// Reads `9p:TAG`, `virtiofs:TAG`, and either with `,ro`.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let (place, read_only) = match text.strip_suffix(",ro") {
            Some(place) => (place, true),
            None => (text, false),
        };
        match StoreSpec::parse(place) {
            Ok(StoreSpec::Share(share)) if is_name(&share.tag) => Ok(Self { share, read_only }),
            _ => Err(Failure::new("it names no folder of the host")
                .try_this("write 9p:TAG or virtiofs:TAG, with ,ro behind it to read only; a tag has letters, digits, `.`, `_` and `-`")),
        }
    }

    /// Where the system finds it.
    pub fn target(&self) -> PathBuf {
        Path::new(paths::HOST).join(&self.share.tag)
    }
}

/// The tag becomes the name of a folder.
fn is_name(tag: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    tag.len() <= LONGEST && tag.bytes().all(plain) && !tag.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_names_a_folder_below_its_place_and_no_other() {
        let read = |text| SharedFolder::parse(text).ok();
        let shared = read("9p:work,ro").unwrap();
        assert_eq!((shared.target(), shared.read_only), ("/run/host/work".into(), true));
        assert!(!read("virtiofs:a.b_c-D").unwrap().read_only);
        let long = format!("9p:{}", "a".repeat(LONGEST + 1));
        for wrong in [
            "",
            "9p:",
            "9p:..",
            "9p:.",
            "9p:a/b",
            "9p:a b",
            "9p:a,rw",
            "LABEL=x",
            "initramfs",
            "/dev/vda",
            &long,
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
