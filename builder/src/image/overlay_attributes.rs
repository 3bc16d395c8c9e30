//! Attributes on which overlayfs itself acts (Documentation/filesystems/overlayfs.rst of the kernel); no image has them unasked.

use std::path::Path;

use squashfs::Metadata;

use crate::error::{Error, Result};

/// Attributes by which overlayfs hides, moves and redirects. `trusted.` ones act where root mounts, as init does, and `user.` ones
/// where an ordinary user does, as in a build: one image would be two.
const OF_OVERLAYFS: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];

/// Refuses the attributes of overlayfs in an image or a folder that becomes one; `object` is what holds the path.
pub fn refuse_overlay_attributes(object: &Path, path: &[u8], metadata: &Metadata) -> Result<()> {
    match metadata.xattrs.iter().find(|xattr| acts_in_overlayfs(&xattr.name)) {
        None => Ok(()),
        Some(xattr) => {
            let place = format!("{}: /{}", object.display(), path.escape_ascii());
            Err(overlay_attribute(&place, &xattr.name.escape_ascii().to_string()))
        }
    }
}

/// Whether overlayfs acts on an attribute of this name.
pub fn acts_in_overlayfs(name: &[u8]) -> bool {
    OF_OVERLAYFS.iter().any(|family| name.starts_with(family))
}

/// What to say of such an attribute.
pub fn overlay_attribute(place: &str, name: &str) -> Error {
    let cause = format!("has the attribute {name}, on which overlayfs acts in some mounts and in others not");
    Error::new(place, cause)
        .remedy("make it without: take a folder from below an overlay's mount, never from its upper folder")
}
